//! The model card: the README.md of a model's folder. What the Hub reads stands in its front matter; what was measured in a
//! block between two marker lines.
//!
//! A card that is there already belongs to its author. Only the measured block is replaced, and the front matter as long as
//! it is the one that was written with that block: the block's first marker carries its hash.

mod front_matter;
mod parts;
mod yaml;

use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use yaml_serde::Value as Yaml;

pub use front_matter::FrontMatter;
use parts::{BARE_BEGIN, END, Fault, FrontMatterText};

use crate::engine::file::unreadable;
use crate::engine::{Error, Result};

/// What a card says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    pub front_matter: FrontMatter,
    /// What a new card begins with; from then on it is its author's.
    pub opening: String,
    /// Everything that may go out of date, in Markdown.
    pub measured: String,
}

/// A card as it should be now.
#[derive(Debug, PartialEq)]
pub struct Updated {
    pub text: String,
    /// What its author should know, a sentence each.
    pub warnings: Vec<String>,
}

impl Card {
    /// The card as the file at `path` should hold it: a new one where there is no file, else the one that is there with what
    /// was measured now.
    pub fn at(&self, path: &Path) -> Result<Updated> {
        match std::fs::read_to_string(path) {
            Ok(existing) => self.update(path, &existing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.render(),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    /// A new card.
    pub fn render(&self) -> Result<Updated> {
        let (front_matter, block) = (self.front_matter()?, self.block()?);
        let text = format!("{front_matter}\n{}\n\n{block}\n", self.opening.trim());
        Ok(Updated { text, warnings: Vec::new() })
    }

    /// A card that is there, with what was measured now. `path` is for messages.
    pub fn update(&self, path: &Path, existing: &str) -> Result<Updated> {
        let at = |fault: Fault| Error::file(path, format!("line {}: {}", fault.line, fault.problem));
        let written = parts::front_matter(existing);
        let Some(block) = parts::block(existing).map_err(at)? else {
            let mut warnings = self.contradictions(written.as_ref()).map_err(at)?;
            warnings.push(format!(
                "it has no measured block, so it is kept as it is: put the lines {BARE_BEGIN} and {END} where one is \
                 wanted, or delete the file for a new card"
            ));
            return Ok(Updated { text: existing.to_string(), warnings: named(path, warnings) });
        };
        let is_ours = match (&written, &block.hash) {
            (Some(written), Some(hash)) => parts::hash(written.text) == *hash,
            (None, None) => true,
            _ => false,
        };
        let lines = |text: String| if existing.contains("\r\n") { text.replace('\n', "\r\n") } else { text };
        let (front_matter, replaced, warnings) = match &written {
            Some(written) if is_ours => (self.front_matter()?, written.range.clone(), Vec::new()),
            None if is_ours => (self.front_matter()? + "\n", 0..0, Vec::new()),
            kept => (String::new(), 0..0, self.contradictions(kept.as_ref()).map_err(at)?),
        };
        let text = [
            &existing[..replaced.start],
            &lines(front_matter),
            &existing[replaced.end..block.range.start],
            &lines(self.block()?),
            &existing[block.range.end..],
        ]
        .concat();
        Ok(Updated { text, warnings: named(path, warnings) })
    }

    /// The front matter in YAML, between its two lines.
    fn front_matter(&self) -> Result<String> {
        Ok(format!("---\n{}---\n", self.yaml()?))
    }

    fn yaml(&self) -> Result<String> {
        match serde_json::to_value(&self.front_matter) {
            Ok(Value::Object(fields)) => Ok(yaml::write(&fields)),
            Ok(_) => unreachable!("a struct with names is an object"),
            Err(error) => Err(Error::message(error.to_string())),
        }
    }

    fn block(&self) -> Result<String> {
        match parts::block(&self.measured) {
            Ok(None) => Ok(format!("{}\n\n{}\n\n{END}", parts::begin(&self.yaml()?), self.measured.trim())),
            _ => Err(Error::option("measured", "text without marker lines", format!("one with {BARE_BEGIN}"))),
        }
    }

    /// What a front matter that its author wrote says otherwise than what was measured.
    fn contradictions(&self, written: Option<&FrontMatterText>) -> Result<Vec<String>, Fault> {
        let Some(written) = written else {
            return Ok(vec!["it has no front matter, so the Hub shows no licence and no base model".to_string()]);
        };
        let fault = |line, problem| Fault { line: written.line + line, problem };
        let yaml: Yaml = yaml_serde::from_str(written.text).map_err(|error| {
            let place = error.location();
            let sentence = error.to_string();
            let problem = sentence.split(" at line ").next().unwrap_or_default();
            fault(
                place.map_or(0, |place| place.line().saturating_sub(1)),
                format!("the front matter is no YAML: {problem}"),
            )
        })?;
        if !yaml.is_mapping() && !yaml.is_null() {
            return Err(fault(0, "the front matter: expected keys with values".to_string()));
        }
        let mut contradictions = Vec::new();
        for result in self.front_matter.model_index.iter().flat_map(|model| &model.results) {
            for metric in &result.metrics {
                let stated = stated(&yaml, &result.dataset.name, &metric.r#type);
                if stated.is_some_and(|stated| stated != metric.value) {
                    contradictions.push(format!(
                        "its front matter is kept as its author wrote it, and says {} = {} for {}; measured was {}",
                        metric.r#type,
                        stated.unwrap_or_default(),
                        result.dataset.name,
                        metric.value
                    ));
                }
            }
        }
        Ok(contradictions)
    }
}

/// The value of a metric in a front matter's `model-index`.
fn stated(front_matter: &Yaml, dataset: &str, metric: &str) -> Option<f64> {
    let list = |value: &Yaml| value.as_sequence().cloned().unwrap_or_default();
    let results = list(&front_matter["model-index"]).into_iter().flat_map(|model| list(&model["results"]));
    let mut metrics =
        results.filter(|result| result["dataset"]["name"] == dataset).flat_map(|result| list(&result["metrics"]));
    metrics.find(|found| found["type"] == metric)?["value"].as_f64()
}

fn named(path: &Path, warnings: Vec<String>) -> Vec<String> {
    warnings.into_iter().map(|warning| format!("{}: {warning}", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn card(value: f64) -> Card {
        let result = json!({
            "task": { "type": "text-generation" },
            "dataset": { "type": "sat", "name": "sat: on" },
            "metrics": [{ "type": "mean_score", "name": "mean score", "value": value, "args": { "tasks": 200 } }],
        });
        let card = json!({
            "front_matter": {
                "license": "no",
                "base_model": "Qwen/Qwen3-4B",
                "base_model_relation": "finetune",
                "library_name": "transformers",
                "pipeline_tag": "text-generation",
                "model_index": [{ "name": "a/b", "results": [result] }],
            },
            "opening": "# b\n\nA model.\n",
            "measured": format!("## Measured\n\n{value}\n"),
        });
        serde_json::from_value(card).unwrap()
    }

    fn new(value: f64) -> String {
        card(value).render().unwrap().text
    }

    /// What becomes of a card that is there when 0.75 is measured.
    fn update(existing: &str) -> Updated {
        card(0.75).update(Path::new("README.md"), existing).unwrap()
    }

    fn refused(existing: &str) -> String {
        card(0.75).update(Path::new("README.md"), existing).unwrap_err().to_string()
    }

    #[test]
    fn a_new_card_is_front_matter_opening_and_measured_block() {
        let text = new(0.5);
        let yaml = "license: \"no\"\nbase_model: Qwen/Qwen3-4B\nbase_model_relation: finetune\n\
            library_name: transformers\npipeline_tag: text-generation\nmodel-index:\n- name: a/b\n  results:\n  \
            - task:\n      type: text-generation\n    dataset:\n      type: sat\n      name: \"sat: on\"\n    metrics:\n    \
            - type: mean_score\n      name: mean score\n      value: 0.5\n      args:\n        tasks: 200\n";
        let hash = parts::hash(yaml);
        let wanted = format!(
            "---\n{yaml}---\n\n# b\n\nA model.\n\n<!-- affine:measured front-matter={hash} -->\n\n## Measured\n\n0.5\n\n\
             <!-- /affine:measured -->\n"
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_card_of_our_own_is_made_anew_and_what_stands_around_the_block_stays() {
        assert_eq!(update(&new(0.5)), card(0.75).render().unwrap());
        let edited = new(0.5).replace("A model.", "My model:  \ttwo spaces") + "\nbehind\n\n";
        let wanted = new(0.75).replace("A model.", "My model:  \ttwo spaces") + "\nbehind\n\n";
        assert_eq!(update(&edited), Updated { text: wanted, warnings: Vec::new() });
    }

    #[test]
    fn ends_of_lines_and_a_mark_at_the_start_stay_as_the_author_has_them() {
        let windows = format!("\u{feff}{}", new(0.5).replace('\n', "\r\n"));
        let updated = update(&windows);
        assert_eq!(updated.text, format!("\u{feff}{}", new(0.75).replace('\n', "\r\n")));
        assert!(updated.warnings.is_empty());
    }

    #[test]
    fn a_front_matter_that_its_author_edited_is_kept_and_other_numbers_are_named() {
        let edited = new(0.5).replacen("---\n", "---\nthumbnail: x.png # mine\n", 1);
        let updated = update(&edited);
        assert!(updated.text.starts_with("---\nthumbnail: x.png # mine\nlicense: \"no\"\n"), "{}", updated.text);
        assert!(updated.text.contains("value: 0.5\n") && updated.text.contains("\n0.75\n"), "{}", updated.text);
        let warning = "README.md: its front matter is kept as its author wrote it, and says mean_score = 0.5 for sat: on; \
                       measured was 0.75";
        assert_eq!(updated.warnings, [warning]);
        let again = update(&updated.text);
        assert_eq!(again.text, updated.text);
        assert!(update(&edited.replace("value: 0.5", "value: 7.5e-1")).warnings.is_empty());
    }

    #[test]
    fn a_card_without_markers_is_kept_whole() {
        let own = "---\nlicense: mit\n---\n# Mine\n";
        let updated = update(own);
        assert_eq!(updated.text, own);
        assert!(updated.warnings[0].contains("has no measured block"), "{:?}", updated.warnings);
        assert!(updated.warnings[0].contains("<!-- /affine:measured -->"), "{:?}", updated.warnings);
    }

    #[test]
    fn markers_that_the_author_put_are_filled() {
        let markers = "# Mine\n\n<!-- affine:measured -->\n<!-- /affine:measured -->\nbehind";
        let filled = update(markers).text;
        let ours = new(0.75);
        assert_eq!(filled, ours.replace("# b\n\nA model.", "# Mine").trim_end().to_string() + "\nbehind");
        let with_own = format!("---\nlicense: mit\n---\n{markers}");
        assert!(
            update(&with_own).text.starts_with("---\nlicense: mit\n---\n# Mine\n\n<!-- affine:measured front-matter=")
        );
        let removed = new(0.5).split("---\n").nth(2).unwrap().to_string();
        let kept = update(&removed);
        assert!(kept.text.starts_with("\n# b") && kept.warnings[0].contains("has no front matter"), "{kept:?}");
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let broken = "---\nlicense: mit\ntags: [a\nb: c\n---\n# Mine\n";
        let problem = refused(broken);
        assert!(problem.starts_with("README.md: line 4: the front matter is no YAML: "), "{problem}");
        assert!(refused("---\n- a\n---\n").starts_with("README.md: line 2: the front matter: expected keys"));
        assert!(refused("a\n<!-- affine:measured -->\n").starts_with("README.md: line 2: "));
        let mut own = card(0.5);
        own.measured = "a\n<!-- /affine:measured -->\n".to_string();
        assert_eq!(own.render().unwrap_err().kind(), "option");
    }
}
