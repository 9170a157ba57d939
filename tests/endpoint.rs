//! Models behind OpenAI-compatible endpoints: episodes, and everything that can go wrong on the way to a reply.

use std::time::{Duration, Instant};

use super::endpoint_server::{Act, Asked, Server, answers, completion, refuses, says};
use affine::engine::env::{Description, Ending, Environment, Identity, Step, TurnLimit};
use affine::engine::generate::Sampling;
use affine::engine::rollout::Seat;
use affine::engine::rollout::endpoint::{Client, Endpoint, EndpointEpisode, Finish, Speech, Usage, play};
use affine::engine::text::Message;
use affine::engine::{Error, Result, random};
use serde_json::json;

/// Says a word, which is to be said back; the task's number of times and once more.
struct Echo {
    task_id: u64,
    turn: u64,
    right: u64,
}

impl Echo {
    fn word(&self) -> String {
        format!("word {} of task {}", self.turn, self.task_id)
    }
}

impl Environment for Echo {
    fn describe(&self) -> Description {
        Description {
            name: "echo".into(),
            num_tasks: None,
            score_range: (0.0, 10.0),
            success_threshold: 10.0,
            max_turns: 9,
            turn_limit: TurnLimit::Outside,
            move_limit: TurnLimit::Task,
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        *self = Echo { task_id, turn: 0, right: 0 };
        Ok(self.word())
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::new("system", "Say it back."), Message::user(self.word())])
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let is_right = action == self.word();
        self.right += u64::from(is_right);
        self.turn += 1;
        Ok(Step {
            observation: self.word(),
            reward: f64::from(u8::from(is_right)),
            done: self.turn > self.task_id,
            score: 10.0 * self.right as f64 / self.turn as f64,
            truncated: false,
            info: Default::default(),
        })
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Echo { task_id: 0, turn: 0, right: 0 }))
    }
}

fn seats(tasks: impl IntoIterator<Item = u64>) -> Vec<Seat> {
    let echo = Echo { task_id: 0, turn: 0, right: 0 };
    tasks
        .into_iter()
        .map(|task_id| Seat {
            environment: echo.fresh().unwrap(),
            task_id,
            stream: random::stream(0, "eval echo", task_id),
        })
        .collect()
}

const SPEECH: Speech = Speech { sampling: Sampling { temperature: 0.7, top_k: 0, top_p: 1.0 }, max_new_tokens: 48 };

fn endpoint(server: &Server) -> Endpoint {
    Endpoint { base_url: server.base.clone(), model: "tiny".into(), retries: 3, ..Default::default() }
}

fn play_at(endpoint: &Endpoint, tasks: impl IntoIterator<Item = u64>) -> Result<Vec<EndpointEpisode>> {
    play(&Client::open(endpoint)?, seats(tasks), &SPEECH, &mut |_| {})
}

/// The error and its hint.
fn told(error: Error) -> String {
    format!("{error} | {}", error.hint().unwrap_or("no hint"))
}

fn stopped(endpoint: &Endpoint, tasks: impl IntoIterator<Item = u64>) -> String {
    told(play_at(endpoint, tasks).unwrap_err())
}

fn echo(asked: &Asked) -> Act {
    says(asked.last())
}

/// A server whose first answers are others.
fn troubled(trouble: impl Fn(usize) -> Option<Act> + Send + Sync + 'static) -> Server {
    Server::start(move |asked| trouble(asked.number).unwrap_or_else(|| echo(asked)))
}

#[test]
fn episodes_are_played_side_by_side_and_come_in_the_order_of_their_seats() {
    let server =
        Server::start(|asked| Act::Slowly(if asked.last().ends_with('0') { 60 } else { 10 }, Box::new(echo(asked))));
    let (mut ended, tasks) = (0, [3, 0, 1, 2, 0, 4, 9]);
    let client = Client::open(&Endpoint { parallel: 3, ..endpoint(&server) }).unwrap();
    let episodes = play(&client, seats(tasks), &SPEECH, &mut |more| ended += more).unwrap();
    assert_eq!(episodes.iter().map(|episode| episode.outcome.task_id).collect::<Vec<_>>(), tasks);
    assert_eq!((ended, server.most_in_flight(), client.is_seeded()), (7, 3, true));
    let first = &episodes[0];
    assert_eq!((first.outcome.score, first.outcome.normalised_score, first.outcome.success), (10.0, 1.0, true));
    assert_eq!(
        (first.turns.len(), first.outcome.messages.len(), first.outcome.ending.clone()),
        (4, 9, Ending::Terminated)
    );
    assert_eq!(first.usage(), Some(Usage { prompt: 40, completion: 12, reasoning: 0 }));
    assert!(
        first.outcome.seconds > 0.03
            && first.turns.iter().all(|turn| turn.reward == 1.0 && turn.finish == Finish::Stop)
    );
    // Nine turns are a limit from outside.
    assert_eq!((episodes[6].turns.len(), episodes[6].outcome.ending.clone()), (9, Ending::Truncated));
    // A task is drawn alike whatever is played beside it, and each turn anew.
    let seeds = |server: &Server| {
        let of_task = |body: &serde_json::Value| body["messages"][1]["content"].as_str().unwrap().ends_with("task 3");
        server
            .bodies()
            .iter()
            .filter(|body| of_task(body))
            .map(|body| body["seed"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let alone = Server::start(echo);
    play_at(&endpoint(&alone), [3]).unwrap();
    let mut different = seeds(&alone);
    assert_eq!(seeds(&server), different);
    different.dedup();
    assert_eq!(different.len(), 4);
}

/// What a server answers, and what is told of it.
type Case = (fn() -> Act, &'static str);

#[test]
fn what_passes_is_waited_for() {
    let page = || Act::Answer(503, "retry-after: 0\r\n", "<html>loading</html>".into());
    for (name, act) in [
        ("cut", (|| Act::Cut) as fn() -> Act),
        ("wrong content-length", || Act::Short("{\"choices\": [".into())),
        ("429", || Act::Answer(429, "retry-after: 1\r\n", "slow down".into())),
        ("500", || refuses(500, "CUDA out of memory")),
        ("an error inside a success", || answers(200, json!({ "error": { "message": "overloaded", "code": 502 } }))),
    ] {
        let server = troubled(move |number| (number < 2).then(act));
        let begun = Instant::now();
        let episodes = play_at(&endpoint(&server), [0]).unwrap();
        assert!(episodes[0].outcome.success && server.asked() == 3, "{name}");
        let wanted = if name == "429" { 2.0..6.0 } else { 0.75..5.0 };
        assert!(wanted.contains(&begun.elapsed().as_secs_f64()), "{name}: {:?}", begun.elapsed());
    }
    let server = troubled(move |number| (number < 3).then(page));
    assert!(play_at(&endpoint(&server), [0]).unwrap()[0].outcome.success);
    let stalling = troubled(|number| (number == 0).then_some(Act::Stall));
    assert!(play_at(&Endpoint { timeout_seconds: 0.3, ..endpoint(&stalling) }, [0]).unwrap()[0].outcome.success);
}

#[test]
fn what_does_not_pass_fails_the_episode_and_no_other() {
    let with = |base: &str, rest: &str| format!("{base}: {rest}");
    let cases: [Case; 8] = [
        (|| refuses(500, "no."), "it answered 500 (no) (asked 2 times)"),
        (
            || Act::Answer(429, "retry-after: 3600\r\n", String::new()),
            "it answered 429, and asks to be left alone for 3600 s (asked once)",
        ),
        (|| Act::Cut, "the connection broke off: connection closed before message completed (asked 2 times)"),
        (|| answers(200, json!({ "hello": 1 })), "expected a chat completion, got \"{\"hello\":1}\""),
        (|| Act::Answer(200, "", "<html><p>Welcome".into()), "expected a chat completion, got a web page"),
        (|| Act::Answer(200, "", String::new()), "expected a chat completion, got nothing"),
        (|| completion(json!([]), 0), "it answered without a reply: its list of choices is empty"),
        (|| refuses(400, "role system is not supported"), "it answered 400 (role system is not supported)"),
    ];
    for (act, wanted) in cases {
        let server = Server::start(move |asked| if asked.last().ends_with("task 1") { act() } else { echo(asked) });
        let episodes = play_at(&Endpoint { retries: 1, ..endpoint(&server) }, [0, 1, 2]).unwrap();
        assert_eq!(episodes[1].outcome.ending, Ending::Failed(with(&server.base, wanted)));
        assert!(episodes[0].outcome.success && episodes[2].outcome.success && episodes[1].outcome.failed());
    }
}

#[test]
fn an_episode_that_failed_is_played_once_more() {
    let server = troubled(|number| (number == 1).then(|| completion(json!([]), 0)));
    let mut ended = 0;
    let client = Client::open(&endpoint(&server)).unwrap();
    let episodes = play(&client, seats([1]), &SPEECH, &mut |more| ended += more).unwrap();
    assert!(episodes[0].outcome.success && ended == 1 && server.asked() == 4);
}

#[test]
fn a_server_that_answers_nothing_but_errors_is_given_up() {
    let server = Server::start(|_| answers(200, json!({})));
    let said = stopped(&endpoint(&server), 0..100);
    assert!(said.starts_with("8 requests in a row failed | the last of them: http://127"), "{said}");
    assert!(server.asked() < 20);
}

#[test]
fn an_empty_reply_is_a_reply() {
    for content in [json!(null), json!("")] {
        let choices =
            json!([{ "message": { "content": content, "reasoning_content": "hm" }, "finish_reason": "length" }]);
        let server = Server::start(move |_| completion(choices.clone(), 48));
        let episode = play_at(&endpoint(&server), [0]).unwrap().remove(0);
        assert_eq!((episode.outcome.score, episode.outcome.ending.clone()), (0.0, Ending::Terminated));
        assert_eq!((&episode.turns[0].finish, episode.outcome.messages[2].content.as_str()), (&Finish::Length, ""));
    }
}

#[test]
fn tokens_are_counted_as_far_as_the_server_counts_them() {
    let usage =
        json!({ "prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": { "reasoning_tokens": 7 } });
    let server = Server::start(move |asked| {
        let choices = json!([{ "message": { "content": asked.last() }, "finish_reason": "stop" }]);
        let is_counted = asked.body["messages"][1]["content"].as_str().unwrap().ends_with("task 1");
        answers(200, json!({ "choices": choices, "usage": if is_counted { usage.clone() } else { json!(null) } }))
    });
    let episodes = play_at(&endpoint(&server), [1, 2]).unwrap();
    assert_eq!(episodes[0].usage(), Some(Usage { prompt: 10, completion: 18, reasoning: 14 }));
    assert_eq!(episodes[1].usage(), None);
}

#[test]
fn more_tokens_than_asked_for_stop_the_evaluation() {
    let choices = json!([{ "message": { "content": "x" }, "finish_reason": "stop" }]);
    let server = Server::start(move |_| completion(choices.clone(), 200));
    let said = stopped(&endpoint(&server), [0]);
    let wanted =
        "it was asked for at most 48 tokens a turn and said 200: its scores would be of another kind | the server";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_conversation_that_outgrows_the_context_cuts_the_episode() {
    let server = Server::start(|asked| match asked.body["messages"].as_array().unwrap().len() {
        6.. => refuses(400, "'max_tokens' is too large: this model's maximum context length is 64 tokens"),
        _ => echo(asked),
    });
    let episodes = play_at(&endpoint(&server), [4, 0]).unwrap();
    assert_eq!(
        (&episodes[0].outcome.ending, episodes[0].turns.len(), episodes[0].outcome.messages.len()),
        (&Ending::Truncated, 2, 5)
    );
    assert_eq!(episodes[1].outcome.ending, Ending::Terminated);
    let narrow = Server::start(|_| refuses(400, "This model's maximum context length is 8 tokens"));
    let reason = play_at(&endpoint(&narrow), [4]).unwrap().remove(0).outcome.ending.failure().unwrap().to_string();
    assert!(reason.starts_with("its opening leaves no room in the model's context: http"), "{reason}");
}

#[test]
fn parameters_of_other_names_are_found_out_once() {
    let server = Server::start(|asked| match &asked.body {
        body if body.get("max_tokens").is_some() => {
            answers(400, json!({ "error": { "message": "Unsupported parameter", "param": "max_tokens" } }))
        }
        body if body.get("seed").is_some() => refuses(422, "extra inputs are not permitted: seed"),
        _ => echo(asked),
    });
    let client = Client::open(&Endpoint { parallel: 1, ..endpoint(&server) }).unwrap();
    let episodes = play(&client, seats([0, 1]), &SPEECH, &mut |_| {}).unwrap();
    assert!(episodes.iter().all(|episode| episode.outcome.success) && !client.is_seeded());
    assert_eq!((server.asked(), server.bodies()[4]["max_completion_tokens"].as_u64()), (5, Some(48)));
    let strict = Server::start(|_| refuses(400, "temperature must be 1 with this model"));
    let said = stopped(&endpoint(&strict), [0]);
    assert!(
        said.ends_with("(temperature must be 1 with this model) | give temperature a value that this model takes"),
        "{said}"
    );
}

#[test]
fn what_will_not_change_stops_the_evaluation_at_once() {
    let cases: [Case; 5] = [
        (
            || refuses(401, "Unauthorized"),
            "it asks for a key: it answered 401 (Unauthorized) | put it into OPENAI_API_KEY, or",
        ),
        (|| refuses(403, "no"), "it asks for a key: it answered 403 (no) | put it into"),
        (|| refuses(404, "no such route"), "it answered 404 (no such route) | check model, and base_url"),
        (
            || answers(429, json!({ "error": { "message": "You exceeded your quota", "code": "insufficient_quota" } })),
            "it answered 429 (You exceeded your quota) | the account behind the key has nothing left",
        ),
        (
            || Act::Answer(308, "location: https://me:pw@other.example/v1?x=1\r\n", String::new()),
            "it answered 308 and points to https://other.example/v1 | give that address as base_url",
        ),
    ];
    for (act, wanted) in cases {
        let server = Server::start(move |_| act());
        let said = stopped(&Endpoint { parallel: 1, ..endpoint(&server) }, 0..50);
        assert!(said.starts_with(&format!("{}: {wanted}", server.base)), "{said}");
        assert_eq!(server.asked(), 1);
    }
}

#[test]
fn a_model_that_is_not_there_is_told_with_those_that_are() {
    let server = Server::start(echo);
    let wanted = Endpoint { model: "tinny".into(), ..endpoint(&server) };
    let said = stopped(&wanted, [0]);
    let known =
        "has no model \"tinny\" | it has \"tiny\", \"small\"; with unlisted it is asked for one that it does not list";
    assert_eq!(said, format!("{} {known}", server.base));
    assert!(play_at(&Endpoint { unlisted: true, ..wanted.clone() }, [0]).unwrap()[0].outcome.success);
    // A list that came too late to help: the refusal of the model itself.
    let many: Vec<_> = (0..12).map(|n| json!({ "id": format!("model-{n}") })).collect();
    let models = move || answers(200, json!({ "data": many }));
    let server = Server::with_models(models, |_| refuses(404, "The model `tiny` does not exist."));
    let said = stopped(&Endpoint { unlisted: true, ..endpoint(&server) }, [0]);
    assert!(said.contains("has no model \"tiny\" | it has \"model-") && said.contains(" and 2 more"), "{said}");
}

#[test]
fn what_is_no_endpoint_is_told_before_anything_is_played() {
    let page = Server::with_models(|| Act::Answer(200, "", "<!doctype html>".into()), echo);
    let said = stopped(&endpoint(&page), [0]);
    assert!(said.contains("/models: expected a list of models, got a web page | is it an OpenAI-compatible server?"));
    let listless = Server::with_models(|| Act::Answer(404, "", "not found".into()), echo);
    assert!(play_at(&endpoint(&listless), [0]).unwrap()[0].outcome.success);
    let begun = Instant::now();
    let nobody = Endpoint { base_url: "http://127.0.0.1:9/v1".into(), model: "tiny".into(), ..Default::default() };
    let said = stopped(&nobody, [0]);
    assert_eq!(
        said,
        "http://127.0.0.1:9/v1: 127.0.0.1:9 cannot be reached: Connection refused (os error 111) | is the server running, and \
         base_url its address?"
    );
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let server = Server::start(|_| Act::Stall);
    let begun = Instant::now();
    let patient = Endpoint { timeout_seconds: 20.0, patience_seconds: 0.5, ..endpoint(&server) };
    let reason = play_at(&patient, [0]).unwrap()[0].outcome.ending.failure().unwrap().to_string();
    assert!(reason.ends_with("no reply within 0.5 s") && begun.elapsed() < Duration::from_secs(3), "{reason}");
}

/// A variable that is set and has a value that no server says by itself.
const VARIABLE: &str = "PATH";

#[test]
fn the_key_is_shown_to_the_server_and_to_nobody_else() {
    let key = std::env::var(VARIABLE).unwrap();
    let keyed = |server: &Server| Endpoint { api_key_variable: Some(VARIABLE.into()), ..endpoint(server) };
    let wanted = format!("Bearer {key}");
    let server = Server::start(move |asked| if asked.key == wanted { echo(asked) } else { refuses(401, "no") });
    let episodes = play_at(&keyed(&server), [0]).unwrap();
    assert!(episodes[0].outcome.success);
    let locked = Server::start(|asked| refuses(401, &format!("Incorrect API key provided: {}", asked.key)));
    let said = stopped(&keyed(&locked), [0]);
    assert!(
        said.contains(": it does not take the key of PATH: it answered 401 (Incorrect API key provided: Bearer …)"),
        "{said}"
    );
    let quoting = Server::start(|asked| answers(200, json!({ "you": asked.key })));
    let failed = play_at(&keyed(&quoting), [0]).unwrap();
    for shown in [format!("{episodes:?}{failed:?}{said}{:?}", keyed(&server)), json!(keyed(&server)).to_string()] {
        assert!(!shown.contains(&key), "{shown}");
    }
}

/// Through the binary: the wish to stop is the process's.
#[test]
fn an_interruption_ends_a_wait_at_once() {
    // Takes connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let code = format!(
        "print('begun') require('affine.eval').endpoint {{ base_url = 'http://{}/v1', model = 'tiny' }}",
        silent.local_addr().unwrap()
    );
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_affine"));
    command.args(["-e", &code]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = affine::engine::signals::as_started(|| command.spawn()).unwrap();
    silent.accept().unwrap();
    let begun = Instant::now();
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// An environment that is won by saying the word back; `arg` says how the server is reached.
const SCRIPT: &str = r#"
    local env, eval = require("affine.env"), require("affine.eval")
    local echo = env.make(env.define {
      name = "echo", prompt = "Say it back.",
      reset = function(self, task) self.word = "word " .. task.id return self.word end,
      step = function(self, action) return "", action:match("word %d+$") == self.word and 1 or 0, true end,
    })
    local judged = eval.endpoint { base_url = arg[1], model = "tiny", prompt_price = 1, completion_price = 2 }
    local result = eval.run(judged, { envs = { echo }, num_eval_samples = 4, results = "results.jsonl" })
    local row = result.envs.echo
    print(row.n, row.mean, row.usage.prompt, row.usage.completion, row.usage.cost)
    print(result.model.source:match("^tiny at http://127"), result.model.dtype, judged:options().parallel)
    local task = eval.results.read("results.jsonl")[1]
    print(task.messages[2].content, task.tokens, task.usage.prompt, task.protocol.as_served, task.protocol.chat_template)
"#;

fn affine(folder: &std::path::Path, words: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder).args(words);
    affine::engine::signals::as_started(|| command.output()).unwrap()
}

#[test]
fn a_script_judges_an_endpoint_and_plays_no_task_twice() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(echo);
    let mut words = vec!["-e", SCRIPT, &server.base];
    let output = affine(folder.path(), &words);
    let wanted = "4\t1.0\t40\t12\t6.4e-05\ntiny at http://127\tunknown\t8\nSay it back.\nword 0\t3\t10\ttrue\tnil\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{output:?}");
    let asked = server.asked();
    let output = affine(folder.path(), &words);
    assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("they are by what was tiny at"), "{output:?}");
    assert_eq!(server.asked(), asked);

    // A key that is a common word, as servers without keys are given, changes no reply.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_affine"));
    let elsewhere = tempfile::tempdir().unwrap();
    command.current_dir(elsewhere.path()).env("OPENAI_API_KEY", "word").args(&words);
    let output = affine::engine::signals::as_started(|| command.output()).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{output:?}");

    // From the shell, against itself under another address.
    let again = Server::start(|asked| says(&asked.last().replace('1', "2")));
    let (one, other) = (format!("tiny@{}", server.base), format!("tiny@{}", again.base));
    words = vec![
        "eval",
        "compare",
        &one,
        &other,
        "--environments",
        "echo.lua {}, affine:sat { n = 3, k = 2, m = 4 }",
        "--samples",
        "20",
        "--results",
        "both.jsonl",
    ];
    std::fs::write(
        folder.path().join("echo.lua"),
        r#"return require("affine.env").define {
             name = "echo", prompt = "Say it back.",
             reset = function(self, task) self.word = "word " .. task.id return self.word end,
             step = function(self, action) return "", action:match("word %d+$") == self.word and 1 or 0, true end,
           }"#,
    )
    .unwrap();
    let output = affine(folder.path(), &words);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    // Tasks 1 and 10 to 19 have a 1 in them.
    for part in ["1.000 [", "0.450 [", "-0.550 [", "over 20 tasks", "is dominated", "tokens", "both.jsonl"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
