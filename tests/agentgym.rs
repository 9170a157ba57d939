//! AgentGym over HTTP: our server against recorded exchanges of the originals, our client against servers good and bad.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use affine::engine::Result;
use affine::engine::env::agentgym::server::Server;
use affine::engine::env::textcraft::{TextCraft, TextCraftOptions};
use affine::engine::env::{Description, Environment, Step};
use affine::engine::text::Message;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Map, Value, json};

use crate::golden;

/// A server on a thread of its own; dropped, it stops.
struct Running {
    base: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(make: impl FnMut() -> Result<Box<dyn Environment>> + Send + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), make)
    }

    fn at(listener: TcpListener, make: impl FnMut() -> Result<Box<dyn Environment>> + Send + 'static) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut server = Server::open(listener, make).unwrap();
            while !stopped.load(Ordering::SeqCst) {
                server.attend(Duration::from_millis(20)).unwrap();
            }
        });
        Running { base, stop, thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn textcraft() -> Result<Box<dyn Environment>> {
    Ok(Box::new(TextCraft::new(&TextCraftOptions::default())?))
}

/// Sends the recorded requests in order and holds the answers to the recorded ones, bytes of the body included.
fn replay(server: &Running, file: &str) {
    let client = Client::new();
    for (number, row) in golden::rows(file).iter().enumerate() {
        let method = Method::from_bytes(row["method"].as_str().unwrap().as_bytes()).unwrap();
        let mut request = client.request(method, format!("{}{}", server.base, row["path"].as_str().unwrap()));
        if let Some(raw) = row["raw"].as_str() {
            request = request.body(raw.to_string());
            if let Some(kind) = row["content_type"].as_str() {
                request = request.header("content-type", kind);
            }
        } else if !row["body"].is_null() {
            request = request.json(&row["body"]);
        }
        let reply = request.send().unwrap();
        let what = format!("{file}, exchange {}: {} {} {}", number + 1, row["method"], row["path"], row["body"]);
        assert_eq!(reply.status().as_u16(), row["status"], "{what}");
        let allow = reply.headers().get("allow").map(|value| value.to_str().unwrap().to_string());
        if let Some(expected) = row.get("allow") {
            assert_eq!(json!(allow), *expected, "{what}");
        }
        let (kind, expected) = match row["response"]["_text"].as_str() {
            Some(text) => ("text/plain; charset=utf-8", text.to_string()),
            None => ("application/json", row["response"].to_string()),
        };
        assert_eq!(reply.headers()["content-type"], kind, "{what}");
        assert_eq!(reply.text().unwrap(), expected, "{what}");
    }
}

#[test]
fn a_textcraft_server_answers_as_the_original_was_recorded() {
    replay(&Running::start(textcraft), "textcraft/http_textcraft.jsonl");
}

/// Odd requests to the original (AgentGym at 3ef9235, FastAPI 0.165, pydantic 2.14, recipe files in ascending order,
/// PYTHONHASHSEED=0): loose integers, wrong types, bodies of other kinds, ids that do not exist, methods that are wrong.
#[test]
fn odd_requests_are_answered_as_the_original_answers_them() {
    replay(&Running::start(textcraft), "textcraft/http_odd.jsonl");
}

/// Says what was recorded of BabyAI, and nothing of its own.
struct Recorded {
    texts: Vec<String>,
    told: usize,
}

impl Environment for Recorded {
    fn describe(&self) -> Description {
        Description {
            name: "babyai".to_string(),
            num_tasks: None,
            score_range: (0.0, 1.0),
            success_threshold: f64::MIN_POSITIVE,
            max_turns: 20,
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        assert_eq!(task_id, 12);
        self.told = 0;
        Ok(self.texts[0].clone())
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::user(self.texts[self.told].clone())])
    }

    fn step(&mut self, _action: &str) -> Result<Step> {
        self.told += 1;
        let observation = self.texts[self.told].clone();
        Ok(Step { observation, reward: 0.0, done: false, score: Some(0.0), truncated: false, info: Map::new() })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Recorded { texts: self.texts.clone(), told: 0 }))
    }
}

#[test]
fn a_babyai_server_answers_as_the_original_was_recorded() {
    let rows = golden::rows("textcraft/http_babyai.jsonl");
    let text = |path: &str| {
        let of_path = rows.iter().filter(|row| row["path"] == path && row["method"] == "POST");
        let told = of_path.filter_map(|row| row["response"]["observation"].as_str());
        told.last().unwrap().to_string()
    };
    let texts = vec![text("/reset"), text("/step")];
    let server = Running::start(move || Recorded { texts: texts.clone(), told: 0 }.fresh());
    replay(&server, "textcraft/http_babyai.jsonl");
}
