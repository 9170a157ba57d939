//! What commands print. A reader that has gone (`| head`) ends them quietly, a full disk with one sentence; `println!`
//! would panic.

use std::fmt::Display;
use std::io::{self, Write};

use crate::lua::output::{Lost, lost};

/// A line on standard output.
pub fn say(line: impl Display) {
    written(writeln!(io::stdout().lock(), "{line}"));
}

/// Text on standard output, as it is.
pub fn put(text: impl Display) {
    let mut out = io::stdout().lock();
    written(write!(out, "{text}").and_then(|()| out.flush()));
}

/// A line on standard error. Where nobody can read that there is nobody to tell.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Ends the process where standard output failed.
pub fn written(outcome: io::Result<()>) {
    let Err(error) = outcome else { return };
    match lost(&error) {
        Lost::Quietly => std::process::exit(0),
        Lost::Because(sentence) => {
            complain(format_args!("affine: {sentence}"));
            std::process::exit(1);
        }
    }
}
