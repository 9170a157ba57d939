//! Paired tests, intervals and numbers of tasks against SciPy and statsmodels; `tests/golden/eval/comparisons.py` made the rows.

use affine::engine::eval::compare::needed::{for_scores, for_successes, mcnemar_power};
use affine::engine::eval::compare::{
    BootstrapInterval, BootstrapOptions, Method, difference_interval, holm, mcnemar, score_interval, wilcoxon,
};
use serde_json::Value;

use crate::golden;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Within `tolerance` of the expected number, and of it in parts.
fn close(got: f64, expected: f64, tolerance: f64) -> bool {
    (got - expected).abs() <= tolerance * expected.abs().max(1e-3)
}

#[test]
fn mcnemars_exact_test_and_its_mid_p_come_out() {
    let rows = golden::rows("eval/mcnemar.jsonl");
    assert!(rows.len() > 300, "{}", rows.len());
    for row in rows {
        let test = mcnemar(count(&row["only_candidate"]), count(&row["only_baseline"]));
        assert!(close(test.p, number(&row["p"]), 1e-9), "{row}: {test:?}");
        assert!(close(test.mid_p, number(&row["mid_p"]), 1e-9), "{row}: {test:?}");
    }
}

#[test]
fn wilcoxons_signed_ranks_come_out() {
    let rows = golden::rows("eval/wilcoxon.jsonl");
    assert!(rows.len() > 300, "{}", rows.len());
    for how in ["exact", "permutation", "asymptotic"] {
        assert!(rows.iter().filter(|row| row["how"] == how).count() > 50, "{how}");
    }
    for row in rows {
        let test = wilcoxon(&list(&row["differences"]));
        assert_eq!(test.n, count(&row["n"]), "{}", row["id"]);
        assert_eq!(test.positive.min(test.negative), number(&row["statistic"]), "{}", row["id"]);
        assert_eq!(test.exact, row["how"] != "asymptotic", "{}", row["id"]);
        assert!(close(test.p, number(&row["p"]), 1e-9), "{} {}: {test:?} for {}", row["id"], row["how"], row["p"]);
    }
}

#[test]
fn holms_adjusted_p_values_come_out() {
    for row in golden::rows("eval/holm.jsonl") {
        for (got, expected) in holm(&list(&row["p"])).into_iter().zip(list(&row["adjusted"])) {
            assert!((got - expected).abs() < 1e-12, "{row}: {got} for {expected}");
        }
    }
}

/// The least by which two resampled means differ, where scores are multiples of 1 or 0.1: the quantiles of few values are steps.
fn step(row: &Value) -> f64 {
    let scores = list(&row["a"]);
    let multiples = |grain: &f64| scores.iter().all(|score| ((score / grain).round() * grain - score).abs() < 1e-9);
    [1.0, 0.1].into_iter().find(multiples).map_or(0.0, |grain| 1.000001 * grain / scores.len() as f64)
}

/// A hundred thousand resamples against two hundred thousand of another generator: what is left is the luck of the draws, which in
/// the long tail of a skewed mean is some 0.04 standard errors.
#[test]
fn own_resamples_give_scipys_bca_intervals() {
    let near = |got: BootstrapInterval, expected: &Value, error: f64, row: &Value| {
        assert_eq!(got.method, Method::Bca);
        for (got, expected) in [got.lower, got.upper].into_iter().zip(list(expected)) {
            assert!((got - expected).abs() < 0.06 * error + step(row), "{}: {got} for {expected}", row["id"]);
        }
    };
    let rows = golden::rows("eval/bootstrap_own.jsonl");
    assert!(rows.len() > 15, "{}", rows.len());
    for row in rows {
        let options = BootstrapOptions { level: number(&row["level"]), resamples: 100_000, seed: 0 };
        let (a, b) = (list(&row["a"]), list(&row["b"]));
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| ((a - b) * 1e12).round() / 1e12).collect();
        let found = difference_interval(&differences, &options).unwrap().unwrap();
        near(found, &row["difference"], number(&row["difference_error"]), &row);
        near(score_interval(&a, &options).unwrap().unwrap(), &row["score"], number(&row["score_error"]), &row);
    }
}

#[test]
fn the_tasks_needed_are_those_of_the_power_functions() {
    let rows = golden::rows("eval/needed.jsonl");
    let (scores, successes): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["kind"] == "scores");
    assert!(scores.len() >= 60 && successes.len() >= 20, "{} {}", scores.len(), successes.len());
    for row in scores {
        let (level, power) = (number(&row["level"]), number(&row["power"]));
        let tasks = for_scores(number(&row["difference"]), number(&row["sd"]), level, power).unwrap();
        let (normal, t_test) = (number(&row["normal"]), number(&row["t_test"]));
        assert!(tasks.mean as f64 >= normal, "{row}: {tasks:?}");
        assert!((tasks.mean as f64 - t_test).abs() <= 1.5, "{row}: {tasks:?}");
        assert!(
            (tasks.wilcoxon as f64 / tasks.mean as f64 - 1.047).abs() < 0.05 + 1.5 / tasks.mean as f64,
            "{row}: {tasks:?}"
        );
    }
    for row in successes {
        let (level, power) = (number(&row["level"]), number(&row["power"]));
        let counts = (count(&row["only_candidate"]), count(&row["only_baseline"]), count(&row["n"]));
        let tasks = for_successes(counts.0, counts.1, counts.2, level, power).unwrap();
        assert_eq!(tasks.normal, number(&row["connor"]).ceil() as u64, "{row}");
        let exact = tasks.exact.unwrap();
        assert!((count(&row["exact"])..=count(&row["steady"])).contains(&exact), "{row}: {tasks:?}");
        let shares = (counts.0 as f64 / counts.2 as f64, counts.1 as f64 / counts.2 as f64);
        let found = mcnemar_power(count(&row["exact"]), shares.0, shares.1, level);
        assert!(close(found, number(&row["power_at_exact"]), 1e-9), "{row}: {found}");
    }
}
