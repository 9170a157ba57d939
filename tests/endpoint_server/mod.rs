//! An OpenAI-compatible endpoint in miniature, on loopback, with everything that can go wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What the server does with a request.
pub enum Act {
    /// Status, further header lines, body.
    Answer(u16, &'static str, String),
    /// The same after so many milliseconds.
    Slowly(u64, Box<Act>),
    /// Ends the connection without a word.
    Cut,
    /// Promises more bytes than it sends.
    Short(String),
    /// Never answers.
    Stall,
}

/// A chat completion that says `text`.
pub fn says(text: &str) -> Act {
    completion(json!([{ "message": { "content": text }, "finish_reason": "stop" }]), 3)
}

pub fn completion(choices: Value, tokens: u64) -> Act {
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens });
    answers(200, json!({ "object": "chat.completion", "choices": choices, "usage": usage }))
}

pub fn answers(status: u16, body: Value) -> Act {
    Act::Answer(status, "content-type: application/json\r\n", body.to_string())
}

pub fn refuses(status: u16, message: &str) -> Act {
    answers(status, json!({ "error": { "message": message } }))
}

/// A request for a reply.
pub struct Asked {
    /// From 0, in the order in which they came.
    pub number: usize,
    pub body: Value,
    /// What stands in `Authorization`.
    pub key: String,
}

impl Asked {
    pub fn last(&self) -> &str {
        self.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap()
    }
}

type Script = dyn Fn(&Asked) -> Act + Send + Sync;

pub struct Server {
    pub base: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    models: Box<dyn Fn() -> Act + Send + Sync>,
    asked: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    bodies: Mutex<Vec<Value>>,
}

impl Server {
    /// Has the models `tiny` and `small`.
    pub fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Server {
        let models = || answers(200, json!({ "object": "list", "data": [{ "id": "small" }, { "id": "tiny" }] }));
        Server::with_models(models, script)
    }

    /// Lives as long as the process.
    pub fn with_models(
        models: impl Fn() -> Act + Send + Sync + 'static,
        script: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            script: Box::new(script),
            models: Box::new(models),
            asked: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            bodies: Mutex::default(),
        });
        let of_threads = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = of_threads.clone();
                std::thread::spawn(move || converse(stream, &shared));
            }
        });
        Server { base, shared }
    }

    /// Requests for a reply so far.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// Of the requests, in the order in which they came.
    pub fn bodies(&self) -> Vec<Value> {
        self.shared.bodies.lock().unwrap().clone()
    }
}

fn converse(mut stream: TcpStream, shared: &Shared) {
    let Some((path, key, body)) = read(&stream) else { return };
    let act = match path.as_str() {
        "/v1/models" => (shared.models)(),
        "/v1/chat/completions" => {
            let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
            let body: Value = serde_json::from_slice(&body).unwrap();
            shared.bodies.lock().unwrap().push(body.clone());
            let asked = Asked { number: shared.asked.fetch_add(1, Ordering::SeqCst), body, key };
            (shared.script)(&asked)
        }
        _ => Act::Answer(404, "", "no such page".into()),
    };
    let act = match act {
        Act::Slowly(milliseconds, act) => {
            std::thread::sleep(Duration::from_millis(milliseconds));
            *act
        }
        act => act,
    };
    if path != "/v1/models" {
        shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
    let write = |stream: &mut TcpStream, status: u16, headers: &str, length: usize, body: &str| {
        let head =
            format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
        // Who asked may have left.
        let _ = stream.write_all(head.as_bytes());
    };
    match act {
        Act::Answer(status, headers, body) => write(&mut stream, status, headers, body.len(), &body),
        Act::Short(body) => write(&mut stream, 200, "", body.len() + 100, &body),
        Act::Stall | Act::Slowly(..) => std::thread::sleep(Duration::from_secs(60)),
        Act::Cut => {}
    }
}

/// Path, key and body of a request.
fn read(stream: &TcpStream) -> Option<(String, String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut key, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut request).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
            Some((name, value)) if name == "content-length" => length = value.parse().ok()?,
            Some((name, value)) if name == "authorization" => key = value.to_string(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((request.split(' ').nth(1)?.to_string(), key, body))
}
