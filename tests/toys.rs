//! What the trials share: a tokenizer of some 270 ids, models of two layers, records and environments to learn from.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use affine::engine::data::Record;
use affine::engine::env::{Description, Environment, Identity, Step, TurnLimit};
use affine::engine::model::{LoraOptions, Model, ModelShape};
use affine::engine::text::{Message, Tokenizer};
use affine::engine::{Error, Result, random};
use tch::{Device, Tensor};

const WORDS: [&str; 8] = ["red", "blue", "green", "one", "two", "three", "yes", "no"];

pub fn tokenizer() -> Rc<Tokenizer> {
    let texts: Vec<&str> = WORDS.iter().flat_map(|word| [*word; 4]).collect();
    Rc::new(Tokenizer::train(&texts, 290).unwrap())
}

pub fn model() -> Model {
    model_with(1, 128)
}

/// A model of some 30 000 parameters. `seed` alone decides its weights: libtorch's own generator is shared with the
/// tests that run beside this one.
pub fn model_with(seed: u64, context: i64) -> Model {
    tch::set_num_threads(1);
    let shape = ModelShape {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        max_position_embeddings: context,
        ..ModelShape::default()
    };
    let model = Model::create(&shape, tokenizer(), 0, Device::Cpu).unwrap();
    let mut stream = random::stream(seed, "tiny model", 0);
    let _no_grad = tch::no_grad_guard();
    for (name, tensor) in model.net.weights() {
        let mut tensor = tensor.shallow_clone();
        if let [_, input] = tensor.size()[..] {
            // Logits of standard deviation 2: some tokens are likely, none is certain.
            let spread = if name.contains("embed") { 0.6 } else { 1.7 / (input as f64).sqrt() };
            let number = |_| ((2.0 * random::unit(&mut stream) - 1.0) * spread) as f32;
            let values: Vec<f32> = (0..tensor.numel()).map(number).collect();
            tensor.copy_(&Tensor::from_slice(&values).view_as(&tensor));
        }
    }
    model
}

pub fn with_lora(mut model: Model) -> Model {
    model.add_lora(&LoraOptions { lora_r: 4, lora_alpha: 8.0, ..LoraOptions::default() }).unwrap();
    model
}

/// Every number of a model, its adapter's included.
pub fn numbers(model: &Model) -> BTreeMap<String, Vec<f32>> {
    let base = model.net.weights().into_iter().map(|(name, tensor)| (name, tensor.shallow_clone()));
    let all = base.chain(model.trained_part_of(&model.net));
    all.map(|(name, tensor)| (name, Vec::try_from(&tensor.detach().flatten(0, -1)).unwrap())).collect()
}

/// Ten conversations in which a word is answered by the word three further on. The last two have two turns.
pub fn records() -> Vec<Record> {
    let exchange = |i: usize| [Message::user(WORDS[i % 8]), Message::assistant(WORDS[(i + 3) % 8])];
    let one_turn = (0..8).map(|i| Record::messages(exchange(i).to_vec()));
    let two_turns = (8..10).map(|i| Record::messages([exchange(i), exchange(i + 1)].concat()));
    one_turn.chain(two_turns).collect()
}

/// The bytes of a folder's safetensors files by name.
pub fn weights_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

/// The numbers behind the `checkpoint-N` of a folder, in order.
pub fn checkpoints(folder: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<u64> = names.filter_map(|name| name.strip_prefix("checkpoint-")?.parse().ok()).collect();
    found.sort_unstable();
    found
}

/// One prompt, one reply; right is a reply that begins with a lowercase letter.
pub struct Letters;

pub const LETTERS: &str = "Say a letter.";

pub fn is_letter(reply: &str) -> bool {
    reply.starts_with(|c: char| c.is_ascii_lowercase())
}

impl Environment for Letters {
    fn describe(&self) -> Description {
        Description {
            name: "letters".to_string(),
            num_tasks: None,
            score_range: (0.0, 1.0),
            success_threshold: 1.0,
            max_turns: 1,
            turn_limit: TurnLimit::Task,
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn reset(&mut self, _: u64) -> Result<String> {
        Ok(String::new())
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::user(LETTERS)])
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let reward = f64::from(u8::from(is_letter(action)));
        Ok(step(String::new(), reward, true))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Letters))
    }
}

pub fn step(observation: String, reward: f64, done: bool) -> Step {
    Step { observation, reward, done, score: reward, truncated: false, info: serde_json::Map::new() }
}

/// Several turns. Turn k earns k, and a tenth for every letter of the reply.
#[derive(Clone)]
pub struct Walk {
    /// Turns until the end of a task.
    pub length: fn(u64) -> usize,
    pub max_turns: usize,
    /// What the end by `max_turns` is.
    pub turn_limit: TurnLimit,
    pub observation: String,
    pub num_tasks: Option<u64>,
    /// Whether a task breaks, and where.
    pub breaks: fn(u64) -> Option<Break>,
    pub task: u64,
    pub turn: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Break {
    Reset,
    /// Its second turn.
    Step,
}

impl Walk {
    pub fn new() -> Self {
        Walk {
            length: |task| task as usize % 3 + 1,
            max_turns: 5,
            turn_limit: TurnLimit::Task,
            observation: "go on".to_string(),
            num_tasks: None,
            breaks: |_| None,
            task: 0,
            turn: 0,
        }
    }

    /// The opening message of a task: seven different ones.
    pub fn opening(task: u64) -> Vec<Message> {
        vec![Message::user(format!("{} walk", WORDS[task as usize % 7]))]
    }

    fn broken(&self, problem: &str) -> Error {
        Error::environment("walk", problem)
    }
}

impl Environment for Walk {
    fn describe(&self) -> Description {
        Description {
            name: "walk".to_string(),
            num_tasks: self.num_tasks,
            score_range: (0.0, 10.0),
            success_threshold: 3.0,
            max_turns: self.max_turns,
            turn_limit: self.turn_limit,
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        (self.task, self.turn) = (task_id, 0);
        match (self.breaks)(task_id) {
            Some(Break::Reset) => Err(self.broken("no such way")),
            _ => Ok(String::new()),
        }
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(Walk::opening(self.task))
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        self.turn += 1;
        if self.turn == 2 && (self.breaks)(self.task) == Some(Break::Step) {
            return Err(self.broken("a broken leg"));
        }
        let letters = action.chars().filter(char::is_ascii_lowercase).count();
        let reward = self.turn as f64 + letters as f64 / 10.0;
        Ok(step(self.observation.clone(), reward, self.turn >= (self.length)(self.task)))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(self.clone()))
    }
}
