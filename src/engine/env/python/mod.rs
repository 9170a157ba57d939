//! What of CPython shows through in tasks and verdicts: blanks, line ends, digits, literals, `repr`, the order of a set.
//!
//! The verdicts of the Affine environments were made by Python code, so a blank is what `str.isspace` calls one, a line
//! ends where `str.splitlines` ends it, and a test case is what `json.loads` or `ast.literal_eval` reads.

pub mod json;
pub mod literal;
pub mod mersenne;
pub mod numpy_random;
mod strings;
pub mod text;
pub mod value;

pub use strings::{HashSecret, repr};
pub use text::{is_space, strip};
pub use value::Value;
