//! ALFWorld against recordings of the original's engine. A game file embeds upstream's domain and grammar, so the
//! recordings are not in this repository: the variable AFFINE_GOLDEN names the folder that holds
//! `alfworld/<task>/<trial>/{game.tw-pddl,transcript.json}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use affine::engine::env::alfworld::{self, AlfWorld, AlfWorldOptions, Split, Wording, Wrapper};
use affine::engine::env::{Environment, Parsed, Step};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::golden;

/// The recordings' folders, each with a game and a transcript; none when AFFINE_GOLDEN is not set.
fn recordings() -> Vec<PathBuf> {
    let Some(golden) = std::env::var_os("AFFINE_GOLDEN") else {
        eprintln!("skipped: AFFINE_GOLDEN does not name a folder of recordings");
        return Vec::new();
    };
    let folders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let tasks = folders(&Path::new(&golden).join("alfworld"));
    let mut trials: Vec<PathBuf> = tasks.iter().flat_map(|task| folders(task)).collect();
    trials.retain(|trial| trial.join("game.tw-pddl").is_file() && trial.join("transcript.json").is_file());
    trials.sort();
    assert!(!trials.is_empty(), "no recordings in {}", Path::new(&golden).display());
    trials
}

fn transcript(recording: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(recording.join("transcript.json")).unwrap()).unwrap()
}

fn options(recording: &Path, wrapper: Wrapper) -> AlfWorldOptions {
    AlfWorldOptions { game: Some(recording.join("game.tw-pddl")), wrapper, ..Default::default() }
}

#[test]
fn every_recorded_game_comes_out_byte_for_byte() {
    let mut steps = 0;
    for recording in recordings() {
        let (script, place) = (transcript(&recording), recording.display());
        let mut env = AlfWorld::new(&options(&recording, Wrapper::Textworld)).unwrap();
        assert_eq!(env.reset(0).unwrap(), script["reset"], "{place}");
        for (number, step) in script["steps"].as_array().unwrap().iter().enumerate() {
            let action = step["action"].as_str().unwrap();
            let got = env.step(action).unwrap();
            let place = format!("{place}, step {number}: {action}");
            assert_eq!(got.observation, step["observation"], "{place}");
            assert_eq!(got.info["admissible"], step["admissible"], "{place}");
            assert_eq!(
                json!([got.score, got.done, got.info["won"]]),
                json!([step["score"].as_f64(), step["done"], step["won"]]),
                "{place}"
            );
            assert_eq!(got.info["task_type"], script["task_type"], "{place}");
            steps += 1;
        }
    }
    eprintln!("{steps} steps replayed");
}

/// An environment with games of our own.
fn generated(wrapper: Wrapper, dialect: Option<Wording>) -> AlfWorld {
    let options = AlfWorldOptions { wrapper, dialect, split: Some(Split::Generated), ..Default::default() };
    AlfWorld::new(&options).unwrap()
}

#[test]
fn the_expert_wins_every_generated_game() {
    let mut lengths: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for task_id in 0..3000 {
        let mut env = generated(Wrapper::Textworld, None);
        env.reset(task_id).unwrap();
        for turn in 1.. {
            let action = env.expert().unwrap().unwrap_or_else(|| panic!("task {task_id}: stuck in turn {turn}"));
            let step = env.step(&action).unwrap();
            assert!(step.observation != "Nothing happens." && turn < 150, "task {task_id}, turn {turn}: {action}");
            if step.done {
                let task_type = step.info["task_type"].as_str().unwrap().to_string();
                lengths.entry(task_type).or_default().push(turn);
                break;
            }
        }
    }
    assert_eq!(lengths.len(), 6, "every task type comes up");
    for (task_type, lengths) in lengths {
        let within = lengths.iter().filter(|length| **length <= 30).count();
        eprintln!("{task_type}: {} games, {within} won in 30 turns", lengths.len());
        assert!(lengths.len() > 400 && within * 10 > lengths.len() * 9, "{task_type}");
    }
}

#[test]
fn the_agentgym_wrapper_has_its_turns_and_its_texts() {
    let mut env = generated(Wrapper::Agentgym, None);
    let opening = env.reset(7).unwrap();
    let mut raw = generated(Wrapper::Textworld, None);
    let shown = raw.reset(7).unwrap();
    let look = raw.step("look").unwrap();
    let available: Vec<&str> = admissible(&look);
    let (room, task) =
        shown.strip_prefix("-= Welcome to TextWorld, ALFRED! =-\n\n").unwrap().split_once("\n\n").unwrap();
    assert_eq!(opening, format!("{room}\n{task}\nAVAILABLE ACTIONS: {}", available.join(",")));

    let messages = env.messages().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    for format in ["\"Thought:\nyour thoughts.\n\nAction:\nyour next action\"", "\"Action:\nyour next action\""] {
        assert!(messages[0].content.contains(format), "{}", messages[0].content);
    }
    assert_eq!(messages[1].content, "OK. I'll follow your instructions and try my best to solve the task.");
    assert_eq!(messages[2].content, opening);

    // The old dialect names a location on arrival, and AgentGym hides it.
    let go = available.iter().find(|command| command.starts_with("go to ")).unwrap();
    let reply = format!("Thought:\nI look around.\n\nAction:\n{go}");
    assert_eq!(env.parse(&reply).unwrap(), Parsed::Action(go.to_string()));
    let (wrapped, plain) = (env.step(go).unwrap().observation, raw.step(go).unwrap().observation);
    assert!(plain.starts_with("You arrive at loc "), "{plain}");
    assert_eq!(wrapped, plain.split_once(". ").unwrap().1);
    assert_eq!(env.step("sing").unwrap().observation, "Nothing happens.");
    assert_eq!(env.messages().unwrap()[2].content, opening, "the opening stays what it was");

    let options =
        AlfWorldOptions { instructions: Some("Tidy up.".into()), split: Some(Split::Generated), ..Default::default() };
    let mut env = AlfWorld::new(&options).unwrap();
    env.reset(0).unwrap();
    assert_eq!(env.messages().unwrap()[0].content, "Tidy up.");
}

fn admissible(step: &Step) -> Vec<&str> {
    step.info["admissible"].as_array().unwrap().iter().map(|command| command.as_str().unwrap()).collect()
}

#[test]
fn both_dialects_are_one_game_in_two_wordings() {
    for task_id in 0..50 {
        let (mut put, mut moved) =
            (generated(Wrapper::Textworld, Some(Wording::Put)), generated(Wrapper::Textworld, Some(Wording::Move)));
        assert_eq!(put.reset(task_id).unwrap(), moved.reset(task_id).unwrap());
        loop {
            let (old, new) = (put.expert().unwrap().unwrap(), moved.expert().unwrap().unwrap());
            let (before, after) = (put.step(&old).unwrap(), moved.step(&new).unwrap());
            match old.strip_prefix("put ").and_then(|rest| rest.split_once(" in/on ")) {
                Some((object, receptacle)) => {
                    assert_eq!(new, format!("move {object} to {receptacle}"));
                    assert_eq!(before.observation, format!("You put the {object} in/on the {receptacle}."));
                    assert_eq!(after.observation, format!("You move the {object} to the {receptacle}."));
                }
                None => assert_eq!(old, new),
            }
            assert!(!admissible(&before).contains(&"help") && admissible(&after).contains(&"help"));
            if before.done || after.done {
                assert!(before.done && after.done);
                break;
            }
        }
    }
}

#[test]
fn a_task_id_decides_everything() {
    let play = |env: &mut dyn Environment, task_id: u64| {
        let mut stream = 1u64;
        let mut draw = |n: u64| {
            stream = stream.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (stream >> 33) % n
        };
        let mut log = vec![env.reset(task_id).unwrap()];
        for _ in 0..60 {
            let action = env.random_action(&mut draw).unwrap().unwrap();
            let step = env.step(&action).unwrap();
            log.push(format!("{action}: {step:?}"));
            if step.done {
                break;
            }
        }
        log
    };
    let mut env = generated(Wrapper::Agentgym, None);
    let first: Vec<_> = (0..20).map(|task_id| play(&mut env, task_id)).collect();
    let mut other = env.fresh().unwrap();
    for task_id in (0..20).rev() {
        assert_eq!(play(other.as_mut(), task_id), first[task_id as usize], "task {task_id}");
    }
    assert_eq!(env.describe().num_tasks, None);
    let problems: BTreeSet<String> = (0..200).map(|task_id| alfworld::generate(task_id).unwrap().problem).collect();
    assert_eq!(problems.len(), 200);
    // The first game stays what it is: a changed table or another order of draws would change every task.
    let game = alfworld::generate(0).unwrap();
    assert_eq!((game.task.as_str(), file_hash(&game.problem).as_str()), (FIRST_TASK, FIRST_PROBLEM));
}

const FIRST_TASK: &str = "put a hot mug in cabinet";
const FIRST_PROBLEM: &str = "ce10b2789db331dc";

fn file_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_won_game_is_over_and_nothing_works_before_reset() {
    let mut env = generated(Wrapper::Agentgym, None);
    assert_eq!(
        env.step("look").unwrap_err().to_string(),
        "environment alfworld: no episode has begun; call reset first"
    );
    assert!(env.messages().is_err() && env.expert().is_err() && env.random_action(&mut |_| 0).is_err());
    env.reset(3).unwrap();
    let last = loop {
        let action = env.expert().unwrap().unwrap();
        let step = env.step(&action).unwrap();
        assert_eq!((step.score, &step.info["won"]), (Some(step.reward), &json!(step.done)));
        if step.done {
            break step;
        }
        assert_eq!(step.reward, 0.0);
    };
    assert_eq!((last.reward, last.truncated), (1.0, false));
    assert_eq!(
        env.step("look").unwrap_err().to_string(),
        "environment alfworld: the episode is over; call reset first"
    );
    for constant in env.constant_actions() {
        env.reset(3).unwrap();
        let Parsed::Action(action) = env.parse(&constant).unwrap() else { panic!("{constant}") };
        assert_ne!(env.step(&action).unwrap().observation, "Nothing happens.");
    }
}

#[test]
fn no_action_is_too_long_or_too_odd() {
    let mut env = generated(Wrapper::Textworld, None);
    env.reset(0).unwrap();
    let before = env.step("look").unwrap();
    let long = "go to ".repeat(20_000);
    for action in ["", " ", "\0", "go to\u{1b}[2J", "Look", "look look", "\u{202e}kool", "go to \u{7f}", &long] {
        let step = env.step(action).unwrap();
        assert_eq!((step.observation.as_str(), &step.info), ("Nothing happens.", &before.info), "{:.40}", action);
    }
    // As Python's strip: white space of every script, and the four separators of ASCII.
    for action in ["look\n", "\t look", "\u{1c}look\u{1f}", "\u{3000}look\u{85}"] {
        assert_eq!(env.step(action).unwrap().observation, before.observation, "{action:?}");
    }
}

#[test]
fn hundreds_of_episodes_side_by_side_keep_apart() {
    let maker = generated(Wrapper::Agentgym, None);
    let mut all: Vec<Box<dyn Environment>> = (0..400).map(|_| maker.fresh().unwrap()).collect();
    for (task_id, env) in all.iter_mut().enumerate() {
        env.reset(task_id as u64).unwrap();
    }
    let mut won = 0;
    for _ in 0..60 {
        for env in &mut all {
            if let Ok(Some(action)) = env.expert() {
                won += env.step(&action).map_or(0, |step| usize::from(step.done));
            }
        }
    }
    assert!(won >= 395, "{won}");
}

#[test]
fn options_that_contradict_each_other_are_refused_by_name() {
    let refusal = |options: Value| {
        let options: AlfWorldOptions = serde_json::from_value(options).unwrap();
        AlfWorld::new(&options).err().expect("it is refused").to_string()
    };
    assert_eq!(refusal(json!({"max_turns": 0})), "max_turns: expected at least 1, got 0");
    assert!(refusal(json!({"game": "g", "split": "train"})).starts_with("split: expected nothing beside game"));
    assert!(refusal(json!({"game": "g", "data": "d"})).starts_with("data: expected nothing beside game"));
    assert!(
        refusal(json!({"game": "g", "dialect": "put"})).starts_with("dialect: expected none: a game file has its own")
    );
    assert!(refusal(json!({"game": "no/such/game"})).starts_with("no/such/game: cannot be read"));
    assert!(refusal(json!({"data": "no/such/folder"})).starts_with("no/such/folder: has no folder json_2.1.1"));
    assert!(serde_json::from_value::<AlfWorldOptions>(json!({"wraper": "textworld"})).is_err());
    assert!(serde_json::from_value::<AlfWorldOptions>(json!({"wrapper": "gym"})).is_err());
    assert_eq!(serde_json::from_value::<AlfWorldOptions>(json!({})).unwrap(), AlfWorldOptions::default());
}

// Game files -----------------------------------------------------------------------------------------------------------

/// What is wrong with a file of this content.
fn complaint(content: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let game = folder.path().join("game.tw-pddl");
    std::fs::write(&game, content).unwrap();
    let error = AlfWorld::new(&AlfWorldOptions { game: Some(game.clone()), ..Default::default() }).err();
    let error = error.unwrap_or_else(|| panic!("it loads")).to_string();
    error.strip_prefix(&format!("{}: ", game.display())).unwrap_or_else(|| panic!("{error}")).to_string()
}

#[test]
fn what_is_no_game_file_is_refused_by_name() {
    let file = |domain: &str| json!({"pddl_domain": domain, "grammar": "", "pddl_problem": ""}).to_string();
    for (content, problem) in [
        (String::new(), "is no whole game file of ALFWorld: EOF while parsing"),
        ("{\"pddl_domain\": \"(def".to_string(), "is no whole game file of ALFWorld: EOF while parsing a string"),
        ("[]".to_string(), "is no whole game file of ALFWorld: "),
        ("{}".to_string(), "is no whole game file of ALFWorld: missing field `pddl_domain`"),
        (file(""), "pddl_domain: it is empty"),
        (file("(define (domain x)"), "pddl_domain: it ends where 1 closing parentheses are still to come"),
        (file("(define (domain x) (:derived (p) (q)))"), "pddl_domain: the section (:derived …) is a PDDL construct"),
        (
            file("(define (domain x) (:requirements :fluents))"),
            "pddl_domain: the requirement :fluents is not known here",
        ),
        (file("(define (domain x) (:action fly))"), "pddl_domain: the action fly is none of ALFWorld"),
        (file("(define (domain x))"), "pddl_domain: the section (:types …) is missing"),
        (
            json!({"pddl_domain": "", "grammar": "", "pddl_problem": "", "solvable": false}).to_string(),
            "the goal cannot be reached",
        ),
    ] {
        let complaint = complaint(&content);
        assert!(complaint.starts_with(problem), "{content}: {complaint}");
    }
}

#[test]
fn a_recorded_game_that_was_tampered_with_is_refused_by_name() {
    let Some(recording) = recordings().into_iter().find(|path| path.display().to_string().contains("Potato")) else {
        return;
    };
    let text = std::fs::read_to_string(recording.join("game.tw-pddl")).unwrap();
    let game: Value = serde_json::from_str(&text).unwrap();
    let tampered = |part: &str, from: &str, to: &str| {
        let mut game = game.clone();
        let text = game[part].as_str().unwrap().to_string();
        assert!(text.contains(from), "{part} has no {from}");
        game[part] = json!(text.replace(from, to));
        complaint(&game.to_string())
    };
    for (part, from, to, problem) in [
        (
            "pddl_domain",
            "(isSliced ?co)",
            "(forall (?x - object) (isSliced ?x))",
            "pddl_domain: the action sliceobject uses (forall …)",
        ),
        ("pddl_domain", "(isSliced ?co)", "(isHot ?co)", "pddl_domain: the action sliceobject is not defined as in"),
        ("pddl_domain", ":action SliceObject", ":action ChopObject", "pddl_domain: the action chopobject is none of"),
        (
            "pddl_domain",
            "(sliceable ?o - object)",
            "(sliceable ?o)",
            "pddl_domain: the section (:predicates …) is not that",
        ),
        ("grammar", "move {o} to {r}", "drop {o} onto {r}", "grammar: the command of putobject is of neither dialect"),
        ("grammar", "You are carrying", "You hold", "grammar: the rule inventory.feedback is of neither dialect"),
        (
            "grammar",
            "template :: \"open {r}\"",
            "template :: \"unlock {r}\"",
            "grammar: the command of openobject is of neither",
        ),
        ("grammar", "\"overview(o)\"", "\"summary(o)\"", "grammar: the rule overview(o) is missing"),
        ("grammar", "action look {", "action look [", "grammar: line"),
        (
            "pddl_problem",
            "(:goal",
            "(:constraints (x)) (:goal",
            "pddl_problem: the section (:constraints …) is a PDDL construct",
        ),
        ("pddl_problem", "(:goal", "(:goals", "pddl_problem: the section (:goals …) is a PDDL construct"),
        (
            "pddl_problem",
            "(isHot ?o)",
            "(sometime (isHot ?o))",
            "pddl_problem: (:goal …): (sometime …) is a PDDL construct",
        ),
        ("pddl_problem", "(atLocation agent1", "(at 5 agent1", "pddl_problem: (:init …): (at 5 agent1"),
        (
            "pddl_problem",
            "(:init",
            "(:init (smells Apple)",
            "pddl_problem: (:init …): (smells apple): the predicate smells",
        ),
        (
            "pddl_problem",
            "(:init",
            "(:init (openable nobody)",
            "pddl_problem: (:init …): (openable nobody): nobody is not declared",
        ),
        (
            "pddl_problem",
            "(:init",
            "(:init (openable agent1)",
            "pddl_problem: (:init …): (openable agent1): expected receptacle",
        ),
        ("pddl_problem", "- rtype", "- furniture", "pddl_problem: the type \"furniture\" is not known here"),
        ("pddl_problem", "(heatable Potato", "(coolable Potato", "pddl_problem: the goal cannot be reached"),
    ] {
        let complaint = tampered(part, from, to);
        assert!(complaint.starts_with(problem), "{part}: {from} -> {to}: {complaint}");
    }
    for length in (0..text.len()).step_by(text.len() / 50) {
        let part: String = text.chars().take(length).collect();
        assert!(complaint(&part).starts_with("is no whole game file of ALFWorld"), "{length}");
    }
}

#[test]
fn the_dialect_in_a_game_file_is_recognised() {
    for recording in recordings().iter().take(2) {
        let text = std::fs::read_to_string(recording.join("game.tw-pddl")).unwrap();
        let mut game: Value = serde_json::from_str(&text).unwrap();
        let old = game["grammar"].as_str().unwrap();
        let old = old
            .replace("move {o} to {r}", "put {o} in/on {r}")
            .replace("You arrive at {r.name}", "You arrive at {lend.name}");
        game["grammar"] =
            json!(old.replace("You move the {o.name} to the {r.name}", "You put the {o.name} in/on the {r.name}"));
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("game.tw-pddl");
        std::fs::write(&place, game.to_string()).unwrap();
        let mut env =
            AlfWorld::new(&AlfWorldOptions { game: Some(place), wrapper: Wrapper::Textworld, ..Default::default() })
                .unwrap();
        env.reset(0).unwrap();
        let mut said = String::new();
        while let Some(action) = env.expert().unwrap() {
            let step = env.step(&action).unwrap();
            said += &format!("{action}\n{}\n", step.observation);
            if step.done {
                break;
            }
        }
        assert!(said.contains("You arrive at loc "), "{said}");
        assert!(said.contains(" in/on the ") == said.contains("\nput "), "{said}");
    }
}

#[test]
fn the_expert_wins_every_recorded_game_within_the_recorded_length() {
    for recording in recordings() {
        let script = transcript(&recording);
        let mut env = AlfWorld::new(&options(&recording, Wrapper::Agentgym)).unwrap();
        env.reset(0).unwrap();
        let mut played = Vec::new();
        let won = loop {
            let action = env.expert().unwrap().unwrap();
            played.push(action.clone());
            if env.step(&action).unwrap().done {
                break true;
            }
            assert!(played.len() < 100, "{}: {played:?}", recording.display());
        };
        eprintln!("{} {:?} of {}", recording.display(), played.len(), script["walkthrough"].as_array().unwrap().len());
        assert!(won);
    }
}

#[test]
fn a_folder_of_games_is_played_by_split_and_by_the_ids_of_agentgym() {
    let recordings = recordings();
    let [first, second, ..] = recordings.as_slice() else { return };
    let data = tempfile::tempdir().unwrap();
    let place = |split: &str, task: &str, recording: &Path| {
        let folder = data.path().join("json_2.1.1").join(split).join(task).join("trial_1");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(recording.join("game.tw-pddl"), folder.join("game.tw-pddl")).unwrap();
    };
    place("train", "b", first);
    place("train", "a", second);
    place("train", "pick_and_place_with_movable_recep-Pen-Mug-Desk-1", first);
    place("train", "pick_heat_then_place_in_recep-AppleSliced-None-Fridge-1", first);
    place("valid_seen", "c", first);
    let open = |split| {
        let options = AlfWorldOptions {
            data: Some(data.path().into()),
            split,
            wrapper: Wrapper::Textworld,
            ..Default::default()
        };
        AlfWorld::new(&options)
    };
    let opening = |recording: &Path| transcript(recording)["reset"].as_str().unwrap().to_string();
    let mut train = open(None).unwrap();
    assert_eq!(train.describe().num_tasks, Some(2));
    assert_eq!(train.reset(0).unwrap(), opening(second));
    assert_eq!(train.fresh().unwrap().reset(1).unwrap(), opening(first));
    assert_eq!(train.reset(2).unwrap_err().to_string(), "environment alfworld: task 2: there are 2 tasks");
    assert_eq!(open(Some(Split::ValidSeen)).unwrap().describe().num_tasks, Some(1));
    assert!(open(Some(Split::ValidUnseen)).is_err());

    let missing = open(Some(Split::Agentgym)).err().unwrap().to_string();
    assert!(missing.contains("mappings_train.json") && missing.contains("agentenv-alfworld/configs"), "{missing}");
    let row = |item_id: usize, task: &str| json!({"item_id": item_id, "task_type": task, "task_id": "trial_1"});
    let write = |name: &str, rows: Value| std::fs::write(data.path().join(name), rows.to_string()).unwrap();
    write("mappings_train.json", json!([row(0, "c"), row(1, "a")]));
    write("mappings_test.json", json!([row(2, "nowhere")]));
    let mut mapped = open(Some(Split::Agentgym)).unwrap();
    assert_eq!(mapped.describe().num_tasks, Some(3));
    assert_eq!((mapped.reset(0).unwrap(), mapped.reset(1).unwrap()), (opening(first), opening(second)));
    assert!(mapped.reset(2).unwrap_err().to_string().contains("no split has the game nowhere/trial_1"));
    write("mappings_test.json", json!([row(9, "c")]));
    assert!(open(Some(Split::Agentgym)).err().unwrap().to_string().contains("expected item_id 2, got 9"));
}

// The peer check: see scripts/peer/alfworld.py, which plays these games with the original's engine ---------------------

/// What generated rooms lack or have seldom, by the number of the game.
fn vary(problem: &str, number: u64) -> String {
    let lines: Vec<&str> = problem.lines().collect();
    let locations: Vec<&str> = lines.iter().filter_map(|line| line.strip_suffix(" - location")).collect();
    let object = lines.iter().find_map(|line| line.strip_prefix("(pickupable ")?.strip_suffix(')')).unwrap();
    match number % 6 {
        // The agent starts in front of something.
        1 => {
            let start = format!("(atLocation agent1 {})", locations.last().unwrap());
            problem.replace(&start, &format!("(atLocation agent1 {})", locations[0]))
        }
        // Everything stands open.
        2 => {
            let open = |line: &&str| match line.strip_prefix("(openable ") {
                Some(rest) => format!("{line}\n(opened {rest}"),
                None => line.to_string(),
            };
            lines.iter().map(open).collect::<Vec<_>>().join("\n")
        }
        // Something is in the hand, hot and sliced from the start.
        3 => {
            let held =
                format!("(:init\n(holds agent1 {object})\n(holdsAny agent1)\n(isHot {object})\n(isSliced {object})");
            let away = |line: &&&str| !line.starts_with(&format!("(inReceptacle {object} "));
            lines.iter().filter(away).copied().collect::<Vec<_>>().join("\n").replace("(:init", &held)
        }
        // Receptacles of every class share three locations.
        4 => {
            let (head, facts) = problem.split_once("(:init").unwrap();
            let share = |facts: String, (place, location): (usize, &&str)| {
                facts.replace(&format!(" {location})"), &format!(" {})", locations[place % 3]))
            };
            let shared = locations[..locations.len() - 1].iter().enumerate().fold(facts.to_string(), share);
            format!("{head}(:init{shared}")
        }
        // Something is in two receptacles at once.
        5 => {
            let receptacle = lines.iter().find_map(|line| line.strip_suffix(" - receptacle")).unwrap();
            problem.replace("(:init", &format!("(:init\n(inReceptacle {object} {receptacle})"))
        }
        _ => problem.to_string(),
    }
}

/// The expert's way through the game in a folder.
fn plan(game: &Path) -> Vec<String> {
    let mut env = AlfWorld::new(&options(game, Wrapper::Textworld)).unwrap();
    env.reset(0).unwrap();
    let mut plan = Vec::new();
    while let Some(action) = env.expert().unwrap() {
        plan.push(action);
        if env.step(&plan[plan.len() - 1]).unwrap().done {
            break;
        }
    }
    plan
}

#[test]
#[ignore = "part of the peer check"]
fn games_for_the_peer_check() {
    let folder = PathBuf::from(std::env::var_os("AFFINE_PEER_ALFWORLD_GAMES").expect("names the peer check's folder"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for number in 0..120 {
        for dialect in ["put", "move"] {
            let (domain, grammar) = (read(&format!("{dialect}/alfred.pddl")), read(&format!("{dialect}/alfred.twl2")));
            let game = alfworld::generate(number).unwrap();
            let text = alfworld::compose(&vary(&game.problem, number), &game.task, &domain, &grammar).unwrap();
            let place = folder.join(format!("games/{number:04}-{dialect}"));
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("game.tw-pddl"), text).unwrap();
            std::fs::write(place.join("plan.json"), json!(plan(&place)).to_string()).unwrap();
        }
    }
}

#[test]
#[ignore = "part of the peer check"]
fn walks_of_the_real_engine_come_out_byte_for_byte() {
    let walks = std::env::var_os("AFFINE_PEER_ALFWORLD").expect("names the rows of scripts/peer/alfworld.py");
    let (mut steps, mut seen) = (0, BTreeMap::<&str, usize>::new());
    for row in golden::rows_of(Path::new(&walks)) {
        let game = row["game"].as_str().unwrap();
        let mut env = AlfWorld::new(&options(Path::new(game), Wrapper::Textworld)).unwrap();
        assert_eq!(env.reset(0).unwrap(), row["reset"], "{game}");
        for (number, step) in row["steps"].as_array().unwrap().iter().enumerate() {
            let action = step["action"].as_str().unwrap();
            let got = env.step(action).unwrap();
            let place = format!("{game}, step {number}: {action}");
            assert_eq!(got.observation, step["observation"], "{place}");
            assert_eq!(got.info["admissible"], step["admissible"], "{place}");
            assert_eq!((got.done, &got.info["won"]), (step["won"].as_bool().unwrap(), &step["won"]), "{place}");
            steps += 1;
            *seen.entry("things on the floor").or_default() +=
                usize::from(got.observation.contains("Next to it, you see a"));
            *seen.entry("shared locations").or_default() +=
                usize::from(got.observation.contains("facing the") && got.observation.contains(", and "));
            *seen.entry("containers").or_default() += usize::from(got.observation.contains("This is a normal"));
            *seen.entry("slices").or_default() += usize::from(got.observation.contains("You sliced"));
            *seen.entry("invalid actions").or_default() += usize::from(got.observation == "Nothing happens.");
            *seen.entry("wins").or_default() += usize::from(got.done);
        }
        *seen.entry("games").or_default() += 1;
    }
    eprintln!("{steps} steps: {seen:?}");
}
