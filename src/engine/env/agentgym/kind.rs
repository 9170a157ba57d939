//! The five environments of AgentGym and each one's conventions.

use serde::{Deserialize, Serialize};

use super::extract;
use crate::engine::env::{Description, Instructions, Parsed, TurnLimit};
use crate::engine::{Result, file};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    WebShop,
    AlfWorld,
    BabyAi,
    SciWorld,
    TextCraft,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::WebShop, Kind::AlfWorld, Kind::BabyAi, Kind::SciWorld, Kind::TextCraft];

    /// The environment's name in tables and options.
    pub fn name(self) -> &'static str {
        match self {
            Kind::WebShop => "webshop",
            Kind::AlfWorld => "alfworld",
            Kind::BabyAi => "babyai",
            Kind::SciWorld => "sciworld",
            Kind::TextCraft => "textcraft",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a server of this kind answers to `GET /`.
    pub fn greeting(self) -> &'static str {
        match self {
            Kind::WebShop => "ok",
            Kind::AlfWorld => "This is environment AlfWorld.",
            Kind::BabyAi => "This is environment BabyAI.",
            Kind::SciWorld => "This is environment ScienceWorld.",
            Kind::TextCraft => "This is environment TextCraft.",
        }
    }

    /// The key under which requests name an environment.
    pub fn id_key(self) -> &'static str {
        match self {
            Kind::WebShop => "env_idx",
            _ => "id",
        }
    }

    /// The action in a reply.
    pub fn parse(self, reply: &str) -> Parsed {
        match self {
            Kind::WebShop | Kind::AlfWorld | Kind::SciWorld => Parsed::Action(extract::last_action(reply)),
            Kind::BabyAi | Kind::TextCraft => extract::only_action(reply),
        }
    }

    /// A reply as the instructions ask for it: a thought, if there is one, and the action.
    pub fn reply(self, action: &str, thought: Option<&str>) -> String {
        match thought {
            Some(thought) => format!("Thought:\n{thought}\n\nAction:\n{action}"),
            None => format!("Action:\n{action}"),
        }
    }

    /// The model's answer to the instructions in the opening turns.
    pub fn consent(self) -> &'static str {
        match self {
            Kind::WebShop => "Ok.",
            _ => "OK. I'll follow your instructions and try my best to solve the task.",
        }
    }

    /// The instructions: our own, or the user's text or file.
    pub fn instructions(self, replacement: Option<&str>) -> Result<String> {
        match replacement {
            None => Ok(self.built_in_instructions().trim_end().to_string()),
            Some(given) => Instructions::given(given),
        }
    }

    /// What an evaluation records of them.
    pub fn which_instructions(self, text: &str) -> Instructions {
        let sha256 = file::sha256(text.as_bytes());
        let source = if text == self.built_in_instructions().trim_end() {
            "affine"
        } else if sha256 == self.original_instructions() {
            "agentgym"
        } else {
            "custom"
        };
        Instructions { source, sha256 }
    }

    /// SHA-256 of AgentGym's own text at 3ef9235 (`conversation_start` in `agentenv/agentenv/envs/<name>.py`).
    pub fn original_instructions(self) -> &'static str {
        match self {
            Kind::WebShop => "5dd9cb5a21953f4560e4fb687e48e208461d5824b80d404ab92c540bc3b1ee49",
            Kind::AlfWorld => "ac0d1c2f1a9c9e3e2f14cb9872ba77a471884d22f26e9c5e3af6221902f36ba3",
            Kind::BabyAi => "f03929db839c07bee233b770e53cbfd4a113b6bfab89f31717a2fd20d7e875b8",
            Kind::SciWorld => "a342b760a710ee216007ace78123d3d8ca77f85fb35ebd85862ea2f8043af002",
            Kind::TextCraft => "e4a4271272c21bf80bcd9ae5433340655dc43585e78aa8002cc61471a1f6fd4a",
        }
    }

    fn built_in_instructions(self) -> &'static str {
        match self {
            Kind::WebShop => include_str!("instructions/webshop.txt"),
            Kind::AlfWorld => include_str!("instructions/alfworld.txt"),
            Kind::BabyAi => include_str!("instructions/babyai.txt"),
            Kind::SciWorld => include_str!("instructions/sciworld.txt"),
            Kind::TextCraft => include_str!("instructions/textcraft.txt"),
        }
    }

    pub fn description(self) -> Description {
        Description {
            name: self.name().to_string(),
            num_tasks: self.num_tasks(),
            score_range: self.score_range(),
            success_threshold: self.success_threshold(),
            max_turns: self.max_turns(),
            turn_limit: TurnLimit::Task,
            // A server tells an end, not what made it.
            move_limit: TurnLimit::Task,
        }
    }

    /// Turns after which AgentGym's evaluation ends an episode.
    pub fn max_turns(self) -> usize {
        match self {
            Kind::WebShop => 10,
            Kind::AlfWorld | Kind::SciWorld => 30,
            Kind::BabyAi | Kind::TextCraft => 20,
        }
    }

    pub fn score_range(self) -> (f64, f64) {
        match self {
            Kind::SciWorld => (0.0, 100.0),
            _ => (0.0, 1.0),
        }
    }

    /// BabyAI takes something off for every move, so there any score above 0 is a success.
    pub fn success_threshold(self) -> f64 {
        match self {
            Kind::SciWorld => 100.0,
            Kind::BabyAi => f64::MIN_POSITIVE,
            _ => 1.0,
        }
    }

    /// How many task ids there are, where the protocol fixes it.
    pub fn num_tasks(self) -> Option<u64> {
        match self {
            Kind::AlfWorld => Some(2620),
            Kind::TextCraft => Some(544),
            Kind::WebShop | Kind::BabyAi | Kind::SciWorld => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_options_and_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(kind.instructions(None).unwrap().contains("Action:"));
        }
        assert_eq!(Kind::named("grid"), None);
    }

    #[test]
    fn a_reply_is_read_as_the_action_in_it() {
        for kind in Kind::ALL {
            for thought in [None, Some("The door is open.\nI go on.")] {
                let reply = kind.reply("go to door 1", thought);
                assert_eq!(kind.parse(&reply), Parsed::Action("go to door 1".to_string()), "{reply}");
            }
        }
    }

    #[test]
    fn a_text_of_instructions_is_told_by_its_words() {
        let own = Kind::BabyAi.instructions(None).unwrap();
        assert_eq!(Kind::BabyAi.which_instructions(&own).source, "affine");
        let other = Kind::BabyAi.which_instructions("Go.");
        // printf 'Go.' | sha256sum
        let sha256 = "c48cb036011bfeb22c4c44c420aac3b3e88c1a2d9f0b127c97fcfecf004f2558";
        assert_eq!((other.source, other.sha256.as_str()), ("custom", sha256));
    }

    #[test]
    fn instructions_come_from_a_text_or_a_file() {
        let kind = Kind::TextCraft;
        assert_eq!(kind.instructions(Some("Craft well.")).unwrap(), "Craft well.");
        assert_eq!(kind.instructions(Some("Read\nnotes.txt")).unwrap(), "Read\nnotes.txt");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.txt");
        std::fs::write(&path, "Mine.\n").unwrap();
        assert_eq!(kind.instructions(path.to_str()).unwrap(), "Mine.\n");
        let missing = folder.path().join("none.md");
        let error = kind.instructions(missing.to_str()).unwrap_err().to_string();
        assert!(error.contains("none.md: instructions: "), "{error}");
    }
}
