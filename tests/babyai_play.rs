//! BabyAI as it is played: scoring in both modes, what is refused, the opening, the expert.

use affine::engine::env::babyai::{BabyAi, BabyAiOptions, Game, Mode};
use affine::engine::env::{Baselines, Demonstrator, Environment, Parsed, Step};
use serde_json::json;

fn babyai(mode: Mode) -> BabyAi {
    BabyAi::new(&BabyAiOptions { mode, ..BabyAiOptions::default() }).unwrap()
}

/// Some draws for random play.
fn draws(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |n| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    }
}

/// Task 12, level 13: a room with a red door that is closed.
const RED_DOOR: u64 = 12;

#[test]
fn a_success_at_the_toggle_counts_in_the_fixed_mode_only() {
    let action = "toggle and go through red closed door 1";
    let mut fixed = babyai(Mode::Fixed);
    fixed.reset(RED_DOOR).unwrap();
    let step = fixed.step(action).unwrap();
    assert!(step.done && !step.truncated && step.reward > 0.9, "{step:?}");
    assert_eq!((step.score, &step.info["success"]), (step.reward, &json!(true)));
    let text = step.observation.split("\nAvailable actions").next().unwrap();
    assert!(text.ends_with("You are not carrying anything.\n The task is completed."), "{text}");

    let mut faithful = babyai(Mode::Faithful);
    faithful.reset(RED_DOOR).unwrap();
    let step = faithful.step(action).unwrap();
    assert_eq!((step.done, step.reward, step.score), (false, 0.0, 0.0));
}

/// Plays to just before the success, wasting moves first, so that the success is worth at most 0.5.
fn slow_success(mode: Mode) -> (BabyAi, Step) {
    let mut env = babyai(mode);
    env.reset(RED_DOOR).unwrap();
    for _ in 0..14 {
        env.step("turn left").unwrap();
        env.step("turn right").unwrap();
    }
    env.step("go to red closed door 1").unwrap();
    let step = env.step("toggle").unwrap();
    assert!(step.reward > 0.1 && step.reward <= 0.5, "{}", step.reward);
    (env, step)
}

#[test]
fn a_slow_success_can_be_farmed_in_the_faithful_mode_only() {
    let (mut faithful, step) = slow_success(Mode::Faithful);
    assert!(!step.done);
    let first = step.reward;
    for (times, action) in (2..).zip(["check", "dance", "", "check available actions"]) {
        let step = faithful.step(action).unwrap();
        assert_eq!((step.reward, step.done), (first, false), "{action}");
        assert!((step.score - f64::from(times) * first).abs() < 1e-9, "{action}: {:?}", step.score);
    }

    let (mut fixed, step) = slow_success(Mode::Fixed);
    assert!(step.done && step.score == step.reward);
    let error = fixed.step("check").unwrap_err().to_string();
    assert_eq!(error, "environment babyai: the episode is over; call reset first");
}

#[test]
fn nothing_but_a_success_scores_in_the_fixed_mode() {
    let mut env = babyai(Mode::Fixed);
    let mut draw = draws(1);
    let (mut ends, mut successes) = (0, 0);
    for task_id in 0..400 {
        env.reset(task_id).unwrap();
        let mut total = 0.0;
        for turn in 0..60 {
            let action = match turn % 5 {
                3 => "check available actions".to_string(),
                4 => "no such action".to_string(),
                _ => env.random_action(&mut draw).unwrap().unwrap(),
            };
            let step = env.step(&action).unwrap();
            let success = step.info["success"] == true;
            total += step.reward;
            assert_eq!(step.reward > 0.0, success, "task {task_id}: {action}");
            assert_eq!(step.score, step.reward);
            assert!(step.done || !(success || step.truncated));
            ends += usize::from(step.done);
            successes += usize::from(success);
            if step.done {
                break;
            }
        }
        assert!(total < 1.0, "task {task_id}: {total}");
    }
    assert!(ends > 100 && successes > 80, "{ends} ends, {successes} successes");
}

#[test]
fn the_limit_of_moves_truncates_in_the_fixed_mode_only() {
    for mode in [Mode::Fixed, Mode::Faithful] {
        let mut env = babyai(mode);
        env.reset(RED_DOOR).unwrap();
        let limit = Game::new(RED_DOOR).unwrap().max_steps();
        for number in 1..=limit {
            let step = env.step(if number % 2 == 0 { "turn left" } else { "turn right" }).unwrap();
            let over = mode == Mode::Fixed && number == limit;
            assert_eq!((step.done, step.truncated, step.reward), (over, over, 0.0), "{mode:?}, move {number}");
            assert_eq!(step.observation.contains("\n The limit of moves is reached.\n"), over);
            assert_eq!(step.info["steps"], number);
        }
        assert_eq!(env.step("turn left").is_err(), mode == Mode::Fixed);
    }
}

#[test]
fn the_wrong_object_ends_a_strict_task_without_a_reward() {
    let (mut failures, mut successes) = (0, 0);
    for task_id in (0..15).map(|seed| 40 * seed + 19) {
        let mut env = babyai(Mode::Fixed);
        let first = env.reset(task_id).unwrap();
        let list: Vec<&str> = first.split('"').filter(|action| action.starts_with("pickup")).collect();
        for action in list {
            env.reset(task_id).unwrap();
            let step = env.step(action).unwrap();
            if !step.done {
                continue; // It did not get there.
            }
            match step.reward > 0.0 {
                true => successes += 1,
                false => {
                    failures += 1;
                    assert!(step.observation.contains("\n The task has failed.\n"), "{}", step.observation);
                    assert_eq!((step.truncated, step.score), (false, 0.0));
                }
            }
        }
    }
    assert!(failures > 5 && successes > 5, "{failures} failures, {successes} successes");
}

#[test]
fn the_opening_has_agentgyms_turns_and_our_words() {
    let mut env = babyai(Mode::Fixed);
    assert!(env.messages().is_err());
    let first = env.reset(RED_DOOR).unwrap();
    let messages = env.messages().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert!(messages[0].content.contains("- pickup <obj> <id>\n"), "the spelling that the environment takes");
    assert!(messages[0].content.ends_with("Thought:\n<Your Thought>\n\nAction:\n<Your Action>"));
    assert_eq!(messages[1].content, "OK. I'll follow your instructions and try my best to solve the task.");
    assert_eq!(messages[2].content, first);
    env.step("turn left").unwrap();
    assert_eq!(env.messages().unwrap(), messages, "later turns do not change the opening");

    let options = BabyAiOptions { instructions: Some("Go.".into()), ..BabyAiOptions::default() };
    let mut env = BabyAi::new(&options).unwrap();
    env.reset(RED_DOOR).unwrap();
    assert_eq!(env.messages().unwrap()[0].content, "Go.");
    let mut fresh = env.fresh().unwrap();
    assert!(fresh.messages().is_err(), "a fresh instance has no episode");
    fresh.reset(RED_DOOR).unwrap();
    assert_eq!(fresh.messages().unwrap()[0].content, "Go.", "but the same options");
}

#[test]
fn the_goal_hides_the_order_that_the_mission_has() {
    let (mut then, mut after) = (0, 0);
    for task_id in (0..40).map(|seed| 40 * seed + 38) {
        let mut env = babyai(Mode::Fixed);
        let first = env.reset(task_id).unwrap();
        let mission = env.step("check").unwrap().info["mission"].as_str().unwrap().to_string();
        assert_eq!(mission, Game::new(task_id).unwrap().mission());
        let goal = first.lines().next().unwrap();
        assert!(!goal.contains("then") && !goal.contains("after"), "{goal}");
        then += usize::from(mission.contains(", then "));
        after += usize::from(mission.contains(" after you "));
    }
    assert!(then > 0 && after > 0);
}

#[test]
fn replies_are_read_by_agentgyms_rule() {
    let env = babyai(Mode::Fixed);
    let reply = "Thought:\nThe ball is near.\n\nAction:\nGo to red_ball 1.";
    assert_eq!(env.parse(reply).unwrap(), Parsed::Action("Go to redball 1".into()));
    assert_eq!(env.parse("I am lost.").unwrap(), Parsed::Action(String::new()));
    let Parsed::Complaint(text) = env.parse("Action: a\nAction: b").unwrap() else { panic!("two actions") };
    assert_eq!(text, "Error: Only one 'Action' is allowed per response. Please adjust your response.");
    for reply in env.constant_actions() {
        assert!(matches!(env.parse(&reply).unwrap(), Parsed::Action(action) if !action.is_empty()), "{reply}");
    }
}

#[test]
fn whatever_comes_as_an_action_is_answered() {
    let mut env = babyai(Mode::Fixed);
    env.reset(RED_DOOR).unwrap();
    let long = "go to ".repeat(20_000);
    for (action, answer) in [
        ("", "No change in state."),
        (" \t\x1c\u{a0}\n", "No change in state."),
        ("\0\x07\x1b[31m", "The action is not recognized. Please check valid actions."),
        ("İß\u{202e}🙂", "The action is not recognized. Please check valid actions."),
        (&long, "The action is not recognized. Please check valid actions."),
        ("drop", "You cannot drop the object, as you are not carrying anything."),
        ("please CHECK", "You can take the following actions: turn left, turn right, "),
    ] {
        let step = env.step(action).unwrap();
        assert!(step.observation.starts_with(answer), "{}", step.observation);
        assert!(step.observation.contains("\nAvailable actions: [\"turn left\", \"turn right\", "));
        assert_eq!((step.reward, step.done, &step.info["steps"]), (0.0, false, &json!(0)));
    }
    let step = env.step("  Turn LEFT\x1f").unwrap();
    assert_eq!(step.info["steps"], 1, "case and blanks around an action do not matter");
}

#[test]
fn every_id_is_a_task_up_to_the_largest() {
    for offset in 0..40 {
        let mut env = babyai(Mode::Fixed);
        let first = env.reset(u64::MAX - offset).unwrap();
        assert!(first.starts_with("Your goal: "), "{first}");
        env.step("turn left").unwrap();
    }
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refusal = |text: &str| {
        let options: Result<BabyAiOptions, _> = serde_json::from_str(text);
        options.map_err(|e| e.to_string()).and_then(|it| BabyAi::new(&it).map_err(|e| e.to_string())).unwrap_err()
    };
    assert_eq!(refusal(r#"{"max_turns": 0}"#), "max_turns: expected at least 1 turn, got 0");
    assert_eq!(refusal(r#"{"instructions": " "}"#), "instructions: expected a text, got an empty one");
    assert!(refusal(r#"{"mode": "strict"}"#).contains("expected `fixed` or `faithful`"));
    assert!(refusal(r#"{"turns": 3}"#).contains("unknown field `turns`"));
    assert_eq!(serde_json::from_str::<BabyAiOptions>("{}").unwrap(), BabyAiOptions::default());
    let options = BabyAiOptions { max_turns: 7, ..BabyAiOptions::default() };
    assert_eq!(BabyAi::new(&options).unwrap().describe().max_turns, 7);
}

#[test]
fn an_episode_begins_with_reset() {
    let mut env = babyai(Mode::Fixed);
    assert_eq!(env.step("drop").unwrap_err().to_string(), "environment babyai: no episode has begun; call reset first");
    assert!(env.expert().is_err() && env.random_action(&mut |_| 0).is_err());
}

/// The outcome of the expert's play: solved, turns.
fn expert_plays(env: &mut BabyAi, task_id: u64) -> (bool, Vec<String>) {
    let mut observation = env.reset(task_id).unwrap();
    let mut actions = Vec::new();
    while let Some(action) = env.expert().unwrap() {
        assert!(observation.contains(&format!("\"{action}\"")), "task {task_id}: {action} in {observation}");
        let step = env.step(&action).unwrap();
        observation = step.observation;
        actions.push(action);
        if step.done {
            return (step.reward > 0.0, actions);
        }
        assert!(actions.len() < 600, "task {task_id}: no end");
    }
    (false, actions)
}

#[test]
fn the_expert_solves_what_can_be_solved_with_actions_that_are_offered() {
    let mut env = babyai(Mode::Fixed);
    let (mut solved, mut in_time) = ([0; 40], 0);
    for task_id in 0..400 {
        let (success, actions) = expert_plays(&mut env, task_id);
        solved[task_id as usize % 40] += usize::from(success);
        in_time += usize::from(success && actions.len() <= 20);
    }
    // In level 26 the key is in a box; in level 16 two of three missions cannot be solved.
    let unsolved: usize = (0..40).filter(|&level| level != 15 && level != 25).map(|level| 10 - solved[level]).sum();
    assert!(unsolved <= 6, "{solved:?}");
    assert_eq!((solved[25], solved[22]), (0, 10), "level 26 has no solution; level 23 begins with an object in hand");
    assert!(in_time >= 290, "{in_time}");
}

#[test]
fn the_expert_finds_its_way_from_any_state() {
    let mut env = babyai(Mode::Fixed);
    let mut draw = draws(7);
    let (mut solved, mut played) = (0, 0);
    for task_id in (0..120).filter(|id| ![15, 25].contains(&(id % 40))) {
        env.reset(task_id).unwrap();
        let mut over = false;
        for turn in 0..12 {
            let action = match turn % 3 {
                0 => env.expert().unwrap(),
                _ => env.random_action(&mut draw).unwrap(),
            };
            over = over || action.is_none_or(|action| env.step(&action).unwrap().done);
            if over {
                break;
            }
        }
        if over {
            continue;
        }
        played += 1;
        let mut turns = 0;
        while let Some(action) = env.expert().unwrap() {
            let step = env.step(&action).unwrap();
            turns += 1;
            solved += usize::from(step.reward > 0.0);
            assert!(turns < 600, "task {task_id}: no end");
            if step.done {
                break;
            }
        }
    }
    assert!(played > 30 && solved * 10 >= played * 8, "{solved} of {played}");
}

#[test]
fn the_expert_of_the_faithful_mode_ends_where_agentgym_counts() {
    let mut env = babyai(Mode::Faithful);
    let (success, actions) = expert_plays(&mut env, RED_DOOR);
    assert!(success);
    assert_eq!(actions, ["go to red closed door 1", "toggle"]);
}

#[test]
fn random_actions_are_drawn_evenly_from_the_offered_ones() {
    let mut env = babyai(Mode::Fixed);
    let first = env.reset(RED_DOOR).unwrap();
    let offered: Vec<&str> = first.rsplit_once('[').unwrap().1.split('"').filter(|it| it.contains(' ')).collect();
    let offered: Vec<&str> = offered.into_iter().filter(|it| *it != ", ").collect();
    for (index, expected) in offered.iter().enumerate() {
        let action = env.random_action(&mut |n| {
            assert_eq!(n as usize, offered.len());
            index as u64
        });
        assert_eq!(action.unwrap().as_deref(), Some(*expected));
    }
}

#[test]
fn episodes_are_the_same_on_every_thread_and_side_by_side() {
    let play = |task_id: u64| {
        let mut env = babyai(Mode::Fixed);
        let mut log = vec![env.reset(task_id).unwrap()];
        while log.len() < 30
            && let Some(action) = env.expert().unwrap()
        {
            let step = env.step(&action).unwrap();
            log.push(format!("{action}: {} {} {:?}", step.observation, step.reward, step.info));
            if step.done {
                break;
            }
        }
        log
    };
    let alone: Vec<Vec<String>> = (0..80).map(play).collect();
    let beside: Vec<Vec<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..80).map(|task_id| scope.spawn(move || play(task_id))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, beside);
}
