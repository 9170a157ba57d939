//! Optional data of the environments: what is here, and how to get what is not.

use std::path::{Path, PathBuf};

use super::Finding;
use super::programs::Python;

/// Where an environment's optional data is looked for.
struct Part {
    environment: &'static str,
    /// Names the file or the folder.
    variable: &'static str,
    /// Without the variable: below the home folder.
    at_home: Option<&'static str>,
    /// Without either: in a Python package.
    package: Option<(&'static str, &'static str)>,
    /// What must be in it, where it is a folder.
    holds: Option<&'static str>,
    without: &'static str,
    advice: &'static str,
}

const PARTS: [Part; 2] = [
    Part {
        environment: "alfworld",
        variable: "ALFWORLD_DATA",
        at_home: Some(".cache/alfworld"),
        package: None,
        holds: Some("json_2.1.1"),
        without: "the original games are not here; affine's own rooms are played",
        advice: "pip install alfworld && alfworld-download, or set ALFWORLD_DATA to the folder that holds json_2.1.1",
    },
    Part {
        environment: "sciworld",
        variable: "SCIENCEWORLD_JAR",
        at_home: None,
        package: Some(("scienceworld", "scienceworld.jar")),
        holds: None,
        without: "no scienceworld.jar; ScienceWorld itself cannot be played",
        advice: "pip install scienceworld, or set SCIENCEWORLD_JAR to the file",
    },
];

pub fn data(python: Option<&Python>) -> Vec<Finding> {
    PARTS.iter().map(|part| part.look(python)).collect()
}

impl Part {
    fn look(&self, python: Option<&Python>) -> Finding {
        let given = std::env::var_os(self.variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = &given
            && !self.is_whole(path)
        {
            let inside = self.holds.map_or(String::new(), |name| format!(" with {name} in it"));
            let message = format!("{} names {}, but there is nothing{inside}", self.variable, path.display());
            return Finding::warn(self.environment, message, self.advice);
        }
        let at_home = || Some(Path::new(&std::env::var_os("HOME")?).join(self.at_home?));
        let packaged = || {
            let (package, file) = self.package?;
            Some(python?.packages.get(package)?.join(file))
        };
        match given
            .or_else(|| at_home().filter(|path| self.is_whole(path)))
            .or_else(|| packaged().filter(|p| p.exists()))
        {
            Some(path) => Finding::ok(self.environment, path.display().to_string()),
            None => Finding::warn(self.environment, self.without, self.advice),
        }
    }

    fn is_whole(&self, path: &Path) -> bool {
        self.holds.map_or_else(|| path.exists(), |name| path.join(name).exists())
    }
}
