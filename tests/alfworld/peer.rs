//! Games of our own as the original's engine plays them: recorded walks, and the check that makes new ones
//! (scripts/dev/peer/alfworld.py).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use affine::engine::env::Environment;
use affine::engine::env::alfworld::{self, AlfWorld, Wording, Wrapper};
use serde_json::json;

use super::files::{options, plan};
use super::{file_hash, generated};
use crate::golden;

#[test]
fn recorded_walks_of_the_real_engine_through_games_of_ours_come_out() {
    // Rows of the peer check whose game is as generated, the list of commands as the first 16 hex digits of its hash:
    //   hashlib.sha256("\n".join(admissible).encode()).hexdigest()[:16]
    for row in golden::rows("alfworld/walks.jsonl") {
        let dialect: Wording = serde_json::from_value(row["dialect"].clone()).unwrap();
        let mut env = generated(Wrapper::Textworld, Some(dialect));
        let task_id = row["task_id"].as_u64().unwrap();
        assert_eq!(env.reset(task_id).unwrap(), row["reset"], "task {task_id}");
        for (number, step) in row["steps"].as_array().unwrap().iter().enumerate() {
            let action = step["action"].as_str().unwrap();
            let got = env.step(action).unwrap();
            let place = format!("task {task_id}, step {number}: {action}");
            assert_eq!(got.observation, step["observation"], "{place}");
            assert_eq!(file_hash(&super::admissible(&got).join("\n")), step["admissible"], "{place}");
            assert_eq!(got.info["won"], step["won"], "{place}");
        }
    }
}

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
            let plan = plan(&place);
            if number / 6 % 3 == 0 {
                std::fs::write(place.join("plan.json"), json!(plan).to_string()).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "part of the peer check"]
fn walks_of_the_real_engine_come_out_byte_for_byte() {
    let walks = std::env::var_os("AFFINE_PEER_ALFWORLD").expect("names the rows of scripts/dev/peer/alfworld.py");
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
