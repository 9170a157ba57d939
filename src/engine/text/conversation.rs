//! Conversations as token ids, which are the truth: a multi-turn trajectory only ever extends its ids.
//!
//! Why not render the messages again at every turn: Qwen3's own template drops the thinking of earlier turns, so the
//! second rendering would contradict what the model saw and wrote in the first. And text does not tokenise back to
//! the ids that were sampled (`Hel` + `lo` becomes `Hello`), so log-probabilities recorded while sampling would
//! belong to other tokens. So a reply's ids are kept as sampled, and what the template puts between a reply and the
//! next one is found once, with markers in the place of the contents, and appended.
//!
//! Records for SFT are encoded by the same functions, so that SFT and RL see the same ids. For templates that render
//! every turn alike (ChatML) the ids equal those of the whole rendered text. Two differences by intention: a reply is
//! tokenised on its own, because that is how a model begins to write it, also where its first characters would have
//! merged with the newline of the generation prompt; and what a template adds to an assistant's content (Qwen3's empty
//! think block in the last turn) is not there, because the model did not write it.

use serde_json::Map;

use super::{Message, Tokenizer};
use crate::engine::{Error, Result};

/// Token ids with a mask: `mask[t]` is true where token `t` is the model's own (an assistant's content and the token
/// that ends its turn), so where a loss may teach it. Both have one length, which only grows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    ids: Vec<i64>,
    mask: Vec<bool>,
}

impl Conversation {
    /// The opening messages up to the point where the model begins to reply; nothing of it is trained. Assistant turns
    /// among them (`OK.` after the instructions) are part of the prompt.
    pub fn open(tokenizer: &Tokenizer, messages: &[Message]) -> Result<Self> {
        if messages.is_empty() {
            return Err(Error::message("a conversation must open with a system or user message, got none"));
        }
        let text = tokenizer.template()?.render(messages, true, &Map::new())?;
        let mut conversation = Conversation::default();
        conversation.extend(&tokenizer.encode(&text)?, false);
        Ok(conversation)
    }

    /// Appends what the model sampled, with or without the token that ends its turn.
    pub fn push_reply(&mut self, ids: &[i64]) {
        self.extend(ids, true);
    }

    /// Appends a reply that comes as text, and the token that ends the turn.
    pub fn push_assistant(&mut self, tokenizer: &Tokenizer, content: &str) -> Result<()> {
        self.push_turn(tokenizer, &Message::assistant(content))
    }

    fn push_turn(&mut self, tokenizer: &Tokenizer, message: &Message) -> Result<()> {
        let end = tokenizer.turns()?.end_of_turn;
        self.extend(&tokenizer.encode(&message.content)?, message.loss);
        self.extend(&[end], message.loss);
        Ok(())
    }

    /// Appends `observation` as the user's next message, up to the point where the model begins to reply. A reply that
    /// was cut by its length, or stopped at another token, is ended first; that end is not trained, since the model did
    /// not write it.
    pub fn push_observation(&mut self, tokenizer: &Tokenizer, observation: &str) -> Result<()> {
        let turns = tokenizer.turns()?;
        let text = [turns.before.as_str(), observation, turns.after.as_str()].concat();
        self.push_between(tokenizer, turns.end_of_turn, &text)
    }

    /// Appends whatever stands between two assistant turns: no message, or several.
    fn push_messages(&mut self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<()> {
        if let [message] = messages
            && message.role == "user"
        {
            return self.push_observation(tokenizer, &message.content);
        }
        let turns = tokenizer.turns()?;
        let text = after_reply(tokenizer, messages)?;
        let text = text.strip_prefix(&turns.end_text).ok_or_else(|| unusable(&text))?;
        self.push_between(tokenizer, turns.end_of_turn, text)
    }

    fn push_between(&mut self, tokenizer: &Tokenizer, end_of_turn: i64, text: &str) -> Result<()> {
        // Tokenised before anything is appended: an error leaves the conversation as it was.
        let ids = tokenizer.encode(text)?;
        if self.ids.last() != Some(&end_of_turn) {
            self.extend(&[end_of_turn], false);
        }
        self.extend(&ids, false);
        Ok(())
    }

    fn extend(&mut self, ids: &[i64], trained: bool) {
        self.ids.extend_from_slice(ids);
        self.mask.resize(self.ids.len(), trained);
    }

    /// A whole conversation for SFT: every assistant message is trained, with the token that ends its turn, but those
    /// marked to carry no loss. What follows the last assistant message is left out, because nothing after it is trained.
    pub fn encode_record(tokenizer: &Tokenizer, messages: &[Message]) -> Result<Self> {
        match messages.iter().position(|message| message.role == "assistant") {
            Some(first) => Self::encode_replies(tokenizer, messages, first),
            None => Err(Error::message("a record needs an assistant message to train on, got none")),
        }
    }

    /// A conversation that a reply continues: the assistant messages of `completion`, which begins with one, are trained
    /// as [`Conversation::encode_record`] trains them; those of `prompt` are not.
    pub fn encode_completion(tokenizer: &Tokenizer, prompt: &[Message], completion: &[Message]) -> Result<Self> {
        Self::encode_replies(tokenizer, &[prompt, completion].concat(), prompt.len())
    }

    /// All up to the last assistant message, trained from the one at `first` on.
    fn encode_replies(tokenizer: &Tokenizer, messages: &[Message], first: usize) -> Result<Self> {
        let mut conversation = Self::open(tokenizer, &messages[..first])?;
        conversation.push_turn(tokenizer, &messages[first])?;
        let mut previous = first;
        for reply in (first + 1..messages.len()).filter(|&i| messages[i].role == "assistant") {
            conversation.push_messages(tokenizer, &messages[previous + 1..reply])?;
            conversation.push_turn(tokenizer, &messages[reply])?;
            previous = reply;
        }
        Ok(conversation)
    }

    /// A text and how it goes on, which is trained with the end token that follows it (added where it is not there). The
    /// two are tokenised apart, because that is how a model begins to continue a prompt.
    pub fn encode_continuation(tokenizer: &Tokenizer, prompt: &str, completion: &str) -> Result<Self> {
        let mut conversation = Conversation::default();
        conversation.extend(&tokenizer.encode(prompt)?, false);
        conversation.extend(&tokenizer.encode(completion)?, true);
        let ends = tokenizer.eos_ids();
        if !conversation.ids.last().is_some_and(|last| ends.contains(last)) {
            conversation.extend(&ends[..1], true);
        }
        Ok(conversation)
    }

    /// The same ids, every token after the first trained.
    pub fn all_trained(mut self) -> Self {
        self.mask.fill(true);
        if let Some(first) = self.mask.first_mut() {
            *first = false;
        }
        self
    }

    /// The whole rendered text of `messages`, whoever speaks, every token after the first trained: for pre-training a
    /// base model on transcripts.
    pub fn encode_all(tokenizer: &Tokenizer, messages: &[Message]) -> Result<Self> {
        if let Some(place) = messages.iter().position(|message| !message.loss) {
            return Err(Error::hinted(
                format!(
                    "message {} is marked to carry no loss, which cannot be where every token is trained",
                    place + 1
                ),
                "train on what the assistant says (train_on = \"assistant\"), or take the marks out",
            ));
        }
        Self::encode_text(tokenizer, &tokenizer.template()?.render(messages, false, &Map::new())?)
    }

    /// Plain text, every token after the first trained (nothing predicts the first). No end token is added: a text that
    /// should end writes it (`<|endoftext|>`).
    pub fn encode_text(tokenizer: &Tokenizer, text: &str) -> Result<Self> {
        let mut conversation = Conversation::default();
        conversation.extend(&tokenizer.encode(text)?, true);
        Ok(conversation.all_trained())
    }

    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    pub fn mask(&self) -> &[bool] {
        &self.mask
    }

    /// A conversation from what [`Conversation::into_parts`] gave; nothing where the two differ in length.
    pub fn from_parts(ids: Vec<i64>, mask: Vec<bool>) -> Option<Self> {
        (ids.len() == mask.len()).then_some(Conversation { ids, mask })
    }

    /// The ids and their mask.
    pub fn into_parts(self) -> (Vec<i64>, Vec<bool>) {
        (self.ids, self.mask)
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many tokens are trained.
    pub fn trained(&self) -> usize {
        self.mask.iter().filter(|&&trained| trained).count()
    }

    /// Leaves out what comes after the first `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
        self.mask.truncate(length);
    }

    /// The text in pieces, each trained as a whole or not at all.
    pub fn pieces(&self, tokenizer: &Tokenizer) -> Result<Vec<(String, bool)>> {
        let mut start = 0;
        let piece = |span: &[bool]| {
            let ids = &self.ids[start..start + span.len()];
            start += span.len();
            Ok((tokenizer.decode(ids, false)?, span[0]))
        };
        self.mask.chunk_by(|a, b| a == b).map(piece).collect()
    }

    /// The text with its trained spans in `⟦…⟧`, and a last line that counts tokens: for eyes.
    pub fn show(&self, tokenizer: &Tokenizer) -> Result<String> {
        let pieces = self.pieces(tokenizer)?;
        let marked = pieces.into_iter().map(|(piece, trained)| if trained { format!("⟦{piece}⟧") } else { piece });
        let text: String = marked.collect();
        Ok(format!("{text}\n{} of {} tokens are trained", self.trained(), self.len()))
    }
}

/// What a template puts around turns: found once per tokenizer, so a turn costs no rendering.
#[derive(Debug)]
pub(super) struct Turns {
    /// The token that ends an assistant turn, and its text.
    end_of_turn: i64,
    end_text: String,
    /// From the end-of-turn token (not included) to the user's content.
    before: String,
    /// From the user's content to where the next reply begins.
    after: String,
}

// Plain words: no template has a reason to change them, and no message is likely to be one.
const REPLY: &str = "affine-marks-a-reply";
const OBSERVATION: &str = "affine-marks-an-observation";

impl Turns {
    pub(super) fn find(tokenizer: &Tokenizer) -> Result<Self> {
        let text = after_reply(tokenizer, &[Message::user(OBSERVATION)])?;
        let mut pieces = text.split(OBSERVATION);
        let (Some(between), Some(after), None) = (pieces.next(), pieces.next(), pieces.next()) else {
            return Err(unusable(&text));
        };
        let end_of_turn = tokenizer.encode(between)?.first().copied().filter(|&id| tokenizer.is_added(id));
        let end_text = end_of_turn.and_then(|id| tokenizer.token(id));
        let (Some(end_of_turn), Some(end_text)) = (end_of_turn, end_text) else {
            return Err(Error::message(format!(
                "the chat template ends an assistant turn with {between:?}: expected a special token of the tokenizer first"
            )));
        };
        let before = between.strip_prefix(&end_text).ok_or_else(|| unusable(&text))?.to_string();
        Ok(Turns { end_of_turn, end_text, before, after: after.to_string() })
    }
}

impl Tokenizer {
    /// The token that ends a turn in the chat template (`<|im_end|>`). A reply stops there too, whether or not
    /// [`Tokenizer::eos_ids`] holds it (a base model's does not).
    pub fn end_of_turn_id(&self) -> Result<i64> {
        Ok(self.turns()?.end_of_turn)
    }
}

/// What the template puts after an assistant's content when `messages` and then a new reply follow.
fn after_reply(tokenizer: &Tokenizer, messages: &[Message]) -> Result<String> {
    let mut conversation = vec![Message::user("?"), Message::assistant(REPLY)];
    conversation.extend_from_slice(messages);
    let text = tokenizer.template()?.render(&conversation, true, &Map::new())?;
    match text.split_once(REPLY) {
        Some((_, after)) if !after.contains(REPLY) => Ok(after.to_string()),
        _ => Err(unusable(&text)),
    }
}

fn unusable(text: &str) -> Error {
    Error::hinted(
        format!(
            "the chat template cannot be used turn by turn, so which tokens are the assistant's is not known: expected each \
             message's content once and unchanged in its output, got {text:?}"
        ),
        "put a template that prints every message into the model's chat_template.jinja; SFT with train_on = \"all\" needs none \
         of this",
    )
}
