//! ScienceWorld on its real simulator: recorded episodes byte for byte, the wrapper's rules, processes that break.
//!
//! The tests that need Java and scienceworld.jar say so and pass where there is neither; with AFFINE_REQUIRE_SCIWORLD=1,
//! which .ci/run sets, they fail instead.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use affine::engine::env::sciworld::{SciWorld, SciWorldOptions, Simulator, Variation};
use affine::engine::env::{Demonstrator, Environment, Facts, Parsed, Step};
use serde_json::{Value, json};

use crate::golden;

/// Whether the real simulator can be played here; if not, says why, or fails where it must be.
pub fn is_playable() -> bool {
    match SciWorldOptions::default().launch() {
        Ok(_) => true,
        Err(error) if std::env::var_os("AFFINE_REQUIRE_SCIWORLD").is_some() => panic!("{error}: {:?}", error.hint()),
        Err(error) => {
            eprintln!("skipped: {error}");
            false
        }
    }
}

fn world(options: Value) -> SciWorld {
    let options: SciWorldOptions = serde_json::from_value(options).unwrap();
    SciWorld::new(&options).unwrap()
}

fn of(task: &str, variation: u64) -> Value {
    json!({ "task": task, "variation": variation })
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap()
}

fn percent(row: &Value) -> f64 {
    (100.0 * row["score"].as_f64().unwrap()).round_ties_even()
}

fn is_alive(process: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A zombie has ended; whoever started it has yet to ask.
    state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

fn kill(process: u32) {
    // SAFETY: a signal to a process that this test started.
    assert_eq!(unsafe { libc::kill(process as i32, libc::SIGKILL) }, 0);
}

/// The ids of the Java processes that `parent` started to run the simulator.
fn java_processes(parent: u32) -> Vec<u32> {
    let numbers =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_ours = |process: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        status.contains(&format!("PPid:\t{parent}\n"))
            && String::from_utf8_lossy(&command).contains("py4j.GatewayServer")
    };
    numbers.filter(is_ours).collect()
}

// Recorded with the Python package 1.2.3 on Java 17 with -XX:+UnlockExperimentalVMOptions -XX:hashCode=2:
//   env.load(task, variation, simplifications); env.step("look around"); then the gold path, until done
#[test]
fn recorded_episodes_replay_byte_for_byte() {
    if !is_playable() {
        return;
    }
    let rows = golden::rows("sciworld/replay.jsonl");
    assert!(rows.len() >= 9, "{}", rows.len());
    for row in rows {
        let mut options = of(text(&row, "task"), row["variation"].as_u64().unwrap());
        options["simplifications"] = row["simplifications"].clone();
        let mut env = world(options);
        let steps = row["steps"].as_array().unwrap();
        let opening = format!("{}\n{}", text(&row, "task_description"), text(&steps[0], "observation"));
        assert_eq!(env.reset(0).unwrap(), opening);
        let mut before = percent(&steps[0]);
        for step in &steps[1..] {
            let Step { observation, reward, done, score, truncated, info } = env.step(text(step, "action")).unwrap();
            assert_eq!(observation, text(step, "observation"), "{} {step}", row["task"]);
            assert_eq!((score, reward), (percent(step), percent(step) - before), "{} {step}", row["task"]);
            assert_eq!((json!(done), truncated), (step["done"].clone(), false));
            assert_eq!(info["moves"], step["moves"]);
            before = percent(step);
        }
        assert_eq!(before, 100.0);
    }
}

// The same recording of odd actions, which goes on after a wrong focus: without the wrapper's rules.
#[test]
fn recorded_odd_actions_replay_byte_for_byte() {
    if !is_playable() {
        return;
    }
    let mut simulator = Simulator::start(&SciWorldOptions::default().launch().unwrap()).unwrap();
    let boil = Variation::named("boil", 0).unwrap();
    simulator.load(boil, "", false).unwrap();
    let steps = golden::json("sciworld/probe.json");
    assert_eq!(steps.as_array().unwrap().len(), 28);
    for step in steps.as_array().unwrap() {
        let turn = simulator.act(text(step, "action")).unwrap();
        assert_eq!(turn.observation, text(step, "observation"), "{step}");
        assert_eq!((json!(turn.score), json!(turn.completed)), (step["score"].clone(), step["done"].clone()), "{step}");
        assert_eq!(json!(turn.moves), step["moves"], "{step}");
    }
}

#[test]
fn our_table_of_tasks_is_the_recorded_one() {
    let tasks = golden::json("sciworld/tasks.json");
    assert_eq!(tasks.as_object().unwrap().len(), 30);
    for (task, facts) in tasks.as_object().unwrap() {
        let count = facts["max"].as_u64().unwrap() as u32;
        assert!(Variation::named(task, count - 1).is_ok() && Variation::named(task, count).is_err(), "{task}");
    }
}

#[test]
fn the_opening_turns_and_the_state_are_agentgyms() {
    if !is_playable() {
        return;
    }
    let mut env = world(json!({}));
    assert_eq!((env.describe().num_tasks, env.describe().max_turns), (Some(4639), 30));
    let error = env.reset(4639).unwrap_err().to_string();
    assert_eq!(error, "environment sciworld: the tasks are from 0 to 4638, not 4639");
    assert_eq!(
        env.step("wait").unwrap_err().to_string(),
        "environment sciworld: no episode has begun; call reset first"
    );
    assert!(env.state().is_empty() && env.expert().is_err() && env.messages().is_err());

    let opening = env.reset(30).unwrap();
    assert!(opening.starts_with("Your task is to melt ") && opening.contains("\nThis room is called "), "{opening}");
    let messages = env.messages().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(messages[2].content, opening);
    assert!(env.parse("Thought:\nHm.\n\nAction:\nopen door").unwrap() == Parsed::Action("open door".into()));

    let state = env.state();
    assert_eq!((&state["task_name"], &state["var_num"]), (&json!("melt"), &json!(0)));
    assert!(opening.starts_with(text(&json!(state), "task_description")));
    let fact = |name: &str| env.fact(name).unwrap();
    assert!(fact("possible_actions").unwrap().as_array().unwrap().contains(&json!("open OBJ")));
    assert!(fact("possible_objects").unwrap().as_array().unwrap().contains(&json!("air")));
    assert!(fact("goals").unwrap().as_str().unwrap().contains("Sequential Subgoals"));
    assert!(fact("object_tree").unwrap().is_object());
    assert_eq!((fact("task_name"), fact("no such thing")), (Some(json!("melt")), None));
    assert_eq!((&state["score"], &state["moves"]), (&json!(0), &json!(0)));
}

#[test]
fn a_wrong_focus_ends_the_episode_at_minus_a_hundred() {
    if !is_playable() {
        return;
    }
    let mut env = world(of("boil", 0));
    env.reset(0).unwrap();
    assert_eq!(env.step("open door to kitchen").unwrap().reward, 0.0);
    let step = env.step("focus on picture").unwrap();
    assert_eq!((step.score, step.reward, step.done, step.truncated), (-100.0, -100.0, true, false));
    let error = env.step("look around").unwrap_err().to_string();
    assert_eq!(error, "environment sciworld: the episode is over; call reset first");
    env.reset(0).unwrap();
    assert_eq!(env.step("look around").unwrap().score, 0.0);
}

#[test]
fn too_many_moves_truncate_an_episode() {
    if !is_playable() {
        return;
    }
    let mut options = of("boil", 0);
    options["step_limit"] = json!(12);
    let mut env = world(options);
    env.reset(0).unwrap();
    let moves = |step: &Step| step.info["moves"].as_i64().unwrap();
    let first = env.step("wait").unwrap();
    assert_eq!((moves(&first), first.done), (11, false));
    let second = env.step("open door to kitchen").unwrap();
    assert_eq!((moves(&second), second.done), (12, false), "the limit may be reached");
    let third = env.step("close door to kitchen").unwrap();
    assert_eq!((moves(&third), third.done, third.truncated), (13, true, true), "but not exceeded");
}

#[test]
fn the_expert_reaches_the_goal_and_is_silent_once_its_path_is_left() {
    if !is_playable() {
        return;
    }
    for (task, variation) in [("find-plant", 5), ("chemistry-mix", 3), ("boil", 3)] {
        let mut env = world(of(task, variation));
        env.reset(0).unwrap();
        let mut last = None;
        while let Some(action) = env.expert().unwrap() {
            let step = env.step(&action).unwrap();
            let done = step.done;
            last = Some(step);
            if done {
                break;
            }
        }
        assert_eq!(last.unwrap().score, 100.0, "{task}");
    }
    let mut env = world(of("find-plant", 5));
    env.reset(0).unwrap();
    let first = env.expert().unwrap();
    env.step("inventory").unwrap();
    env.step("gibberish").unwrap();
    assert_eq!(env.expert().unwrap(), first, "what takes no move is no detour");
    env.step("wait1").unwrap();
    assert_eq!(env.expert().unwrap(), None);

    env.reset(0).unwrap();
    env.step(&first.unwrap()).unwrap();
    env.step("wait1").unwrap();
    assert_eq!(env.expert().unwrap(), None, "a detour before the first question counts as well");
}

/// A walk of valid actions, each drawn from what is valid then.
fn random_walk(env: &mut dyn Environment, task_id: u64, seed: u64) -> Vec<String> {
    let mut state = seed;
    let mut draw = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut seen = vec![env.reset(task_id).unwrap()];
    for _ in 0..8 {
        let action = env.baselines().unwrap().random_action(&mut draw).unwrap().unwrap();
        let step = env.step(&action).unwrap();
        seen.push(format!("{action}: {} {:?} {}", step.observation, step.score, step.info["moves"]));
        if step.done {
            break;
        }
    }
    seen
}

#[test]
fn a_task_is_the_same_episode_in_a_used_process_and_beside_others() {
    if !is_playable() {
        return;
    }
    let mut one = world(json!({}));
    let alone = random_walk(&mut one, 700, 1);
    random_walk(&mut one, 4200, 2);
    assert_eq!(random_walk(&mut one, 700, 1), alone);
    let mut other = one.fresh().unwrap();
    other.reset(4000).unwrap();
    one.reset(700).unwrap();
    other.step("wait").unwrap();
    assert_eq!(random_walk(other.as_mut(), 700, 1), alone);
}

#[test]
fn long_actions_and_control_characters_are_actions_like_any_other() {
    if !is_playable() {
        return;
    }
    let mut env = world(of("boil", 0));
    env.reset(0).unwrap();
    let around = env.step("look around").unwrap().observation;
    for action in [
        "x".repeat(100_000),
        "use a on b ".repeat(9_000),
        "look ".repeat(20_000),
        "é 漢 😀".into(),
        "".into(),
        "\0".into(),
        "!yv".into(),
    ] {
        let step = env.step(&action).unwrap();
        assert_eq!(step.observation, "No known action matches that input.", "{:.20}", action);
        assert_eq!(step.info["moves"], 0);
    }
    // Java's trim takes away whatever control characters stand around an action.
    for action in ["\0look around\u{1b}", "\r\nlook around\n", " LOOK AROUND\t"] {
        assert_eq!(env.step(action).unwrap().observation, around, "{action:?}");
    }
}

#[test]
fn a_killed_process_fails_its_own_episode_only() {
    if !is_playable() {
        return;
    }
    // A heap of its own size keeps other tests' processes out of this one's hands.
    let mut options = of("boil", 0);
    options["heap_mb"] = json!(101);
    let heap = |process: &u32| {
        let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains("-Xmx101m")
    };
    let mut struck = world(options.clone());
    struck.reset(0).unwrap();
    let process = java_processes(std::process::id()).into_iter().find(heap).unwrap();
    let mut other = world(options);
    other.reset(0).unwrap();
    kill(process);
    let error = struck.step("look around").unwrap_err().to_string();
    assert!(error.starts_with("environment sciworld: the Java process was ended by signal 9"), "{error}");
    assert_eq!(
        struck.step("wait").unwrap_err().to_string(),
        "environment sciworld: no episode has begun; call reset first"
    );
    assert!(!other.step("look around").unwrap().done);
    struck.reset(0).unwrap();
    assert!(struck.step("look around").unwrap().observation.starts_with("This room"));
}

#[test]
fn a_process_without_memory_says_so() {
    if !is_playable() {
        return;
    }
    let options: SciWorldOptions = serde_json::from_value(json!({ "heap_mb": 64 })).unwrap();
    let mut simulator = Simulator::start(&options.launch().unwrap()).unwrap();
    let process = simulator.process_id();
    // The search for this path takes some hundreds of MiB.
    let error = simulator.load(Variation::named("boil", 3).unwrap(), "", true).unwrap_err();
    assert_eq!(error.to_string(), "environment sciworld: the Java process ran out of its heap of 64 MiB");
    assert!(error.hint().unwrap().contains("heap_mb"));
    assert!(!simulator.is_usable() && !is_alive(process));
}

#[test]
fn two_hundred_instances_are_refused_beforehand_where_memory_is_short() {
    if !is_playable() {
        return;
    }
    let options = SciWorldOptions { heap_mb: 8192, ..Default::default() };
    let mut all = Vec::new();
    let error = loop {
        match SciWorld::new(&options) {
            Ok(env) => all.push(env),
            Err(error) => break error,
        }
        assert!(all.len() < 1000, "8 TB of memory?");
    };
    let said = error.to_string();
    assert!(said.contains("instances of ScienceWorld take a Java process of up to 8.1 GiB each"), "{said}");
    assert!(error.hint().unwrap().contains("lower heap_mb (it is 8192)"));
    let big = |process: u32| {
        String::from_utf8_lossy(&std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default())
            .contains("-Xmx8192m")
    };
    assert!(!java_processes(std::process::id()).into_iter().any(big), "none was started");
    // The engine may make as many as it likes, if it plays few of them at a time; a start is refused, not the making.
    drop(all);
    let mut spare: Vec<Box<dyn Environment>> = Vec::new();
    let first = world(json!({}));
    for _ in 0..500 {
        spare.push(first.fresh().unwrap());
    }
}

#[test]
fn an_episode_is_named_by_task_and_variation_too() {
    if !is_playable() {
        return;
    }
    let mut env = world(json!({}));
    let named = |table: Value| table.as_object().unwrap().clone();
    let by_name = env.reset_to(&named(of("melt", 0))).unwrap();
    assert_eq!(env.reset(30).unwrap(), by_name);
    // AgentGym has no number for this one.
    assert!(env.reset_to(&named(of("grow-plant", 3))).unwrap().starts_with("Your task is to grow "));
    assert_eq!(env.state()["task_name"], "grow-plant");
    let mut easy = of("boil", 1);
    easy["simplifications"] = json!("easy");
    env.reset_to(&named(easy)).unwrap();
    assert!(env.step("teleport to kitchen").unwrap().observation.starts_with("You teleport to the kitchen"));
    env.reset_to(&named(of("boil", 1))).unwrap();
    assert_eq!(env.step("teleport to kitchen").unwrap().observation, "No known action matches that input.");

    let refused = |env: &mut SciWorld, table: Value| {
        let error = env.reset_to(&named(table)).unwrap_err();
        (error.to_string(), error.hint().unwrap_or_default().to_string())
    };
    let (said, _) = refused(&mut env, of("boil", 30));
    assert_eq!(said, "environment sciworld: variation: expected from 0 to 29, the variations of boil, got 30");
    let (said, hint) = refused(&mut env, of("boyl", 0));
    assert_eq!(said, "environment sciworld: task: unknown task \"boyl\"");
    assert!(hint.contains("ScienceWorld's tasks are boil, melt"), "{hint}");
    let mut dark = of("power-component", 0);
    dark["simplifications"] = json!("noElectricalAction");
    assert!(refused(&mut env, dark).0.contains("none that switches electricity off"));
}

/// Takes some minutes, so the usual tests look at the ends of each task only.
#[test]
#[ignore = "takes minutes: loads every world"]
fn every_number_of_agentgyms_is_a_world() {
    let mut env = world(json!({}));
    for id in 0..4639 {
        let opening = env.reset(id).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(opening.starts_with("Your task is to ") && opening.contains("\tthe agent\n"), "{id}: {opening}");
    }
    assert!(env.reset(4639).is_err());
}

/// A stand-in for Java: a script of the shell. The kernel runs it once it is closed.
fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("java");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// The error of a start with `body` in Java's place, and a jar that is none.
fn refusal(body: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let java = script(folder.path(), body);
    let jar = folder.path().join("scienceworld.jar");
    std::fs::write(&jar, "no jar").unwrap();
    let options = SciWorldOptions {
        java: Some(java.to_str().unwrap().into()),
        jar: Some(jar.to_str().unwrap().into()),
        timeout: 2,
        ..Default::default()
    };
    let mut env = SciWorld::new(&options).unwrap();
    env.reset(0).unwrap_err().to_string()
}

#[test]
fn a_java_that_does_not_start_is_told_with_its_own_words() {
    let error = refusal("echo 'Error: no main class' >&2; exit 1");
    let said = "environment sciworld: the Java process ended with code 1; it said last: Error: no main class";
    assert_eq!(error, said);
    let error = refusal("echo warming up; exec sleep 60");
    assert_eq!(
        error,
        "environment sciworld: the Java process did not say its port within 2 s; it said last: warming up"
    );
}

#[test]
fn a_port_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let error = refusal(&format!("echo {port}; exec sleep 60"));
    assert_eq!(error, "environment sciworld: the Java process is of no more use: it did not answer within 2 s");
    assert!(begun.elapsed() < Duration::from_secs(20));
    drop(silent);
    let error = refusal(&format!("echo {port}; exec sleep 60"));
    assert!(
        error.starts_with(&format!("environment sciworld: port {port} of the Java process cannot be reached")),
        "{error}"
    );
}

/// A port that answers each command of one client with what `reply` makes of its lines.
fn answering(reply: impl Fn(&[String]) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut writer = stream.try_clone().unwrap();
        let mut command = Vec::new();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let is_end = line == "e";
            command.push(line);
            if is_end {
                let _ = writeln!(writer, "{}", reply(&command));
                command.clear();
            }
        }
    });
    port
}

#[test]
fn a_jar_of_another_version_is_refused() {
    let constructed = |command: &[String]| command[0] == "i";
    let port = answering(move |command| if constructed(command) { "!yro0".into() } else { "!yi31".into() });
    let error = refusal(&format!("echo {port}; exec sleep 60"));
    let said = "is another version than ScienceWorld 1.2.3: of the task boil it has 31 variations, not 30 variations";
    assert!(error.ends_with(said), "{error}");

    let port = answering(|_| "!xspy4j.Py4JException: scienceworld.runtime is missing\\n\\tat py4j".into());
    let error = refusal(&format!("echo {port}; exec sleep 60"));
    assert!(
        error.ends_with("is no jar of ScienceWorld: py4j.Py4JException: scienceworld.runtime is missing"),
        "{error}"
    );

    let port = answering(move |command| if constructed(command) { "!yro0".into() } else { "HTTP/1.1 400".into() });
    let error = refusal(&format!("echo {port}; exec sleep 60"));
    assert_eq!(error, "environment sciworld: the simulator failed: it does not speak py4j's protocol");
}

#[test]
fn a_file_that_is_no_jar_is_refused() {
    if !is_playable() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let jar = folder.path().join("scienceworld.jar");
    std::fs::write(&jar, "no jar").unwrap();
    let mut env = world(json!({ "jar": jar }));
    let error = env.reset(0).unwrap_err().to_string();
    assert!(error.starts_with("environment sciworld: the Java process ended with code 1; it said last: "), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    let refused = |options: Value| {
        let options: SciWorldOptions = serde_json::from_value(options).unwrap();
        let error = SciWorld::new(&options).err().unwrap();
        (error.to_string(), error.hint().unwrap_or_default().to_string())
    };
    let (said, _) = refused(json!({ "java": "/nowhere/java" }));
    assert_eq!(said, "java: there is no program /nowhere/java");
    let (said, hint) = refused(json!({ "java": "/bin/sh", "jar": "/nowhere/scienceworld.jar" }));
    assert_eq!(said, "jar: there is no file /nowhere/scienceworld.jar");
    assert!(hint.contains("affine env setup sciworld") && hint.contains("SCIENCEWORLD_JAR"), "{hint}");
}

/// Not a test: what the next one starts and kills.
#[test]
#[ignore = "started by another test"]
fn plays_until_killed() {
    let mut env = world(of("boil", 0));
    env.reset(0).unwrap();
    println!("playing {:?}", java_processes(std::process::id()));
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(120));
}

/// This test binary once more, as a program that plays; its output lines.
fn player() -> (Child, impl Iterator<Item = String>) {
    let mut player = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sciworld::plays_until_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(player.stdout.take().unwrap());
    (player, output.lines().map_while(Result::ok))
}

fn assert_ends(process: u32) {
    let begun = Instant::now();
    while is_alive(process) {
        assert!(begun.elapsed() < Duration::from_secs(60), "process {process} is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn no_java_process_outlives_us_when_we_are_killed_while_playing() {
    if !is_playable() {
        return;
    }
    let (mut player, mut lines) = player();
    let line = lines.find(|line| line.contains("playing [")).unwrap();
    let process: u32 = line.split(['[', ']']).nth(1).unwrap().parse().unwrap();
    assert!(is_alive(process));
    kill(player.id());
    player.wait().unwrap();
    assert_ends(process);
}

#[test]
fn no_java_process_outlives_us_when_we_are_killed_while_it_starts() {
    if !is_playable() {
        return;
    }
    let (mut player, _lines) = player();
    let begun = Instant::now();
    let process = loop {
        if let Some(process) = java_processes(player.id()).pop() {
            break process;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no Java process was started");
        std::thread::sleep(Duration::from_millis(2));
    };
    kill(player.id());
    player.wait().unwrap();
    assert_ends(process);
}

/// Walks that `scripts/dev/peer/sciworld.py` played through the Python package, in the file that AFFINE_PEER_SCIWORLD names:
/// equal step by step.
#[test]
#[ignore = "needs the walks of scripts/dev/peer/sciworld.py"]
fn fresh_walks_of_the_python_package_replay_byte_for_byte() {
    let file = std::env::var_os("AFFINE_PEER_SCIWORLD").expect("AFFINE_PEER_SCIWORLD names the walks");
    let walks = golden::rows_of(Path::new(&file));
    let (mut steps, mut drifted) = (0, Vec::new());
    // While it is there, processes are kept from one walk to the next, as from one episode to the next.
    let _keeper = world(json!({}));
    for walk in &walks {
        let mut options = of(text(walk, "task"), walk["variation"].as_u64().unwrap());
        options["simplifications"] = walk["simplifications"].clone();
        // As it is played; then as the wrapper asks, which must be equal in all.
        let mut plain = world(options.clone());
        let mut is_equal = plain.reset(0).unwrap() == text(walk, "opening");
        for step in walk["steps"].as_array().unwrap() {
            let took = plain.step(text(step, "action")).unwrap();
            is_equal &= took.observation == text(step, "observation") && json!(took.score) == step["result"][0];
        }
        drop(plain);
        options["admissible"] = json!(true);
        let mut exact = world(options);
        assert_eq!(exact.reset(0).unwrap(), text(walk, "opening"), "{} {}", walk["task"], walk["variation"]);
        for step in walk["steps"].as_array().unwrap() {
            let action = text(step, "action");
            let took = exact.step(action).unwrap();
            let at = format!("{} {}: {action:.80}", walk["task"], walk["variation"]);
            assert_eq!(took.observation, text(step, "observation"), "{at}");
            assert_eq!(json!([took.score, took.reward, took.done]), step["result"], "{at}");
            assert_eq!(took.info["moves"], step["moves"], "{at}");
            let valid: Vec<&str> =
                took.info["admissible"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(affine::engine::file::sha256(valid.join("\n").as_bytes()), text(step, "valid"), "{at}");
            steps += 1;
        }
        if !is_equal {
            drifted.push(format!("{} {}", text(walk, "task"), walk["variation"]));
        }
    }
    println!(
        "{} walks, {steps} steps, all equal when the valid actions are asked for as the wrapper does",
        walks.len()
    );
    println!("without asking, {} walks differ somewhere: {drifted:?}", drifted.len());
}
