//! Weight decay in the trainers: norms and biases keep their size, as with transformers' trainer.

use std::path::Path;

use affine::engine::env::Environment;
use affine::engine::model::{LoraOptions, Model};
use affine::engine::rl::options::{NumRollouts, PpoOptions};
use affine::engine::rl::ppo::Ppo;
use affine::engine::train::adamw::{AdamW, AdamWOptions, Decayed, Group};
use affine::engine::train::options::Optim;
use affine::engine::train::schedule::ScheduleKind;
use affine::engine::train::sft::{Sft, SftOptions};
use tch::{Device, Kind, Tensor};

use super::toys::{Letters, model, records};

const RATE: f64 = 1e-3;
const DECAY: f64 = 0.5;

fn dora() -> Model {
    let mut model = model();
    model.add_lora(&LoraOptions { lora_r: 4, use_dora: true, ..LoraOptions::default() }).unwrap();
    model
}

/// How much smaller a parameter became, on average, for every unit of its size: what decay does to it in one step.
fn shrinkage(before: &[(String, Tensor)], plain: &Model, decayed: &Model) -> Vec<(String, f64)> {
    let mut shares = Vec::new();
    for (((name, plain), (_, decayed)), (_, before)) in
        plain.trainable().into_iter().zip(decayed.trainable()).zip(before)
    {
        let apart = (plain - decayed).detach().to_kind(Kind::Double);
        let before = before.to_kind(Kind::Double);
        let product = (&apart * &before).sum(Kind::Double).double_value(&[]);
        shares.push((name, product / (&before * &before).sum(Kind::Double).double_value(&[])));
    }
    shares
}

fn copies(model: &Model) -> Vec<(String, Tensor)> {
    model.trainable().into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect()
}

/// Takes one step with and one without decay, from the same weights with the same gradient.
fn assert_decays(make: fn() -> Model, train: &dyn Fn(&Model, f64, &Path)) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let [plain, decayed] = [make(), make()];
    let before = copies(&plain);
    train(&plain, 0.0, &folder.path().join("plain"));
    train(&decayed, DECAY, &folder.path().join("decayed"));
    let mut kept = 0;
    for (name, share) in shrinkage(&before, &plain, &decayed) {
        // A new adapter's B is 0 and has nothing to lose.
        if name.contains("lora_B") {
            continue;
        }
        let expected = if name.contains("norm") { 0.0 } else { RATE * DECAY };
        kept += usize::from(expected == 0.0);
        assert!((share - expected).abs() < 1e-5, "{name}: {share} in place of {expected}");
    }
    kept
}

fn sft(optim: Optim) -> impl Fn(&Model, f64, &Path) {
    move |model, weight_decay, folder| {
        let options = SftOptions {
            output_dir: folder.to_path_buf(),
            max_steps: Some(1),
            learning_rate: RATE,
            lr_scheduler_type: ScheduleKind::Constant,
            weight_decay,
            optim,
            save_steps: 0,
            ..SftOptions::default()
        };
        Sft::new(model, &records(), &[], options).unwrap().step(model).unwrap();
    }
}

fn ppo(model: &Model, weight_decay: f64, folder: &Path) {
    let options = PpoOptions {
        output_dir: folder.to_path_buf(),
        num_rollouts: NumRollouts::Each(8),
        ppo_epochs: 1,
        minibatch_size: 8,
        learning_rate: RATE,
        weight_decay,
        max_new_tokens: 1,
        ..PpoOptions::default()
    };
    let environments: Vec<Box<dyn Environment>> = vec![Box::new(Letters)];
    let mut ppo = Ppo::new(model, options).unwrap();
    let mut rollout = ppo.rollout(model, &environments, None).unwrap();
    ppo.advantages(&mut rollout).unwrap();
    ppo.update(model, &rollout).unwrap();
}

#[test]
fn norms_are_not_decayed_by_any_trainer_and_all_else_is() {
    // Two norms of each layer, two of its attention's heads, and the last.
    for optim in [Optim::AdamwTorch, Optim::Adamw8bit] {
        assert_eq!(assert_decays(model, &sft(optim)), 9);
        assert_eq!(assert_decays(dora, &sft(optim)), 0);
    }
    assert_eq!(assert_decays(model, &ppo), 9);
    assert_eq!(assert_decays(dora, &ppo), 0);
}

/// What `Trainer.get_decay_parameter_names` of transformers 5 makes of such names.
#[test]
fn names_tell_what_is_decayed_as_in_transformers() {
    for (name, expected) in [
        ("model.layers.0.self_attn.q_proj.weight", true),
        ("model.layers.0.self_attn.q_proj.bias", false),
        ("model.layers.0.self_attn.q_norm.weight", false),
        ("model.layers.0.input_layernorm.weight", false),
        ("model.norm.weight", false),
        ("model.embed_tokens.weight", true),
        ("model.layers.0.mlp.up_proj.lora_A.weight", true),
        ("model.layers.0.mlp.up_proj.lora_B.bias", false),
        ("model.layers.0.mlp.up_proj.lora_magnitude_vector", true),
        ("model.normal.weight", true),
    ] {
        for (decayed, shrinks) in [(Decayed::Weights, expected), (Decayed::All, true)] {
            let param = Tensor::ones([4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let group = Group {
                params: vec![(name.to_string(), param.shallow_clone())],
                learning_rate: 0.1,
                weight_decay: 0.5,
            };
            let mut optimizer = AdamW::new(AdamWOptions { decayed, ..AdamWOptions::default() }, vec![group]);
            (&param * 0.0).sum(Kind::Float).backward();
            optimizer.step(1.0);
            assert_eq!(param.min().double_value(&[]) < 1.0, shrinks, "{name}");
        }
    }
}
