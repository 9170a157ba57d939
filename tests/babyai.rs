//! BabyAI against minigrid and AgentGym: recorded episodes, byte for byte.

use affine::engine::env::Environment;
use affine::engine::env::babyai::{BabyAi, BabyAiOptions, Game, Mode, Move, Verdict};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::golden;

/// The recorded rows, and those of the same name in the folder that `AFFINE_GOLDEN` names.
fn rows(name: &str) -> Vec<Value> {
    let more = std::env::var_os("AFFINE_GOLDEN")
        .filter(|folder| !folder.is_empty())
        .map(|folder| std::path::Path::new(&folder).join(name));
    let more = more.filter(|path| path.exists()).map(|path| golden::rows_of(&path));
    [golden::rows(&format!("babyai/{name}")), more.unwrap_or_default()].concat()
}

fn babyai(mode: Mode) -> BabyAi {
    BabyAi::new(&BabyAiOptions { mode, ..BabyAiOptions::default() }).unwrap()
}

fn task_id(row: &Value) -> u64 {
    row["data_idx"].as_u64().unwrap()
}

fn low_level(number: &Value) -> Move {
    Move::ALL[number.as_u64().unwrap() as usize]
}

#[test]
fn recorded_games_begin_and_go_on_as_in_minigrid() {
    for row in rows("babyai.jsonl") {
        let mut game = Game::new(task_id(&row)).unwrap();
        let place = format!("task {}", task_id(&row));
        assert_eq!(game.mission(), row["mission"], "{place}");
        assert_eq!(json!(game.cells()), row["grid"], "{place}: {}", game.mission());
        let [x, y, facing] = game.pose();
        assert_eq!((json!([x, y]), json!(facing)), (row["agent_pos"].clone(), row["agent_dir"].clone()), "{place}");
        assert_eq!(json!(game.max_steps()), row["max_steps"], "{place}");
        assert_eq!(json!(game.first_image()), row["obs0"], "{place}");
        let mut last = None;
        for (action, pose) in row["actions"].as_array().unwrap().iter().zip(row["poses"].as_array().unwrap()) {
            last = Some(game.step(low_level(action)));
            assert_eq!(json!(game.pose()), *pose, "{place}, move {}", game.steps());
        }
        assert_eq!(json!(game.steps()), row["steps"], "{place}");
        if let Some(last) = last {
            assert_eq!(json!(last.verdict != Verdict::Continue), row["terminated"], "{place}");
            assert_eq!(json!(last.truncated), row["truncated"], "{place}");
            assert_eq!(last.reward, row["reward"].as_f64().unwrap(), "{place}");
            assert_eq!(json!(game.image()), row["obs_final"], "{place}");
        }
    }
}

#[test]
fn recorded_texts_rewards_and_scores_come_out_in_faithful_mode() {
    for row in rows("babyai_text.jsonl") {
        let mut env = babyai(Mode::Faithful);
        assert_eq!(env.reset(task_id(&row)).unwrap(), row["reset"], "task {}", task_id(&row));
        for (turn, recorded) in row["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("task {}, turn {turn}: {}", task_id(&row), recorded[0]);
            let step = env.step(recorded[0].as_str().unwrap()).unwrap();
            assert_eq!(step.observation, recorded[1], "{place}");
            assert_eq!(json!(step.reward), recorded[2], "{place}");
            assert_eq!(json!(step.score), recorded[3], "{place}");
            assert_eq!(json!(step.done), recorded[4], "{place}");
        }
        let over = env.step("turn left").is_err();
        assert_eq!(over, !row["after_done"].is_null(), "task {}", task_id(&row));
    }
}

/// `hex` of minigrid's 7×7×3 bytes.
fn hex(game: &Game) -> String {
    game.image().iter().flatten().flatten().map(|byte| format!("{byte:02x}")).collect()
}

fn replay_game(row: &Value) {
    let mut game = Game::new(row["task_id"].as_u64().unwrap()).unwrap();
    let place = format!("task {}", row["task_id"]);
    assert_eq!(game.mission(), row["mission"], "{place}");
    assert_eq!(json!(game.cells()), row["grid"], "{place}");
    assert_eq!(
        (json!(game.pose()), json!(game.max_steps())),
        (row["pose"].clone(), row["max_steps"].clone()),
        "{place}"
    );
    for (index, step) in row["steps"].as_array().unwrap().iter().enumerate() {
        let moved = game.step(low_level(&step[0]));
        let terminated = moved.verdict != Verdict::Continue;
        let got = json!([step[0], game.pose(), hex(&game), moved.reward, terminated, moved.truncated]);
        assert_eq!(got, *step, "{place}, move {index}");
    }
    assert_eq!(json!(game.cells()), row["final_grid"], "{place}");
    assert_eq!(json!(game.carried()), row["carrying"], "{place}");
}

fn replay_text(row: &Value) {
    let mut env = babyai(Mode::Faithful);
    let place = format!("task {}", row["task_id"]);
    assert_eq!(env.reset(row["task_id"].as_u64().unwrap()).unwrap(), row["reset"], "{place}");
    for (turn, recorded) in row["steps"].as_array().unwrap().iter().enumerate() {
        let step = env.step(recorded[0].as_str().unwrap()).unwrap();
        let reward = |key: usize| recorded[key].as_f64().unwrap();
        assert_eq!(step.observation, recorded[1], "{place}, turn {turn}: {}", recorded[0]);
        let got = (step.reward, step.score, json!(step.done));
        assert_eq!(got, (reward(2), reward(3), recorded[4].clone()), "{place}, turn {turn}: {}", recorded[0]);
    }
    assert_eq!(json!(env.step("check").is_err()), row["over"], "{place}");
}

#[test]
#[ignore = "needs minigrid: see scripts/dev/peer/babyai.py"]
fn every_walk_recorded_by_the_peer_is_replayed() {
    let path = std::env::var_os("AFFINE_PEER_BABYAI").expect("AFFINE_PEER_BABYAI names the recording");
    let rows = golden::rows_of(path.as_ref());
    let moves: usize = rows.iter().map(|row| row["steps"].as_array().unwrap().len()).sum();
    for row in &rows {
        if row["reset"].is_null() { replay_game(row) } else { replay_text(row) }
    }
    println!("{} episodes, {moves} steps", rows.len());
    assert!(moves > 0);
}

fn sha256(lines: &[String]) -> String {
    Sha256::digest(lines.join("\n").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn flat(cells: &[Vec<[u8; 3]>]) -> String {
    cells.iter().flatten().flatten().map(|byte| format!("{byte:02x}")).collect()
}

// scripts/dev/peer/babyai.py games.jsonl --seeds 100:105 --digest
#[test]
fn walks_over_all_levels_have_minigrids_hash() {
    let rows = rows("game_walks.jsonl");
    assert!(rows.len() >= 200);
    for row in rows {
        let mut game = Game::new(row["task_id"].as_u64().unwrap()).unwrap();
        let (mission, limit, pose) = (game.mission().to_string(), game.max_steps().to_string(), game.pose());
        let mut lines = vec![mission, limit, format!("{pose:?}"), flat(&game.cells())];
        lines.push(game.first_image().iter().flatten().flatten().map(|byte| format!("{byte:02x}")).collect());
        for digit in row["moves"].as_str().unwrap().bytes() {
            let moved = game.step(Move::ALL[usize::from(digit - b'0')]);
            let (over, truncated) = (u8::from(moved.verdict != Verdict::Continue), u8::from(moved.truncated));
            lines.push(format!("{:?}|{}|{:?}|{over}|{truncated}", game.pose(), hex(&game), moved.reward));
        }
        lines.push(flat(&game.cells()));
        assert_eq!(sha256(&lines), row["sha256"], "task {}", row["task_id"]);
    }
}

// scripts/dev/peer/babyai.py texts.jsonl --seeds 200:203 --moves 15 --digest --agentgym AgentGym/agentenv-babyai
#[test]
fn text_walks_over_all_levels_have_agentgyms_hash() {
    let rows = rows("text_walks.jsonl");
    assert!(rows.len() >= 120);
    for row in rows {
        let mut env = babyai(Mode::Faithful);
        let mut lines = vec![env.reset(row["task_id"].as_u64().unwrap()).unwrap()];
        for action in row["actions"].as_array().unwrap() {
            let step = env.step(action.as_str().unwrap()).unwrap();
            let (score, done) = (step.score, u8::from(step.done));
            lines.push(format!("{}|{:?}|{score:?}|{done}", step.observation, step.reward));
        }
        assert_eq!(sha256(&lines), row["sha256"], "task {}", row["task_id"]);
    }
}
