//! One turn of a conversation, in the spellings that data sets have for it.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One chat message. `role` is one of [`ROLES`](super::ROLES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: String,
    pub content: String,
    /// Whether a loss may teach what the assistant says here; of nobody else's turn is anything trained.
    pub loss: bool,
}

impl Message {
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Message { role: role.to_string(), content: content.into(), loss: true }
    }
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    pub fn is_trained(&self) -> bool {
        self.loss && self.role == "assistant"
    }
}

/// What says whether a turn is trained: `loss` in AgentTraj, ms-swift and LLaMA-Factory; `weight` at OpenAI and Mistral;
/// `train` and `training` in axolotl; `trainable` and `loss_mask` for verl.
const MARKS: [&str; 6] = ["loss", "weight", "train", "training", "trainable", "loss_mask"];

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &self.role)?;
        map.serialize_entry("content", &self.content)?;
        if !self.loss {
            map.serialize_entry("loss", &false)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message with `role` and `content`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let (mut role, mut content) = (None::<String>, None::<String>);
        let mut mark: Option<(&str, bool)> = None;
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), MARKS.iter().find(|known| **known == key)) {
                ("role", _) => role = Some(map.next_value()?),
                ("content", _) => content = Some(map.next_value()?),
                (_, Some(&key)) => {
                    let Some(Trained(trained)) = map.next_value()? else { continue };
                    match mark.replace((key, trained)) {
                        Some((other, before)) if before != trained => {
                            return Err(A::Error::custom(format!("`{other}` and `{key}` contradict each other")));
                        }
                        _ => {}
                    }
                }
                _ => map.next_value_seed(Unknown(&key))?,
            }
        }
        let role = role.ok_or_else(|| A::Error::missing_field("role"))?;
        let content = content.ok_or_else(|| A::Error::missing_field("content"))?;
        match mark {
            Some((key, true)) if role != "assistant" => Err(A::Error::custom(format!(
                "`{key}` asks to train what the {role} says: expected it of the assistant's turns alone"
            ))),
            Some((_, loss)) if role == "assistant" => Ok(Message { role, content, loss }),
            _ => Ok(Message { role, content, loss: true }),
        }
    }
}

/// A key that means nothing here, refused where its value is, so that the error's path names it.
struct Unknown<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Unknown<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::unknown_field(self.0, &["role", "content"]))
    }
}

/// A truth, or a weight of 0 or 1.
struct Trained(bool);

impl<'de> Deserialize<'de> for Trained {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TrainedReader)
    }
}

struct TrainedReader;

impl Visitor<'_> for TrainedReader {
    type Value = Trained;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, 0 or 1")
    }

    fn visit_bool<E: serde::de::Error>(self, trained: bool) -> Result<Trained, E> {
        Ok(Trained(trained))
    }

    fn visit_i64<E: serde::de::Error>(self, weight: i64) -> Result<Trained, E> {
        match weight {
            0 | 1 => Ok(Trained(weight == 1)),
            _ => Err(E::invalid_value(Unexpected::Signed(weight), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, weight: u64) -> Result<Trained, E> {
        match weight {
            0 | 1 => Ok(Trained(weight == 1)),
            _ => Err(E::invalid_value(Unexpected::Unsigned(weight), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, weight: f64) -> Result<Trained, E> {
        match weight {
            0.0 | 1.0 => Ok(Trained(weight == 1.0)),
            _ => Err(E::invalid_value(Unexpected::Float(weight), &self)),
        }
    }
}
