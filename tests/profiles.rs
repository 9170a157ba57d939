//! The validators' older and newer rules against upstream's own answers. `tests/golden/eval/epsilon_pareto.py` made the rows
//! of the one; those of the other are the recorded `scoring_window2026`.

use std::collections::BTreeMap;

use affine::engine::eval::profiles::epsilon_pareto::{Cell, EpsilonParetoOptions, Mean, Ranking, rank};
use affine::engine::eval::profiles::window_2026::{Environment, EnvironmentRule, NotWorse, compare};
use affine::engine::eval::rank::Contender;
use affine::engine::eval::rank::RankedModel;
use serde_json::{Value, json};

use crate::golden;

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-9
}

fn contender(row: &Value, name: &str) -> Contender {
    let environments = serde_json::from_value(row["miners"][name].clone()).unwrap();
    Contender { name: name.to_string(), environments }
}

fn names(row: &Value) -> Vec<&str> {
    row["uid_order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

fn check_ranking(row: &Value) {
    let contenders: Vec<Contender> = names(row).into_iter().map(|name| contender(row, name)).collect();
    let ranking = rank(&contenders, &EpsilonParetoOptions::default()).unwrap();
    let by_model = |number: fn(&RankedModel<Cell>) -> Value| -> Value {
        ranking.models.iter().map(|model| (model.name.clone(), number(model))).collect::<serde_json::Map<_, _>>().into()
    };
    let eligible: Vec<&str> = ranking.models.iter().filter(|m| m.eligible).map(|m| m.name.as_str()).collect();
    assert_eq!(json!(eligible), row["eligible"], "{}", row["id"]);
    assert_eq!(json!(ranking.fallback), row["fallback_uid0"], "{}", row["id"]);
    assert_eq!(json!(ranking.required), row["required"], "{}", row["id"]);
    assert_eq!(json!(ranking.winners), row["env_winners"], "{}", row["id"]);
    assert_eq!(by_model(|model| json!(model.dominates)), row["dominance"], "{}", row["id"]);
    assert_eq!(by_model(|model| json!(model.points)), row["total"], "{}", row["id"]);
    assert_eq!(by_model(|model| json!(model.layer_points)), row["layer_points"], "{}", row["id"]);
    for model in &ranking.models {
        let expected = row["weights"][&model.name].as_f64().unwrap();
        assert!(close(model.weight, expected), "{} {}: {} for {expected}", row["id"], model.name, model.weight);
    }
    check_subsets(row, &ranking);
}

fn check_subsets(row: &Value, ranking: &Ranking) {
    let sorted = |key: &str| {
        let mut environments: Vec<String> = key.split('+').map(str::to_string).collect();
        environments.sort();
        environments
    };
    let expected: BTreeMap<Vec<String>, &Value> =
        row["subsets"].as_object().unwrap().iter().map(|(key, winner)| (sorted(key), winner)).collect();
    assert_eq!(ranking.subsets.len(), expected.len());
    for subset in &ranking.subsets {
        assert_eq!(subset.winner, *expected[&subset.environments], "{} {:?}", row["id"], subset.environments);
    }
}

/// Two models on one environment: the first one dominates the second where upstream says so.
fn check_pairs(row: &Value) {
    // Everybody is eligible: what the pair is is asked, not who may take part.
    let options = EpsilonParetoOptions { min_samples: 0, eligible_share: 0.0, ..EpsilonParetoOptions::default() };
    for (key, expected) in row["pairwise"].as_object().unwrap() {
        let [env, a, b] = key.split('|').collect::<Vec<_>>()[..] else { panic!("{key}") };
        let only = |name: &str| {
            let mut contender = contender(row, name);
            contender.environments.retain(|name, _| name == env);
            contender
        };
        if [a, b].iter().any(|name| row["miners"][name][env]["n"].as_u64().unwrap() < 10) {
            continue;
        }
        let ranking = rank(&[only(a), only(b)], &options).unwrap();
        assert_eq!(ranking.models[0].dominates == 1, expected.as_bool().unwrap(), "{} {key}", row["id"]);
    }
}

#[test]
fn every_epsilon_pareto_table_of_upstream_comes_out() {
    let rows = golden::rows("eval/epsilon_pareto.jsonl");
    let tables: Vec<&Value> = rows.iter().filter(|row| row.get("miners").is_some()).collect();
    assert!(tables.len() >= 60, "{}", tables.len());
    assert!(
        tables.iter().any(|row| row["fallback_uid0"] == true) && tables.iter().any(|row| row["fallback_uid0"] == false)
    );
    for row in tables {
        check_ranking(row);
        check_pairs(row);
    }
}

#[test]
fn upstreams_epsilon_pareto_thresholds_come_out() {
    let rows = golden::rows("eval/epsilon_pareto.jsonl");
    let thresholds = rows.iter().find_map(|row| row["thresholds"].as_array()).unwrap();
    assert!(thresholds.len() >= 200);
    for row in thresholds {
        let mean = |at: usize| Mean { mean: row[at].as_f64().unwrap(), n: row[at + 1].as_u64().unwrap() };
        let found = EpsilonParetoOptions::default().thresholds(mean(0), mean(2));
        assert!(close(found.not_worse, row[4].as_f64().unwrap()), "{row}: {found:?}");
        assert!(close(found.better, row[5].as_f64().unwrap()), "{row}: {found:?}");
    }
}

fn environment(row: &Value, name: &str) -> Environment {
    let config = &row["config"][name];
    let number = |key: &str| config[key].as_f64().unwrap();
    let not_worse = match name {
        "DISTILL-V2" => NotWorse::Amount(number("additive_margin")),
        _ => NotWorse::Share(number("not_worse_tolerance")),
    };
    let scores = |model: &str| serde_json::from_value(row[model].get(name).cloned().unwrap_or(json!([]))).unwrap();
    let min_tasks = config["min_tasks"].as_u64().unwrap();
    Environment {
        name: name.to_string(),
        rule: EnvironmentRule { margin: number("margin"), min_tasks, not_worse },
        champion: scores("champion"),
        challenger: scores("challenger"),
    }
}

#[test]
fn every_recorded_window_comes_out() {
    let rows = golden::rows("affine/scoring_window2026.jsonl");
    assert!(rows.len() >= 24, "{}", rows.len());
    for row in rows {
        let environments: Vec<Environment> =
            row["envs"].as_array().unwrap().iter().map(|name| environment(&row, name.as_str().unwrap())).collect();
        let min_dominant = row["min_dominant_envs"].as_u64().unwrap();
        let verdict = compare(&environments, min_dominant);
        if row.get("raises").is_some() {
            verdict.unwrap_err();
            continue;
        }
        let verdict = verdict.unwrap();
        assert_eq!(verdict.dethrone, row["dethrone"], "{}", row["id"]);
        assert_eq!(verdict.dethrone, row["winner"] == "challenger", "{}", row["id"]);
        assert_eq!(verdict.reason, row["reason"], "{}", row["id"]);
        assert_eq!(
            json!([verdict.dominant, verdict.not_worse, verdict.worse]),
            json!([row["dominant"], row["not_worse"], row["worse"]])
        );
        for (name, expected) in row["per_env"].as_object().unwrap() {
            let found = json!(verdict.environments[name]);
            for (key, expected) in expected.as_object().unwrap() {
                let same = match (found[key].as_f64(), expected.as_f64()) {
                    (Some(got), Some(expected)) => close(got, expected),
                    _ => found[key] == *expected,
                };
                assert!(same, "{} {name} {key}: {} for {expected}", row["id"], found[key]);
            }
        }
    }
}

/// The recorded settings of an environment are those that its name has by itself.
#[test]
fn the_names_own_rules_are_upstreams() {
    for name in ["DISTILL-V2", "affine:sat", "affine:abd"] {
        let rows = golden::rows("affine/scoring_window2026.jsonl");
        let recorded = environment(&rows[0], name).rule;
        assert_eq!(EnvironmentRule { min_tasks: recorded.min_tasks, ..EnvironmentRule::of(name) }, recorded, "{name}");
    }
}
