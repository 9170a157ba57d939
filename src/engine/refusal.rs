//! What libtorch refuses inside an infallible call of tch is a panic of tch. Here it becomes an ordinary error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Error, Result};

/// Runs `f`; a refusal of libtorch is an error, any other panic is a bug and goes on.
///
/// Nothing that `f` left half done is looked at afterwards as if it were whole: whoever catches an error here begins
/// that work anew (a training step) or gives it up.
pub fn attempt<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| match refused(&panic_text(payload.as_ref())) {
        Some(text) => Err(Error::torch(&text)),
        None => resume_unwind(payload),
    })
}

/// The text of a panic's payload.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text.to_string(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a text".to_string(),
    }
}

/// libtorch's text in a panic of tch, which unwraps: `called `Result::unwrap()` on an `Err` value: Torch("the text,
/// escaped")`.
pub fn refused(text: &str) -> Option<String> {
    let (_, value) = text.split_once("on an `Err` value: Torch(\"")?;
    let (quoted, _) = value.rsplit_once("\")")?;
    Some(quoted.replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\"))
}
