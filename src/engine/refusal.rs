//! Panics that are no bug of affine's. What libtorch refuses inside an infallible call of tch is a panic of tch, and some
//! readers of other people's files panic on what they did not expect. Here both become ordinary errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

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

thread_local! {
    /// Calls of [`reading`] that this thread is in.
    static READING: Cell<usize> = const { Cell::new(0) };
}

/// Calls into a crate that reads `path`, or works with what it read there. A panic of that crate means that the file is none
/// that it knows what to do with.
pub fn reading<T>(path: &Path, f: impl FnOnce() -> Result<T>) -> Result<T> {
    READING.set(READING.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    READING.set(READING.get() - 1);
    outcome.unwrap_or_else(|payload| {
        let text = panic_text(payload.as_ref());
        let reason = text.lines().next().unwrap_or_default();
        Err(Error::file(path, format!("cannot be used: what is in it is damaged or of an unknown kind ({reason})")))
    })
}

/// Whether a panic of this thread is on its way to [`reading`], so that the panic hook has nothing to say.
pub fn is_reading() -> bool {
    READING.get() > 0
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
