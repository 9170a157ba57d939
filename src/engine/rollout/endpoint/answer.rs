//! What comes back, read: a reply, a refusal, a list of models.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::{PARAMETERS, Refusal};
use crate::engine::sentence::one_line;

/// Tokens as the server counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the conversations that it was told, the whole of it at each turn.
    pub prompt: u64,
    /// That the model said, a thought that is not shown included.
    pub completion: u64,
    /// Of these, those of thoughts that are not shown, where the server tells them apart.
    pub reasoning: u64,
}

impl Usage {
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            prompt: self.prompt + other.prompt,
            completion: self.completion + other.completion,
            reasoning: self.reasoning + other.reasoning,
        }
    }
}

/// Why the model stopped speaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    Stop,
    /// At `max_new_tokens`, or at the end of its context.
    Length,
    /// In the server's word, which may be none.
    Other(String),
}

/// What the model said in one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub text: String,
    pub finish: Finish,
    pub usage: Option<Usage>,
}

/// The parts of a chat completion that are read.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    /// Null where the model ended at once, or spoke only in thought.
    content: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    prompt_tokens: u64,
    completion_tokens: u64,
    completion_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    reasoning_tokens: Option<u64>,
}

/// The reply in an answer, or one sentence on what is wrong with it.
pub fn reply(body: &str) -> Result<Reply, String> {
    let completion: Completion =
        serde_json::from_str(body).map_err(|_| not_what_was_asked(body, "a chat completion"))?;
    let choice =
        completion.choices.into_iter().next().ok_or("it answered without a reply: its list of choices is empty")?;
    let finish = match choice.finish_reason.as_deref() {
        Some("stop") => Finish::Stop,
        Some("length") => Finish::Length,
        other => Finish::Other(other.unwrap_or_default().to_string()),
    };
    let usage = completion.usage.map(|counts| Usage {
        prompt: counts.prompt_tokens,
        completion: counts.completion_tokens,
        reasoning: counts.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0),
    });
    Ok(Reply { text: choice.message.content.unwrap_or_default(), finish, usage })
}

/// The names in a list of models.
pub fn models(body: &str) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        id: String,
    }
    let list: List = serde_json::from_str(body).map_err(|_| not_what_was_asked(body, "a list of models"))?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}

fn not_what_was_asked(body: &str, expected: &str) -> String {
    let is_page = body.trim_start().starts_with('<');
    let got = match body.trim() {
        "" => "nothing".to_string(),
        _ if is_page => "a web page".to_string(),
        text => format!("\"{}\"", one_line(text)),
    };
    format!("expected {expected}, got {got}")
}

/// What an answer says that is no success, whole. An error may also come with the status of a success, from servers that pass on
/// what another one told them: its own number counts then.
pub fn refusal(status: u16, body: &str) -> Option<Refusal> {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = json.get("error").filter(|error| !error.is_null());
    if (200..300).contains(&status) && error.is_none() {
        return None;
    }
    // vLLM's older versions have no `error` around it, FastAPI says `detail`.
    let about = error.unwrap_or(&json);
    let said = [about.get("message"), about.get("detail"), Some(about)].into_iter().flatten().find_map(Value::as_str);
    let said = said.map(str::to_string).unwrap_or_else(|| match json {
        Value::Null if !body.trim_start().starts_with('<') => body.to_string(),
        Value::Null => String::new(),
        _ => about.to_string(),
    });
    let word = |name: &str| about.get(name).and_then(Value::as_str);
    let number = about.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = match error {
        Some(_) if status < 300 => number.filter(|code| *code >= 400).unwrap_or(500),
        _ => status,
    };
    let parameter = word("param").map(str::to_string).or_else(|| named(&said));
    let code = word("code").or(word("type")).unwrap_or_default().to_string();
    Some(Refusal { status, said, code, parameter })
}

/// The first parameter in the text of a complaint that has no field for it. `n` is a word of its own in too many.
fn named(said: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = said.split(|c: char| !is_part(c));
    words.find(|word| *word != "n" && PARAMETERS.contains(word)).map(str::to_string)
}
