//! `affine eval`: models judged on the same tasks, from the shell.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::Failure;
use crate::lua::{self, Script};

/// Judge models on the same numbered tasks
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Compare(CompareOptions),
}

/// Play the same tasks with several models and compare them task by task
///
/// A MODEL is a folder, a Hub id, BASE+ADAPTER (a folder or id, and the folder of an adapter over it: one base is loaded once), or
/// NAME@URL for a model behind an OpenAI-compatible endpoint, such as tiny@http://localhost:8000/v1. Each is compared with the first.
#[derive(Args, Serialize)]
struct CompareOptions {
    #[arg(value_name = "MODEL", num_args = 2.., required = true)]
    models: Vec<String>,
    /// With commas between, options in braces: sat, grid or "sat { n = 4, k = 2 }, grid"
    #[arg(long, value_name = "NAMES", required = true)]
    environments: String,
    /// Tasks per environment
    #[arg(long, value_name = "N", default_value_t = 100)]
    samples: u64,
    /// Episodes per task, each with other luck
    #[arg(long, value_name = "K", default_value_t = 1)]
    samples_per_task: u64,
    #[arg(long, value_name = "ID", default_value_t = 0)]
    first_task_id: u64,
    /// 0 is greedy
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f64,
    /// Longest reply in tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_new_tokens: u64,
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Level of the intervals
    #[arg(long, value_name = "LEVEL", default_value_t = 0.8)]
    confidence: f64,
    /// Render each turn's prompt anew, as a chat server does; endpoints always do
    #[arg(long)]
    as_served: bool,
    /// Episodes side by side, and requests in flight at an endpoint
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: u64,
    /// What the models are stored in: bfloat16, float16 or float32; by default as their files have it
    #[arg(long, value_name = "DTYPE")]
    torch_dtype: Option<String>,
    /// Keep every task, with its conversation, in this file (.jsonl or .jsonl.zst); what it holds is not played again
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Play what the file holds, too
    #[arg(long, requires = "results")]
    again: bool,
    /// The environment variable that holds the endpoints' key, in place of OPENAI_API_KEY
    #[arg(long, value_name = "NAME")]
    api_key_variable: Option<String>,
    /// Of a million tokens of the conversations at an endpoint, in any currency
    #[arg(long, value_name = "PRICE", requires = "completion_price")]
    prompt_price: Option<f64>,
    /// Of a million tokens of its replies
    #[arg(long, value_name = "PRICE", requires = "prompt_price")]
    completion_price: Option<f64>,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let Action::Compare(options) = options.action;
    let options = serde_json::json!(options).to_string();
    let script = Script {
        code: b"require('affine.internal.eval_command').compare(require('affine.json').decode((...)))".to_vec(),
        name: "=affine eval".to_string(),
        folder: PathBuf::new(),
        args: vec!["eval".into(), options.into()],
    };
    lua::run(&script).map_err(Failure::Script)
}
