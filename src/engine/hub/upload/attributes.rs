//! `.gitattributes`: which files git keeps as pointers to a store.

use globset::Glob;

/// What the Hub writes into a new repository, as far as models have such files.
const DEFAULT: &str = "\
*.bin filter=lfs diff=lfs merge=lfs -text
*.gguf filter=lfs diff=lfs merge=lfs -text
*.model filter=lfs diff=lfs merge=lfs -text
*.onnx filter=lfs diff=lfs merge=lfs -text
*.parquet filter=lfs diff=lfs merge=lfs -text
*.pt filter=lfs diff=lfs merge=lfs -text
*.pth filter=lfs diff=lfs merge=lfs -text
*.safetensors filter=lfs diff=lfs merge=lfs -text
*.zst filter=lfs diff=lfs merge=lfs -text
";

pub struct Attributes {
    text: String,
    added: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Attributes::new(DEFAULT)
    }
}

impl Attributes {
    pub const NAME: &str = ".gitattributes";

    pub fn new(text: impl Into<String>) -> Self {
        Attributes { text: text.into(), added: false }
    }

    /// Adds a line for a file that none of the lines covers.
    pub fn track(&mut self, name: &str) {
        if self.covers(name) {
            return;
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        // Git reads a space as the pattern's end.
        let pattern = name.replace(' ', "[[:space:]]");
        self.text.push_str(&format!("{pattern} filter=lfs diff=lfs merge=lfs -text\n"));
        self.added = true;
    }

    /// As git reads it: the last line that matches decides; a pattern without a slash is of the file's own name.
    fn covers(&self, name: &str) -> bool {
        let own = name.rsplit('/').next().unwrap_or(name);
        let lines = self.text.lines().rev().filter_map(|line| line.trim().split_once(char::is_whitespace));
        let mut matching = lines.filter(|(pattern, _)| {
            let pattern = pattern.replace("[[:space:]]", " ");
            let of = if pattern.contains('/') { name } else { own };
            !pattern.starts_with('#') && Glob::new(&pattern).is_ok_and(|glob| glob.compile_matcher().is_match(of))
        });
        let said = matching.find_map(|(_, attributes)| {
            attributes.split_whitespace().rev().find(|word| word.trim_start_matches(['-', '!']).starts_with("filter"))
        });
        said == Some("filter=lfs")
    }

    /// Whether a line was added.
    pub fn has_more(&self) -> bool {
        self.added
    }

    pub fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_line_covers_gets_one() {
        let mut attributes = Attributes::new("*.safetensors filter=lfs diff=lfs merge=lfs -text");
        attributes.track("model.safetensors");
        attributes.track("a/model.safetensors");
        attributes.track("tokenizer.json");
        attributes.track("tokenizer.json");
        attributes.track("a b.png");
        attributes.track("a b.png");
        assert!(attributes.has_more());
        assert_eq!(
            attributes.text(),
            "*.safetensors filter=lfs diff=lfs merge=lfs -text\n\
             tokenizer.json filter=lfs diff=lfs merge=lfs -text\n\
             a[[:space:]]b.png filter=lfs diff=lfs merge=lfs -text\n"
        );
    }

    #[test]
    fn the_last_line_that_matches_decides() {
        let mut attributes = Attributes::new("*.json filter=lfs\n# *.txt filter=lfs\nsmall.json -filter\n*.md text\n");
        for (name, covered) in [("a.json", true), ("small.json", false), ("a.txt", false), ("a.md", false)] {
            assert_eq!(attributes.covers(name), covered, "{name}");
        }
        attributes.track("small.json");
        assert!(attributes.covers("small.json"));
    }
}
