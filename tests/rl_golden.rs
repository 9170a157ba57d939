//! The rules of PPO against numbers that the upstream trainers' own functions gave. Each file under `tests/golden/rl/`
//! names in `source` which function of which revision that was.
//!
//! Covered: GAE and whitening (`gae.json`: every verl case, and TRL PPO's unmasked scan), KL estimators and KL in the
//! reward (`kl.json`), clipped policy and value losses with their gradients (`policy_loss.json`, `value_loss.json`),
//! log-probability and entropy (`entropy_logprob.json`). The files hold only what is read here. Left out because plain
//! PPO has no such rule: separate low and high clips, dual clip, GSPO, CISPO, SAPO, GPG, GMPO, GRPO, LUSPO, importance
//! weights of the sampler; KL as a loss term, its absolute value and the adaptive coefficient; OpenRLHF's GAE, clamps
//! and reward clip; sampling filters.

use affine::engine::model::KernelChoice;
use affine::engine::model::head::logprobs_of;
use affine::engine::rl::advantage::{gae_tokens, whiten};
use affine::engine::rl::kl::rewards_with_kl;
use affine::engine::rl::loss::{policy_loss, value_loss};
use serde_json::Value;
use tch::{Kind, Tensor};

/// The cases of one golden file.
pub fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/golden/rl/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file["cases"].take()).unwrap()
}

/// All numbers of a list, however deep.
pub fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(entries) => entries.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap_or_else(|| panic!("{number} is no number"))],
    }
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"))
}

fn masks(case: &Value) -> Vec<Vec<bool>> {
    rows(&case["mask"]).iter().map(|row| row.iter().map(|m| *m != 0.0).collect()).collect()
}

pub fn name(case: &Value) -> &str {
    case["name"].as_str().unwrap()
}

/// Largest difference, relative to the expected value where that is above 1.
pub fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let close = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(close, "{what}, entry {i}: {got} instead of {expected}");
    }
}

/// A row's entries where the mask is set.
fn at_actions(row: &[f64], mask: &[bool]) -> Vec<f64> {
    row.iter().zip(mask).filter(|(_, action)| **action).map(|(entry, _)| *entry).collect()
}

// verl core_algos.py compute_gae_advantage_return(token_level_rewards, values, response_mask, gamma, lam), and
// verl_F.masked_whiten(advantages, response_mask). Entries at mask = 0 are meaningless upstream.
#[test]
fn token_level_gae_and_whitening_agree_with_verl() {
    let mut compared = 0;
    for case in cases("gae").iter().filter(|case| case.get("verl").is_some()) {
        let (values, rewards, masks) = (rows(&case["values"]), rows(&case["rewards"]), masks(case));
        let (gamma, lambda) = (case["gamma"].as_f64().unwrap(), case["lam"].as_f64().unwrap());
        let expected = &case["verl"];
        let (mut advantages, mut flat_mask, mut whitened) = (Vec::new(), Vec::new(), Vec::new());
        for (row, mask) in masks.iter().enumerate() {
            let credit = gae_tokens(&values[row], &rewards[row], mask, gamma, lambda, 0.0).unwrap();
            let expected_at = |key: &str| at_actions(&rows(&expected[key])[row], mask);
            assert_close(name(case), &at_actions(&credit.advantages, mask), &expected_at("adv_raw"), 1e-14);
            assert_close(name(case), &at_actions(&credit.returns, mask), &expected_at("returns"), 1e-14);
            advantages.extend(credit.advantages);
            flat_mask.extend(mask);
            if expected.get("adv_whitened").is_some() {
                whitened.extend(expected_at("adv_whitened"));
            }
        }
        let got = at_actions(&whiten(&advantages, &flat_mask).unwrap(), &flat_mask);
        if expected.get("whiten_error").is_some() {
            // verl raises here, fewer than two tokens; ours stay as they are.
            assert_eq!(got, at_actions(&advantages, &flat_mask), "{}", name(case));
        } else {
            // verl's mean divides by N + 1e-8.
            assert_close(name(case), &got, &whitened, 1e-7);
        }
        compared += 1;
    }
    assert_eq!(compared, 20);
}

// trl experimental/ppo/ppo_trainer.py PPOTrainer.train: the scan runs over every position, so every position is an
// action here.
#[test]
fn without_observations_gae_agrees_with_trl() {
    let mut compared = 0;
    for case in cases("gae").iter().filter(|case| case.get("trl_ppo").is_some()) {
        let expected = &case["trl_ppo"];
        let (values, rewards) = (rows(&expected["values"]), rows(&expected["rewards"]));
        let (gamma, lambda) = (case["gamma"].as_f64().unwrap(), case["lam"].as_f64().unwrap());
        for row in 0..values.len() {
            let mask = vec![true; values[row].len()];
            let credit = gae_tokens(&values[row], &rewards[row], &mask, gamma, lambda, 0.0).unwrap();
            assert_close(name(case), &credit.advantages, &rows(&expected["adv_raw"])[row], 1e-13);
            assert_close(name(case), &credit.returns, &rows(&expected["returns"])[row], 1e-13);
        }
        compared += 1;
    }
    assert_eq!(compared, 3);
}

// Multi-turn GAE by verl's compute_gae_advantage_return, to six decimals: observations at t2, t3 and t6, reward 1 at t5.
#[test]
fn the_multi_turn_example_gives_the_published_advantages() {
    let values = [0.1, 0.2, 0.9, 0.9, 0.3, 0.4, 0.9];
    let rewards = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let mask = [true, true, false, false, true, true, false];
    let advantages = |gamma, lambda| gae_tokens(&values, &rewards, &mask, gamma, lambda, 0.0).unwrap().advantages;
    let slow = at_actions(&advantages(1.0, 0.95), &mask);
    assert_close("γ 1, λ 0.95", &slow, &[0.799675, 0.7365, 0.67, 0.6], 1e-6);
    assert_close("γ 0.9, λ 0.9", &at_actions(&advantages(0.9, 0.9), &mask), &[0.494931, 0.51226, 0.546, 0.6], 1e-6);
    let whitened = whiten(&slow, &[true; 4]).unwrap();
    assert_close("whitened", &whitened, &[1.141837, 0.406744, -0.367037, -1.181544], 1e-6);
}

// verl ray_trainer.py apply_kl_penalty: token_level_scores - beta * kld * response_mask, kld by kl_penalty "kl"
#[test]
fn kl_in_the_reward_agrees_with_verl() {
    let cases = cases("kl");
    let case = cases.iter().find(|case| name(case) == "verl kl_in_reward kl seed1200").unwrap();
    let beta = case["out"]["beta_used"].as_f64().unwrap();
    let (logp, reference) = (rows(&case["old_logp"]), rows(&case["ref_logp"]));
    let (scores, expected) = (rows(&case["scores"]), rows(&case["out"]["token_level_rewards"]));
    for (row, mask) in masks(case).iter().enumerate() {
        let got = rewards_with_kl(&scores[row], &logp[row], &reference[row], mask, beta).unwrap();
        assert_close(name(case), &at_actions(&got, mask), &at_actions(&expected[row], mask), 1e-14);
    }
}

/// What each row's sum is divided by, for a trainer's way to average.
fn denominators(case: &Value, masks: &[Vec<bool>]) -> Vec<f64> {
    let tokens = |mask: &Vec<bool>| mask.iter().filter(|action| **action).count() as f64;
    let all: f64 = masks.iter().map(tokens).sum();
    let sequences = masks.iter().filter(|mask| tokens(mask) > 0.0).count() as f64;
    let mode = case.get("loss_agg_mode").map_or("token-mean", |mode| mode.as_str().unwrap());
    masks
        .iter()
        .map(|mask| match mode {
            _ if case.get("token_level_loss") == Some(&Value::Bool(false)) => sequences * tokens(mask),
            "token-mean" => all,
            "seq-mean-token-sum" => sequences,
            "seq-mean-token-mean" => sequences * tokens(mask),
            "seq-mean-token-sum-norm" => mask.len() as f64,
            other => panic!("no aggregation {other}"),
        })
        .collect()
}

/// The action entries of a row as a float64 leaf tensor.
fn leaf(row: &[f64], mask: &[bool]) -> Tensor {
    Tensor::from_slice(&at_actions(row, mask)).set_requires_grad(true)
}

fn plain(row: &[f64], mask: &[bool]) -> Tensor {
    Tensor::from_slice(&at_actions(row, mask))
}

fn entries(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// Sums a loss over rows with the case's own denominators, and compares value and gradient with the golden ones. The
/// closure gets a row's leaf and its index and returns that row's sum.
fn compare_loss(case: &Value, input: &str, row_sum: impl Fn(&Tensor, usize) -> Tensor) {
    let (inputs, masks) = (rows(&case[input]), masks(case));
    let gradients = rows(&case["out"]["grad"]);
    let mut loss = 0.0;
    for (row, denominator) in denominators(case, &masks).into_iter().enumerate() {
        if !masks[row].contains(&true) {
            continue;
        }
        let leaf = leaf(&inputs[row], &masks[row]);
        let part = row_sum(&leaf, row) / denominator;
        part.backward();
        loss += part.double_value(&[]);
        // verl's token mean divides by N + 1e-8.
        assert_close(name(case), &entries(&leaf.grad()), &at_actions(&gradients[row], &masks[row]), 1e-8);
    }
    assert_close(name(case), &[loss], &[case["out"]["loss"].as_f64().unwrap()], 1e-8);
}

// verl core_algos.py compute_policy_loss_vanilla (cases where the dual clip does nothing) and agg_loss; trl
// experimental/ppo/ppo_trainer.py: torch.max(-adv * ratio, -adv * torch.clamp(ratio, 1 - clip, 1 + clip))
#[test]
fn the_clipped_policy_loss_agrees_with_verl_and_trl() {
    let cases = cases("policy_loss");
    assert_eq!(cases.len(), 6);
    for case in &cases {
        let masks = masks(case);
        let (old, advantages) = (rows(&case["old_logp"]), rows(&case["advantages"]));
        let clip_range = case["clip_low"].as_f64().unwrap();
        let clipped = std::cell::Cell::new(0.0);
        compare_loss(case, "logp", |logp, row| {
            let mask = &masks[row];
            let loss = policy_loss(logp, &plain(&old[row], mask), &plain(&advantages[row], mask), clip_range);
            assert!(!loss.clip_fraction_sum.requires_grad() && !loss.approx_kl_sum.requires_grad());
            clipped.set(clipped.get() + loss.clip_fraction_sum.double_value(&[]));
            loss.sum
        });
        let tokens = masks.iter().flatten().filter(|action| **action).count() as f64;
        let expected = case["out"]["pg_clipfrac"].as_f64().unwrap();
        assert_close(name(case), &[clipped.get() / tokens], &[expected], 1e-8);
    }
}

// approx-KL is k3 with the old policy as the sampler: kl_penalty(old, new, "k3") of verl's own vectors.
#[test]
fn approx_kl_is_k3_from_the_old_policy_to_the_new() {
    let case = &cases("kl").into_iter().find(|case| name(case) == "verl k3 random").unwrap();
    let (old, new) = (flat(&case["logp"]), flat(&case["ref_logp"]));
    let zeros = Tensor::zeros([old.len() as i64], (Kind::Double, tch::Device::Cpu));
    let loss = policy_loss(&Tensor::from_slice(&new), &Tensor::from_slice(&old), &zeros, 0.2);
    let expected: f64 = flat(&case["out"]["kl"]).iter().sum();
    assert_close(name(case), &[loss.approx_kl_sum.double_value(&[])], &[expected], 1e-12);
}

#[test]
fn a_ratio_beyond_float_range_stays_finite() {
    let logp = Tensor::from_slice(&[-0.5f32, -900.0]).set_requires_grad(true);
    let loss = policy_loss(&logp, &Tensor::from_slice(&[-900.0f32, -0.5]), &Tensor::from_slice(&[0.0f32, 1.0]), 0.2);
    loss.sum.backward();
    assert!(loss.sum.double_value(&[]).is_finite());
    assert!(entries(&logp.grad()).iter().all(|gradient| gradient.is_finite()));
}

// verl core_algos.py compute_value_loss; openrlhf models/loss.py ValueLoss; trl experimental/ppo/ppo_trainer.py, whose
// mask covers one position past the end.
#[test]
fn the_clipped_value_loss_agrees_with_verl_openrlhf_and_trl() {
    let cases = cases("value_loss");
    assert_eq!(cases.len(), 10);
    for case in &cases {
        let masks = masks(case);
        let (old, returns) = (rows(&case["old_values"]), rows(&case["returns"]));
        let clip_range = case["clip"].as_f64();
        compare_loss(case, "values", |values, row| {
            value_loss(values, &plain(&old[row], &masks[row]), &plain(&returns[row], &masks[row]), clip_range)
        });
    }
}

#[test]
fn splitting_a_batch_changes_no_loss() {
    let numbers = |scale: f64| Tensor::from_slice(&(0..10).map(|i| (i as f64 * scale).sin()).collect::<Vec<_>>());
    let (new, old, advantages) = (numbers(1.3), numbers(1.1), numbers(2.7));
    let whole = policy_loss(&new, &old, &advantages, 0.2);
    let part = |start, length| {
        let cut = |tensor: &Tensor| tensor.narrow(0, start, length);
        policy_loss(&cut(&new), &cut(&old), &cut(&advantages), 0.2)
    };
    let (first, second) = (part(0, 3), part(3, 7));
    for (whole, parts) in [
        (whole.sum, first.sum + second.sum),
        (whole.clip_fraction_sum, first.clip_fraction_sum + second.clip_fraction_sum),
        (whole.approx_kl_sum, first.approx_kl_sum + second.approx_kl_sum),
    ] {
        assert_close("sum", &[parts.double_value(&[])], &[whole.double_value(&[])], 1e-12);
    }
}

// verl torch_functional.py logprobs_from_logits_v2 and entropy_from_logits, on logits / temperature in float64; the
// gradient is that of sum(logp * logp_weights) + sum(entropy * entropy_weights).
#[test]
fn log_probability_and_entropy_agree_with_verl_trl_and_openrlhf() {
    let cases = cases("entropy_logprob");
    assert_eq!(cases.len(), 3);
    // By our own kernel and by libtorch's operations: what trains goes through the one or the other.
    for (case, kernels) in cases.iter().flat_map(|case| [(case, KernelChoice::Auto), (case, KernelChoice::Libtorch)]) {
        let tensor = |value: &Value| Tensor::from_slice(&flat(value)).to_kind(Kind::Float);
        let vocabulary = case["logits"][0][0].as_array().unwrap().len() as i64;
        let logits = tensor(&case["logits"]).reshape([-1, vocabulary]).set_requires_grad(true);
        let targets = tensor(&case["ids"]).to_kind(Kind::Int64);
        let temperature = case["temperature"].as_f64().unwrap();
        let said = logprobs_of(&logits, &targets, temperature, Some(true), kernels);
        let (logprob, entropy) = (said.logprobs, said.entropy.unwrap());
        let weighted = &logprob * tensor(&case["logp_weights"]) + &entropy * tensor(&case["entropy_weights"]);
        weighted.sum(None).backward();
        assert_close(name(case), &entries(&logprob), &flat(&case["out"]["logp"]), 1e-6);
        assert_close(name(case), &entries(&entropy), &flat(&case["out"]["entropy"]), 1e-5);
        let gradient = flat(&case["out"]["grad_logits_of_weighted_sum"]);
        assert_close(name(case), &entries(&logits.grad()), &gradient, 1e-5);
    }
}

#[test]
fn bfloat16_logits_give_float32_results() {
    let logits = Tensor::from_slice(&[100.0, -100.0, 0.0, 0.0]).reshape([2, 2]).to_kind(Kind::BFloat16);
    let said = logprobs_of(&logits, &Tensor::from_slice(&[0i64, 1]), 1.0, Some(true), KernelChoice::Auto);
    let (logprob, entropy) = (said.logprobs, said.entropy.unwrap());
    assert_eq!((logprob.kind(), entropy.kind()), (Kind::Float, Kind::Float));
    assert_close("log-probability", &entries(&logprob), &[0.0, 0.5f64.ln()], 1e-6);
    assert_close("entropy", &entries(&entropy), &[0.0, 2f64.ln()], 1e-6);
}
