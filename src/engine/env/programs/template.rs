//! The instructions of ABD and DED: our own words by default, or a text of the user's, such as upstream's.
//!
//! A text has places in braces that a task fills: `{program}` and `{output}` for ABD, `{prompt}` for DED.

use crate::engine::env::Instructions;
use crate::engine::{Error, Result, file};

/// Which environment a text is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Abd,
    Ded,
}

impl Kind {
    /// Our own words: the same order, rules, tags and fences as upstream's.
    fn built_in(self) -> &'static str {
        match self {
            Kind::Abd => include_str!("abd.txt"),
            Kind::Ded => include_str!("ded.txt"),
        }
    }

    /// SHA-256 of upstream's text as `affine env setup affine` writes it.
    pub fn upstream(self) -> &'static str {
        match self {
            Kind::Abd => "79953881d5e81358c7ac876dee0bea2fbabbc1bcd87015b7bf0945384396d056",
            Kind::Ded => "27ca0e27158c95d8080061956cb4c63b6ebcf4839d9ab0c38534115f289bc488",
        }
    }

    /// The places that a text must have.
    fn places(self) -> &'static [&'static str] {
        match self {
            Kind::Abd => &["{program}", "{output}"],
            Kind::Ded => &["{prompt}"],
        }
    }
}

/// A text of instructions with its places.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    text: String,
    which: Instructions,
}

impl Template {
    /// The user's text, or that in the user's file, or ours.
    pub fn new(kind: Kind, replacement: Option<&str>) -> Result<Self> {
        let text = match replacement {
            None => kind.built_in().to_string(),
            Some(given) => Instructions::given(given)?,
        };
        if let Some(place) = kind.places().iter().find(|place| !text.contains(**place)) {
            let expected = format!("a text with the places {}", kind.places().join(" and "));
            return Err(Error::option("instructions", expected, format!("one without {place}")));
        }
        let sha256 = file::sha256(text.as_bytes());
        let source = if text == kind.built_in() {
            "affine"
        } else if sha256 == kind.upstream() {
            "upstream"
        } else {
            "custom"
        };
        Ok(Template { text, which: Instructions { source, sha256 } })
    }

    /// What an evaluation records of it.
    pub fn which(&self) -> &Instructions {
        &self.which
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
        let template = Template::new(Kind::Abd, Some("{program}-{output}-{program}\n")).unwrap();
        assert_eq!(template.fill(&[("{program}", "{output}"), ("{output}", "2")]), "{output}-2-{output}\n");
    }

    #[test]
    fn a_text_without_its_places_is_refused() {
        let error = Template::new(Kind::Abd, Some("Find the input of {program}.")).unwrap_err().to_string();
        let expected = "instructions: expected a text with the places {program} and {output}, got one without {output}";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_text_is_told_by_its_words() {
        let source = |kind, given| Template::new(kind, given).unwrap().which().source;
        assert_eq!(source(Kind::Abd, None), "affine");
        assert_eq!(source(Kind::Ded, None), "affine");
        assert_eq!(source(Kind::Ded, Some(Kind::Ded.built_in())), "affine");
        assert_eq!(source(Kind::Ded, Some("{prompt}\nIn Python.")), "custom");
    }
}
