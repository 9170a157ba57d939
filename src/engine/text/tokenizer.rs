//! A model's tokenizer: text to token ids and back, the ids that end a text, and the chat template.
//!
//! It is read from a Hugging Face folder and written back byte for byte: what was trained with is what is published.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};

use super::ChatTemplate;
use super::turns::Turns;
use crate::engine::file::{create_folder, sha256, unreadable, write_atomic};
use crate::engine::{Error, Result, refusal, utf8};

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const GENERATION_CONFIG: &str = "generation_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// Read for its end token where no generation_config.json is; it is the model's file, so it is not written back.
const MODEL_CONFIG: &str = "config.json";

/// What belongs to a tokenizer in a folder. The last four repeat tokenizer.json for older readers.
const FILES: [&str; 8] = [
    TOKENIZER,
    TOKENIZER_CONFIG,
    GENERATION_CONFIG,
    CHAT_TEMPLATE,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Where it was read, for messages.
    origin: PathBuf,
    files: Files,
    /// generation_config.json, or what transformers makes of config.json where there is none.
    generation: Map<String, Value>,
    vocab_size: i64,
    eos_ids: Vec<i64>,
    pad_id: i64,
    template_source: Option<String>,
    special_tokens: Map<String, Value>,
    template: OnceLock<ChatTemplate>,
    /// By the variables that the template is given.
    turns: Mutex<Vec<Arc<Turns>>>,
}

/// The bytes of a folder's files by name.
pub(super) type Files = BTreeMap<&'static str, Vec<u8>>;

impl Tokenizer {
    /// Reads the tokenizer of a model folder. tokenizer.json is needed, and an `eos_token_id` in generation_config.json
    /// or config.json, or an `eos_token` in tokenizer_config.json: without one generation would never stop.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let mut files = Files::new();
        for name in FILES.into_iter().chain([MODEL_CONFIG]) {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(bytes) => {
                    utf8::check(&bytes).map_err(|problem| Error::file(path, problem))?;
                    files.insert(name, utf8::without_mark(&bytes).to_vec());
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(unreadable(path, &e)),
            }
        }
        Self::from_files(folder, files)
    }

    /// A tokenizer from its files' bytes; `origin` is the folder that errors name.
    pub(super) fn from_files(origin: impl AsRef<Path>, mut files: Files) -> Result<Self> {
        let origin = origin.as_ref().to_path_buf();
        let bytes = files
            .get(TOKENIZER)
            .ok_or_else(|| Error::file(origin.join(TOKENIZER), "no such file; a model folder needs one"))?;
        let path = origin.join(TOKENIZER);
        let (inner, vocab_size) = refusal::reading(&path, || {
            let mut inner = tokenizers::Tokenizer::from_bytes(bytes)
                .map_err(|e| Error::file(&path, format!("not a tokenizer: {e}")))?;
            // What a training script once saved here must not cut or lengthen texts.
            inner.with_padding(None);
            inner.with_truncation(None).map_err(|e| Error::file(&path, e))?;
            let vocab_size = inner.get_vocab(true).into_values().max().map_or(0, |id| i64::from(id) + 1);
            Ok((inner, vocab_size))
        })?;

        let config = parse(&origin, TOKENIZER_CONFIG, &files)?;
        let generation = parse(&origin, GENERATION_CONFIG, &files)?;
        let model = parse(&origin, MODEL_CONFIG, &files)?;
        let special_tokens = special_tokens(&config);
        let ids = EndTokens {
            inner: &inner,
            origin: &origin,
            generation: &generation,
            model: &model,
            special_tokens: &special_tokens,
        };
        let (eos_ids, pad_id) = ids.find()?;
        let generation = if files.contains_key(GENERATION_CONFIG) { generation } else { of_model(&model) };
        let template_source = template_source(&origin, &config, &files)?;
        files.remove(MODEL_CONFIG);

        Ok(Tokenizer {
            inner,
            origin,
            files,
            generation,
            vocab_size,
            eos_ids,
            pad_id,
            template_source,
            special_tokens,
            template: OnceLock::new(),
            turns: Mutex::default(),
        })
    }

    /// Writes the files it was read from, byte for byte but for a byte order mark, each as a whole; but see
    /// [`Tokenizer::save_generation_config`].
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        create_folder(folder)?;
        self.files.iter().try_for_each(|(name, bytes)| write_atomic(folder.join(name), bytes))?;
        self.save_generation_config(folder).map(drop)
    }

    /// Writes a generation_config.json that names the token which ends a turn beside the end tokens that were there, and says
    /// whether that was called for: a base model names the end of a text alone, and a server, which stops at what this file
    /// names, would never end a turn that was trained to end otherwise.
    pub fn save_generation_config(&self, folder: impl AsRef<Path>) -> Result<bool> {
        let Ok(end_of_turn) = self.end_of_turn_id() else { return Ok(false) };
        let mut named = listed(self.generation.get("eos_token_id"));
        if named.contains(&end_of_turn.into()) {
            return Ok(false);
        }
        if named.is_empty() {
            named = self.eos_ids.iter().filter(|&&id| id != end_of_turn).map(|&id| id.into()).collect();
        }
        named.push(end_of_turn.into());
        let mut generation = self.generation.clone();
        generation.insert("eos_token_id".into(), named.into());
        let text = format!("{:#}\n", Value::Object(generation));
        write_atomic(folder.as_ref().join(GENERATION_CONFIG), text.as_bytes())?;
        Ok(true)
    }

    /// The token ids of `text`. Nothing is added to it, and the text of a special token (`<|im_end|>`) becomes that
    /// token, whoever wrote it, as in transformers.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        let encoding = refusal::reading(&self.path(), || {
            self.inner.encode_fast(text, false).map_err(|e| self.problem("cannot encode a text", &e))
        })?;
        Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
    }

    /// The text of `ids`. Ids without a token (rows of a padded embedding) have no text; bytes that are no whole character
    /// become U+FFFD.
    pub fn decode(&self, ids: &[i64], skip_special: bool) -> Result<String> {
        let ids = ids.iter().map(|&id| u32::try_from(id).map_err(|_| id)).collect::<Result<Vec<u32>, i64>>();
        let ids = ids.map_err(|id| {
            Error::message(format!("cannot decode token id {id}: expected one from 0 to {}", self.vocab_size - 1))
        })?;
        refusal::reading(&self.path(), || {
            self.inner.decode(&ids, skip_special).map_err(|e| self.problem("cannot decode token ids", &e))
        })
    }

    /// The text of each id; joined they are [`Tokenizer::decode`]'s. A character of several tokens is with the last of them.
    pub fn pieces(&self, ids: &[i64]) -> Result<Vec<String>> {
        let mut pieces = vec![String::new(); ids.len()];
        let mut from = 0;
        for end in 1..=ids.len() {
            let text = self.decode(&ids[from..end], false)?;
            // No character has more tokens than bytes; what is longer is none.
            if !text.ends_with(char::REPLACEMENT_CHARACTER) || end - from >= 4 || end == ids.len() {
                pieces[end - 1] = text;
                from = end;
            }
        }
        Ok(pieces)
    }

    /// SHA-256 (hex) of what decides which ids a text or a conversation becomes: the files it was read from and the end tokens,
    /// and today's date where the chat template prints it.
    pub fn fingerprint(&self) -> String {
        let mut content = Vec::new();
        for (name, bytes) in &self.files {
            content.extend_from_slice(format!("{name} {}\n", bytes.len()).as_bytes());
            content.extend_from_slice(bytes);
        }
        content.extend_from_slice(format!("{:?}", self.eos_ids).as_bytes());
        if self.template_source.as_ref().is_some_and(|source| source.contains("strftime_now")) {
            content.extend_from_slice(chrono::Local::now().date_naive().to_string().as_bytes());
        }
        sha256(&content)
    }

    /// The highest id with a token, plus one. A model's embedding may have more rows, never fewer.
    pub fn vocab_size(&self) -> i64 {
        self.vocab_size
    }

    /// The ids that end a generated text; at least one.
    pub fn eos_ids(&self) -> &[i64] {
        &self.eos_ids
    }

    /// The id that fills up short rows of a batch. It may also be an end token, so never look for the end of a text
    /// by it.
    pub fn pad_id(&self) -> i64 {
        self.pad_id
    }

    /// The token of an id as the vocabulary spells it (bytes in the byte-level alphabet).
    pub fn token(&self, id: i64) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    pub fn id(&self, token: &str) -> Option<i64> {
        self.inner.token_to_id(token).map(i64::from)
    }

    /// Whether `id` is an added token: matched as a whole in a text, before anything is split.
    pub(super) fn is_added(&self, id: i64) -> bool {
        u32::try_from(id).is_ok_and(|id| self.inner.get_added_tokens_decoder().contains_key(&id))
    }

    /// The chat template's text, where there is one.
    pub fn template_text(&self) -> Option<&str> {
        self.template_source.as_deref()
    }

    /// The chat template; an error where the model has none or a broken one.
    pub fn template(&self) -> Result<&ChatTemplate> {
        if let Some(template) = self.template.get() {
            return Ok(template);
        }
        let source = self.template_source.as_ref().ok_or_else(|| {
            Error::hinted(
                format!("the model in {} has no chat template", self.origin.display()),
                format!("put one into {CHAT_TEMPLATE} there"),
            )
        })?;
        let template = ChatTemplate::new(source, self.special_tokens.clone())?;
        Ok(self.template.get_or_init(|| template))
    }

    /// What the template puts around turns when it is given these variables, found once.
    pub(super) fn turns(&self, kwargs: &Map<String, Value>) -> Result<Arc<Turns>> {
        let known = || self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = known().iter().find(|turns| turns.are_of(kwargs)) {
            return Ok(turns.clone());
        }
        let turns = Arc::new(Turns::find(self, kwargs)?);
        known().push(turns.clone());
        Ok(turns)
    }

    fn problem(&self, what: &str, error: &tokenizers::Error) -> Error {
        Error::file(self.path(), format!("{what}: {error}"))
    }

    fn path(&self) -> PathBuf {
        self.origin.join(TOKENIZER)
    }
}

/// A JSON object among the files; an absent file is an empty one.
fn parse(origin: &Path, name: &'static str, files: &Files) -> Result<Map<String, Value>> {
    let Some(bytes) = files.get(name) else { return Ok(Map::new()) };
    serde_json::from_slice(bytes).map_err(|e| Error::file(origin.join(name), format!("not a JSON object: {e}")))
}

/// One id, several or none, as a list.
fn listed(ids: Option<&Value>) -> Vec<Value> {
    match ids {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values.clone(),
        Some(value) => vec![value.clone()],
    }
}

/// What transformers takes over from a config.json where no generation_config.json is.
fn of_model(config: &Map<String, Value>) -> Map<String, Value> {
    let keys = ["bos_token_id", "eos_token_id", "pad_token_id"].into_iter();
    keys.filter_map(|key| Some((key.to_string(), config.get(key).filter(|id| !id.is_null())?.clone()))).collect()
}

/// `eos_token`, `pad_token` and so on: plain strings, or objects with a `content` in older files.
fn special_tokens(config: &Map<String, Value>) -> Map<String, Value> {
    let text = |value: &Value| value.as_str().or_else(|| value.get("content")?.as_str()).map(Value::from);
    let tokens = config.iter().filter(|(key, _)| key.ends_with("_token"));
    tokens.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

/// chat_template.jinja, else tokenizer_config.json's `chat_template`: a string, or a list of named ones.
fn template_source(origin: &Path, config: &Map<String, Value>, files: &Files) -> Result<Option<String>> {
    if let Some(bytes) = files.get(CHAT_TEMPLATE) {
        let text = String::from_utf8(bytes.clone()).map_err(|e| Error::file(origin.join(CHAT_TEMPLATE), e))?;
        return Ok(Some(text));
    }
    let problem = |problem: String| Error::file(origin.join(TOKENIZER_CONFIG), problem);
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Array(named)) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            let source = default.and_then(|entry| entry["template"].as_str());
            let source = source.ok_or_else(|| problem("chat_template: none in the list is named `default`".into()))?;
            Ok(Some(source.to_string()))
        }
        Some(other) => Err(problem(format!("chat_template: expected a string or a list of templates, got {other}"))),
    }
}

/// Looks for the end and padding ids where transformers looks.
struct EndTokens<'a> {
    inner: &'a tokenizers::Tokenizer,
    origin: &'a Path,
    generation: &'a Map<String, Value>,
    model: &'a Map<String, Value>,
    special_tokens: &'a Map<String, Value>,
}

impl EndTokens<'_> {
    /// The end ids, and the padding id, which is the first end id where none is named.
    fn find(&self) -> Result<(Vec<i64>, i64)> {
        let eos = self.named("eos_token")?;
        let pad = self.named("pad_token")?;
        let Some(&first) = eos.first() else {
            return Err(Error::file(
                self.origin.join(GENERATION_CONFIG),
                "no eos_token_id here or in config.json, and no eos_token in tokenizer_config.json: \
                 generation would never stop",
            ));
        };
        let pad = pad.first().copied().unwrap_or(first);
        Ok((eos, pad))
    }

    fn named(&self, token: &str) -> Result<Vec<i64>> {
        let key = format!("{token}_id");
        for (name, config) in [(GENERATION_CONFIG, self.generation), (MODEL_CONFIG, self.model)] {
            let values = match config.get(&key) {
                None | Some(Value::Null) => continue,
                value => listed(value),
            };
            return values.iter().map(|value| self.check(name, &key, value)).collect();
        }
        let text = self.special_tokens.get(token).and_then(Value::as_str);
        let Some(text) = text else { return Ok(Vec::new()) };
        match self.inner.token_to_id(text) {
            Some(id) => Ok(vec![i64::from(id)]),
            None => {
                let path = self.origin.join(TOKENIZER_CONFIG);
                Err(Error::file(path, format!("{token}: `{text}` is no token of {TOKENIZER}")))
            }
        }
    }

    fn check(&self, name: &str, key: &str, value: &Value) -> Result<i64> {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        match id.filter(|&id| self.inner.id_to_token(id).is_some()) {
            Some(id) => Ok(i64::from(id)),
            None => {
                let problem = format!("{key}: expected the id of a token in {TOKENIZER}, got {value}");
                Err(Error::file(self.origin.join(name), problem))
            }
        }
    }
}
