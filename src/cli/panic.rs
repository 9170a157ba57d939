//! A panic is a bug in affine, and even then the user reads one sentence: what happened and where the details are.

use std::backtrace::Backtrace;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::path::PathBuf;

use super::output::complain;
use crate::engine::refusal::{is_reading, panic_text};
use crate::lua::report::is_refusal;

/// Replaces Rust's panic hook.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        let text = panic_text(info.payload());
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if is_refusal(&text) || is_reading() {
            // libtorch, or a reader of files, refused something: an ordinary error on its way to the script.
            tracing::debug!("{text} ({place})");
            return;
        }
        complain(format_args!("affine: internal error: {} ({place})", text.lines().next().unwrap_or_default()));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            complain(Backtrace::force_capture());
        } else if let Some(path) = write_details(info) {
            complain(format_args!("hint: this is a bug in affine: please report it with the file {}", path.display()));
        }
    }));
}

fn write_details(info: &PanicHookInfo<'_>) -> Option<PathBuf> {
    let path = std::env::temp_dir().join(format!("affine-panic-{}.txt", std::process::id()));
    let mut file = std::fs::File::create(&path).ok()?;
    writeln!(file, "{info}\n\n{}", Backtrace::force_capture()).ok()?;
    Some(path)
}
