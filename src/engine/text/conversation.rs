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
//! merged with the newline of the generation prompt; and what a template adds to an assistant's content in the last turn
//! alone (Qwen3's empty think block) is not there, because the model did not write it. Where the generation prompt itself
//! opens a thought, a reply is all that the template writes after it, the end of that thought included (`turns.rs`).

use serde_json::{Map, Value};

use super::turns::{Turns, unusable};
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
        Self::open_with(tokenizer, messages, &Map::new())
    }

    /// As [`Conversation::open`], with variables of the chat template (`enable_thinking`).
    pub fn open_with(tokenizer: &Tokenizer, messages: &[Message], kwargs: &Map<String, Value>) -> Result<Self> {
        let mut conversation = Conversation::default();
        conversation.extend(&tokenizer.encode(&opening(tokenizer, messages, kwargs)?)?, false);
        Ok(conversation)
    }

    /// `messages` up to the point where the model begins its next reply, earlier replies as training has them: as they were
    /// said, where [`Conversation::open_with`] has what the template makes of them later.
    pub fn go_on(tokenizer: &Tokenizer, messages: &[Message], kwargs: &Map<String, Value>) -> Result<Self> {
        let is_reply = |message: &Message| message.role == "assistant";
        let (Some(first), Some(last)) = (messages.iter().position(is_reply), messages.iter().rposition(is_reply))
        else {
            return Self::open_with(tokenizer, messages, kwargs);
        };
        let turns = tokenizer.turns(kwargs)?;
        let mut conversation = Self::encode_replies(tokenizer, messages, first, kwargs)?;
        let text = turns.between(tokenizer, &messages[last + 1..])?;
        conversation.push_between(tokenizer, &turns, &text)?;
        Ok(conversation)
    }

    /// Appends what the model sampled, with or without the token that ends its turn.
    pub fn push_reply(&mut self, ids: &[i64]) {
        self.extend(ids, true);
    }

    /// Appends `observation` as the user's next message, up to the point where the model begins to reply. A reply that
    /// was cut by its length, or stopped at another token, is ended first; that end is not trained, since the model did
    /// not write it.
    pub fn push_observation(&mut self, tokenizer: &Tokenizer, observation: &str) -> Result<()> {
        let turns = tokenizer.turns(&Map::new())?;
        let text = turns.between(tokenizer, &[Message::user(observation)])?;
        self.push_between(tokenizer, &turns, &text)
    }

    fn push_between(&mut self, tokenizer: &Tokenizer, turns: &Turns, text: &str) -> Result<()> {
        // Tokenised before anything is appended: an error leaves the conversation as it was.
        let ids = tokenizer.encode(text)?;
        if self.ids.last() != Some(&turns.end_of_turn) {
            self.extend(&[turns.end_of_turn], false);
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
        Self::encode_record_with(tokenizer, messages, &Map::new())
    }

    /// As [`Conversation::encode_record`], with variables of the chat template.
    pub fn encode_record_with(
        tokenizer: &Tokenizer,
        messages: &[Message],
        kwargs: &Map<String, Value>,
    ) -> Result<Self> {
        match messages.iter().position(|message| message.role == "assistant") {
            Some(first) => Self::encode_replies(tokenizer, messages, first, kwargs),
            None => Err(Error::message("a record needs an assistant message to train on, got none")),
        }
    }

    /// A conversation that a reply continues: the assistant messages of `completion`, which begins with one, are trained
    /// as [`Conversation::encode_record`] trains them; those of `prompt` are not.
    pub fn encode_completion(
        tokenizer: &Tokenizer,
        prompt: &[Message],
        completion: &[Message],
        kwargs: &Map<String, Value>,
    ) -> Result<Self> {
        Self::encode_replies(tokenizer, &[prompt, completion].concat(), prompt.len(), kwargs)
    }

    /// All up to the last assistant message, trained from the one at `first` on.
    fn encode_replies(
        tokenizer: &Tokenizer,
        messages: &[Message],
        first: usize,
        kwargs: &Map<String, Value>,
    ) -> Result<Self> {
        let turns = tokenizer.turns(kwargs)?;
        let mut conversation = Conversation::default();
        let mut before = opening(tokenizer, &messages[..first], kwargs)?;
        let mut from = first;
        while let Some(message) = messages.get(from) {
            let reply = turns.reply(tokenizer, &message.content)?;
            let prompt = before.strip_suffix(&reply.replaced).ok_or_else(|| unusable(&before))?;
            conversation.extend(&tokenizer.encode(prompt)?, false);
            conversation.extend(&tokenizer.encode(&reply.text)?, message.loss);
            conversation.extend(&[turns.end_of_turn], message.loss);
            let Some(gap) = messages[from + 1..].iter().position(|message| message.role == "assistant") else { break };
            before = turns.between(tokenizer, &messages[from + 1..from + 1 + gap])?;
            from += 1 + gap;
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
        Self::encode_all_with(tokenizer, messages, &Map::new())
    }

    /// As [`Conversation::encode_all`], with variables of the chat template.
    pub fn encode_all_with(tokenizer: &Tokenizer, messages: &[Message], kwargs: &Map<String, Value>) -> Result<Self> {
        if let Some(place) = messages.iter().position(|message| !message.loss) {
            return Err(Error::hinted(
                format!(
                    "message {} is marked to carry no loss, which cannot be where every token is trained",
                    place + 1
                ),
                "train on what the assistant says (train_on = \"assistant\"), or take the marks out",
            ));
        }
        Self::encode_text(tokenizer, &tokenizer.template()?.render(messages, false, kwargs)?)
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

/// The text up to where the first reply begins.
fn opening(tokenizer: &Tokenizer, messages: &[Message], kwargs: &Map<String, Value>) -> Result<String> {
    if messages.is_empty() {
        return Err(Error::message("a conversation must open with a system or user message, got none"));
    }
    tokenizer.template()?.render(messages, true, kwargs)
}
