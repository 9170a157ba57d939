//! Choosing modules by name as PEFT does: by whole names, by their ends, by Python's regular expressions, by the numbers
//! of their layers. A name that chooses nothing is an error with the nearest that would.

use onig::{MatchParam, Regex, RegexOptions, SearchOptions, Syntax};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::engine::{Error, Result};

/// The projections that can carry an adapter; `"all-linear"` means all of them.
pub const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// What a model has beside projections, so what `exclude_modules` may name without effect.
const OTHERS: [&str; 10] = [
    "lm_head",
    "embed_tokens",
    "model.embed_tokens",
    "norm",
    "model.norm",
    "self_attn",
    "mlp",
    "input_layernorm",
    "post_attention_layernorm",
    "act_fn",
];

/// What carries an adapter, as PEFT means it: `"all-linear"`, a regular expression for whole module names
/// (`model.layers.0.self_attn.q_proj`), or a list of module names or of their ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected \"all-linear\", a regular expression or a list of projection names")]
pub enum TargetModules {
    Name(String),
    List(Vec<String>),
}

impl Default for TargetModules {
    fn default() -> Self {
        TargetModules::Name("all-linear".to_string())
    }
}

impl TargetModules {
    pub(super) fn is_all(&self) -> bool {
        matches!(self, TargetModules::Name(name) if name == "all-linear")
    }

    /// Whether a regular expression chooses, so that layers are chosen by it too.
    pub(super) fn is_pattern(&self) -> bool {
        matches!(self, TargetModules::Name(_)) && !self.is_all()
    }

    /// How a module is named here, if it is.
    pub(super) fn names(&self, module: &str) -> Option<Named> {
        let named = |names: &mut dyn Iterator<Item = &str>| {
            names.filter_map(|name| ends_with(module, name).then_some(name.len() == module.len())).max()
        };
        let whole = match self {
            _ if self.is_all() => named(&mut PROJECTIONS.into_iter()),
            TargetModules::Name(pattern) => fits(pattern, module).then_some(true),
            TargetModules::List(names) => named(&mut names.iter().map(String::as_str)),
        };
        whole.map(|whole| if whole { Named::Whole } else { Named::End })
    }

    pub(super) fn validate(&self, option: &str) -> Result<()> {
        match self {
            TargetModules::List(names) if names.is_empty() => {
                Err(Error::option(option, "at least one projection", "an empty list"))
            }
            TargetModules::Name(pattern) => whole(pattern).map(|_| ()).map_err(|e| {
                Error::option(option, "\"all-linear\", a regular expression or a list of projections", unusable(&e))
            }),
            TargetModules::List(_) => Ok(()),
        }
    }

    /// Everything that `target_modules` asks for is among `modules`.
    pub(super) fn check(&self, modules: &[String]) -> Result<()> {
        match self {
            TargetModules::Name(pattern) if !modules.iter().any(|module| self.names(module).is_some()) => {
                let near = nearest(pattern, modules);
                let near = near.map_or(String::new(), |near| format!("; did you mean the list {{ \"{near}\" }}?"));
                Err(Error::option(
                    "target_modules",
                    "a regular expression that fits whole module names such as model.layers.0.self_attn.q_proj",
                    format!("\"{pattern}\", which fits none{near}"),
                ))
            }
            TargetModules::Name(_) => Ok(()),
            TargetModules::List(names) => {
                match names.iter().find(|name| !modules.iter().any(|module| ends_with(module, name))) {
                    Some(name) => Err(Error::option(
                        "target_modules",
                        format!("\"all-linear\" or a list of {}", PROJECTIONS.join(", ")),
                        format!("\"{name}\"{}", meant(name, modules)),
                    )),
                    None => Ok(()),
                }
            }
        }
    }

    /// Everything that `exclude_modules` names is there.
    pub(super) fn check_excluded(&self, modules: &[String]) -> Result<()> {
        let there = |fits: &dyn Fn(&str) -> bool| {
            modules.iter().any(|module| fits(module)) || OTHERS.iter().any(|module| fits(module))
        };
        let (name, found) = match self {
            TargetModules::Name(pattern) => (pattern, there(&|module| fits(pattern, module))),
            TargetModules::List(names) => match names.iter().find(|name| !there(&|module| ends_with(module, name))) {
                Some(name) => (name, false),
                None => return Ok(()),
            },
        };
        if found { Ok(()) } else { Err(fits_nothing("exclude_modules", name, modules)) }
    }
}

/// How a module was named: an adapter's layers are chosen among ends of names alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Whole,
    End,
}

/// One of something or a list, as PEFT takes either.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T: Clone> OneOrMore<T> {
    pub fn list(&self) -> Vec<T> {
        match self {
            OneOrMore::One(one) => vec![one.clone()],
            OneOrMore::More(list) => list.clone(),
        }
    }
}

/// The number of a module's layer: the first number in its name, behind one of `patterns` where there are any.
pub(super) fn layer(module: &str, patterns: &[String]) -> Option<i64> {
    let number = |text: &str| text.split_once('.').and_then(|(number, _)| number.parse().ok());
    let starts = module.char_indices().filter(|&(at, c)| c == '.' && at > 0).map(|(at, _)| at);
    if patterns.is_empty() {
        return starts.clone().find_map(|at| number(&module[at + 1..]));
    }
    let behind = |pattern: &String| {
        starts.clone().find_map(|at| {
            let fits = fits(&format!(r"(?:.*?\.)?(?:{pattern})"), &module[..at]);
            number(&module[at + 1..]).filter(|_| fits)
        })
    };
    patterns.iter().find_map(behind)
}

/// Every layer that is asked for is there, and every pattern names some.
pub(super) fn check_layers(layers: &[i64], patterns: &[String], modules: &[String]) -> Result<()> {
    let nowhere =
        |pattern: &&String| !modules.iter().any(|module| layer(module, std::slice::from_ref(*pattern)).is_some());
    if let Some(pattern) = patterns.iter().find(nowhere) {
        let got = format!("\"{pattern}\", which fits none");
        return Err(Error::option("layers_pattern", "what stands before a layer's number, such as \"layers\"", got));
    }
    let there: Vec<i64> = modules.iter().filter_map(|module| layer(module, patterns)).collect();
    match layers.iter().find(|layer| !there.contains(layer)) {
        Some(wrong) => {
            let last = there.iter().max().copied().unwrap_or_default();
            Err(Error::option("layers_to_transform", format!("layers from 0 to {last}"), wrong))
        }
        None => Ok(()),
    }
}

/// The value of the first key that fits `module`, by PEFT's rule: `(.*\.)?(key)$` from the beginning of the name.
pub(super) fn pattern_value<'a>(patterns: &'a Map<String, Value>, module: &str) -> Option<&'a Value> {
    patterns.iter().find(|(key, _)| key_fits(key, module)).map(|(_, value)| value)
}

fn key_fits(key: &str, module: &str) -> bool {
    fits(&format!(r"(?:.*\.)?(?:{key})"), module)
}

pub(super) fn validate_patterns(
    option: &str,
    patterns: &Map<String, Value>,
    expected: &str,
    right: fn(&Value) -> bool,
) -> Result<()> {
    for (key, value) in patterns {
        let path = format!("{option}[\"{key}\"]");
        whole(key).map_err(|e| Error::option(&path, "a regular expression as the key", unusable(&e)))?;
        if !right(value) {
            return Err(Error::option(path, expected, value));
        }
    }
    Ok(())
}

/// Every key fits one of `modules` at least.
pub(super) fn check_keys(option: &str, patterns: &Map<String, Value>, modules: &[String]) -> Result<()> {
    match patterns.keys().find(|key| !modules.iter().any(|module| key_fits(key, module))) {
        Some(key) => Err(fits_nothing(option, key, modules)),
        None => Ok(()),
    }
}

fn fits_nothing(option: &str, name: &str, modules: &[String]) -> Error {
    let got = format!("\"{name}\", which fits none{}", meant(name, modules));
    Error::option(option, "what fits the names of modules", got)
}

fn meant(name: &str, modules: &[String]) -> String {
    nearest(name, modules).map_or(String::new(), |near| format!("; did you mean \"{near}\"?"))
}

/// The end of a module's name that is most like `name`, where one is at all.
fn nearest(name: &str, modules: &[String]) -> Option<String> {
    let ends = modules.iter().flat_map(|module| {
        let dots = module.match_indices('.').map(|(at, _)| &module[at + 1..]);
        std::iter::once(module.as_str()).chain(dots)
    });
    let alike = |end: &str| strsim::jaro_winkler(&name.to_lowercase(), end);
    // Of ends that are equally like it the first, so the lowest layer's.
    let best = ends.map(|end| (alike(end), end)).reduce(|best, other| if other.0 > best.0 { other } else { best });
    best.filter(|(alike, _)| *alike > 0.8).map(|(_, end)| end.to_string())
}

/// Whether `module` is `name` or ends with it, from a dot on.
fn ends_with(module: &str, name: &str) -> bool {
    module.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A pattern in Python's syntax that must fit a whole name.
fn whole(pattern: &str) -> std::result::Result<Regex, onig::Error> {
    Regex::with_options(&format!(r"\A(?:{pattern})\Z"), RegexOptions::REGEX_OPTION_NONE, Syntax::python())
}

fn fits(pattern: &str, name: &str) -> bool {
    let found = |pattern: Regex| {
        pattern.match_with_param(name, 0, SearchOptions::SEARCH_OPTION_NONE, None, MatchParam::default())
    };
    whole(pattern).and_then(found).is_ok_and(|found| found.is_some())
}

fn unusable(error: &onig::Error) -> String {
    format!("one that cannot be used ({})", error.description())
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: &str = "model.layers.1.self_attn.q_proj";

    /// What Python's `re.fullmatch` says of each.
    #[test]
    fn patterns_are_those_of_python() {
        for (pattern, wanted) in [
            (r"model\.layers\.\d+\.self_attn\.(q|k)_proj", true),
            ("q_proj", false),
            (r".*\.(?!k_proj)[a-z]_proj", true),
            (r".*\.(?!q_proj)[a-z]_proj", false),
            (r".*(?<=self_attn\.)q_proj", true),
            (r"model\.layers\.(?P<layer>[01])\..*", true),
            (r"(?P<m>m)odel.*", true),
            (r".*\.(?P<twice>l)ayers.*(?P=twice)f_attn.*", true),
            (r"(?i)MODEL.*", true),
            (r"model.*[[:alpha:]]", false),
            (r"model.*_proj\n?", true),
        ] {
            assert_eq!(fits(pattern, Q), wanted, "{pattern}");
            assert!(whole(pattern).is_ok(), "{pattern}");
        }
        for pattern in ["(", "[a", "*", "(?P<n>a"] {
            assert!(whole(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_layer_is_the_first_number_behind_its_pattern() {
        let pattern = |text: &str| vec![text.to_string()];
        assert_eq!(layer(Q, &[]), Some(1));
        assert_eq!(layer("model.layers.12.mlp.experts.3.up_proj", &[]), Some(12));
        assert_eq!(layer(Q, &pattern("layers")), Some(1));
        assert_eq!(layer(Q, &pattern("ayers")), None);
        assert_eq!(layer(Q, &pattern("l.*s")), Some(1));
        assert_eq!(layer(Q, &pattern("h")), None);
        assert_eq!(layer("model.layers.12.mlp.experts.3.up_proj", &pattern("experts")), Some(3));
        assert_eq!(layer("lm_head", &[]), None);
    }
}
