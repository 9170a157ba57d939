//! The sandbox: programs run as CPython runs them, and whatever they try, nothing outside them changes.

/// However affine ends, nothing stays.
mod ending;
/// Attempts to get out, each proved harmless.
mod escapes;
/// The machines that the tests are run as.
mod host;
/// What a program may use up.
mod limits;
/// What programs see of the interpreter.
mod programs;
