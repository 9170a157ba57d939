//! Whether judged tasks stay apart from training: asked of the data itself, by task and by prompt.

use serde_json::{Value, json};

use super::cli::{code, stderr, stdout};
use super::reruns::Place;

/// The first observation of a task, and its opening.
fn opening(place: &Place, environment: &str, task_id: u64) -> (String, Value) {
    let code_text = format!(
        "local e, json = require('affine.env').make({environment}), require('affine.json')\n\
         print(json.encode {{ observation = e:reset({task_id}), messages = e:messages() }})"
    );
    let output = place.command(&["-e", &code_text]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    (told["observation"].as_str().unwrap().to_string(), told["messages"].clone())
}

fn conversation(prompt: &str) -> Value {
    json!([{ "role": "user", "content": prompt }, { "role": "assistant", "content": "craft 1 stick" }])
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn records(place: &Place) -> Vec<Value> {
    let text = place.read("data_cache/sft.jsonl") + &place.read("data_cache/validation.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Three of 544 tasks are judged: 0, 181 and 362.
#[test]
fn judged_tasks_do_not_come_in_by_files() {
    let place = Place::new();
    let in_other_words = |task_id| {
        let (observation, _) = opening(&place, "'textcraft'", task_id);
        conversation(&format!("Be so kind, craft what is asked for.  {}", observation.replace('\n', "\n\n")))
    };
    let rows = [
        json!({ "env": "agentgym:textcraft", "task_id": 181, "messages": conversation("a") }),
        json!({ "item_id": "textcraft_362", "conversations": [
            { "from": "human", "value": "b" }, { "from": "gpt", "value": "c" }] }),
        json!({ "messages": in_other_words(0) }),
        json!({ "env": "TextCraft", "task_id": "0", "messages": conversation("d") }),
        // None of them is judged.
        json!({ "env": "textcraft", "task_id": 5, "messages": in_other_words(5) }),
        json!({ "env": "textcraft", "task_id": 181, "options": { "seed": 7 }, "messages": conversation("e") }),
        json!({ "env": "babyai", "task_id": 181, "messages": conversation("f") }),
    ];
    place.write("more.jsonl", lines(&rows));
    let told =
        place.run("collect", &["--set", "data.environments={\"textcraft\"}", "--set", "data.files={\"more.jsonl\"}"]);
    assert!(told.contains("more.jsonl: 3 records; left out: 4 held out"), "{told}");
    let from_file: Vec<_> = records(&place).into_iter().filter(|record| record["policy"] == "file").collect();
    assert_eq!(from_file.len(), 3);
}

#[test]
fn judged_tasks_among_the_records_are_counted_by_name() {
    let place = Place::new();
    let both = ["--set", "data.environments={{name=\"sat\",n=4,k=2,m=10},\"grid\"}"];
    let told = place.run("full", &both);
    let apart = "The prompts of these tasks were kept out of all training data: none of the 6 is among the ";
    assert!(told.contains(apart), "{told}");
    let card = place.read("models/deploy/affine-model/README.md");
    assert!(card.contains(apart), "{card}");
    assert_eq!(place.json("models/evaluation/summary.json")["not_held_out"], 0);

    let (observation, messages) = opening(&place, "'grid'", 7_000_001);
    let goal = messages[0]["content"].as_str().unwrap().split(" in ").next().unwrap().to_string();
    let (formula, _) = opening(&place, "'sat', { n = 4, k = 2, m = 10 }", 7_000_002);
    let clauses: Vec<&str> = formula.lines().filter(|line| line.contains('∨')).collect();
    let rows = [
        json!({ "messages": conversation(&format!("Please! {goal}.\n{observation}")) }),
        json!({ "env": "grid", "task_id": 7_000_000, "messages": conversation("x") }),
        json!({ "messages": conversation(&format!("Solve this: {}", clauses.join("\n"))) }),
    ];
    let file = place.read("data_cache/sft.jsonl") + &lines(&rows);
    place.write("data_cache/sft.jsonl", file);
    let told = place.run("full", &both);
    let warning = "Warning: of these tasks 1 of 3 of sat were trained on, 2 of 3 of grid were trained on (in \
                   data_cache/sft.jsonl).";
    assert!(told.contains(warning), "{told}");
    assert!(told.contains("task 7000001 of grid (by its prompt without its instructions)"), "{told}");
    let summary = place.json("models/evaluation/summary.json");
    assert_eq!(summary["not_held_out"], 3);
    assert_eq!(summary["held_out"]["envs"]["grid"], json!({ "n": 3, "trained_on": 2, "not_excluded": 0 }));
    let card = place.read("models/deploy/affine-model/README.md");
    assert!(card.contains(warning), "{card}");
}
