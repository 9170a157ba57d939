//! How a command ends other than well.

use crate::lua::report::Report;

pub enum Failure {
    /// One sentence on what is wrong with the command line.
    Usage(String),
    Script(Report),
    /// The command has said by itself what failed.
    Told,
}
