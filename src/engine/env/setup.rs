//! `affine env setup`: parts of environments that do not ship here, obtained with one command.

use std::path::{Path, PathBuf};

use super::sciworld;
use crate::engine::{Error, Result};

/// What the user may say about how it is obtained.
#[derive(Debug, Default)]
pub struct Wishes {
    /// The folder to install into, in place of the one where the environment looks by itself.
    pub folder: Option<PathBuf>,
    /// The Python whose pip is used, in place of `python3`.
    pub python: Option<String>,
}

/// An environment that can be set up.
pub struct Setup {
    pub name: &'static str,
    /// What is obtained, and how much it is.
    pub obtains: &'static str,
    /// Obtains it and returns where it is.
    run: fn(&Wishes) -> Result<PathBuf>,
    /// What has to be said of it when the folder is the user's own.
    elsewhere: fn(&Path) -> String,
}

pub const ALL: [Setup; 1] = [Setup {
    name: "sciworld",
    obtains: "scienceworld.jar 1.2.3, 8 MB, with pip (Apache-2.0)",
    run: |wishes| sciworld::setup(wishes.folder.as_deref(), wishes.python.as_deref()),
    elsewhere: |jar| format!("set {}={}", sciworld::find::JAR_VARIABLE, jar.display()),
}];

/// Sets up an environment, and says what came of it.
pub fn run(name: &str, wishes: &Wishes) -> Result<String> {
    let Some(setup) = ALL.iter().find(|setup| setup.name == name) else {
        let known: Vec<&str> = ALL.iter().map(|setup| setup.name).collect();
        let hint = format!("there is something to set up for {}", known.join(", "));
        return Err(Error::hinted(format!("there is nothing to set up for `{name}`"), hint));
    };
    let place = (setup.run)(wishes)?;
    Ok(match &wishes.folder {
        None => format!("{} is in {}, where {name} finds it.", setup.obtains, place.display()),
        Some(_) => format!("{} is in {}; {}.", setup.obtains, place.display(), (setup.elsewhere)(&place)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_set_up_is_told() {
        let error = run("grid", &Wishes::default()).unwrap_err();
        assert_eq!(error.to_string(), "there is nothing to set up for `grid`");
        assert_eq!(error.hint(), Some("there is something to set up for sciworld"));
    }
}
