//! The instructions of ABD and DED: our own words by default, or a text of the user's, such as upstream's.
//!
//! A text has places in braces that a task fills: `{program}` and `{output}` for ABD, `{prompt}` for DED.

use std::path::{Path, PathBuf};

use crate::engine::{Error, Result, file};

/// As long as upstream's, with the same order, rules, tags and fences.
const ABD: &str = include_str!("abd.txt");
const DED: &str = include_str!("ded.txt");

/// Which environment a text is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Abd,
    Ded,
}

impl Kind {
    /// The places that a text must have.
    fn places(self) -> &'static [&'static str] {
        match self {
            Kind::Abd => &["{program}", "{output}"],
            Kind::Ded => &["{prompt}"],
        }
    }
}

/// A text of instructions, and which one it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Instructions {
    text: String,
    /// `affine` for our own, else the file.
    pub name: String,
    /// Of the text; an evaluation records it.
    pub sha256: String,
}

impl Instructions {
    /// The text in a file, or ours.
    pub fn load(kind: Kind, path: Option<&Path>) -> Result<Self> {
        let (text, name) = match path {
            None => (if kind == Kind::Abd { ABD } else { DED }.to_string(), "affine".to_string()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| file::unreadable(path, &error))?;
                (text, path.display().to_string())
            }
        };
        match kind.places().iter().find(|place| !text.contains(**place)) {
            Some(place) => Err(Error::file(PathBuf::from(name), format!("these instructions lack the place {place}"))),
            None => Ok(Instructions { sha256: file::sha256(text.as_bytes()), text, name }),
        }
    }

    /// The text with its places filled. What is filled in is not searched for places again.
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let (mut filled, mut rest) = (String::new(), self.text.as_str());
        loop {
            let places = values.iter().filter_map(|(place, value)| Some((rest.find(place)?, place, value)));
            let Some((at, place, value)) = places.min_by_key(|&(at, ..)| at) else {
                return filled + rest;
            };
            filled.push_str(&rest[..at]);
            filled.push_str(value);
            rest = &rest[at + place.len()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_value_is_not_filled_again() {
        let text = Instructions { text: "{a}-{b}-{a}".into(), name: String::new(), sha256: String::new() };
        assert_eq!(text.fill(&[("{a}", "{b}"), ("{b}", "2")]), "{b}-2-{b}");
    }

    #[test]
    fn a_text_without_its_places_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Find the input of {program}.").unwrap();
        let error = Instructions::load(Kind::Abd, Some(file.path())).unwrap_err().to_string();
        assert!(error.ends_with("these instructions lack the place {output}"), "{error}");
        assert!(Instructions::load(Kind::Ded, None).unwrap().name == "affine");
    }
}
