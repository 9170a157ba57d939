//! AgentGym over HTTP: our server against recorded exchanges of the originals, our client against servers good and bad.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use affine::engine::Result;
use affine::engine::env::agentgym::ApiKey;
use affine::engine::env::agentgym::server::{Server, ServerOptions};
use affine::engine::env::textcraft::{TextCraft, TextCraftOptions};
use affine::engine::env::{Description, Environment, Facts, Identity, Parsed, Step, TurnLimit};
use affine::engine::text::Message;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Map, Value, json};

use crate::golden;

/// A server on a thread of its own; dropped, it stops.
pub struct Running {
    pub base: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(make: impl FnMut() -> Result<Box<dyn Environment>> + Send + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), make)
    }

    pub fn at(listener: TcpListener, make: impl FnMut() -> Result<Box<dyn Environment>> + Send + 'static) -> Self {
        Self::with(listener, ServerOptions::default(), make)
    }

    pub fn with(
        listener: TcpListener,
        options: ServerOptions,
        make: impl FnMut() -> Result<Box<dyn Environment>> + Send + 'static,
    ) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut server = Server::open(listener, options, make).unwrap();
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

pub fn textcraft() -> Result<Box<dyn Environment>> {
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
            turn_limit: TurnLimit::Task,
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
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
        Ok(Step { observation, reward: 0.0, done: false, score: 0.0, truncated: false, info: Map::new() })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Recorded { texts: self.texts.clone(), told: 0 }))
    }
}

#[test]
fn a_babyai_server_answers_as_the_original_was_recorded() {
    let rows = golden::rows("textcraft/http_babyai.jsonl");
    let text = |path: &str| {
        let mut latest_first = rows.iter().rev().filter(|row| row["path"] == path && row["method"] == "POST");
        latest_first.find_map(|row| row["response"]["observation"].as_str()).unwrap().to_string()
    };
    let texts = vec![text("/reset"), text("/step")];
    let server = Running::start(move || Recorded { texts: texts.clone(), told: 0 }.fresh());
    replay(&server, "textcraft/http_babyai.jsonl");
}

/// An environment of any kind: counts its steps, ends at the third, and tells its state as the kind's server needs it.
#[derive(Clone)]
struct Scripted {
    name: &'static str,
    first: &'static str,
    state: Value,
    steps: u32,
    score: fn(u32) -> f64,
}

impl Scripted {
    fn maker(
        name: &'static str,
        first: &'static str,
        state: Value,
        score: fn(u32) -> f64,
    ) -> impl FnMut() -> Result<Box<dyn Environment>> + Send + 'static {
        let scripted = Scripted { name, first, state, steps: 0, score };
        move || scripted.fresh()
    }
}

impl Environment for Scripted {
    fn describe(&self) -> Description {
        Description {
            name: self.name.to_string(),
            num_tasks: Some(7),
            score_range: (0.0, 1.0),
            success_threshold: 1.0,
            max_turns: 3,
            turn_limit: TurnLimit::Task,
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.steps = 0;
        Ok(self.first.replace('#', &task_id.to_string()))
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::user(self.first)])
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        self.steps += 1;
        let score = (self.score)(self.steps);
        Ok(Step {
            observation: format!("{}: {action}", self.steps),
            reward: score,
            done: self.steps == 3,
            score,
            truncated: false,
            info: Map::new(),
        })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(self.clone()))
    }

    fn facts(&self) -> Option<&dyn Facts> {
        Some(self)
    }
}

impl Facts for Scripted {
    fn state(&self) -> Map<String, Value> {
        self.state.as_object().cloned().unwrap_or_default()
    }
}

/// Sends a request and gives status and body.
fn ask(server: &Running, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Client::new().request(method, format!("{}{path}", server.base));
    if !body.is_null() {
        request = request.json(&body);
    }
    let reply = request.send().unwrap();
    let status = reply.status().as_u16();
    let text = reply.text().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn alfworld() -> Running {
    let state = json!({ "admissible": ["go to desk 1", "look"], "task_type": "pick_and_place_simple-Pen/trial_1" });
    let first = "You are in a room #.\nAVAILABLE ACTIONS: go to desk 1,look";
    Running::start(Scripted::maker("alfworld", first, state, |steps| f64::from(u8::from(steps == 3))))
}

pub fn sciworld() -> Running {
    let state = json!({
        "task_name": "boil", "var_num": 3, "task_description": "Boil water.",
        "possible_actions": ["wait"], "possible_objects": ["sink"],
    });
    Running::start(Scripted::maker("sciworld", "Boil water.\nA kitchen #.", state, |steps| f64::from(steps) * 10.0))
}

pub fn webshop() -> Running {
    let state = json!({
        "has_search_bar": true, "clickables": ["search"], "instruction_text": "Buy.", "url": "u", "html": "<p>"
    });
    Running::start(Scripted::maker("webshop", "WebShop [SEP] # [SEP] Search", state, |steps| f64::from(steps) / 3.0))
}

#[test]
fn an_alfworld_server_speaks_its_dialect() {
    let server = alfworld();
    assert_eq!(ask(&server, "GET", "/", Value::Null), (200, json!("This is environment AlfWorld.")));
    assert_eq!(ask(&server, "POST", "/create", Value::Null), (200, json!({ "id": 0 })));
    assert_eq!(ask(&server, "POST", "/step", json!({ "id": 0, "action": "look" })), (200, json!({ "error": "0" })));
    assert_eq!(ask(&server, "GET", "/observation?id=0", Value::Null), (200, json!({ "error": "'observation'" })));
    let begin = |game, world| ask(&server, "POST", "/reset", json!({ "id": 0, "game": game, "world_type": world }));
    let wrong = json!({ "error": r#"world_type must be one of "Text", "Embody" and "Hybrid""# });
    assert_eq!(begin(1, "Doom"), (200, wrong));
    assert_eq!(begin(7, "Text"), (200, json!({ "error": "list index out of range" })));
    let begun = begin(-1, "Text").1;
    assert_eq!(
        begun.to_string(),
        r#"{"id":0,"observation":"You are in a room 6.","available_actions":["go to desk 1","look"],"#.to_string()
            + r#""task_type":"pick_and_place_simple-Pen/trial_1"}"#
    );
    let step = || ask(&server, "POST", "/step", json!({ "id": 0, "action": "look" })).1.to_string();
    let expected = |text: &str, reward: &str, done: &str| {
        format!(
            r#"{{"observation":"{text}","reward":{reward},"available_actions":["go to desk 1","look"],"done":{done}}}"#
        )
    };
    assert_eq!(step(), expected("1: look", "0.0", "false"));
    assert_eq!(ask(&server, "GET", "/available_actions?id=0", Value::Null).1, json!(["go to desk 1", "look"]));
    let detail = ask(&server, "GET", "/detail?id=0", Value::Null).1;
    assert_eq!((&detail["world_type"], &detail["game"], &detail["reward"]), (&json!("Text"), &json!(-1), &json!(0.0)));
    step();
    assert_eq!(step(), expected("3: look", "1.0", "true"));
    assert_eq!(step(), r#"{"error":"The task with environment 0 has finished."}"#);
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 0 })), (200, json!(true)));
}

#[test]
fn a_sciworld_server_speaks_its_dialect() {
    let server = sciworld();
    assert_eq!(ask(&server, "POST", "/create", Value::Null).1, json!({ "id": 0 }));
    assert_eq!(ask(&server, "GET", "/detail?id=0", Value::Null).1.to_string(), r#"{"deleted":false,"done":false}"#);
    let begun = ask(&server, "POST", "/reset", json!({ "id": 0, "data_idx": 2 })).1;
    assert_eq!(
        begun.to_string(),
        r#"{"task_name":"boil","var_num":3,"task_description":"Boil water.","observation":"A kitchen 2.","#.to_string()
            + r#""reward":0,"score":0,"deleted":false,"done":false}"#
    );
    let step = ask(&server, "POST", "/step", json!({ "id": 0, "action": "wait" })).1;
    assert_eq!(step.to_string(), r#"{"observation":"1: wait","reward":10,"score":10,"done":false}"#);
    let hint = json!({ "possible_actions": ["wait"], "possible_objects": ["sink"] });
    assert_eq!(ask(&server, "GET", "/action_hint?id=0", Value::Null).1, hint);
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 0 })), (200, json!(true)));
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 0 })).0, 500, "a tombstone");
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 5 })), (500, json!("Internal Server Error")));
    let deleted = json!({ "error": "The task with environment 0 has been deleted." });
    assert_eq!(ask(&server, "GET", "/observation?id=0", Value::Null).1, deleted);
}

#[test]
fn a_webshop_server_speaks_its_dialect() {
    let server = webshop();
    assert_eq!(ask(&server, "GET", "/", Value::Null).1, json!("ok"));
    let id = ask(&server, "POST", "/create", Value::Null).1.as_i64().unwrap();
    assert!((0..=48_950_076).contains(&id), "{id}");
    assert_eq!(ask(&server, "GET", "/list_envs", Value::Null).1, json!([id]));
    let begun = ask(&server, "POST", "/reset", json!({ "env_idx": id, "session_id": 4 })).1;
    assert_eq!(begun, json!(["WebShop [SEP] 4 [SEP] Search", null]));
    assert_eq!(ask(&server, "POST", "/reset", json!({ "env_idx": id })).0, 200, "a session of the server's choice");
    let step = ask(&server, "POST", "/step", json!({ "env_idx": id, "action": "search[a]" })).1;
    assert_eq!(step.to_string(), r#"{"state":"1: search[a]","reward":0.3333333333333333,"done":false,"info":null}"#);
    let get = |path: &str| ask(&server, "GET", &format!("{path}?env_idx={id}"), Value::Null).1;
    assert_eq!(get("/observation"), json!("1: search[a]"));
    assert_eq!(get("/available_actions"), json!({ "has_search_bar": true, "clickables": ["search"] }));
    assert_eq!(get("/instruction_text"), json!("Buy."));
    assert_eq!(get("/state"), json!({ "url": "u", "html": "<p>", "instruction_text": "Buy." }));
    let unknown = ask(&server, "POST", "/step", json!({ "env_idx": -1, "action": "x" }));
    assert_eq!(unknown, (500, json!("Internal Server Error")));
}

#[test]
fn any_other_environment_is_served_in_the_same_style() {
    let server = Running::start(Scripted::maker("guess", "Guess #.", Value::Null, |steps| f64::from(steps) / 4.0));
    assert_eq!(ask(&server, "GET", "/", Value::Null).1, json!("This is environment guess."));
    assert_eq!(ask(&server, "POST", "/create", Value::Null).1, json!({ "id": 0 }));
    let begun = ask(&server, "POST", "/reset", json!({ "id": 0, "data_idx": 6 })).1;
    assert_eq!(begun["observation"], "Guess 6.");
    let step = ask(&server, "POST", "/step", json!({ "id": 0, "action": "5" })).1;
    assert_eq!(step, json!({ "observation": "1: 5", "reward": 0.25, "score": 0.25, "done": false }));
    let beyond = ask(&server, "POST", "/reset", json!({ "id": 0, "data_idx": 7 })).1;
    assert_eq!(beyond, json!({ "error": "environment 0 has the tasks from 0 to 6, not 7" }));
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 0 })).1, json!(true));
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 0 })).1, json!(false));
}

/// An environment that reads actions out of replies, and says what it was told.
#[derive(Clone)]
struct Careful {
    said: u32,
}

impl Environment for Careful {
    fn describe(&self) -> Description {
        Description {
            name: "careful".to_string(),
            num_tasks: Some(9),
            score_range: (-1.0, 3.0),
            success_threshold: 2.5,
            max_turns: 4,
            turn_limit: TurnLimit::Outside,
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        self.said = 0;
        Ok(format!("Task {task_id}."))
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::new("system", "Take care."), Message::user("Go.")])
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        Ok(match reply.strip_prefix("Do: ") {
            Some(action) => Parsed::Action(action.to_string()),
            None => Parsed::Complaint("Say `Do: ` first.".to_string()),
        })
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        self.said += 1;
        let info = json!({ "heard": action }).as_object().cloned().unwrap();
        let (score, done) = (f64::from(self.said), self.said == 3);
        Ok(Step { observation: format!("{action}!"), reward: 0.5, done, score, truncated: done, info })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(self.clone()))
    }
}

pub fn careful() -> Result<Box<dyn Environment>> {
    Careful { said: 0 }.fresh()
}

#[test]
fn another_environment_reads_its_action_out_of_the_reply_and_one_of_agentgyms_is_sent_it() {
    let server = Running::start(careful);
    ask(&server, "POST", "/create", Value::Null);
    assert_eq!(ask(&server, "GET", "/messages?id=0", Value::Null).1, json!({ "error": "no episode has begun" }));
    // Until a step says otherwise the score is the lowest, as where the environment is played without a server.
    assert_eq!(ask(&server, "POST", "/reset", json!({ "id": 0, "data_idx": 2 })).1["score"], -1);
    let step = |reply: &str| ask(&server, "POST", "/step", json!({ "id": 0, "action": reply })).1;
    let complaint =
        |score: i64| json!({ "observation": "Say `Do: ` first.", "reward": 0, "score": score, "done": false });
    assert_eq!(step("jump"), complaint(-1));
    let jumped =
        json!({ "observation": "jump!", "reward": 0.5, "score": 1, "done": false, "info": { "heard": "jump" } });
    assert_eq!(step("Do: jump"), jumped);
    assert_eq!(step("jump"), complaint(1));

    let server = textcraft_with_task();
    let reply = json!({ "id": 0, "action": "Action:\ninventory" });
    assert_eq!(ask(&server, "POST", "/step", reply).1["observation"], "Could not execute Action:\ninventory");
}

fn textcraft_with_task() -> Running {
    let server = Running::start(textcraft);
    ask(&server, "POST", "/create", json!({}));
    server
}

fn serving(options: ServerOptions) -> Running {
    Running::with(TcpListener::bind("127.0.0.1:0").unwrap(), options, careful)
}

#[test]
fn a_server_with_a_key_answers_nobody_without_it_on_any_route() {
    let server = serving(ServerOptions { api_key: Some(ApiKey::new("se-cret")), ..ServerOptions::default() });
    let ask = |method: &str, path: &str, header: Option<&str>| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Client::new().request(method, format!("{}{path}", server.base)).json(&json!({ "id": 0 }));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let reply = request.send().unwrap();
        let asks = reply.headers().get("www-authenticate").is_some();
        (reply.status().as_u16(), asks, reply.text().unwrap())
    };
    let routes = ["/description", "/messages?id=0", "/observation?id=0", "/detail?id=0", "/", "/no/such"];
    for (method, path) in routes.map(|path| ("GET", path)).into_iter().chain([("POST", "/create"), ("POST", "/step")]) {
        for header in [None, Some("Bearer se-cre"), Some("Bearer"), Some("Basic se-cret")] {
            let (status, asks, text) = ask(method, path, header);
            assert!(status == 401 && asks, "{method} {path} {header:?}: {status} {text}");
        }
    }
    assert_eq!(ask("POST", "/create", Some("Bearer se-cret")).2, r#"{"id":0}"#);
}

#[test]
fn there_are_no_more_environments_than_allowed_and_a_closed_one_makes_room() {
    let options = || ServerOptions { max_instances: 2, ..ServerOptions::default() };
    let refusal =
        "2 environments are open on this server, and no more are allowed (--max-instances): close one that is done";
    let server = serving(options());
    let create = || ask(&server, "POST", "/create", Value::Null);
    create();
    create();
    assert_eq!(create(), (200, json!({ "error": refusal })));
    assert_eq!(ask(&server, "POST", "/close", json!({ "id": 0 })).1, json!(true));
    assert_eq!(create().1, json!({ "id": 2 }));

    // Its original wraps no errors, and has none of this kind.
    let shop = Scripted::maker("webshop", "WebShop", json!({}), |_| 0.0);
    let server = Running::with(TcpListener::bind("127.0.0.1:0").unwrap(), options(), shop);
    let create = || ask(&server, "POST", "/create", Value::Null).1;
    assert!(create().is_i64() && create().is_i64());
    assert_eq!(create(), json!({ "error": refusal }));
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    let server = Running::start(careful);
    let body = json!({ "id": 0, "action": "x".repeat(2 << 20) });
    // The server may answer and close before all is sent.
    match Client::new().post(format!("{}/step", server.base)).json(&body).send() {
        Ok(reply) => assert_eq!(reply.status().as_u16(), 413),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    assert_eq!(ask(&server, "POST", "/create", Value::Null).1, json!({ "id": 0 }));
}

#[test]
fn an_environment_that_nobody_uses_makes_room_for_another() {
    let server = serving(ServerOptions { max_instances: 2, idle: Duration::ZERO, ..ServerOptions::default() });
    let create = || ask(&server, "POST", "/create", Value::Null).1;
    let begin = |id: i64| ask(&server, "POST", "/reset", json!({ "id": id, "data_idx": 1 })).1;
    assert_eq!((create(), create()), (json!({ "id": 0 }), json!({ "id": 1 })));
    begin(0);
    assert_eq!(create(), json!({ "id": 2 }));
    assert_eq!(begin(1), json!({ "error": "The id 1 is not valid." }));
    assert_eq!(begin(0)["observation"], "Task 1.");
}

#[test]
fn a_request_that_does_not_end_is_ended() {
    let server = serving(ServerOptions { arrival: Duration::from_millis(200), ..ServerOptions::default() });
    let address = server.base.trim_start_matches("http://");
    let unfinished =
        ["", "POST /create HTTP/1.1\r\nHost: x\r\n", "POST /create HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"];
    for begun in unfinished {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        // Ends with the connection, or never.
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.is_empty() || said.contains(" 408 "), "{begun:?}: {said}");
    }
    assert_eq!(ask(&server, "POST", "/create", Value::Null).1, json!({ "id": 0 }));
}
