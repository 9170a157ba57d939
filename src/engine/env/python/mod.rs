//! What Python says of text and values, where a verdict depends on it: blanks, line ends, digits, literals.
//!
//! The verdicts of the Affine environments were made by Python code, so a blank is what `str.isspace` calls one, a line
//! ends where `str.splitlines` ends it, and a test case is what `json.loads` or `ast.literal_eval` reads.

pub mod json;
pub mod literal;
pub mod text;
pub mod value;

pub use value::Value;
