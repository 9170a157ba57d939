//! What a chat template puts around turns, found with markers in the place of the contents: once per tokenizer and
//! `chat_template_kwargs`, so that with most templates a turn costs no rendering.
//!
//! A template need not put a reply where its generation prompt ends. One that ends in `<think>` (Qwen3's Thinking models
//! have it) renders a record's own `<think>` in that place, and an empty, closed thought where the record has none. So a
//! reply stands after the generation prompt as it is only where the template itself would write it there in an earlier turn
//! (ChatML, Qwen3's hybrid models); with every other template it is what the template renders in that turn.

use serde_json::{Map, Value};

use super::{Message, Tokenizer};
use crate::engine::{Error, Result};

// Plain words: no template has a reason to change them, and no message is likely to be one.
const REPLY: &str = "affine-marks-a-reply";
const OBSERVATION: &str = "affine-marks-an-observation";
const THOUGHT: &str = "affine-marks-a-thought";

/// What stands around turns.
#[derive(Debug)]
pub(super) struct Turns {
    kwargs: Map<String, Value>,
    /// The token that ends an assistant turn, and its text.
    pub end_of_turn: i64,
    end_text: String,
    /// From the end-of-turn token (not included) to the user's content, and from there to where the next reply begins.
    /// `None` where the template changes that content (strips it), so every observation is rendered.
    observation: Option<(String, String)>,
    /// `None` where a reply stands after the generation prompt as it is.
    rendered: Option<Rendered>,
    /// Whether the thoughts of earlier turns are left out.
    pub drops_thoughts: bool,
}

/// How the turns of a template are told that does not write a reply where its generation prompt ends.
#[derive(Debug)]
struct Rendered {
    /// A conversation of one message, up to where the reply begins.
    opening: String,
    /// What follows the reply in the last turn.
    end: String,
    /// What the generation prompt says in the model's name and leaves open (`<think>` and a newline).
    open: String,
}

/// A reply in its place.
pub(super) struct Reply {
    /// The end of the generation prompt that the template does not write before this reply.
    pub replaced: String,
    pub text: String,
}

impl Turns {
    pub fn find(tokenizer: &Tokenizer, kwargs: &Map<String, Value>) -> Result<Self> {
        let template = tokenizer.template()?;
        let render = |messages: &[Message], prompt| template.render(messages, prompt, kwargs);
        let earlier = |reply: &str, observation: &str| {
            render(&[Message::user("?"), Message::assistant(reply), Message::user(observation)], true)
        };
        let text = earlier(REPLY, OBSERVATION)?;
        let (head, rest) = around(&text, REPLY).ok_or_else(|| unusable(&text))?;
        let (between, after) = around(rest, OBSERVATION).ok_or_else(|| unusable(rest))?;
        let (end_of_turn, end_text) = end_of_turn(tokenizer, between)?;
        let before = between.strip_prefix(&end_text).ok_or_else(|| unusable(&text))?;

        let [reply, observation] = [REPLY, OBSERVATION].map(|mark| format!("\n {mark} \n"));
        let spaced = earlier(&reply, &observation)?;
        let spaced_rest = spaced.strip_prefix(head).and_then(|rest| rest.strip_prefix(&reply));
        let keeps_reply = spaced_rest.is_some();
        let keeps_observation = spaced.ends_with(&format!("{between}{observation}{after}"));
        let opening = render(&[Message::user("?")], true)?;
        let rendered = match keeps_reply && opening == head {
            true => None,
            false => Some(Rendered::find(&render, opening, head)?),
        };
        let thinking = earlier(&format!("<think>\n{THOUGHT}\n</think>\n\n{REPLY}"), OBSERVATION);
        Ok(Turns {
            kwargs: kwargs.clone(),
            end_of_turn,
            end_text,
            observation: keeps_observation.then(|| (before.to_string(), after.to_string())),
            rendered,
            drops_thoughts: thinking.is_ok_and(|text| !text.contains(THOUGHT)),
        })
    }

    /// Whether these are the turns of a template that is given these variables.
    pub fn are_of(&self, kwargs: &Map<String, Value>) -> bool {
        self.kwargs == *kwargs
    }

    /// What the generation prompt says in the model's name and leaves open.
    pub fn open(&self) -> &str {
        self.rendered.as_ref().map_or("", |rendered| &rendered.open)
    }

    /// From a reply's end-of-turn token (not included) over `messages`, none or several, to where the next reply begins.
    pub fn between(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<String> {
        if let ([message], Some((before, after))) = (messages, &self.observation)
            && message.role == "user"
        {
            return Ok([before, message.content.as_str(), after].concat());
        }
        let mut conversation = vec![Message::user("?"), Message::assistant(REPLY)];
        conversation.extend_from_slice(messages);
        let text = tokenizer.template()?.render(&conversation, true, &self.kwargs)?;
        let (_, rest) = around(&text, REPLY).ok_or_else(|| unusable(&text))?;
        rest.strip_prefix(&self.end_text).map(str::to_string).ok_or_else(|| unusable(rest))
    }

    /// A reply as it stands in its turn, without the token that ends it.
    pub fn reply(&self, tokenizer: &Tokenizer, content: &str) -> Result<Reply> {
        let Some(Rendered { opening, end, open }) = &self.rendered else {
            return Ok(Reply { replaced: String::new(), text: content.to_string() });
        };
        let turn = [Message::user("?"), Message::assistant(content)];
        let text = tokenizer.template()?.render(&turn, false, &self.kwargs)?;
        let body = text.strip_suffix(end.as_str()).ok_or_else(|| unusable(&text))?;
        let after_open = continuation(content, open);
        // What the content opens itself is not opened twice: an unfinished thought has no end that the template finds.
        let is_once = |text: &&str| after_open.is_none() || !text.contains(open.trim());
        let rendered = body.strip_prefix(opening.as_str()).filter(is_once);
        let (replaced, text) = match rendered.or(after_open) {
            Some(text) => ("", text),
            None => match parted(opening, body) {
                // The prompt says it to the end, whatever the turn has: the reply follows it.
                (said, text) if is_closed(said) => ("", text),
                parts => parts,
            },
        };
        Ok(Reply { replaced: replaced.to_string(), text: text.to_string() })
    }
}

impl Rendered {
    fn find(
        render: &impl Fn(&[Message], bool) -> Result<String>,
        opening: String,
        earlier_head: &str,
    ) -> Result<Rendered> {
        let last = |reply: &str| render(&[Message::user("?"), Message::assistant(reply)], false);
        let text = last(REPLY)?;
        let (head, end) = around(&text, REPLY).ok_or_else(|| unusable(&text))?;
        // What the template adds before a reply that says nothing of the sort.
        let added = head.strip_prefix(&opening);
        let (said, _) = parted(&opening, earlier_head);
        let open = match added {
            Some("") => "",
            _ if is_closed(said) => "",
            _ if !said.is_empty() => said,
            // Every turn has what the prompt opens: it is the prompt's last tag, if a thought after it is the turn's.
            Some(added) => {
                let tag = opening.rfind(['<', '[']).map_or("", |place| &opening[place..]);
                let expected = format!("{opening}{THOUGHT}{added}{REPLY}{end}");
                let thinks = last(&format!("{tag}{THOUGHT}{added}{REPLY}")).is_ok_and(|text| text == expected);
                if thinks { tag } else { "" }
            }
            None => "",
        };
        Ok(Rendered { open: open.to_string(), end: end.to_string(), opening })
    }
}

impl Tokenizer {
    /// The token that ends a turn in the chat template (`<|im_end|>`). A reply stops there too, whether or not
    /// [`Tokenizer::eos_ids`] holds it (a base model's does not).
    pub fn end_of_turn_id(&self) -> Result<i64> {
        Ok(self.turns(&Map::new())?.end_of_turn)
    }

    /// A reply as a message: with what the generation prompt said in the model's name and left open, so that the message
    /// says the whole thought, and training on it says it once.
    pub fn whole_reply(&self, text: String, kwargs: &Map<String, Value>) -> String {
        match self.turns(kwargs) {
            Ok(turns) if !turns.open().is_empty() => [turns.open(), &text].concat(),
            _ => text,
        }
    }

    /// Whether a server that renders these messages anew would show a model other text than training did: the template drops
    /// thoughts of earlier turns, which training keeps.
    pub fn drops_thoughts_of(&self, messages: &[Message], kwargs: &Map<String, Value>) -> bool {
        let mut replies = messages.iter().rev().filter(|message| message.role == "assistant").skip(1);
        replies.any(|reply| reply.content.contains("</think>")) && self.turns(kwargs).is_ok_and(|t| t.drops_thoughts)
    }
}

/// The token at the beginning of what follows a reply, and its text.
fn end_of_turn(tokenizer: &Tokenizer, between: &str) -> Result<(i64, String)> {
    let id = tokenizer.encode(between)?.first().copied().filter(|&id| tokenizer.is_added(id));
    match id.and_then(|id| Some((id, tokenizer.token(id)?))) {
        Some(found) => Ok(found),
        None => Err(Error::message(format!(
            "the chat template ends an assistant turn with {between:?}: expected a special token of the tokenizer first"
        ))),
    }
}

/// The texts before and after `mark`, which must be there once.
fn around<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(mark).filter(|(_, after)| !after.contains(mark))
}

/// What follows `open` where `content` begins with it, whatever the space around it.
fn continuation<'a>(content: &'a str, open: &str) -> Option<&'a str> {
    if open.trim().is_empty() {
        return None;
    }
    content.strip_prefix(open).or_else(|| content.trim_start().strip_prefix(open.trim()))
}

/// Whether a text begins with a tag and closes it (`<think>`, `</think>`).
fn is_closed(text: &str) -> bool {
    let name = text.trim_start().strip_prefix('<').and_then(|rest| rest.split_once('>'));
    name.is_some_and(|(name, rest)| !name.starts_with('/') && rest.contains(&format!("</{name}>")))
}

/// The ends of two texts after their common beginning, which does not end within a word or a tag.
fn parted<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let same = a.char_indices().zip(b.chars()).take_while(|((_, a), b)| a == b);
    let mut at = same.last().map_or(0, |((place, c), _)| place + c.len_utf8());
    if at < a.len() && at < b.len() {
        let is_border = |c: char| c.is_whitespace() || c == '>' || c == ']';
        at = a[..at].rfind(is_border).map_or(0, |place| place + a[place..].chars().next().map_or(0, char::len_utf8));
    }
    (&a[at..], &b[at..])
}

pub(super) fn unusable(text: &str) -> Error {
    Error::hinted(
        format!(
            "the chat template cannot be used turn by turn, so which tokens are the assistant's is not known: expected each \
             message's content once and unchanged in its output, got {text:?}"
        ),
        "put a template that prints every message into the model's chat_template.jinja; SFT with train_on = \"all\" needs none \
         of this",
    )
}
