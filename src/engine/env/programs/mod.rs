//! What ABD and DED share: the data and the generator that their tasks come from, reading a reply, running a program.
//!
//! Both environments play rows of one form ([`row::Row`]): those of the data set (`satpalsr/rl-python`), or those that
//! the [`generator`] makes without a network. `abd` and `ded` themselves lie beside this folder.

pub mod download;
pub mod extract;
pub mod generator;
pub mod instructions;
pub mod row;
pub mod rows;
pub mod runner;
pub mod setup;
pub mod tasks;
