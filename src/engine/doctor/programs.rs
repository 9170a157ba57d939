//! Programs that some environments start: Python and Java.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::engine::env::sciworld::find;
use crate::engine::shell::find_program;
use crate::engine::signals::as_started;

/// A program that hangs must not hang the doctor.
const PATIENCE: Duration = Duration::from_secs(15);

/// Python packages that bring an environment's parts.
const PACKAGES: [&str; 4] = ["pip", "scienceworld", "alfworld", "textworld"];

/// Prints the version and where the packages are, as JSON.
const QUESTION: &str = "\
import importlib.util, json, sys
places = {}
for name in sys.argv[1:]:
    found = importlib.util.find_spec(name)
    if found and found.submodule_search_locations:
        places[name] = list(found.submodule_search_locations)[0]
print(json.dumps({'version': '.'.join(map(str, sys.version_info[:3])), 'packages': places}))
";

/// The `python3` on the path.
#[derive(Debug, serde::Deserialize)]
pub struct Python {
    version: String,
    /// Folders by package.
    pub packages: BTreeMap<String, PathBuf>,
}

impl Python {
    pub fn find() -> Option<Self> {
        let mut command = Command::new("python3");
        command.arg("-c").arg(QUESTION).args(PACKAGES);
        let output = finish(command).filter(|output| output.status.success())?;
        serde_json::from_slice(&output.stdout).ok()
    }

    fn is_old(&self) -> bool {
        let mut numbers = self.version.split('.').map_while(|part| part.parse::<u32>().ok());
        (numbers.next(), numbers.next()) < (Some(3), Some(8))
    }
}

/// What uploads runs to Weights & Biases, where it is installed.
pub fn wandb() -> Option<Finding> {
    const SUBJECT: &str = "W&B";
    let mut command = Command::new(find_program("wandb")?);
    command.arg("--version");
    let output = finish(command).filter(|output| output.status.success());
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default();
    let version = said.rsplit(' ').next().unwrap_or_default();
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    Some(match numbers[..] {
        [] => Finding::warn(SUBJECT, "`wandb --version` does not tell its version", "pip install --upgrade wandb"),
        [0, ..28, ..] => {
            let message = format!("wandb {version}, which overwrites what a resumed run has uploaded");
            Finding::warn(SUBJECT, message, "pip install --upgrade wandb, to 0.28 or newer, before `wandb sync`")
        }
        _ => Finding::ok(SUBJECT, format!("wandb {version} uploads runs (tracking.use_wandb)")),
    })
}

/// ABD and DED judge Python programs by running them; nothing else of affine needs Python once it is built.
pub fn python(python: Option<&Python>) -> Finding {
    const ADVICE: &str = "abd and ded run Python programs: apt-get install python3";
    let Some(python) = python else {
        return Finding::warn("Python", "no python3 on the path", ADVICE);
    };
    if python.is_old() {
        return Finding::warn("Python", format!("{}, which is older than 3.8", python.version), ADVICE);
    }
    let packages: Vec<&str> = python.packages.keys().map(String::as_str).collect();
    let with = if packages.is_empty() { String::new() } else { format!(" with {}", packages.join(", ")) };
    Finding::ok("Python", format!("{}{with}", python.version))
}

/// ScienceWorld is a Java program.
pub fn java() -> Finding {
    let version = |java| {
        let mut command = Command::new(java);
        command.arg("-version");
        finish(command).filter(|output| output.status.success())
    };
    let output = find::java(None).ok().and_then(version);
    match output.as_ref().and_then(|output| java_version(&String::from_utf8_lossy(&output.stderr))) {
        Some(version) => Finding::ok("Java", version),
        None => Finding::warn(
            "Java",
            "none, or none that runs",
            "sciworld runs a Java program: apt-get install default-jre-headless",
        ),
    }
}

/// `17.0.15` of `openjdk version "17.0.15" 2025-04-15`.
fn java_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains(" version \""))?;
    Some(line.split('"').nth(1)?.to_string())
}

/// Runs a program to its end; `None` when it cannot be started or takes too long. What it prints must be short.
fn finish(mut command: Command) -> Option<Output> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = as_started(|| command.spawn()).ok()?;
    let started = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_version_is_found_behind_what_it_says_of_its_options() {
        let text = "Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime";
        assert_eq!(java_version(text).as_deref(), Some("17.0.15"));
        assert_eq!(java_version("no such thing"), None);
    }

    #[test]
    fn a_python_before_3_8_is_old() {
        let python = |version: &str| Python { version: version.to_string(), packages: BTreeMap::new() };
        assert!(python("3.7.16").is_old() && python("2.7.18").is_old());
        assert!(!python("3.8.0").is_old() && !python("3.14.1").is_old());
    }
}
