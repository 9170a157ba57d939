//! Where Java and `scienceworld.jar` are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::engine::file;
use crate::engine::shell::find_program;
use crate::engine::signals::as_started;
use crate::engine::{Error, Result};

/// The version that the table of tasks and the recorded episodes are of.
pub const VERSION: &str = "1.2.3";

/// SHA-256 of the jar in the Python package of that version.
const SHA256: &str = "f4e1fdce0cdabe1bab7128a7e78ea820210d9db3c28d7272bcbbc3f3a1c5f0d7";

/// Names the jar where the option does not.
pub const JAR_VARIABLE: &str = "SCIENCEWORLD_JAR";

const NO_JAVA: &str = "install Java 8 or newer (apt-get install default-jre-headless), set JAVA_HOME, or name the \
     program in the option `java`; without Java there is affine's own small simulator, env.make(\"sciworld-mini\"), \
     which is not ScienceWorld";

const NO_JAR: &str = "`affine env setup sciworld` obtains it; or pip install scienceworld==1.2.3, set \
     SCIENCEWORLD_JAR to the file, or name it in the option `jar`";

/// The Java to run: the option, `$JAVA_HOME/bin/java`, or `java` on the path.
pub fn java(option: Option<&str>) -> Result<PathBuf> {
    if let Some(given) = option {
        return find_program(given)
            .ok_or_else(|| Error::hinted(format!("java: there is no program {given}"), "name Java's `java` program"));
    }
    let home = variable("JAVA_HOME").map(|home| home.join("bin/java")).filter(|java| java.is_file());
    home.or_else(|| find_program("java"))
        .ok_or_else(|| Error::hinted("ScienceWorld runs on Java, and there is no `java` here", NO_JAVA))
}

/// The jar to run: the option, `SCIENCEWORLD_JAR`, what `affine env setup sciworld` left, or the Python package's.
pub fn jar(option: Option<&str>) -> Result<PathBuf> {
    let given = option.map(|path| ("jar", PathBuf::from(path)));
    if let Some((what, path)) = given.or_else(|| variable(JAR_VARIABLE).map(|path| (JAR_VARIABLE, path))) {
        return match path.is_file() {
            true => Ok(path),
            false => Err(Error::hinted(format!("{what}: there is no file {}", path.display()), NO_JAR)),
        };
    }
    let ours = setup_folder().map(|folder| in_package(&folder));
    ours.filter(|path| path.is_file())
        .or_else(in_python)
        .ok_or_else(|| Error::hinted("there is no scienceworld.jar here", NO_JAR))
}

/// Where `affine env setup sciworld` installs to: `~/.cache/affine/sciworld`, or below `XDG_CACHE_HOME`.
pub fn setup_folder() -> Option<PathBuf> {
    file::cache_folder("sciworld")
}

/// The jar inside a folder of Python packages.
pub fn in_package(packages: &Path) -> PathBuf {
    packages.join("scienceworld/scienceworld.jar")
}

/// The jar of the package that the Python on the path would import. Asked once: starting Python takes a while.
fn in_python() -> Option<PathBuf> {
    static FOUND: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if found.is_none() {
        *found = ask_python();
    }
    found.clone()
}

fn ask_python() -> Option<PathBuf> {
    let script = "import importlib.util as u; s = u.find_spec('scienceworld'); print(s.submodule_search_locations[0])";
    let python = find_program("python3")?;
    let mut command = Command::new(python);
    command.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::null());
    let asked = as_started(|| command.output()).ok()?;
    let folder = String::from_utf8(asked.stdout).ok()?;
    Some(Path::new(folder.trim()).join("scienceworld.jar")).filter(|path| path.is_file())
}

/// Whether the jar is the one of [`VERSION`]; looks at each file once.
pub fn is_known_version(jar: &Path) -> Result<bool> {
    static SEEN: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());
    let mut seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, known)) = seen.iter().find(|(path, _)| path == jar) {
        return Ok(*known);
    }
    let known = file::sha256_file(jar)? == SHA256;
    seen.push((jar.to_path_buf(), known));
    Ok(known)
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
