//! What ABD and DED share: the rows that their tasks come from, reading a reply, running a program.
//!
//! Both environments play rows of one form ([`row::Row`]), that of the data set `satpalsr/rl-python`. `abd` and `ded`
//! themselves lie beside this folder.

pub mod extract;
pub mod generator;
pub mod options;
pub mod quote;
pub mod row;
pub mod rows;
pub mod runner;
pub mod tasks;
pub mod template;
pub mod watch;
