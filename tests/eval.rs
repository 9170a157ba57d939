//! Ranking against upstream: the worked example, and every recorded table of the validators' scoring.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use affine::engine::eval::dominance::{Outcome, Standing, compare};
use affine::engine::eval::interval;
use affine::engine::eval::rank::{Contender, Profile, RankOptions, RankedModel, Ranking, Tally, rank};
use serde_json::Value;

use crate::golden;

const TOLERANCE: f64 = 1e-9;

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= TOLERANCE
}

/// `tests/golden/affine` holds the rows with up to five environments; AFFINE_GOLDEN may name a folder whose `affine`
/// has them all.
fn scoring_rows(name: &str) -> Vec<Value> {
    let more = std::env::var_os("AFFINE_GOLDEN")
        .filter(|folder| !folder.is_empty())
        .map(|folder| PathBuf::from(folder).join("affine"));
    golden::rows_of(&more.unwrap_or_else(|| golden::path("affine")).join(name))
}

fn contenders(row: &Value) -> Vec<Contender> {
    let names = row["uid_order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let contender = |name: &str| Contender {
        name: name.to_string(),
        environments: serde_json::from_value(row["miners"][name].clone()).unwrap(),
    };
    names.map(contender).collect()
}

fn model<'a>(ranking: &'a Ranking, name: &str) -> &'a RankedModel {
    ranking.models.iter().find(|model| model.name == name).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_string()).collect()
}

/// Whatever does not depend on the order of exactly tied models.
fn check_standings(row: &Value, ranking: &Ranking) {
    let eligible: BTreeSet<String> = ranking.models.iter().filter(|m| m.eligible).map(|m| m.name.clone()).collect();
    assert_eq!(eligible, names(&row["eligible"]));
    assert_eq!(ranking.fallback, row["fallback_uid0"]);
    assert_eq!(serde_json::to_value(&ranking.required).unwrap(), row["required"]);
    for (name, environments) in row["intervals"].as_object().unwrap() {
        for (env, bounds) in environments.as_object().unwrap() {
            let cell = model(ranking, name).environments[env];
            let expected = [bounds[0].as_f64().unwrap(), bounds[1].as_f64().unwrap()];
            assert!(close(cell.lower, expected[0]) && close(cell.upper, expected[1]), "{name} {env}: {cell:?}");
        }
    }
    for (env, pairs) in row["pairwise"].as_object().unwrap() {
        for (pair, winner) in pairs.as_object().unwrap() {
            let (a, b) = pair.split_once('|').unwrap();
            let expected = match winner.as_str() {
                None => Outcome::Tie,
                Some(winner) if winner == a => Outcome::Better,
                Some(_) => Outcome::Worse,
            };
            assert_eq!(compare(&standing(row, a, env), &standing(row, b, env), 200), expected, "{env}: {pair}");
        }
    }
}

fn standing(row: &Value, name: &str, env: &str) -> Standing {
    let tally: Tally = serde_json::from_value(row["miners"][name][env].clone()).unwrap();
    let (lower, upper) = interval(tally.sum, tally.n, 0.80);
    Standing { lower, upper, n: tally.n, first_block: tally.first_block }
}

/// Points, weights, winners and cells, which may differ between exactly tied models.
fn check_outcome(row: &Value, ranking: &Ranking) {
    for (name, layers) in row["layer_points"].as_object().unwrap() {
        for (size, expected) in layers.as_object().unwrap() {
            let got = model(ranking, name).layer_points.get(&size.parse().unwrap()).copied().unwrap_or(0.0);
            assert!(close(got, expected.as_f64().unwrap()), "{name}, layer {size}: {got} for {expected}");
        }
    }
    check_totals(row, ranking);
    for (name, cells) in row["cells"].as_object().unwrap() {
        for (env, expected) in cells.as_object().unwrap() {
            assert_eq!(model(ranking, name).environments[env].to_string(), expected.as_str().unwrap(), "{name} {env}");
        }
    }
}

fn check_totals(outcome: &Value, ranking: &Ranking) {
    assert!(totals_match(outcome, ranking), "{outcome}\n{ranking:#?}");
}

fn totals_match(outcome: &Value, ranking: &Ranking) -> bool {
    let equal = |key: &str, got: &dyn Fn(&RankedModel) -> f64| {
        let expected = outcome[key].as_object().unwrap();
        expected.iter().all(|(name, value)| close(got(model(ranking, name)), value.as_f64().unwrap()))
    };
    serde_json::to_value(&ranking.winners).unwrap() == outcome["env_winners"]
        && equal("total", &|model| model.points)
        && equal("weights", &|model| model.weight)
}

/// The recorded subsets as `sorted environments → expected value`.
fn recorded_subsets(row: &Value) -> BTreeMap<Vec<String>, &Value> {
    let sorted = |key: &str| {
        let mut environments: Vec<String> = key.split('+').map(str::to_string).collect();
        environments.sort();
        environments
    };
    row["subsets"].as_object().unwrap().iter().map(|(key, value)| (sorted(key), value)).collect()
}

#[test]
fn every_recorded_ranking_with_equal_shares_comes_out() {
    let rows = scoring_rows("scoring_beta80.jsonl");
    assert!(rows.len() >= 17, "{}", rows.len());
    for row in rows {
        let ranking = rank(&contenders(&row), &RankOptions::default()).unwrap();
        check_standings(&row, &ranking);
        let subsets = recorded_subsets(&row);
        assert_eq!(ranking.subsets.len(), subsets.len());
        for subset in &ranking.subsets {
            let frontier: BTreeSet<String> = subset.shares.keys().cloned().collect();
            assert_eq!(frontier, names(subsets[&subset.environments]), "{} {:?}", row["id"], subset.environments);
        }
        for (name, count) in row["dominance"].as_object().unwrap() {
            assert_eq!(model(&ranking, name).dominates as u64, count.as_u64().unwrap(), "{} {name}", row["id"]);
        }
        match row["alternatives"].as_array() {
            // Here only the displayed winner among exactly tied models varies: the points do not.
            Some(outcomes) => assert!(outcomes.iter().any(|outcome| totals_match(outcome, &ranking)), "{}", row["id"]),
            None => check_outcome(&row, &ranking),
        }
    }
}

#[test]
fn every_recorded_ranking_with_ranked_shares_comes_out() {
    let rows = scoring_rows("scoring_beta80_layers.jsonl");
    assert!(rows.len() >= 17, "{}", rows.len());
    for row in rows {
        let options = RankOptions { profile: Profile::Beta80Layers, ..RankOptions::default() };
        let ranking = rank(&contenders(&row), &options).unwrap();
        check_standings(&row, &ranking);
        let subsets = recorded_subsets(&row);
        assert_eq!(ranking.subsets.len(), subsets.len());
        let tied = row["order_dependent"].is_array();
        for subset in &ranking.subsets {
            let expected = subsets[&subset.environments].as_object().unwrap();
            let mut shares: Vec<(String, f64)> = subset.shares.clone().into_iter().collect();
            let mut recorded: Vec<(String, f64)> =
                expected.iter().map(|(name, share)| (name.clone(), share.as_f64().unwrap())).collect();
            if tied {
                // Any order of tied models is right: the shares are the same, whoever has which.
                shares.sort_by(|a, b| a.1.total_cmp(&b.1));
                recorded.sort_by(|a, b| a.1.total_cmp(&b.1));
            } else {
                recorded.sort_by(|a, b| a.0.cmp(&b.0));
            }
            assert_eq!(shares.len(), recorded.len(), "{} {:?}", row["id"], subset.environments);
            for (got, expected) in shares.iter().zip(&recorded) {
                assert!(close(got.1, expected.1) && (tied || got.0 == expected.0), "{}: {subset:?}", row["id"]);
            }
        }
        if tied {
            let points: f64 = ranking.models.iter().map(|model| model.points).sum();
            let recorded: f64 = row["total"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
            assert!(close(points, recorded), "{}", row["id"]);
        } else {
            check_outcome(&row, &ranking);
        }
    }
}

#[test]
fn the_worked_example_of_the_documentation_comes_out() {
    let contender = |name: &str, first_block: u64, sums: [f64; 3]| Contender {
        name: name.to_string(),
        environments: ["sat", "abd", "ded"]
            .into_iter()
            .zip(sums)
            .map(|(env, sum)| (env.to_string(), Tally { sum, n: 200, first_block }))
            .collect(),
    };
    let contenders = [
        contender("A", 100, [120.0, 100.0, 80.0]),
        contender("B", 200, [145.0, 104.0, 84.0]),
        contender("C", 300, [146.0, 130.0, 108.0]),
    ];
    let options = RankOptions { profile: Profile::Beta80Layers, ..RankOptions::default() };
    let ranking = rank(&contenders, &options).unwrap();
    assert_eq!(ranking.winners, [("abd", "C"), ("ded", "C"), ("sat", "B")].map(|(e, m)| (e.into(), m.into())).into());
    for (subset, frontier) in ranking.subsets.iter().zip([&["C"][..], &["C"], &["B"], &["C"], &["B", "C"]]) {
        assert_eq!(subset.shares.keys().collect::<Vec<_>>(), frontier, "{:?}", subset.environments);
    }
    let everything = ranking.subsets.last().unwrap();
    assert!((everything.shares["B"] - 0.2662).abs() < 5e-5 && (everything.shares["C"] - 0.7338).abs() < 5e-5);
    for (model, (points, weight)) in ranking.models.iter().zip([(0.0, 0.0), (3.546769, 0.2533), (10.453231, 0.7467)]) {
        assert!((model.points - points).abs() < 1e-6 && (model.weight - weight).abs() < 5e-5, "{model:?}");
    }
    assert_eq!(ranking.models[1].environments["sat"].to_string(), "*72.50/[68.30,76.38]/200*");
}

#[test]
fn requests_that_cannot_be_ranked_are_refused() {
    let contender = |name: &str| Contender {
        name: name.to_string(),
        environments: [("sat".to_string(), Tally { sum: 1.0, n: 2, first_block: 0 })].into(),
    };
    let refusal = |contenders: &[Contender], options: &RankOptions| rank(contenders, options).unwrap_err().to_string();
    let options = RankOptions::default();
    assert_eq!(refusal(&[], &options), "models are ranked on 1 to 12 environments, got 0");
    assert_eq!(refusal(&[contender("a"), contender("a")], &options), "two models to rank are named a");
    let level = RankOptions { level: 80.0, ..options };
    assert_eq!(refusal(&[contender("a")], &level), "level: expected a number between 0 and 1, got 80");
    assert!(serde_json::from_str::<RankOptions>(r#"{"profile": "beta90"}"#).is_err());
}
