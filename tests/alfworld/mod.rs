//! ALFWorld: rooms of our own, AgentGym's wrapper, and the original's engine ([`files`], [`peer`]).

mod files;
mod peer;

use std::collections::{BTreeMap, BTreeSet};

use affine::engine::env::alfworld::{self, AlfWorld, AlfWorldOptions, Split, Wording, Wrapper};
use affine::engine::env::{Baselines, Demonstrator, Environment, Parsed, Step};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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
fn the_expert_takes_over_from_a_random_player() {
    let mut env = generated(Wrapper::Textworld, None);
    for task_id in 0..600 {
        env.reset(task_id).unwrap();
        let mut draw = draws(task_id);
        let mut won = false;
        for _ in 0..40 {
            // `go to` is most of what can be done and changes little.
            let action = (0..3).map(|_| env.random_action(&mut draw).unwrap().unwrap()).max().unwrap();
            won = won || env.step(&action).unwrap().done;
            if won {
                break;
            }
        }
        for turn in 0.. {
            if won {
                break;
            }
            let action = env.expert().unwrap().unwrap_or_else(|| panic!("task {task_id}: stuck in turn {turn}"));
            won = env.step(&action).unwrap().done;
            assert!(turn < 150, "task {task_id}: {action}");
        }
    }
}

/// Draws below the number given, from a linear congruential generator.
fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut stream = seed;
    move |n| {
        stream = stream.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (stream >> 33) % n
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
    for format in ["\nThought:\nyour thoughts.\n\nAction:\nyour next action\n", "\nAction:\nyour next action\n"] {
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
        let mut draw = draws(1);
        let mut log = vec![env.reset(task_id).unwrap()];
        for _ in 0..60 {
            let action = env.baselines().unwrap().random_action(&mut draw).unwrap().unwrap();
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
const FIRST_PROBLEM: &str = "2705bc0efff91164";

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
        assert_eq!((step.score, &step.info["won"]), (step.reward, &json!(step.done)));
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
            if let Ok(Some(action)) = env.demonstrator().unwrap().expert() {
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
        refusal(json!({"game": "g", "dialect": "put"}))
            .starts_with("dialect: expected none, because a game file has its own")
    );
    assert!(refusal(json!({"game": "no/such/game"})).starts_with("no/such/game: cannot be read"));
    assert!(refusal(json!({"data": "no/such/folder"})).starts_with("no/such/folder: has no folder json_2.1.1"));
    assert!(serde_json::from_value::<AlfWorldOptions>(json!({"wraper": "textworld"})).is_err());
    assert!(serde_json::from_value::<AlfWorldOptions>(json!({"wrapper": "gym"})).is_err());
    assert_eq!(serde_json::from_value::<AlfWorldOptions>(json!({})).unwrap(), AlfWorldOptions::default());
}
