//! TextCraft against the original: recorded episodes byte for byte, the opening of every task, and the expert.

use affine::engine::env::textcraft::{TextCraft, TextCraftOptions};
use affine::engine::env::{Baselines, Demonstrator, Environment, Parsed, Step};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::golden;

fn textcraft(options: TextCraftOptions) -> TextCraft {
    TextCraft::new(&options).unwrap()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A step as the recordings write it.
fn written(step: &Step) -> Value {
    json!({ "observation": step.observation, "reward": step.reward as i64, "done": step.done })
}

/// Plays the recorded actions of an episode that has begun.
fn replay(env: &mut TextCraft, row: &Value) {
    for recorded in row["steps"].as_array().unwrap() {
        let action = recorded[0].as_str().unwrap();
        let step = env.step(action).unwrap();
        let expected = json!({ "observation": recorded[1], "reward": recorded[2], "done": recorded[3] });
        assert_eq!(written(&step), expected, "task {}, action {action:?}", row["data_idx"]);
    }
}

#[test]
fn recorded_episodes_come_out_byte_for_byte() {
    let rows = golden::rows("textcraft/textcraft.jsonl");
    assert!(rows.len() >= 15, "{}", rows.len());
    let mut env = textcraft(TextCraftOptions::default());
    for row in rows {
        let id = &row["data_idx"];
        assert_eq!(env.reset(id.as_u64().unwrap()).unwrap(), row["first_observation"], "task {id}");
        replay(&mut env, &row);
        if !row["after_done"].is_null() {
            let after = written(&env.step("inventory").unwrap());
            assert_eq!(after, row["after_done"], "task {id}, after the end");
        }
    }
}

/// 60 episodes of the original with actions drawn to be odd: huge numbers, quotes, other scripts, missing words, tags,
/// inputs twice or in another order. Recorded with AgentGym at 3ef9235, CPython 3.11.
#[test]
fn odd_actions_are_answered_as_the_original_does() {
    let mut env = textcraft(TextCraftOptions::default());
    for row in golden::rows("textcraft/odd_actions.jsonl") {
        env.reset(row["data_idx"].as_u64().unwrap()).unwrap();
        replay(&mut env, &row);
    }
}

// The hashes are of the original's own openings (AgentGym at 3ef9235, recipe files in ascending order, CPython 3.11):
//   PYTHONHASHSEED=<seed>; env = TextCraftEnv(tree, None, None)
//   text = "\0".join(env.reset(data_idx=i)[0] for i in range(544)); hashlib.sha256(text.encode()).hexdigest()
#[test]
fn every_opening_is_the_originals_under_every_hash_seed() {
    for (hash_seed, expected) in [
        (0, "4d7e80a1b6c974dee0eb2d2fd10f422aae29d9b6f97459826a686f3b53e317dc"),
        (1, "d7d45713483b0926dbe40e53ebc98ca9b604ee96e292ff1d909a8becc63f297c"),
        (7, "7b409c4a4c5c2307081e1de198170dddf43512fc017a549f26e6df1b530392ae"),
        (12345, "9bb40a2c5d1eb923965f6342e63b5f7dc49ec6b8a15f42c7a14e2179b778ac24"),
    ] {
        let mut env = textcraft(TextCraftOptions { hash_seed, ..Default::default() });
        let openings: Vec<String> = (0..544).map(|id| env.reset(id).unwrap()).collect();
        assert_eq!(sha256(&openings.join("\0")), expected, "hash seed {hash_seed}");
    }
}

/// Whether an action is in the rules that the instructions give: a command as it is shown, but for the kind of planks
/// or wool.
fn is_shown(action: &str, opening: &str) -> bool {
    let (made, inputs) = action.split_once(" using ").unwrap();
    opening.lines().filter_map(|line| line.split_once(" using ")).any(|(shown, shown_inputs)| {
        let fits = |(input, asked): (&str, &str)| {
            let (count, name) = asked.split_once(' ').unwrap();
            let member = matches!(name, "planks" | "wool") && input.ends_with(&format!(" {name}"));
            input == asked || member && input.starts_with(&format!("{count} "))
        };
        let (inputs, asked) = (inputs.split(", "), shown_inputs.split(", "));
        shown == made && inputs.clone().count() == asked.clone().count() && inputs.zip(asked).all(fits)
    })
}

/// Lets the expert play to the end; how many actions it took.
fn solve(env: &mut TextCraft, opening: &str) -> u64 {
    for turn in 1..=100 {
        let action = env.expert().unwrap().unwrap();
        assert!(action.starts_with("get ") || is_shown(&action, opening), "{action} in {opening}");
        assert_eq!(env.parse(&format!("Action:\n{action}")).unwrap(), Parsed::Action(action.clone()));
        let step = env.step(&action).unwrap();
        assert!(!step.observation.starts_with("Could not"), "{action}: {}", step.observation);
        if step.done {
            assert_eq!((step.reward, step.score, step.truncated), (1.0, 1.0, false));
            return turn;
        }
    }
    panic!("no end after 100 actions: {opening}");
}

#[test]
fn the_expert_solves_every_task_by_the_rules() {
    let mut env = textcraft(TextCraftOptions::default());
    let lengths: Vec<u64> = (0..544)
        .map(|id| {
            let opening = env.reset(id).unwrap();
            solve(&mut env, &opening)
        })
        .collect();
    // A craft makes one portion, so some goals need more turns than the default limit whoever plays.
    assert_eq!((lengths.iter().max(), lengths.iter().sum()), (Some(&48), 3175));
    assert_eq!(lengths.iter().filter(|&&length| length > 20).count(), 13);
}

#[test]
fn the_expert_finds_its_way_from_wherever_random_play_has_led() {
    let mut env = textcraft(TextCraftOptions::default());
    let mut word = 1u64;
    for id in (0..544).step_by(7) {
        let opening = env.reset(id).unwrap();
        for _ in 0..30 {
            let mut draw = |n: u64| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (word >> 33) % n
            };
            let action = env.random_action(&mut draw).unwrap().unwrap();
            env.step(&action).unwrap();
        }
        solve(&mut env, &opening);
    }
}

#[test]
fn distractors_follow_their_option_and_the_recipes_of_the_goal_stay() {
    let commands = |options: TextCraftOptions| {
        let opening = textcraft(options).reset(12).unwrap();
        let mut lines: Vec<String> = opening.lines().skip(1).map_while(|l| (!l.is_empty()).then(|| l.into())).collect();
        lines.sort();
        lines
    };
    let none = commands(TextCraftOptions { max_distractors: 0, ..Default::default() });
    assert_eq!(none, ["craft 1 bread using 3 wheat"]);
    let one = commands(TextCraftOptions { max_distractors: 1, ..Default::default() });
    assert!(one.len() == 2 && one.contains(&none[0]), "{one:?}");
    let seeds: Vec<String> =
        (0..20).map(|seed| textcraft(TextCraftOptions { seed, ..Default::default() }).reset(12).unwrap()).collect();
    assert!(seeds.iter().any(|opening| *opening != seeds[0]), "the seed decides the order");
}

#[test]
fn an_episode_opens_with_instructions_consent_and_the_observation() {
    let mut env = textcraft(TextCraftOptions::default());
    assert_eq!(
        env.step("inventory").unwrap_err().to_string(),
        "environment textcraft: no episode has begun; call reset first"
    );
    assert!(env.messages().is_err() && env.expert().is_err());
    let opening = env.reset(3).unwrap();
    assert_eq!(env.reset(3 + 544).unwrap(), opening, "ids start over after the last goal");
    let messages = env.messages().unwrap();
    assert_eq!(messages.iter().map(|m| m.role.as_str()).collect::<Vec<_>>(), ["user", "assistant", "user"]);
    assert!(messages[0].content.contains("Action:\nyour next action"));
    assert_eq!(messages[1].content, "OK. I'll follow your instructions and try my best to solve the task.");
    assert_eq!(messages[2].content, opening);
    let mut own = textcraft(TextCraftOptions { instructions: Some("Craft.".to_string()), ..Default::default() });
    own.reset(0).unwrap();
    assert_eq!(own.messages().unwrap()[0].content, "Craft.");
}

#[test]
fn episodes_share_nothing_and_are_the_same_on_every_thread() {
    let play = || {
        let mut env = textcraft(TextCraftOptions::default()).fresh().unwrap();
        let mut texts = vec![env.reset(533).unwrap()];
        while let Some(action) = env.demonstrator().unwrap().expert().unwrap() {
            let step = env.step(&action).unwrap();
            texts.push(step.observation);
            if step.done {
                break;
            }
        }
        texts
    };
    let expected = play();
    let others: Vec<_> = (0..4).map(|_| std::thread::spawn(play)).collect();
    assert!(others.into_iter().all(|thread| thread.join().unwrap() == expected));

    let (mut one, mut other) = (textcraft(TextCraftOptions::default()), textcraft(TextCraftOptions::default()));
    one.reset(0).unwrap();
    other.reset(0).unwrap();
    one.step("get 2 acacia logs").unwrap();
    assert_eq!(other.step("inventory").unwrap().observation, "Inventory: You are not carrying anything.");
}

#[test]
fn a_number_that_python_would_not_read_is_told_apart() {
    let mut env = textcraft(TextCraftOptions::default());
    env.reset(0).unwrap();
    let step = env.step(&format!("get {} acacia logs", "1".repeat(5000))).unwrap();
    assert!(step.observation.starts_with("Exceeds the limit (4300 digits)"), "{}", step.observation);
    assert_eq!(step.info["error"], step.observation);
}
