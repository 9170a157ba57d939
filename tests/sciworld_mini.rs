//! sciworld-mini: every task can be done, nothing that a player types breaks it, and heat does what it should.

use affine::engine::env::sciworld_mini::{SciWorldMini, SciWorldMiniOptions, Topic};
use affine::engine::env::{Baselines, Demonstrator, Environment, Facts, Step};
use affine::engine::file::sha256;
use affine::engine::random;

fn mini(topic: Option<Topic>) -> SciWorldMini {
    SciWorldMini::new(&SciWorldMiniOptions { topic, ..Default::default() }).unwrap()
}

/// The first task whose opening holds these words.
fn task(env: &mut SciWorldMini, words: &[&str]) -> u64 {
    (0..2000).find(|id| env.reset(*id).is_ok_and(|opening| words.iter().all(|word| opening.contains(word)))).unwrap()
}

/// Plays the expert's actions until one begins with `until`, which is not played.
fn follow(env: &mut SciWorldMini, until: &str) -> Option<Step> {
    let mut last = None;
    for _ in 0..100 {
        let action = env.expert().unwrap()?;
        if action.starts_with(until) {
            break;
        }
        let step = env.step(&action).unwrap();
        let done = step.done;
        last = Some(step);
        if done {
            break;
        }
    }
    last
}

#[test]
fn it_says_that_it_is_not_scienceworld() {
    let mut env = mini(None);
    env.reset(0).unwrap();
    assert_eq!(env.describe().name, "sciworld-mini");
    let shown: String = env.messages().unwrap().into_iter().map(|message| message.content).collect();
    assert!(!shown.contains("ScienceWorld"), "{shown}");
}

#[test]
fn it_tells_which_instructions_it_is_played_with() {
    let source = |instructions: Option<&str>| {
        let options = SciWorldMiniOptions { instructions: instructions.map(str::to_string), ..Default::default() };
        SciWorldMini::new(&options).unwrap().identity().instructions.unwrap().source
    };
    assert_eq!((source(None), source(Some("Do your best."))), ("affine", "custom"));
}

#[test]
fn the_expert_reaches_the_goal_of_every_task_within_the_turns() {
    let mut env = mini(None);
    let mut most = 0;
    for id in 0..1500 {
        let opening = env.reset(id).unwrap();
        let (mut score, mut turns) = (0.0, 0);
        while let Some(action) = env.expert().unwrap().filter(|_| score < 100.0) {
            let step = env.step(&action).unwrap();
            assert!(step.score >= score, "{id}: {action} loses something\n{opening}");
            (score, turns) = (step.score, turns + 1);
            assert!(turns <= env.describe().max_turns, "{id}: {action}: {}\n{opening}", step.observation);
        }
        assert_eq!(score, 100.0, "{id}\n{opening}");
        most = most.max(turns);
    }
    assert!((20..=40).contains(&most), "{most}");
}

#[test]
fn the_expert_finds_back_after_a_detour() {
    let mut env = mini(None);
    let mut random = random::stream(0, "detour", 0);
    for id in 0..200 {
        env.reset(id).unwrap();
        for _ in 0..10 {
            let action = env.random_action(&mut |n| random::below(&mut random, n)).unwrap().unwrap();
            // Focusing and the boxes decide the task.
            if !action.contains("focus") && !action.contains("box") {
                env.step(&action).unwrap();
            }
        }
        let last = follow(&mut env, "no such action").unwrap();
        assert_eq!(last.score, 100.0, "{id}: {}", last.observation);
    }
}

// The openings of the first hundred tasks: a changed hash means that every task changed, and scores with them.
#[test]
fn the_tasks_stay_what_they_are() {
    let openings = |env: &mut SciWorldMini| (0..100).map(|id| env.reset(id).unwrap()).collect::<Vec<_>>();
    let first = openings(&mut mini(None));
    assert_eq!(openings(&mut mini(None)), first);
    assert_eq!(sha256(first.join("\n").as_bytes()), "1105c1894439bf1d4ad0c725213072cbfca5bf0dfed5ac68ecce6f0ee0844ea1");
}

#[test]
fn what_is_called_possible_is_understood_and_nothing_typed_breaks_it() {
    let mut env = mini(None);
    let mut random = random::stream(1, "walk", 0);
    let long = "use ".repeat(25_000);
    let odd = ["", "\0", "open", "open ", "move a to a", "pour water into water", "go to the moon", "é 漢 😀", &long];
    for id in 0..150 {
        env.reset(id).unwrap();
        for turn in 0..30 {
            for action in odd {
                let step = env.step(action).unwrap();
                assert_eq!((step.reward, step.done), (0.0, false), "{action:.50}");
            }
            let action = env.random_action(&mut |n| random::below(&mut random, n)).unwrap().unwrap();
            let step = env.step(&action).unwrap();
            let refusals = ["That is not an action.", "in reach.", "There is no place"];
            assert!(
                !refusals.iter().any(|no| step.observation.contains(no)),
                "{id}, {turn}: {action}: {}",
                step.observation
            );
            if step.done {
                break;
            }
        }
    }
}

#[test]
fn a_wrong_focus_ends_the_episode_at_minus_a_hundred() {
    let mut env = mini(Some(Topic::Change));
    env.reset(0).unwrap();
    let wrong = env.state()["admissible"].as_array().unwrap().iter().find_map(|action| {
        let action = action.as_str()?;
        (action.starts_with("focus on") && !action.ends_with("water")).then(|| action.to_string())
    });
    let step = env.step(&wrong.unwrap()).unwrap();
    assert_eq!((step.score, step.reward, step.done), (-100.0, -100.0, true));
    let error = env.step("look around").unwrap_err().to_string();
    assert_eq!(error, "environment sciworld-mini: the episode is over; call reset first");
}

#[test]
fn water_boils_at_a_hundred_degrees_and_not_before() {
    let mut env = mini(Some(Topic::Change));
    let id = task(&mut env, &["Task: boil the water."]);
    env.reset(id).unwrap();
    follow(&mut env, "wait");
    let mut turns = 0;
    let last = loop {
        let step = env.step("wait1").unwrap();
        turns += 1;
        if step.done {
            break step;
        }
        assert_eq!(step.score, 60.0);
    };
    assert_eq!(last.score, 100.0);
    // On the stove: 21 + (320 - 21)(1 - 0.92^n) passes 100 at n = 4, and switching it on was the first of them.
    assert!((2..=4).contains(&turns), "{turns}");
}

#[test]
fn the_wrong_box_fails() {
    let mut env = mini(Some(Topic::Measure));
    for id in 0..20 {
        env.reset(id).unwrap();
        follow(&mut env, "move");
        let right = env.expert().unwrap().unwrap();
        let wrong = if right.contains("red") { "blue box" } else { "red box" };
        // The other box may be in another room.
        let step = env.step(&format!("move vacuum flask to {wrong}")).unwrap();
        if !step.observation.contains("in reach") {
            assert_eq!((step.score, step.done), (-100.0, true), "{id}");
            return;
        }
    }
    panic!("no task with both boxes in one room");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refused = SciWorldMini::new(&SciWorldMiniOptions { max_turns: 0, ..Default::default() });
    assert_eq!(refused.unwrap_err().to_string(), "max_turns: expected at least 1 turn, got 0");
    assert!(serde_json::from_str::<SciWorldMiniOptions>(r#"{"topic": "cook"}"#).is_err());
    let mut env = mini(None);
    assert!(env.step("wait").unwrap_err().to_string().ends_with("no episode has begun; call reset first"));
    assert!(env.expert().is_err() && env.messages().is_err() && env.state().is_empty());
}
