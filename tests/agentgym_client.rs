//! The AgentGym client against servers: ours of every kind, and scripted ones that misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use affine::engine::env::agentgym::client::{AgentGymClient, AgentGymOptions};
use affine::engine::env::agentgym::server::ServerOptions;
use affine::engine::env::agentgym::{ApiKey, Kind};
use affine::engine::env::textcraft::{TextCraft, TextCraftOptions};
use affine::engine::env::{Demonstrator, Environment, Parsed, TurnLimit};
use serde_json::json;

use crate::agentgym::{Running, alfworld, careful, sciworld, textcraft, webshop};

fn client(base: &str, options: AgentGymOptions) -> AgentGymClient {
    AgentGymClient::new(base, &options).unwrap()
}

fn refusal(base: &str, options: AgentGymOptions) -> String {
    AgentGymClient::new(base, &options).err().unwrap().to_string()
}

fn of_kind(kind: Kind) -> AgentGymOptions {
    AgentGymOptions { kind: Some(kind), retries: 0, ..Default::default() }
}

/// A server that answers each path with a status and a body, whatever is asked; `None` never answers. It lives as long
/// as the process.
fn scripted(answer: impl Fn(&str) -> Option<(u16, &'static str)> + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || converse(stream, answer));
        }
    });
    base
}

fn converse(mut stream: TcpStream, answer: impl Fn(&str) -> Option<(u16, &'static str)>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let path = request.split(' ').nth(1).unwrap_or_default();
    match answer(path.split('?').next().unwrap()) {
        Some((status, body)) => {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
        None => std::thread::sleep(Duration::from_secs(30)),
    }
}

#[test]
fn textcraft_is_the_same_over_http_and_at_home() {
    let server = Running::start(textcraft);
    let mut remote = client(&server.base, AgentGymOptions::default());
    let about = remote.describe();
    assert_eq!((about.name.as_str(), about.num_tasks, about.max_turns), ("textcraft", Some(544), 20));
    let mut home = TextCraft::new(&TextCraftOptions::default()).unwrap();
    for id in [3, 416, 533] {
        assert_eq!(remote.reset(id).unwrap(), home.reset(id).unwrap());
        assert_eq!(remote.messages().unwrap(), home.messages().unwrap());
        loop {
            let action = home.expert().unwrap().unwrap();
            let reply = format!("Thought:\nOn.\n\nAction:\n{action}");
            assert_eq!(remote.parse(&reply).unwrap(), Parsed::Action(action.clone()));
            let (there, here) = (remote.step(&action).unwrap(), home.step(&action).unwrap());
            assert_eq!(there, here);
            if here.done {
                break;
            }
        }
    }
}

#[test]
fn every_kind_is_recognised_and_opened_as_agentgyms_client_opens_it() {
    for (server, kind, opening, max_turns) in [
        (alfworld(), Kind::AlfWorld, "You are in a room 5.\nAVAILABLE ACTIONS: go to desk 1,look", 30),
        (sciworld(), Kind::SciWorld, "Boil water.\nA kitchen 5.", 30),
        (webshop(), Kind::WebShop, "WebShop [SEP] 5 [SEP] Search", 10),
    ] {
        let mut env = client(&server.base, AgentGymOptions::default());
        assert_eq!((env.describe().name.as_str(), env.describe().max_turns), (kind.name(), max_turns));
        assert_eq!(env.describe().turn_limit, TurnLimit::Task);
        let fewer = AgentGymOptions { max_turns: Some(max_turns - 1), ..AgentGymOptions::default() };
        assert_eq!(client(&server.base, fewer).describe().turn_limit, TurnLimit::Outside);
        assert_eq!(env.reset(5).unwrap(), opening);
        let messages = env.messages().unwrap();
        assert_eq!(messages.last().unwrap().content, opening);
        assert_eq!(messages[1].content, kind.consent());
        let step = env.step("look").unwrap();
        assert_eq!((step.observation.as_str(), step.done), ("1: look", false));
        let admissible = step.info.get("admissible").cloned();
        assert_eq!(admissible, (kind == Kind::AlfWorld).then(|| json!(["go to desk 1", "look"])));
        env.step("look").unwrap();
        let last = env.step("look").unwrap();
        assert!(last.done && last.score == if kind == Kind::SciWorld { 30.0 } else { 1.0 }, "{last:?}");
    }
}

#[test]
fn many_episodes_are_played_side_by_side() {
    let server = Running::start(textcraft);
    let first = client(&server.base, AgentGymOptions::default());
    std::thread::scope(|scope| {
        for id in 0..16 {
            let mut env = client(&server.base, AgentGymOptions::default());
            scope.spawn(move || {
                let mut home = TextCraft::new(&TextCraftOptions::default()).unwrap();
                assert_eq!(env.reset(id).unwrap(), home.reset(id).unwrap());
                let action = home.expert().unwrap().unwrap();
                assert_eq!(env.step(&action).unwrap(), home.step(&action).unwrap());
            });
        }
    });
    let mut instances: Vec<_> = (0..50).map(|_| first.fresh().unwrap()).collect();
    let openings: Vec<String> = (0..50).map(|id| instances[id as usize].reset(id).unwrap()).collect();
    assert!(openings.windows(2).all(|pair| pair[0] != pair[1]));
    instances[0].step("get 2 acacia logs").unwrap();
    assert!(instances[1].step("inventory").unwrap().observation.ends_with("You are not carrying anything."));
}

#[test]
fn an_episode_fails_with_its_server_and_the_next_one_waits_for_it_to_return() {
    let server = Running::start(textcraft);
    let address = server.base.trim_start_matches("http://").to_string();
    let mut env = client(&server.base, AgentGymOptions { retries: 5, ..Default::default() });
    let mut other = env.fresh().unwrap();
    env.reset(0).unwrap();
    other.reset(1).unwrap();
    drop(server);
    let error = env.step("inventory").unwrap_err().to_string();
    assert!(error.starts_with(&format!("environment textcraft: server http://{address}: ")), "{error}");

    let back = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(600));
        Running::at(TcpListener::bind(address).unwrap(), textcraft)
    });
    // The server comes back while this one is repeated.
    assert!(env.reset(12).unwrap().ends_with("Goal: craft bread."));
    env.step("get 3 wheat").unwrap();
    // Its number is the other's old one: without care the other would play on here.
    let error = other.step("craft 1 bread using 3 wheat").unwrap_err().to_string();
    assert!(error.ends_with("it was lost during this episode, and the episode with it"), "{error}");
    assert!(other.step("inventory").unwrap_err().to_string().contains("call reset first"));
    assert!(env.step("craft 1 bread using 3 wheat").unwrap().done);
    other.reset(5).unwrap();
    drop(back.join().unwrap());
}

#[test]
fn a_server_that_was_restarted_unseen_is_noticed_and_used() {
    let server = Running::start(textcraft);
    let address = server.base.trim_start_matches("http://").to_string();
    let mut env = client(&server.base, AgentGymOptions::default());
    env.reset(0).unwrap();
    drop(server);
    let _server = Running::at(TcpListener::bind(address).unwrap(), textcraft);
    assert!(env.reset(12).unwrap().ends_with("Goal: craft bread."));
}

#[test]
fn what_is_wrong_with_a_server_is_said_in_one_sentence() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refusal(&format!("http://{free}"), AgentGymOptions::default());
    assert!(
        error.starts_with(&format!("environment agentgym: server http://{free}: nothing answers there (")),
        "{error}"
    );
    assert!(error.ends_with("is the server running?"), "{error}");

    let server = Running::start(textcraft);
    let error = refusal(&server.base, of_kind(Kind::WebShop));
    assert!(error.ends_with("expected a server of kind \"webshop\", got one of kind \"textcraft\""), "{error}");

    for (body, status, ending) in [
        ("\"hello\"", 200, "GET / answers \"hello\", as no AgentGym server does"),
        ("<html>", 200, "GET /: expected JSON, got \"<html>\""),
        ("gone", 404, "it has no GET / (status 404): is it an AgentGym server of this kind?"),
        ("oops", 500, "GET /: status 500, \"oops\""),
    ] {
        let base = scripted(move |_| Some((status, body)));
        let error = refusal(&base, AgentGymOptions::default());
        assert!(error.contains(ending), "{error}");
    }
    let error = refusal("ftp://somewhere", AgentGymOptions::default());
    assert!(error.contains("ftp://somewhere"), "{error}");
}

#[test]
fn errors_under_status_200_and_refusals_end_the_episode_in_their_words() {
    let refused = r#"{"detail":[{"type":"missing","loc":["body","data_idx"],"msg":"Field required","input":{}}]}"#;
    for (reset, problem) in [
        ((200, r#"{"error":"list index out of range"}"#), "POST /reset: list index out of range"),
        ((422, refused), "POST /reset: body.data_idx: Field required (status 422)"),
        ((200, r#"{"observation":3}"#), r#"POST /reset: expected "observation" as a text, got {"observation":3}"#),
    ] {
        let base = scripted(move |path| match path {
            "/" => Some((200, "\"This is environment BabyAI.\"")),
            "/create" => Some((200, r#"{"id":4}"#)),
            "/reset" => Some(reset),
            _ => Some((200, "true")),
        });
        let mut env = client(&base, of_kind(Kind::BabyAi));
        let error = env.reset(0).unwrap_err().to_string();
        assert_eq!(error, format!("environment babyai: server {base}: {problem}"));
    }
}

#[test]
fn a_step_is_sent_once_and_its_time_is_limited() {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let steps = count.clone();
    let base = scripted(move |path| match path {
        "/" => Some((200, "\"This is environment TextCraft.\"")),
        "/create" => Some((200, r#"{"id":0}"#)),
        "/reset" => Some((200, r#"{"id":0,"observation":"o","done":false,"reward":0}"#)),
        "/step" => {
            steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            None
        }
        _ => Some((200, "true")),
    });
    let mut env = client(&base, AgentGymOptions { timeout: 0.5, ..Default::default() });
    env.reset(0).unwrap();
    let begun = Instant::now();
    let error = env.step("inventory").unwrap_err().to_string();
    assert!(error.ends_with("no answer to POST /step within 0.5 s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let base = "http://127.0.0.1:1";
    for (options, expected) in [
        (
            AgentGymOptions { timeout: 0.0, ..Default::default() },
            "timeout: expected seconds above 0, at most 86400, got 0",
        ),
        (AgentGymOptions { retries: 21, ..Default::default() }, "retries: expected from 0 to 20, got 21"),
        (AgentGymOptions { max_turns: Some(0), ..Default::default() }, "max_turns: expected at least 1 turn, got 0"),
        (AgentGymOptions { num_tasks: Some(0), ..Default::default() }, "num_tasks: expected at least 1 task, got 0"),
    ] {
        assert_eq!(refusal(base, options), expected);
    }
}

/// What is none of AgentGym's is played over HTTP as at home, its own parsing, score and opening included.
#[test]
fn an_environment_of_ones_own_is_the_same_over_http_and_at_home() {
    let server = Running::start(careful);
    let mut remote = client(&server.base, AgentGymOptions::default());
    let mut home = careful().unwrap();
    assert_eq!(remote.describe(), home.describe());
    for id in [0, 8] {
        assert_eq!(remote.reset(id).unwrap(), home.reset(id).unwrap());
        assert_eq!(remote.messages().unwrap(), home.messages().unwrap());
        for reply in ["Do: a", "Do: b", "Do: c"] {
            let Parsed::Action(there) = remote.parse(reply).unwrap() else { panic!("the server parses") };
            let Parsed::Action(here) = home.parse(reply).unwrap() else { panic!("{reply}") };
            assert_eq!(remote.step(&there).unwrap(), home.step(&here).unwrap());
        }
    }
    remote.reset(1).unwrap();
    let complained = remote.step("nothing").unwrap();
    assert_eq!((complained.observation.as_str(), complained.done), ("Say `Do: ` first.", false));
    assert!(remote.reset(9).unwrap_err().to_string().contains("has the tasks from 0 to 8, not 9"));

    let other = client(&server.base, AgentGymOptions { max_turns: Some(2), num_tasks: Some(3), ..Default::default() });
    assert_eq!((other.describe().max_turns, other.describe().num_tasks), (2, Some(3)));
    let error = refusal(&server.base, of_kind(Kind::BabyAi));
    assert!(error.ends_with("expected a server of kind \"babyai\", got one of kind \"careful\""), "{error}");
    let mine = AgentGymOptions { instructions: Some("Win.".to_string()), ..Default::default() };
    let error = refusal(&server.base, mine);
    assert_eq!(error, "instructions: expected nothing, because environment careful brings its own, got a text");
}

#[test]
fn what_a_server_says_of_itself_is_checked() {
    let says = |told: &'static str| {
        scripted(move |path| match path {
            "/" => Some((200, "\"This is environment x.\"")),
            "/description" => Some((200, told)),
            _ => None,
        })
    };
    let whole = r#"{"name":"x","num_tasks":null,"score_range":[0,1],"success_threshold":1,"max_turns":3}"#;
    assert_eq!(client(&says(whole), AgentGymOptions::default()).describe().max_turns, 3);
    for told in [
        r#"{"name":"y","num_tasks":null,"score_range":[0,1],"success_threshold":1,"max_turns":3}"#,
        r#"{"name":"x","num_tasks":null,"score_range":[1,1],"success_threshold":1,"max_turns":3}"#,
        r#"{"name":"x","num_tasks":0,"score_range":[0,1],"success_threshold":1,"max_turns":3}"#,
        r#"{"name":"x","num_tasks":null,"score_range":[0,1],"success_threshold":1,"max_turns":0}"#,
        "[]",
    ] {
        let error = refusal(&says(told), AgentGymOptions::default());
        assert!(error.contains("GET /description: expected what affine's own server says of \"x\", got"), "{error}");
    }
}

#[test]
fn a_key_opens_a_server_and_is_never_shown() {
    let options = ServerOptions { api_key: Some(ApiKey::new("se-cret")), ..ServerOptions::default() };
    let server = Running::with(TcpListener::bind("127.0.0.1:0").unwrap(), options, careful);
    let with = |key: &str| AgentGymOptions { api_key: Some(ApiKey::new(key)), ..Default::default() };
    let mut env = client(&server.base, with("se-cret"));
    assert_eq!(env.reset(3).unwrap(), "Task 3.");
    drop(env);
    let error = refusal(&server.base, AgentGymOptions::default());
    assert!(
        error.ends_with("GET /: it asks for a key (status 401): set AFFINE_API_KEY, or give the option api_key"),
        "{error}"
    );
    let error = refusal(&server.base, with("wr0ng"));
    assert!(
        error.ends_with("it does not take the key that it was shown (status 401)") && !error.contains("wr0ng"),
        "{error}"
    );
    let written = format!("{:?}{}", with("wr0ng"), serde_json::to_value(with("wr0ng")).unwrap());
    assert!(!written.contains("wr0ng"), "{written}");
}
