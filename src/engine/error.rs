//! The one error of the engine. Every variant says what went wrong, where, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use super::torch_words;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option out of its range, or options that contradict each other. `path` is the key as the user wrote it
    /// (`learning_rate`, `schedule.warmup_ratio`).
    #[error("{path}: expected {expected}, got {got}")]
    Option { path: String, expected: String, got: String },

    /// A name that is none of those known there: an option (`what` is "option"), or a value that must be one of a few.
    #[error("{path}: unknown {what}")]
    Unknown { path: String, what: String, hint: String },

    /// A file that cannot be read, written or understood.
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },

    /// A sentence for the user, with a hint on what to do where there is one.
    #[error("{message}")]
    Message { message: String, hint: Option<String> },

    /// What libtorch refused: the first sentence of its text, the rest goes to the log.
    #[error("{0}")]
    Torch(String),

    /// A device has no room for what was asked.
    #[error("{0}")]
    OutOfMemory(String),

    /// What a script's own function raised while the engine called it. `trace` holds the lines that led there,
    /// innermost first (`x.lua:5: in function 'step'`).
    #[error("{message}")]
    Script { message: String, hint: Option<String>, trace: Vec<String> },

    /// Something in an environment: the episode is marked failed, the run goes on.
    #[error("environment {name}: {source}")]
    Environment { name: String, source: Box<Error> },

    /// Ctrl-C or SIGTERM: the work stopped at a clean point.
    #[error("interrupted")]
    Interrupted,

    /// A trial that its study's pruner ends: not a mistake, and nothing that a script's `pcall` may keep to itself.
    #[error("trial {trial} was pruned at step {step}")]
    Pruned { trial: u64, step: i64 },

    /// An error with the action that it stopped ("load checkpoint-40").
    #[error("{action}: {source}")]
    Context { action: String, source: Box<Error> },
}

impl Error {
    pub fn option(path: impl Into<String>, expected: impl Into<String>, got: impl fmt::Display) -> Self {
        Error::Option { path: path.into(), expected: expected.into(), got: got.to_string() }
    }

    pub fn file(path: impl AsRef<Path>, problem: impl fmt::Display) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.to_string() }
    }

    pub fn message(message: impl Into<String>) -> Self {
        Error::Message { message: message.into(), hint: None }
    }

    pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Message { message: message.into(), hint: Some(hint.into()) }
    }

    pub fn environment(name: impl Into<String>, problem: impl fmt::Display) -> Self {
        Error::Environment { name: name.into(), source: Box::new(Error::message(problem.to_string())) }
    }

    /// The error with the action that it stopped.
    pub fn within(self, action: impl fmt::Display) -> Self {
        Error::Context { action: action.to_string(), source: Box::new(self) }
    }

    /// The error with `section` before the option that it names: `training.batch_size` for `batch_size`.
    pub fn below(&self, section: &str) -> Self {
        let path = |path: &str| format!("{section}.{path}");
        match self.root() {
            Error::Option { path: key, expected, got } => Error::option(path(key), expected, got),
            Error::Unknown { path: key, what, hint } => {
                Error::Unknown { path: path(key), what: what.clone(), hint: hint.clone() }
            }
            other => Error::Message { message: path(&other.to_string()), hint: other.hint().map(str::to_string) },
        }
    }

    /// One word for a script that asks what kind of error this is.
    pub fn kind(&self) -> &'static str {
        match self.root() {
            Error::Option { .. } | Error::Unknown { .. } => "option",
            Error::File { .. } => "file",
            Error::Torch(_) => "torch",
            Error::OutOfMemory(_) => "memory",
            Error::Script { .. } => "script",
            Error::Interrupted => "interrupted",
            Error::Pruned { .. } => "pruned",
            _ => "message",
        }
    }

    /// The error inside all that surrounds it.
    pub fn root(&self) -> &Error {
        self.source_error().map_or(self, Error::root)
    }

    fn source_error(&self) -> Option<&Error> {
        match self {
            Error::Context { source, .. } | Error::Environment { source, .. } => Some(source),
            _ => None,
        }
    }

    /// What would help, where the error knows.
    pub fn hint(&self) -> Option<&str> {
        match self.root() {
            Error::Message { hint, .. } | Error::Script { hint, .. } => hint.as_deref(),
            Error::Unknown { hint, .. } => Some(hint),
            Error::OutOfMemory(_) => Some(OUT_OF_MEMORY_HINT),
            _ => None,
        }
    }

    /// The script's lines that led to the error, innermost first, where a script raised it.
    pub fn trace(&self) -> &[String] {
        match self.root() {
            Error::Script { trace, .. } => trace,
            _ => &[],
        }
    }

    pub fn is_interrupted(&self) -> bool {
        matches!(self.root(), Error::Interrupted)
    }

    pub fn is_pruned(&self) -> bool {
        matches!(self.root(), Error::Pruned { .. })
    }

    pub fn is_out_of_memory(&self) -> bool {
        matches!(self.root(), Error::OutOfMemory(_))
    }
}

/// What another library's error says, with its causes: some say only what failed and leave why to their source.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        cause = inner.source();
    }
    text
}

/// Names the action that an error stopped.
pub trait Context<T> {
    fn context(self, action: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, action: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().within(action))
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        match error {
            tch::TchError::Torch(text) => Error::torch(&text),
            other => Error::torch(&other.to_string()),
        }
    }
}

const OUT_OF_MEMORY_HINT: &str =
    "make batches smaller, close what is no longer needed (:close(), affine.scope), or see affine.memory()";

impl Error {
    /// An error from libtorch's text. Its first sentence is for the user, all of it for the log.
    pub fn torch(text: &str) -> Self {
        tracing::debug!(target: "libtorch", "{text}");
        match out_of_memory(text) {
            Some(sentence) => Error::OutOfMemory(sentence),
            None => Error::Torch(torch_words::plain(&first_sentence(text))),
        }
    }
}

/// libtorch appends dispatcher lists and C++ frames to its messages; its first line is what a user can act on.
fn first_sentence(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown libtorch error");
    let end = line.find("Exception raised from").unwrap_or(line.len());
    line[..end].trim().to_string()
}

/// `DefaultCPUAllocator: can't allocate memory: you tried to allocate 400 bytes. Error code 12 …` and `CUDA out of
/// memory. Tried to allocate 2.00 GiB. …` in our words; nothing for any other text.
fn out_of_memory(text: &str) -> Option<String> {
    let asked = |before: &str| {
        let rest = &text[text.find(before)? + before.len()..];
        let end = rest.find(". ").or_else(|| rest.find('\n')).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('.').to_string())
    };
    if text.contains("DefaultCPUAllocator") && text.contains("allocate") {
        let size = asked("tried to allocate ").and_then(|size| size.strip_suffix(" bytes")?.parse().ok());
        return Some(match size {
            Some(bytes) => format!("out of memory: no room for {} on the CPU", size_text(bytes)),
            None => "out of memory on the CPU".to_string(),
        });
    }
    text.contains("CUDA out of memory").then(|| match asked("Tried to allocate ") {
        Some(size) => format!("out of memory: no room for {size} on the GPU"),
        None => "out of memory on the GPU".to_string(),
    })
}

/// A number of bytes for people: `1.5 GiB`, `20 KiB`.
pub fn size_text(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            return if size.fract() == 0.0 || size >= 100.0 {
                format!("{size:.0} {unit}")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} PiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorchs_walls_of_text_become_their_first_sentence() {
        let wall =
            "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)\nException raised from meta at x.cpp:1\n#0 ...";
        assert_eq!(Error::torch(wall).to_string(), "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
        assert_eq!(Error::torch("\n  no. Exception raised from f").to_string(), "no.");
    }

    #[test]
    fn a_library_that_does_not_load_is_told_with_the_cause() {
        // SAFETY: there is no such library.
        let opened = unsafe { libloading::os::unix::Library::new("no-such-library.so.7") };
        let error = opened.err().unwrap();
        assert!(!error.to_string().contains("no-such-library"), "{error}");
        assert!(with_causes(&error).contains(": no-such-library.so.7: cannot open"), "{}", with_causes(&error));
    }

    #[test]
    fn running_out_of_memory_is_one_sentence_on_either_device() {
        let cpu = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to \
                   allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)";
        let error = Error::torch(cpu);
        assert!(error.is_out_of_memory() && error.hint().is_some());
        assert_eq!(error.to_string(), "out of memory: no room for 4 TiB on the CPU");
        let gpu =
            "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.11 GiB of which ...";
        assert_eq!(Error::torch(gpu).to_string(), "out of memory: no room for 2.50 GiB on the GPU");
    }

    #[test]
    fn what_surrounds_an_error_keeps_its_kind_its_hint_and_its_trace() {
        let script =
            Error::Script { message: "broken".into(), hint: Some("mend it".into()), trace: vec!["x.lua:2".into()] };
        let error = Error::Environment { name: "e".into(), source: Box::new(script.within("step")) }.within("ppo:run");
        assert_eq!(error.to_string(), "ppo:run: environment e: step: broken");
        assert_eq!((error.kind(), error.hint()), ("script", Some("mend it")));
        assert_eq!(error.trace(), ["x.lua:2"]);
        assert!(Error::Interrupted.within("step").is_interrupted());
    }
}
