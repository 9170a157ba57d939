//! Optional data of the environments: what is here, and how to get what is not.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::engine::env::sciworld::find;

/// Where an environment's optional data is looked for.
struct Part {
    environment: &'static str,
    /// Names the file or the folder.
    variable: &'static str,
    /// Without the variable: below the home folder.
    at_home: Option<&'static str>,
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
        holds: Some("json_2.1.1"),
        without: "the original games are not here; affine's own rooms are played",
        advice: "pip install alfworld && alfworld-download, or set ALFWORLD_DATA to the folder that holds json_2.1.1",
    },
    Part {
        environment: "webshop",
        variable: "WEBSHOP_DATA",
        at_home: None,
        holds: None,
        without: "the original products are not here; affine's own shop is played",
        advice: "set WEBSHOP_DATA to the folder with WebShop's items_shuffle_1000.json and items_ins_v2_1000.json",
    },
];

pub fn data() -> Vec<Finding> {
    PARTS.iter().map(Part::look).chain([sciworld()]).collect()
}

/// ScienceWorld itself knows best where its jar may be.
fn sciworld() -> Finding {
    const SUBJECT: &str = "sciworld";
    const OBTAIN: &str = "affine env setup sciworld";
    let jar = match find::jar(None) {
        Ok(jar) => jar,
        Err(error) => {
            let message = format!("{error}; ScienceWorld itself cannot be played, sciworld-mini can");
            return Finding::warn(SUBJECT, message, error.hint().unwrap_or(OBTAIN));
        }
    };
    match find::is_known_version(&jar) {
        Ok(true) => Finding::ok(SUBJECT, format!("{} ({})", jar.display(), find::VERSION)),
        Ok(false) => {
            let message = format!("{} is not the jar of ScienceWorld {}", jar.display(), find::VERSION);
            Finding::warn(SUBJECT, message, OBTAIN)
        }
        Err(error) => Finding::warn(SUBJECT, error.to_string(), OBTAIN),
    }
}

impl Part {
    fn look(&self) -> Finding {
        let given = std::env::var_os(self.variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = &given
            && !self.is_whole(path)
        {
            let inside = self.holds.map_or(String::new(), |name| format!(" with {name} in it"));
            let message = format!("{} names {}, but there is nothing{inside}", self.variable, path.display());
            return Finding::warn(self.environment, message, self.advice);
        }
        let at_home = || Some(Path::new(&std::env::var_os("HOME")?).join(self.at_home?));
        match given.or_else(|| at_home().filter(|path| self.is_whole(path))) {
            Some(path) => Finding::ok(self.environment, path.display().to_string()),
            None => Finding::warn(self.environment, self.without, self.advice),
        }
    }

    fn is_whole(&self, path: &Path) -> bool {
        self.holds.map_or_else(|| path.exists(), |name| path.join(name).exists())
    }
}
