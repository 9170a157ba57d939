use serde_json::json;

use super::*;

/// An iteration in which nothing is wrong.
fn healthy(iteration: u64) -> Map<String, Value> {
    let wobble = (iteration % 3) as f64 / 10.0;
    let row = json!({
        "stage": "rl", "iteration": iteration, "total": 40, "episodes": 200, "failed": 1, "truncated": 4,
        "repeated_actions": 0.1 + wobble / 4.0, "tokens_mean": 40.0 + 30.0 * wobble, "kl": 0.01 * iteration as f64,
        "approx_kl": 0.01, "sampler_gap": 3e-7, "entropy": 0.4 + wobble, "clip_fraction": 0.1, "grad_norm": 0.3,
        "score_mean": { "sat": 0.5 },
    });
    row.as_object().unwrap().clone()
}

fn step(step: u64, loss: impl Into<Value>) -> Map<String, Value> {
    let row = json!({ "stage": "sft", "step": step, "loss": loss.into(), "grad_norm": 0.2 });
    row.as_object().unwrap().clone()
}

fn heard(rows: impl IntoIterator<Item = Map<String, Value>>) -> Vec<Alarm> {
    let mut alarms = Alarms::default();
    rows.into_iter().flat_map(|row| alarms.see(&row)).collect()
}

/// Healthy iterations, of which those from 10 to 20 have another value.
fn sick(key: &str, value: Value) -> Vec<Alarm> {
    heard((1..=30).map(|iteration| {
        let mut row = healthy(iteration);
        if (10..=20).contains(&iteration) {
            row.insert(key.to_string(), value.clone());
        }
        row
    }))
}

#[test]
fn a_healthy_run_raises_none() {
    assert_eq!(heard((1..=40).map(healthy)), []);
    assert_eq!(heard((1..=200).map(|n| step(n, 6.0 / n as f64 + 0.1 * (n % 4) as f64 + 0.2))), []);
}

#[test]
fn a_sick_run_raises_the_one_alarm_that_is_meant_as_it_begins_and_as_it_ends() {
    for (key, value, name) in [
        ("tokens_mean", json!(300.0), "long_episodes"),
        ("repeated_actions", json!(0.8), "repeated_actions"),
        ("truncated", json!(90), "truncated"),
        ("failed", json!(8), "failed"),
        ("kl", json!(2.0), "kl"),
        ("approx_kl", json!(0.3), "approx_kl"),
        ("sampler_gap", json!(5e-4), "sampler_gap"),
        ("entropy", json!(0.01), "entropy"),
        ("policy_loss", json!(null), "not_finite"),
    ] {
        let found: Vec<_> =
            sick(key, value).iter().map(|alarm| (alarm.name, alarm.stage.clone(), alarm.step, alarm.begins)).collect();
        assert_eq!(found, [(name, "rl".to_string(), 10, true), (name, "rl".to_string(), 21, false)]);
    }
    let loss = |n: u64| step(n, if (60..=70).contains(&n) { 4.0 } else { 1.0 });
    let found = heard((1..=100).map(loss));
    assert_eq!(found.iter().map(|alarm| (alarm.name, alarm.step)).collect::<Vec<_>>(), [("loss", 60), ("loss", 71)]);
}

#[test]
fn an_alarm_says_what_is_seen_what_it_means_and_what_to_try() {
    let found = sick("entropy", json!(0.02));
    assert_eq!(
        found[0].to_string(),
        "rl iteration 10: entropy 0.02 is below 0.1 (by its own beginning): the policy hardly tries anything else any more, which \
         is fine only where its scores are near their best; raise entropy_coef or kl_coef, or lower learning_rate"
    );
    assert_eq!(found[1].to_string(), "rl iteration 21: entropy is well again, at 0.4");
    assert_eq!(serde_json::to_value(&found[0]).unwrap()["limit"].as_f64().map(number), Some("0.1".into()));
}

#[test]
fn around_its_limit_an_alarm_speaks_once() {
    let found = heard((1..=30).map(|iteration| {
        let mut row = healthy(iteration);
        row.insert("kl".into(), json!(if iteration % 2 == 0 { 0.51 } else { 0.45 }));
        row
    }));
    assert_eq!(found.len(), 1);
}

#[test]
fn steps_that_are_taken_again_replace_those_that_were_seen() {
    let mut alarms = Alarms::default();
    let mut row = healthy(5);
    row.insert("kl".into(), json!(3.0));
    for row in (1..=4).map(healthy).chain([row]) {
        alarms.see(&row);
    }
    assert_eq!(alarms.active().count(), 1);
    assert_eq!(alarms.see(&healthy(4)), []);
    assert_eq!(alarms.active().count(), 0);
    assert_eq!(alarms.see(&healthy(5)), []);
}

#[test]
fn a_second_row_about_a_step_takes_nothing_back() {
    let mut alarms = Alarms::default();
    let eval = |n: u64| json!({ "stage": "sft", "step": n, "eval_loss": 1.0 }).as_object().unwrap().clone();
    assert_eq!(alarms.see(&step(5, Value::Null)).len(), 1);
    assert_eq!(alarms.see(&eval(5)), []);
    assert_eq!(alarms.active().map(|alarm| (alarm.name, alarm.step)).collect::<Vec<_>>(), [("not_finite", 5)]);
    alarms.forget("sft", 5);
    assert_eq!(alarms.active().count(), 0);
}

#[test]
fn what_is_no_row_says_nothing() {
    assert_eq!(heard([Map::new()]), []);
}

#[test]
fn one_failure_is_bad_luck() {
    let mut row = healthy(1);
    row.insert("episodes".into(), json!(8));
    row.insert("failed".into(), json!(1));
    row.insert("truncated".into(), json!(0));
    assert_eq!(heard([row]), []);
}

#[test]
fn numbers_have_three_digits() {
    for (value, wanted) in [
        (0.0, "0"),
        (-0.0, "0"),
        (0.031249, "0.0312"),
        (0.5, "0.5"),
        (12.345, "12.3"),
        (128.0, "128"),
        (8764.0, "8764"),
        (123456.7, "123457"),
        (3.5e-7, "3.5e-7"),
        (-0.25, "-0.25"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(number(value), wanted);
    }
}
