//! Game files against recordings of the original's engine. A game file embeds upstream's domain and grammar, so the
//! recordings are not in this repository: the variable AFFINE_GOLDEN names the folder that holds
//! `alfworld/<task>/<trial>/{game.tw-pddl,transcript.json}`.

use std::path::{Path, PathBuf};

use affine::engine::env::alfworld::{AlfWorld, AlfWorldOptions, Split, Wrapper};
use affine::engine::env::{Demonstrator, Environment};
use serde_json::{Value, json};

/// The recordings' folders, each with a game and a transcript; none when AFFINE_GOLDEN is not set.
fn recordings() -> Vec<PathBuf> {
    let Some(golden) = std::env::var_os("AFFINE_GOLDEN").filter(|folder| !folder.is_empty()) else {
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

/// One game without a wrapper around it, or with AgentGym's.
pub fn options(recording: &Path, wrapper: Wrapper) -> AlfWorldOptions {
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
fn the_expert_wins_every_recorded_game_as_fast_as_the_original_s() {
    for recording in recordings() {
        let script = transcript(&recording);
        let plan = plan(&recording);
        let place = recording.display();
        // The original's expert draws some choices at random; its other games were planned by a solver that sees all.
        if script["expert"] == "handcoded" {
            assert!(plan.len() <= script["walkthrough"].as_array().unwrap().len(), "{place}: {plan:?}");
        }
    }
}

/// The expert's way through the game in a folder, which it must win.
pub fn plan(game: &Path) -> Vec<String> {
    let mut env = AlfWorld::new(&options(game, Wrapper::Textworld)).unwrap();
    env.reset(0).unwrap();
    let mut plan = Vec::new();
    loop {
        let stuck = || panic!("{}: stuck after {plan:?}", game.display());
        let action = env.expert().unwrap().unwrap_or_else(stuck);
        let done = env.step(&action).unwrap().done;
        plan.push(action);
        if done {
            return plan;
        }
        assert!(plan.len() < 150, "{}: {plan:?}", game.display());
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
