//! `affine env` from outside.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Command, Stdio};

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::cli::{affine, code, stderr, stdout};

fn run(args: &[&str]) -> std::process::Output {
    affine().arg("env").args(args).output().unwrap()
}

#[test]
fn list_shows_sizes_and_origins() {
    let text = stdout(&run(&["list"]));
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_string();
    assert!(line("textcraft").contains("544 tasks") && line("textcraft").contains("AgentGym"), "{text}");
    assert!(line("grid").contains("in Lua") && line("sat").contains("any task id"), "{text}");
}

#[test]
fn play_lets_a_person_play() {
    let mut child = affine()
        .args(["env", "play", "textcraft", "--task", "12"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let typed = b":expert\nget 3 wheat\ninventory\ncraft 1 bread using 3 wheat\n";
    child.stdin.take().unwrap().write_all(typed).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}");
    for expected in [
        "Goal: craft bread.",
        "> get 3 wheat\n",
        "Inventory: [wheat] (3) ",
        "Crafted 1 minecraft:bread",
        "The episode is over after 3 turns: score 1, a success.",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn check_passes_what_keeps_its_promises_and_names_what_does_not() {
    for good in ["textcraft", "grid", "sat", "scripts/examples/guess.lua"] {
        let output = run(&["check", good]);
        assert_eq!(code(&output), 0, "{good}: {}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("ok    the expert succeeds\n"), "{good}: {}", stdout(&output));
    }
    // Of AgentGym's twenty turns this mission wants one more; for four others its words know no way.
    let output = run(&["check", "babyai"]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(
        stdout(&output).contains("ok    the expert succeeds: it does not finish task 5 in 20 turns, nor 4 others\n")
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.lua");
    let bad = r#"
        local env = require("affine.env")
        local count = 0
        return env.define {
          name = "bad", prompt = "p", max_turns = 2,
          reset = function() count = count + 1; return "episode " .. count end,
          step = function(_, action) return "seen", action == "boom" and error("broken") or 0, false end,
          expert = function() return "wrong" end,
          random_action = function() return "boom" end,
        }"#;
    std::fs::write(&path, bad).unwrap();
    let output = run(&["check", path.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    for expected in [
        "FAIL  reset twice gives the same bytes, and so do the opening turns: task 0: the first observation: \"episode 1\"",
        "FAIL  the expert succeeds: it does not finish task 0 in 2 turns, nor 19 others",
        "FAIL  random play breaks nothing: task 0: ",
        "ok    odd replies break nothing",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(stderr(&output).contains("4 checks failed"), "{}", stderr(&output));
}

/// A server, its address, and what it says: nobody reads on, but a closed pipe would end it. It is killed when dropped.
struct Serving(Child, String, #[allow(dead_code)] BufReader<ChildStderr>);

impl Serving {
    fn start(args: &[&str]) -> Self {
        Self::with(&mut affine(), args).0
    }

    /// And all that it says until it serves.
    fn with(command: &mut Command, args: &[&str]) -> (Self, String) {
        command.args(["env", "serve"]).args(args).args(["--port", "0"]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut says = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        while !line.contains("serving ") {
            line.clear();
            assert!(says.read_line(&mut line).unwrap() > 0, "{said}");
            said += &line;
        }
        let base = line.split("at ").nth(1).and_then(|rest| rest.split(',').next());
        let base = base.unwrap_or_else(|| panic!("no address in {line}")).to_string();
        (Serving(child, base, says), said)
    }

    fn post(&self, path: &str, body: Value) -> Value {
        Client::new().post(format!("{}{path}", self.1)).json(&body).send().unwrap().json().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn serve_answers_agentgyms_clients_until_it_is_interrupted() {
    let mut serving = Serving::start(&["textcraft", "--set", "max_distractors=0"]);
    assert_eq!(serving.post("/create", json!({}))["id"], 0);
    let begun = serving.post("/reset", json!({ "id": 0, "data_idx": 12 }));
    let expected = "Crafting commands:\ncraft 1 bread using 3 wheat\n\nGoal: craft bread.";
    assert_eq!(begun, json!({ "id": 0, "observation": expected, "done": false, "reward": 0 }));

    let player = affine()
        .args(["-e", "local e <close> = require('affine.env').make(...)\nprint(e:reset(12))", &serving.1])
        .output()
        .unwrap();
    assert_eq!(stdout(&player), format!("{expected}\n"), "{}", stderr(&player));

    let interrupt = Command::new("kill").args(["-INT", &serving.0.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(serving.0.wait().unwrap().code(), Some(130));
}

#[test]
fn an_environment_written_in_lua_is_served() {
    let serving = Serving::start(&["scripts/examples/guess.lua"]);
    assert_eq!(serving.post("/create", json!({})), json!({ "id": 0 }));
    assert_eq!(serving.post("/reset", json!({ "id": 0, "data_idx": 1 }))["observation"], "Guess.");
    let step = serving.post("/step", json!({ "id": 0, "action": "x" }));
    assert_eq!(step, json!({ "observation": "Not a whole number.", "reward": 0, "score": 0, "done": false }));
}

#[test]
fn a_wrong_command_line_is_refused_in_one_sentence() {
    assert_eq!(code(&run(&["serv"])), 2);
    let output = run(&["play", "textcaft"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("did you mean \"textcraft\"?"), "{}", stderr(&output));
    let output = run(&["check", "textcraft", "--set", "novalue"]);
    assert!(stderr(&output).contains("--set: expected KEY=VALUE, got `novalue`"), "{}", stderr(&output));
}

/// A folder with a `python3` in it that is a script of the shell.
fn python(body: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("python3");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_set_up_that_fails_says_why_and_what_to_try() {
    let set_up = |python: &tempfile::TempDir| {
        let home = tempfile::tempdir().unwrap();
        affine()
            .args(["env", "setup", "sciworld"])
            .env("PATH", python.path())
            .env("XDG_CACHE_HOME", home.path())
            .output()
            .unwrap()
    };
    let output = set_up(&python("echo 'ERROR: No matching distribution found' >&2; exit 1"));
    assert_eq!(code(&output), 1);
    let said = stderr(&output);
    assert!(said.contains("pip could not obtain ScienceWorld: ERROR: No matching distribution found"), "{said}");
    assert!(said.contains("try it by hand: python3 -m pip install --no-deps scienceworld==1.2.3"), "{said}");

    let said = stderr(&set_up(&python("exit 0")));
    assert!(said.contains("pip installed something else than ScienceWorld 1.2.3"), "{said}");
    let said = stderr(&set_up(&tempfile::tempdir().unwrap()));
    assert!(said.contains("there is no python3"), "{said}");
    let output = run(&["setup", "grid"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("there is nothing to set up for `grid`"), "{}", stderr(&output));
}

#[test]
fn sciworld_without_java_says_what_to_do_and_names_what_needs_none() {
    let nothing = tempfile::tempdir().unwrap();
    let output = affine()
        .args(["env", "play", "sciworld"])
        .env("PATH", nothing.path())
        .env_remove("JAVA_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    let said = stderr(&output);
    assert!(said.contains("ScienceWorld runs on Java, and there is no `java` here"), "{said}");
    assert!(said.contains("sciworld-mini") && said.contains("which is not ScienceWorld"), "{said}");
    let output = affine()
        .args(["env", "play", "sciworld-mini", "--task", "5"])
        .env("PATH", nothing.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(stdout(&output).contains("Task: melt the butter."), "{}", stdout(&output));
}

/// The action is what stands behind `Guess:`, and a file of that name is a module.
const PARSING: &str = r#"
return require("affine.env").define {
  name = "parsing", prompt = "Reply with `Guess: N`.", max_turns = 3, num_tasks = 5, score_range = { 0, 10 }, success_threshold = 7,
  reset = function(self, task) self.secret = tostring(task.id) return "Which number?" end,
  parse = function(_, reply)
    local number = reply:match "^Guess: (%d+)"
    if number then return number end
    return nil, "Begin with `Guess:`."
  end,
  step = function(self, action)
    assert(action:match "^%d+$", "an action is a number")
    return action == self.secret and "Yes." or "No.", 0, action == self.secret, { score = action == self.secret and 10 or 1 }
  end,
}
"#;

fn typed(command: &mut Command, lines: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    stdout(&child.wait_with_output().unwrap())
}

#[test]
fn what_a_person_types_goes_through_the_environments_own_reading() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("parsing.lua"), PARSING).unwrap();
    for name in ["parsing.lua", "custom:parsing"] {
        let mut play = affine();
        let text =
            typed(play.current_dir(&folder).args(["env", "play", name, "--task", "4"]), "4\nGuess: 1\nGuess: 4\n");
        assert!(
            text.contains("> Begin with `Guess:`.\n(reward 0, score 0)\n> No.\n(reward 0, score 1)\n> Yes.\n"),
            "{text}"
        );
        assert!(text.ends_with("The episode is over after 3 turns: score 10, a success.\n"), "{text}");
    }
    // An action alone, or a whole reply as a model gives it.
    for line in ["inventory", "Thought:\tI look.  Action: inventory"] {
        let text = typed(affine().args(["env", "play", "textcraft"]), &format!("{line}\n"));
        assert!(text.contains("> Inventory: You are not carrying anything."), "{line}: {text}");
    }
}

#[test]
fn an_environment_of_ones_own_is_served_to_affine_with_all_that_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("parsing.lua"), PARSING).unwrap();
    let serving = Serving::with(affine().current_dir(&folder), &["custom:parsing"]).0;
    let script = r#"
        local env = require "affine.env"
        local told = {}
        for _, name in ipairs { ..., "parsing.lua" } do
          local e <close> = env.make(name)
          local about, episode = e:describe(), env.play(e, 3, function(_, messages)
            return #messages == 1 and "3" or "Guess: " .. #messages
          end)
          told[#told + 1] = require("affine.json").encode { about, episode }
        end
        print(told[1] == told[2] and told[1] or table.concat(told, "\n"))"#;
    let output = affine().current_dir(&folder).args(["-e", script, &serving.1]).output().unwrap();
    let text = stdout(&output);
    assert!(text.lines().count() == 1 && text.contains(r#""score":10"#), "{text}{}", stderr(&output));
    let text = typed(affine().args(["env", "play", &serving.1, "--task", "2"]), "2\nGuess: 2\n");
    assert!(text.contains("> Begin with `Guess:`.") && text.contains("over after 2 turns: score 10"), "{text}");
}

#[test]
fn a_module_of_the_working_folder_is_found_beside_those_of_the_scripts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("scripts/lib")).unwrap();
    std::fs::write(folder.path().join("parsing.lua"), PARSING).unwrap();
    std::fs::write(folder.path().join("lib.lua"), "return 'here'").unwrap();
    std::fs::write(folder.path().join("scripts/lib/init.lua"), "return 'beside'").unwrap();
    let script = "print(require('affine.env').make('custom:parsing'):describe().name, (require 'lib'))";
    std::fs::write(folder.path().join("scripts/x.lua"), script).unwrap();
    let output = affine().current_dir(&folder).arg("scripts/x.lua").output().unwrap();
    assert_eq!(stdout(&output), "parsing\tbeside\n", "{}", stderr(&output));
}

#[test]
fn a_server_that_is_open_to_others_says_so_unless_it_asks_for_a_key() {
    let everywhere = ["textcraft", "--host", "0.0.0.0"];
    let open = Serving::with(&mut affine(), &everywhere).1;
    assert!(open.contains("is open to other machines: anyone who reaches it may play"), "{open}");
    assert!(!Serving::with(&mut affine(), &["textcraft"]).1.contains("anyone"));

    let with_key = ["textcraft", "--host", "0.0.0.0", "--api-key", "se-cret"];
    for (command, args) in
        [(affine().env("AFFINE_API_KEY", "se-cret"), everywhere.as_slice()), (&mut affine(), with_key.as_slice())]
    {
        let (serving, said) = Serving::with(command, args);
        assert!(!said.contains("anyone") && !said.contains("se-cret"), "{said}");
        let address = serving.1.replace("0.0.0.0", "127.0.0.1");
        let play = |key: &str| {
            let script = "print(require('affine.env').make(...):reset(12))";
            affine().args(["-e", script, &address]).env("AFFINE_API_KEY", key).output().unwrap()
        };
        assert!(stdout(&play("se-cret")).contains("Goal: craft bread."), "{}", stderr(&play("se-cret")));
        let refused = stderr(&play(""));
        assert!(refused.contains("it asks for a key (status 401): set AFFINE_API_KEY"), "{refused}");
    }
    let wrong = affine().args(["env", "serve", "textcraft", "--api-key", ""]).output().unwrap();
    assert_eq!(code(&wrong), 2);
    let wrong = affine().args(["env", "serve", "textcraft", "--max-instances", "0"]).output().unwrap();
    assert!(stderr(&wrong).contains("max_instances: expected an integer of at least 1, got 0"), "{}", stderr(&wrong));
}

#[test]
fn a_key_in_the_settings_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    crate::place::show_clone(folder.path());
    let entry = "data.environments={{name=\"http://127.0.0.1:9\",api_key=\"se-cret\"}}";
    let output = affine().current_dir(&folder).args(["scripts/full.lua", "--set", entry]).output().unwrap();
    let said = stderr(&output);
    assert!(
        code(&output) == 1 && said.contains("set AFFINE_API_KEY in its place") && !said.contains("se-cret"),
        "{said}"
    );
    assert_eq!(crate::place::left_in(folder.path()), Vec::<std::ffi::OsString>::new());
}
