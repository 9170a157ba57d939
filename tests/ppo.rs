//! PPO on toy models: it moves towards what is rewarded, holds on to its reference, and resumes exactly.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use affine::engine::env::Environment;
use affine::engine::model::{Mode, Model};
use affine::engine::rl::options::{NumRollouts, PpoOptions};
use affine::engine::rl::ppo::Ppo;
use affine::engine::rl::report::{Iteration, RolloutReport};
use affine::engine::rl::rollout::Rollout;
use affine::engine::rollout::{observation_hash, prompt_hash};
use affine::engine::text::{Conversation, Message};
use affine::engine::train::checkpoint::ResumeFrom;
use affine::engine::train::run::Trainer;
use tch::{Kind, Tensor};

use super::cli::{affine, code, stderr};
use super::toys::{
    Break, LETTERS, Letters, Walk, checkpoints, is_letter, model, numbers, records, weights_in, with_lora,
};

fn options(output_dir: &Path) -> PpoOptions {
    PpoOptions {
        output_dir: output_dir.to_path_buf(),
        iterations: 4,
        num_rollouts: NumRollouts::Each(24),
        ppo_epochs: 2,
        minibatch_size: 8,
        learning_rate: 3e-3,
        value_learning_rate: 1e-2,
        max_new_tokens: 4,
        save_steps: 0,
        seed: 2,
        ..PpoOptions::default()
    }
}

/// A one-token bandit.
fn bandit(output_dir: &Path) -> PpoOptions {
    PpoOptions {
        num_rollouts: NumRollouts::Each(64),
        max_new_tokens: 1,
        gamma: 1.0,
        kl_coef: 0.0,
        ..options(output_dir)
    }
}

fn letters() -> Vec<Box<dyn Environment>> {
    vec![Box::new(Letters)]
}

fn walk() -> Vec<Box<dyn Environment>> {
    vec![Box::new(Walk::new())]
}

fn adapted() -> Model {
    with_lora(model())
}

/// The policy's log-probs of the first token of its reply to the bandit, `[V]`.
fn first_token(model: &Model) -> Vec<f64> {
    let _no_grad = tch::no_grad_guard();
    let prompt = Conversation::open(model.tokenizer().unwrap(), &[Message::user(LETTERS)]).unwrap();
    let hidden = model.net.hidden(&Tensor::from_slice(prompt.ids()).unsqueeze(0), Mode::Inference);
    let logits = model.net.logits(&hidden.select(1, prompt.len() as i64 - 1));
    Vec::try_from(&logits.log_softmax(-1, Kind::Double).squeeze()).unwrap()
}

/// How likely the policy is to be rewarded.
fn chance(model: &Model) -> f64 {
    let tokenizer = model.tokenizer().unwrap();
    let rewarded = |id: usize| is_letter(tokenizer.decode(&[id as i64], true).unwrap().trim());
    first_token(model).iter().enumerate().filter(|(id, _)| rewarded(*id)).map(|(_, logprob)| logprob.exp()).sum()
}

/// KL(policy ‖ the model before training) at the bandit's prompt.
fn distance(policy: &Model) -> f64 {
    first_token(policy).iter().zip(first_token(&model())).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// All iterations; the last one's report.
fn train(ppo: &mut Ppo, policy: &Model, environments: &[Box<dyn Environment>]) -> Option<Iteration> {
    let last = std::iter::from_fn(|| ppo.iterate(policy, environments).unwrap()).last();
    ppo.finish(policy).unwrap();
    last
}

/// An iteration's report without the times.
fn timeless(iteration: Option<Iteration>) -> Iteration {
    let iteration = iteration.expect("an iteration was left");
    let rollout = RolloutReport { rollout_seconds: 0.0, ..iteration.rollout };
    Iteration { seconds: 0.0, rollout, ..iteration }
}

#[test]
fn one_iteration_moves_probability_towards_what_is_rewarded() {
    for make in [model as fn() -> Model, adapted] {
        // 64 episodes of which some six are rewarded: what one seed draws is not what is learned.
        let gain = |seed| {
            let folder = tempfile::tempdir().unwrap();
            let policy = make();
            let before = chance(&policy);
            let options = PpoOptions { seed, ..bandit(folder.path()) };
            let mut ppo = Ppo::new(&policy, options).unwrap();
            let stats = ppo.iterate(&policy, &letters()).unwrap().unwrap();
            let reward = stats.rollout.reward_mean["letters"];
            assert!((reward - before).abs() < 0.2, "{reward} was earned at a chance of {before}");
            assert!(stats.update.approx_kl > 0.0);
            assert_eq!((stats.rollout.episodes, stats.rollout.failed), (64, 0));
            chance(&policy) - before
        };
        let gains: Vec<f64> = (1..=4).map(gain).collect();
        assert!(gains.iter().sum::<f64>() > 4.0 * 0.01, "{gains:?}");
    }
}

#[test]
fn several_iterations_learn_the_bandit() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    let before = chance(&policy);
    let options = PpoOptions { iterations: 12, learning_rate: 1e-2, ..bandit(folder.path()) };
    let mut ppo = Ppo::new(&policy, options).unwrap();
    let last = train(&mut ppo, &policy, &letters()).unwrap();
    let after = chance(&policy);
    assert!(before < 0.3 && after > 0.8, "{before} became {after}");
    assert!(last.rollout.reward_mean["letters"] > 0.7);
    assert_eq!(ppo.iterate(&policy, &letters()).unwrap(), None);
    assert!(folder.path().join("adapter_model.safetensors").exists());
    assert!(folder.path().join("value_head.safetensors").exists());
}

#[test]
fn a_kl_penalty_keeps_the_policy_near_its_reference() {
    let distance_with = |kl_coef| {
        let folder = tempfile::tempdir().unwrap();
        let policy = adapted();
        let options = PpoOptions { iterations: 10, learning_rate: 1e-2, kl_coef, ..bandit(folder.path()) };
        let stats = train(&mut Ppo::new(&policy, options).unwrap(), &policy, &letters()).unwrap();
        (distance(&policy), stats.rollout.kl.unwrap())
    };
    let ((free, free_estimate), (held, held_estimate)) = (distance_with(0.0), distance_with(2.0));
    assert!(held < 0.5 * free, "{held} with the penalty, {free} without");
    assert!(held_estimate < free_estimate, "{held_estimate} with the penalty, {free_estimate} without");
}

#[test]
fn stopping_and_resuming_equals_not_stopping() {
    for make in [model as fn() -> Model, adapted] {
        let folder = tempfile::tempdir().unwrap();
        let (straight, halves) = (folder.path().join("straight"), folder.path().join("halves"));

        let whole = make();
        let mut ppo = Ppo::new(&whole, options(&straight)).unwrap();
        let expected: Vec<Iteration> = (0..4).map(|_| timeless(ppo.iterate(&whole, &walk()).unwrap())).collect();
        let straight = ppo.save(&whole).unwrap();

        let first = make();
        let mut ppo = Ppo::new(&first, options(&halves)).unwrap();
        let mut got: Vec<Iteration> = (0..2).map(|_| timeless(ppo.iterate(&first, &walk()).unwrap())).collect();
        ppo.save(&first).unwrap();
        drop((ppo, first));

        let second = make();
        let resuming = PpoOptions { resume_from_checkpoint: ResumeFrom::Newest(true), ..options(&halves) };
        let mut ppo = Ppo::new(&second, resuming).unwrap();
        assert_eq!(ppo.run().done(), 2);
        got.extend((0..2).map(|_| timeless(ppo.iterate(&second, &walk()).unwrap())));
        let halves = ppo.save(&second).unwrap();

        assert_eq!(got, expected);
        assert_eq!(numbers(&second), numbers(&whole));
        let files = weights_in(&halves);
        assert!(files.contains_key("value_head.safetensors") && files.contains_key("reference.safetensors"));
        assert_eq!(files, weights_in(&straight));
        assert_ne!(files["reference.safetensors"].len(), 0);
    }
}

#[test]
fn the_reference_stays_the_policy_as_rl_began() {
    // With an adapter, and with every weight trained.
    for make in [adapted as fn() -> Model, model] {
        let folder = tempfile::tempdir().unwrap();
        let policy = make();
        let mut ppo = Ppo::new(&policy, options(folder.path())).unwrap();
        ppo.iterate(&policy, &walk()).unwrap();
        let rollout = ppo.rollout(&policy, &walk(), Some(4)).unwrap();
        for sample in &rollout.samples {
            let ids = &sample.episode.ids;
            let (before, now) = (model().logprobs(ids, 1.0).unwrap(), policy.logprobs(ids, 1.0).unwrap());
            for t in (0..ids.len()).filter(|&t| sample.episode.mask[t]) {
                assert!((sample.reference_logprobs[t] - before[t - 1]).abs() < 1e-4);
                assert!((sample.trainer_logprobs[t] - now[t - 1]).abs() < 1e-4);
            }
        }
        assert!(rollout.report().kl.unwrap().abs() > 1e-6);
    }
}

#[test]
fn an_iteration_by_hand_is_an_iteration() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, by_hand) = (adapted(), adapted());
    let mut ppo = Ppo::new(&whole, options(folder.path())).unwrap();
    let expected: Vec<Iteration> = (0..2).map(|_| timeless(ppo.iterate(&whole, &walk()).unwrap())).collect();

    let mut ppo = Ppo::new(&by_hand, options(folder.path())).unwrap();
    let got: Vec<Iteration> = (0..2)
        .map(|_| {
            let mut rollout = ppo.rollout(&by_hand, &walk(), None).unwrap();
            ppo.advantages(&mut rollout).unwrap();
            timeless(Some(ppo.update(&by_hand, &rollout).unwrap()))
        })
        .collect();
    assert_eq!(got, expected);
    assert_eq!(numbers(&by_hand), numbers(&whole));
}

#[test]
fn credit_of_ones_own_goes_before_ppos() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    let before = chance(&policy);
    let mut ppo = Ppo::new(&policy, bandit(folder.path())).unwrap();
    let mut rollout = ppo.rollout(&policy, &letters(), None).unwrap();
    let error = ppo.update(&policy, &rollout).unwrap_err();
    assert!(error.to_string().starts_with("sample 1: expected "), "{error}");
    assert!(error.hint().unwrap().contains("ppo:advantages(batch)"));

    ppo.advantages(&mut rollout).unwrap();
    let error = rollout.samples[0].set_credit(vec![0.0; 3], None).unwrap_err().to_string();
    assert!(error.starts_with("advantages: expected ") && error.ends_with(" one per token, got 3"), "{error}");
    let punish = |rollout: &mut Rollout| {
        for sample in &mut rollout.samples {
            let credit = if sample.episode.turns[0].reward > 0.0 { -1.0 } else { 1.0 };
            sample.set_credit(vec![credit; sample.episode.ids.len()], None).unwrap();
        }
    };
    punish(&mut rollout);
    // The value of an untrained head is 0.
    assert_eq!(rollout.samples[0].returns, rollout.samples[0].advantages);
    ppo.update(&policy, &rollout).unwrap();
    let after = chance(&policy);
    assert!(after < before - 0.005, "{before} became {after}");
}

#[test]
fn failed_episodes_are_not_trained_on_and_many_of_them_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    // Every task once.
    let options = PpoOptions { last_task_id: 39, ..options(folder.path()) };
    let mut ppo = Ppo::new(&policy, options).unwrap();
    let environment = |breaks| -> Vec<Box<dyn Environment>> { vec![Box::new(Walk { breaks, ..Walk::new() })] };
    let mut rollout = ppo.rollout(&policy, &environment(|task| (task == 7).then_some(Break::Step)), Some(40)).unwrap();
    assert_eq!((rollout.samples.len(), rollout.trained().count()), (40, 39));
    let stats = rollout.report();
    assert_eq!((stats.episodes, stats.failed), (40, 1));
    let rewards: Vec<f64> = rollout.episodes().filter(|e| !e.failed()).map(|e| e.total_reward()).collect();
    let mean = rewards.iter().sum::<f64>() / 39.0;
    assert!((stats.reward_mean["walk"] - mean).abs() < 1e-9);

    // Whatever credit the failed one is given.
    ppo.advantages(&mut rollout).unwrap();
    let failed = rollout.samples.iter_mut().find(|sample| sample.episode.failed()).unwrap();
    assert_eq!(failed.episode.task_id, 7);
    failed.set_credit(vec![1e30; failed.episode.ids.len()], None).unwrap();
    assert!(ppo.update(&policy, &rollout).unwrap().update.grad_norm < 1e3);

    let broken = environment(|task| (task % 10 == 7).then_some(Break::Reset));
    let error = ppo.rollout(&policy, &broken, Some(40)).err().unwrap();
    assert_eq!(error.to_string(), "4 of 40 episodes failed, more than 5 %");
    assert_eq!(error.hint(), Some("the first of them: environment walk: no such way"));
}

#[test]
fn held_out_prompts_are_not_played() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    let rollout = |hashes: &[u64], last_task_id| {
        let exclude_prompts = hashes.iter().map(|&task| prompt_hash(&Walk::opening(task))).collect();
        let options = PpoOptions { exclude_prompts, last_task_id, ..options(folder.path()) };
        Ppo::new(&policy, options).unwrap().rollout(&policy, &walk(), Some(20))
    };
    let opening =
        |rollout: Rollout| rollout.episodes().map(|e| e.task_id % 7).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(opening(rollout(&[], 1000).unwrap()).len(), 7);
    assert_eq!(opening(rollout(&[3, 5], 1000).unwrap()), [0, 1, 2, 4, 6].into());
    let error = rollout(&[0, 1, 2, 3, 4, 5, 6], 1000).err().unwrap().to_string();
    assert_eq!(error, "environment walk: tasks 0 to 1000 hold fewer than 20 that are not held out");
}

#[test]
fn held_out_tasks_are_not_played_by_their_id_nor_by_what_is_observed_first() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    let rollout = |options: PpoOptions| Ppo::new(&policy, options).unwrap().rollout(&policy, &walk(), Some(20));
    let odd = (0..40).filter(|task| task % 2 == 1).collect();
    let exclude_tasks = [("walk".to_string(), odd), ("grid".to_string(), vec![0])].into();
    let by_id = rollout(PpoOptions { exclude_tasks, last_task_id: 39, ..options(folder.path()) }).unwrap();
    assert_eq!(by_id.episodes().filter(|episode| episode.task_id % 2 == 0).count(), 20);
    // Every way begins with the same observation: none.
    let exclude_prompts = vec![observation_hash(" \n")];
    let error = rollout(PpoOptions { exclude_prompts, ..options(folder.path()) }).err().unwrap().to_string();
    assert!(error.ends_with("hold fewer than 20 that are not held out"), "{error}");
}

#[test]
fn tasks_are_drawn_once_per_iteration_and_from_those_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    let few = || -> Vec<Box<dyn Environment>> { vec![Box::new(Walk { num_tasks: Some(12), ..Walk::new() })] };
    let ppo = Ppo::new(&policy, options(folder.path())).unwrap();
    let mut tasks: Vec<u64> = ppo.rollout(&policy, &few(), Some(12)).unwrap().episodes().map(|e| e.task_id).collect();
    assert_ne!(tasks, (0..12).collect::<Vec<_>>());
    tasks.sort_unstable();
    assert_eq!(tasks, (0..12).collect::<Vec<_>>());

    let late = PpoOptions { first_task_id: 12, ..options(folder.path()) };
    // An environment that has no such ids is drawn from as a whole.
    let late = Ppo::new(&policy, late).unwrap().rollout(&policy, &few(), Some(3)).unwrap();
    assert!(late.samples.len() == 3 && late.episodes().all(|episode| episode.task_id < 12));
}

#[test]
fn another_models_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let policy = adapted();
    Ppo::new(&policy, options(folder.path())).unwrap().save(&policy).unwrap();
    let resuming = PpoOptions { resume_from_checkpoint: ResumeFrom::Newest(true), ..options(folder.path()) };
    let error = Ppo::new(&model(), resuming.clone()).err().unwrap().to_string();
    assert!(error.ends_with("is a checkpoint of another model (base weights, shape or adapter differ)"), "{error}");
    let error = Ppo::new(&policy, PpoOptions { seed: 8, ..resuming }).err().unwrap().to_string();
    assert!(error.ends_with("was made with seed = 2, this run has 8"), "{error}");
}

const INTERRUPTED: &str = r#"
local affine = require "affine"
local m = affine.model.load "base"
m:add_lora { lora_r = 4, lora_dropout = 0.1 }
local coin = affine.env.define {
  name = "coin",
  prompt = "Heads?",
  reset = function(self, task)
    self.heads = task.rng:int(0, 1) == 1
    return ""
  end,
  step = function(self, action)
    return "Go on.", (#action % 2 == 1) == self.heads and 1 or 0, #action > 2
  end,
  max_turns = 3,
}
local ppo = affine.trainer.ppo(m, {
  output_dir = arg[1],
  iterations = 4,
  num_rollouts = 12,
  max_new_tokens = 3,
  learning_rate = 1e-3,
  save_steps = 4,
  resume_from_checkpoint = true,
})
for it in ppo:iterations { affine.env.make(coin) } do
  if arg[2] == "interrupted" and it.iteration == 2 then
    print "ready"
    while true do
    end
  end
end
"#;

#[test]
fn ctrl_c_between_two_iterations_saves_a_checkpoint_that_goes_on_exactly() {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path().join("base")).unwrap();
    std::fs::write(folder.path().join("play.lua"), INTERRUPTED).unwrap();
    let play = |args: &[&str]| {
        let mut command = affine();
        command.current_dir(folder.path()).arg("play.lua").args(args);
        command
    };

    let mut child = play(&["halves", "interrupted"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(checkpoints(&folder.path().join("halves")), [2]);
    for output in ["halves", "straight"] {
        let whole = play(&[output]).output().unwrap();
        assert_eq!(code(&whole), 0, "{}", stderr(&whole));
    }
    let last = |output: &str| weights_in(&folder.path().join(output).join("checkpoint-4"));
    assert_eq!(last("halves"), last("straight"));
}

#[test]
fn a_model_that_sft_trained_goes_on_with_ppo() {
    use affine::engine::train::sft::{Sft, SftOptions};
    let folder = tempfile::tempdir().unwrap();
    let mut policy = adapted();
    let sft = SftOptions { output_dir: folder.path().join("sft"), num_epochs: 1, ..SftOptions::default() };
    super::training::run(&mut Sft::new(&policy, &records(), &[], sft).unwrap(), &policy).unwrap();
    policy.merge_lora().unwrap();
    let policy = with_lora(policy);
    let before = numbers(&policy);
    let mut ppo = Ppo::new(&policy, PpoOptions { iterations: 1, ..options(&folder.path().join("rl")) }).unwrap();
    train(&mut ppo, &policy, &walk());
    let after = numbers(&policy);
    let changed = |name: &str| before[name] != after[name];
    assert!(after.keys().filter(|name| name.contains("lora_B")).all(|name| changed(name)));
    assert!(after.keys().filter(|name| !name.contains("lora_")).all(|name| !changed(name)));
}
