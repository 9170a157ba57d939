//! Which CPython runs the programs, and which files are its own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::engine::signals::as_started;
use crate::engine::{Error, Result};

/// `python3` may be a script that looks for the real one, and that in a virtual environment a link: the interpreter
/// itself knows. It loads what programs may load, so that the folders of the shared libraries behind it show.
const QUESTION: &str = r#"
import json, os, sys
for name in ("ctypes", "_hashlib", "_ssl", "_sqlite3", "_bz2", "_lzma", "zlib", "_decimal"):
    try:
        __import__(name)
    except ImportError:
        pass
with open("/proc/self/maps") as maps:
    mapped = {line.split(None, 5)[5].rstrip("\n") for line in maps if "/" in line}
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": list(sys.version_info[:3]),
    "executable": os.readlink("/proc/self/exe"),
    "modules": [path for path in sys.path if path],
    "mapped": sorted(mapped),
    "ctypes": "ctypes" in sys.modules,
}))
"#;

const OLDEST: (u32, u32) = (3, 8);

const ADVICE: &str = "programs run in CPython: apt-get install python3 (3.8 or newer), or name one with `python`";

/// What an interpreter says of itself.
#[derive(Deserialize)]
struct Answer {
    implementation: String,
    version: (u32, u32, u32),
    executable: PathBuf,
    modules: Vec<PathBuf>,
    mapped: Vec<PathBuf>,
    ctypes: bool,
}

pub struct Interpreter {
    pub executable: PathBuf,
    pub version: String,
    /// Files and folders that it reads: its modules, and the folders of its shared libraries.
    pub reads: BTreeSet<PathBuf>,
}

impl Interpreter {
    /// The interpreter at `python`, or the `python3` on the path.
    pub fn find(python: Option<&Path>) -> Result<Self> {
        let program = python.map_or(OsStr::new("python3"), Path::as_os_str);
        let answer = ask(program)?;
        let (major, minor, patch) = answer.version;
        let version = format!("{major}.{minor}.{patch}");
        let complain = |problem: String| Error::hinted(format!("{}: {problem}", program.display()), ADVICE);
        if answer.implementation != "cpython" {
            return Err(complain(format!("is {}, not CPython", answer.implementation)));
        }
        if (major, minor) < OLDEST {
            return Err(complain(format!("is CPython {version}, which is too old")));
        }
        if !answer.ctypes {
            return Err(complain(format!(
                "is a CPython {version} that was built without ctypes, which the sandbox needs"
            )));
        }
        Ok(Interpreter { reads: own_files(&answer), executable: answer.executable, version })
    }
}

fn ask(program: &OsStr) -> Result<Answer> {
    let mut command = Command::new(program);
    command.args(["-I", "-S", "-B", "-c", QUESTION]).stdin(Stdio::null()).current_dir("/");
    let output = as_started(|| command.output()).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::hinted(format!("there is no {}", program.display()), ADVICE),
        _ => Error::hinted(format!("{} does not start: {error}", program.display()), ADVICE),
    })?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it answers nothing");
        Error::hinted(format!("{} is no working Python: {}", program.display(), said.trim()), ADVICE)
    })
}

/// Where shared libraries of the system lie.
const LIBRARY_ROOTS: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

fn own_files(answer: &Answer) -> BTreeSet<PathBuf> {
    let mut reads: BTreeSet<PathBuf> = answer.modules.iter().filter(|path| path.exists()).cloned().collect();
    // `<prefix>/bin/python3.11` brings its libraries in `<prefix>/lib`.
    let home = answer.executable.parent().and_then(Path::parent).map(|prefix| prefix.join("lib"));
    for file in answer.mapped.iter().filter(|file| **file != answer.executable && file.exists()) {
        let Some(folder) = file.parent() else { continue };
        let shared = LIBRARY_ROOTS.iter().any(|root| folder.starts_with(root) && folder != Path::new(root));
        let brought = home.as_deref() == Some(folder) && !folder.starts_with("/usr");
        // A library elsewhere says nothing about its neighbours.
        reads.insert(if shared || brought { folder.to_path_buf() } else { file.clone() });
    }
    reads.insert("/etc/ld.so.cache".into());
    reads
}
