//! Keys and tokens in what is about to be published: the account's own by its value, others by their form.

use regex::bytes::Regex;

use crate::engine::hub::token::Token;
use crate::engine::secrets::form;

/// What of a file's beginning is looked at again together with what follows: longer than a key with the name before it.
const OVERLAP: usize = 512;

/// Files of numbers hold no text, and their bytes look like anything.
const NUMBERS: &[&str] = &[".safetensors", ".bin", ".gguf", ".onnx", ".pt", ".pth"];

/// Looks at a file piece by piece.
pub struct Secrets {
    /// One's own token. A pattern, because those are searched for many bytes at a time.
    own: Option<Regex>,
    has_text: bool,
    /// The end of the last piece.
    before: Vec<u8>,
    found: Option<&'static str>,
}

impl Secrets {
    pub fn new(own: Option<&Token>, name: &str) -> Self {
        let has_text = !NUMBERS.iter().any(|ending| name.ends_with(ending));
        let own = own.map(|own| Regex::new(&regex::escape(own.reveal())).expect("it is a pattern of itself"));
        Secrets { own, has_text, before: Vec::new(), found: None }
    }

    pub fn look(&mut self, bytes: &[u8]) {
        let seam = [&self.before, &bytes[..bytes.len().min(OVERLAP)]].concat();
        self.search(&seam);
        self.search(bytes);
        let kept = if bytes.len() < OVERLAP { &seam } else { bytes };
        self.before = kept[kept.len().saturating_sub(OVERLAP)..].to_vec();
    }

    fn search(&mut self, text: &[u8]) {
        if self.own.as_ref().is_some_and(|own| own.is_match(text)) {
            self.found = Some("the token that you use for the Hub");
        } else if self.has_text && self.found.is_none() {
            self.found = form(text);
        }
    }

    /// What was found, in words.
    pub fn found(&self) -> Option<&'static str> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together here, so that no reader of sources takes them for real ones.
    fn found(name: &str, pieces: &[&str]) -> Option<&'static str> {
        let token = Token::new("hf_mine", "HF_TOKEN").unwrap();
        let mut secrets = Secrets::new(Some(&token), name);
        pieces.iter().for_each(|piece| secrets.look(piece.as_bytes()));
        secrets.found()
    }

    #[test]
    fn keys_are_known_by_their_form() {
        let letters = "AbCdEf0123456789".repeat(6);
        let hex = "0123456789abcdef0123456789abcdef01234567";
        for (text, wanted) in [
            (format!("token: hf_{}", &letters[..34]), "a token of the Hub"),
            (format!("WANDB_API_KEY={hex}"), "a key of Weights & Biases"),
            (format!("\"wandb_key\": \"{hex}\""), "a key of Weights & Biases"),
            (format!("AKIA{}", "ABCDEFGHIJKLMNOP"), "an access key of AWS"),
            (format!("aws_secret_access_key = {}", &letters[..40]), "a secret key of AWS"),
            (format!("AIza{}", &letters[..35]), "a key of Google"),
            (format!("AccountKey={}==", &letters[..86]), "a key of Azure"),
            (format!("ghp_{}", &letters[..36]), "a token of GitHub"),
            (format!("sk-proj-{}", &letters[..48]), "a key of a model's provider"),
            (format!("-----BEGIN RSA {} KEY-----", "PRIVATE"), "a private key"),
        ] {
            assert_eq!(found("notes.txt", &[&text]), Some(wanted), "{text}");
            let (first, second) = text.split_at(text.len() / 2);
            assert_eq!(found("notes.txt", &[&"x ".repeat(2000), first, second]), Some(wanted), "{text} in two pieces");
        }
    }

    #[test]
    fn what_only_looks_alike_is_no_key() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        for text in [hex, "hf_hub", "hf_transfer_is_fast", "sk-learn", "AKIA", &format!("sha1: {hex}")] {
            assert_eq!(found("tokenizer.json", &[text]), None, "{text}");
        }
    }

    #[test]
    fn ones_own_token_is_found_in_any_file() {
        let own = Some("the token that you use for the Hub");
        assert_eq!(found("model.safetensors", &["hhf_hf_", "minex"]), own);
        assert_eq!(found("a.txt", &["hf_min"]), None);
        assert_eq!(found("model.safetensors", &[&format!("hf_{}", "A".repeat(34))]), None);
    }
}
