//! What every iteration of PPO rests on: the policy that is updated is the one that played, and rewards have units.

use std::path::Path;

use affine::engine::env::{Description, Environment, Identity, Step};
use affine::engine::model::{LoraOptions, Model};
use affine::engine::rl::gap::MaxSamplerGap;
use affine::engine::rl::options::{NumRollouts, PpoOptions};
use affine::engine::rl::ppo::Ppo;
use affine::engine::rl::report::Iteration;
use affine::engine::rl::rollout::Rollout;
use affine::engine::text::Message;
use affine::engine::train::adamw::grad_norm;
use affine::engine::train::run::Trainer;
use affine::engine::{Result, random};
use serde_json::json;
use tch::Tensor;

use super::cli::{affine, stderr};
use super::toys::{LETTERS, Walk, is_letter, model, numbers, step, with_lora};

fn options(output_dir: &Path) -> PpoOptions {
    PpoOptions {
        output_dir: output_dir.to_path_buf(),
        iterations: 4,
        num_rollouts: NumRollouts::Each(16),
        ppo_epochs: 2,
        minibatch_size: 8,
        batch_size: 4,
        learning_rate: 1e-2,
        value_learning_rate: 1e-2,
        max_new_tokens: 4,
        save_steps: 0,
        seed: 2,
        ..PpoOptions::default()
    }
}

fn walk() -> Vec<Box<dyn Environment>> {
    vec![Box::new(Walk::new())]
}

/// A model whose adapter says something, and drops half of what it hears while it is trained.
fn forgetful() -> Model {
    let mut model = model();
    let options = LoraOptions { lora_r: 4, lora_alpha: 16.0, lora_dropout: 0.5, ..LoraOptions::default() };
    model.add_lora(&options).unwrap();
    let mut stream = random::stream(5, "adapter", 0);
    let _no_grad = tch::no_grad_guard();
    for (_, mut tensor) in model.trainable() {
        let values: Vec<f32> = (0..tensor.numel()).map(|_| random::unit(&mut stream) as f32 - 0.5).collect();
        tensor.copy_(&Tensor::from_slice(&values).view_as(&tensor));
    }
    model
}

fn played(ppo: &Ppo, policy: &Model) -> Rollout {
    let mut rollout = ppo.rollout(policy, &walk(), None).unwrap();
    ppo.advantages(&mut rollout).unwrap();
    rollout
}

fn number(iteration: &Iteration, name: &str) -> f64 {
    serde_json::to_value(iteration).unwrap()[name].as_f64().unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn an_update_drops_nothing_that_its_rollout_did_not() {
    for (gradient_checkpointing, padding_free) in [(false, false), (true, false), (false, true), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        let policy = forgetful();
        let (learning_rate, value_learning_rate) = (0.0, 0.0);
        let still = PpoOptions {
            learning_rate,
            value_learning_rate,
            gradient_checkpointing,
            padding_free,
            ..options(folder.path())
        };
        let mut ppo = Ppo::new(&policy, still).unwrap();
        let rollout = played(&ppo, &policy);
        let stats = ppo.update(&policy, &rollout).unwrap();
        assert!(number(&stats, "approx_kl") < 1e-9, "{stats:?}");
        assert_eq!(number(&stats, "clip_fraction"), 0.0);
        for gap in ["sampler_gap", "update_gap"] {
            assert!(number(&stats, gap) < 1e-4, "{gap}: {stats:?}");
        }
    }
}

#[test]
fn episodes_of_an_older_policy_are_refused_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let policy = with_lora(model());
    let mut ppo = Ppo::new(&policy, options(folder.path())).unwrap();
    let (first, second) = (played(&ppo, &policy), played(&ppo, &policy));
    ppo.update(&policy, &first).unwrap();
    let before = numbers(&policy);
    let error = ppo.update(&policy, &second).unwrap_err();
    let (text, hint) = (error.to_string(), error.hint().unwrap().to_string());
    let beginning = "ppo iteration 2: the policy that is updated is not the one that sampled: before the first update";
    assert!(text.starts_with(beginning) && text.contains("and max_sampler_gap is "), "{text}");
    assert!(hint.starts_with("after the rollout it was ") && hint.contains("play a new rollout"), "{hint}");
    assert_eq!((numbers(&policy), ppo.run().done()), (before, 1));
    // Once an update was made with a batch, another one knowingly goes on from a policy that has moved.
    ppo.update(&policy, &first).unwrap();

    let trusting = PpoOptions { max_sampler_gap: MaxSamplerGap::At(0.0), ..options(folder.path()) };
    let mut ppo = Ppo::new(&policy, trusting).unwrap();
    let stats = ppo.update(&policy, &second).unwrap();
    assert!(number(&stats, "update_gap") > 1e-2, "{stats:?}");
}

#[test]
fn log_probs_of_another_temperature_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let policy = with_lora(model());
    let mut ppo = Ppo::new(&policy, options(folder.path())).unwrap();
    let mut rollout = played(&ppo, &policy);
    for sample in &mut rollout.samples {
        let warmer = policy.logprobs(&sample.episode.ids, 1.1).unwrap();
        for t in (0..sample.episode.ids.len()).filter(|&t| sample.episode.mask[t]) {
            sample.episode.logprobs[t] = warmer[t - 1];
        }
    }
    let error = ppo.update(&policy, &rollout).unwrap_err();
    assert!(error.to_string().contains("is not the one that sampled"), "{error}");
    assert!(error.hint().unwrap().starts_with("the model changed while it played"), "{:?}", error.hint());
}

#[test]
fn a_limit_of_ones_own_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let policy = with_lora(model());
    let strict = PpoOptions { max_sampler_gap: MaxSamplerGap::At(1e-12), ..options(folder.path()) };
    let mut ppo = Ppo::new(&policy, strict).unwrap();
    let rollout = played(&ppo, &policy);
    assert!(ppo.update(&policy, &rollout).unwrap_err().to_string().contains("max_sampler_gap is 1.00e-12"));
    let read = |value| serde_json::from_value::<PpoOptions>(json!({ "max_sampler_gap": value }));
    for (value, limit) in [(json!(0.5), Some(0.5)), (json!(1), Some(1.0)), (json!(0), None)] {
        assert_eq!(read(value).unwrap().max_sampler_gap.limit(&policy), limit);
    }
    let usual = PpoOptions::default().max_sampler_gap;
    assert_eq!(read(json!("auto")).unwrap().max_sampler_gap, usual);
    assert!(usual.limit(&policy).unwrap() < 0.05);
    assert!(read(json!("none")).unwrap_err().to_string().contains("expected a number or \"auto\""));
    let refused = read(json!(-0.5)).unwrap().validate().unwrap_err().to_string();
    assert_eq!(refused, "max_sampler_gap: expected a number of at least 0, or \"auto\", got -0.5");
}

/// Says a letter for so much.
struct Paid(f64);

impl Environment for Paid {
    fn describe(&self) -> Description {
        Description {
            name: "paid".to_string(),
            score_range: (0.0, self.0),
            success_threshold: self.0,
            ..Walk::new().describe()
        }
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn reset(&mut self, _: u64) -> Result<String> {
        Ok(String::new())
    }

    fn messages(&self) -> Result<Vec<Message>> {
        Ok(vec![Message::user(LETTERS)])
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        Ok(step(String::new(), if is_letter(action) { self.0 } else { 0.0 }, true))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Paid(self.0)))
    }
}

#[test]
fn what_an_environment_pays_in_changes_only_what_people_read() {
    let trained = |pay: f64| {
        let folder = tempfile::tempdir().unwrap();
        let policy = with_lora(model());
        let mut ppo = Ppo::new(&policy, options(folder.path())).unwrap();
        let iterate = |_| ppo.iterate(&policy, &[Box::new(Paid(pay))]).unwrap().unwrap();
        let last = (0..3).map(iterate).last().unwrap();
        let serde_json::Value::Object(mut stats) = serde_json::to_value(last).unwrap() else { panic!("a struct") };
        stats.retain(|name, _| !name.contains("seconds"));
        let rewards = stats.remove("reward_mean").unwrap()["paid"].as_f64().unwrap();
        (numbers(&policy), stats, rewards)
    };
    let (weights, stats, rewards) = trained(1.0);
    let (weights_of_a_hundred, stats_of_a_hundred, rewards_of_a_hundred) = trained(100.0);
    assert_eq!(weights, weights_of_a_hundred);
    assert_eq!(stats, stats_of_a_hundred);
    assert!(rewards > 0.0 && (rewards_of_a_hundred - 100.0 * rewards).abs() < 1e-9);
}

#[test]
fn a_sample_tells_its_rewards_as_they_are_and_their_unit() {
    let folder = tempfile::tempdir().unwrap();
    let policy = with_lora(model());
    let undiscounted = PpoOptions { gamma: 1.0, gae_lambda: 1.0, kl_coef: 0.0, ..options(folder.path()) };
    let ppo = Ppo::new(&policy, undiscounted).unwrap();
    for sample in &played(&ppo, &policy).samples {
        let episode = &sample.episode;
        assert_eq!((episode.reward_unit, sample.token_rewards().iter().sum::<f64>()), (10.0, episode.total_reward()));
        let first = episode.mask.iter().position(|&action| action).unwrap();
        assert!((f64::from(sample.returns[first]) - episode.total_reward() / 10.0).abs() < 1e-6);
    }
}

#[test]
fn the_value_heads_gradient_does_not_hold_the_policy_back() {
    let norms = |returns: f64| {
        let folder = tempfile::tempdir().unwrap();
        let policy = with_lora(model());
        let once = PpoOptions { ppo_epochs: 1, minibatch_size: 16, max_grad_norm: 1e-3, ..options(folder.path()) };
        let mut ppo = Ppo::new(&policy, once).unwrap();
        let mut rollout = played(&ppo, &policy);
        for sample in &mut rollout.samples {
            let advantages = sample.advantages.iter().copied().map(f64::from).collect();
            sample.set_credit(advantages, Some(vec![returns; sample.episode.ids.len()])).unwrap();
        }
        let stats = ppo.update(&policy, &rollout).unwrap();
        let clipped = grad_norm(policy.trainable().iter().map(|(_, tensor)| tensor));
        (number(&stats, "grad_norm"), number(&stats, "value_grad_norm"), clipped)
    };
    let (policy, value, clipped) = norms(1.0);
    let (same_policy, large_value, same_clipped) = norms(1e4);
    assert!(policy > 1e-3 && large_value > 1e3 * value && value > 0.0);
    // A head that has learned nothing sends nothing on into the model.
    assert_eq!((policy, clipped), (same_policy, same_clipped));
    assert!((clipped - 1e-3).abs() < 1e-5, "{clipped}");
}

const OVERPAID: &str = r#"
local affine = require "affine"
local m = affine.model.load "base"
m:add_lora { lora_r = 4 }
local e = affine.env.make(affine.env.define {
  name = "overpaid",
  prompt = "Say something.",
  reset = function() return "" end,
  step = function(_, action) return "", 90 + #action, true end,
})
affine.trainer.ppo(m, { output_dir = "rl", iterations = 1, num_rollouts = 4, max_new_tokens = 3 }):run { envs = { e } }
"#;

#[test]
fn rewards_far_beyond_the_declared_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    std::fs::write(folder.path().join("play.lua"), OVERPAID).unwrap();
    let output = affine().current_dir(folder.path()).arg("play.lua").output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("environment overpaid: an episode earned 9"), "{said}");
    assert!(said.contains("its score_range is only 1 wide"), "{said}");
}
