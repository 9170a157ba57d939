//! `affine env setup`: parts of environments that do not ship here, obtained with one command.

pub mod affine;
pub mod agentgym;
pub mod sources;

use std::path::{Path, PathBuf};

use super::sciworld;
use crate::engine::{Error, Result, file};

/// What the user may say about how it is obtained.
#[derive(Debug, Default)]
pub struct Wishes {
    /// The folder to install into, in place of the one below `~/.cache/affine`.
    pub folder: Option<PathBuf>,
    /// The Python whose pip is used, in place of `python3`.
    pub python: Option<String>,
}

impl Wishes {
    /// The user's folder, else `~/.cache/affine/<name>`.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.clone().or_else(|| file::cache_folder(name));
        folder.ok_or_else(|| Error::message("there is no home folder to install into: name a folder"))
    }
}

/// What can be set up.
pub struct Setup {
    pub name: &'static str,
    /// What is obtained, and how much it is.
    pub obtains: &'static str,
    /// Obtains it and returns where it is.
    run: fn(&Wishes) -> Result<PathBuf>,
    /// How it is used from there; `own` when the user named the folder.
    usage: fn(place: &Path, own: bool) -> String,
}

pub const ALL: [Setup; 3] = [
    Setup {
        name: "sciworld",
        obtains: "scienceworld.jar 1.2.3, 8 MB, with pip (Apache-2.0)",
        run: |wishes| sciworld::setup(wishes.folder.as_deref(), wishes.python.as_deref()),
        usage: |jar, own| match own {
            true => format!("set {}={}", sciworld::find::JAR_VARIABLE, jar.display()),
            false => "sciworld finds it there".to_string(),
        },
    },
    Setup {
        name: "affine",
        obtains: "the instructions of ABD and DED in the Affine subnet's own words, 2 kB",
        run: |wishes| affine::setup(&wishes.folder("affine")?),
        usage: |folder, _| {
            format!("env.make(\"abd\", {{ data = …, instructions = \"{}\" }})", folder.join("abd.txt").display())
        },
    },
    Setup {
        name: "agentgym",
        obtains: "the instructions of AgentGym's environments in its own words, and its lists of ALFWorld's games, 0.5 MB",
        run: |wishes| agentgym::setup(&wishes.folder("agentgym")?),
        usage: |folder, _| {
            let text = folder.join("babyai.txt");
            format!(
                "env.make(\"babyai\", {{ instructions = \"{}\" }}); alfworld wants the two mappings_*.json in its data folder",
                text.display()
            )
        },
    },
];

/// Sets something up, and says what came of it.
pub fn run(name: &str, wishes: &Wishes) -> Result<String> {
    let Some(setup) = ALL.iter().find(|setup| setup.name == name) else {
        let known: Vec<&str> = ALL.iter().map(|setup| setup.name).collect();
        let hint = format!("there is something to set up for {}", known.join(", "));
        return Err(Error::hinted(format!("there is nothing to set up for `{name}`"), hint));
    };
    let place = (setup.run)(wishes)?;
    let usage = (setup.usage)(&place, wishes.folder.is_some());
    Ok(format!("In {}: {}.\n{usage}", place.display(), setup.obtains))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_set_up_is_told() {
        let error = run("grid", &Wishes::default()).unwrap_err();
        assert_eq!(error.to_string(), "there is nothing to set up for `grid`");
        assert_eq!(error.hint(), Some("there is something to set up for sciworld, affine, agentgym"));
    }
}
