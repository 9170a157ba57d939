//! Our own CPU kernels beside libtorch's operations: outputs and gradients, equal but for rounding.
//!
//! "Rounding" is stated per dtype: float32 within 2e-5 of the largest number; bfloat16 no farther from the float32 result
//! than 1.5 times what libtorch's own bfloat16 operations are, or a bfloat16 step of the largest number (two steps for
//! attention, whose scores are rounded).

use affine::engine::model::attention::grouped;
use affine::engine::native::{attention, blocks, linear, logprob};
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// Random numbers that are the same in every dtype: bfloat16 holds them exactly.
fn random(shape: &[i64], seed: i64) -> Tensor {
    tch::manual_seed(seed);
    Tensor::randn(shape, (Kind::Float, CPU)).to_kind(Kind::BFloat16).to_kind(Kind::Float)
}

/// Output and gradients of `f` over leaves of a dtype, the output's gradient being a fixed random tensor.
fn run(inputs: &[Tensor], kind: Kind, f: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<Tensor> {
    let leaves: Vec<Tensor> = inputs
        .iter()
        .map(|input| match input.kind() {
            Kind::Int64 => input.shallow_clone(),
            _ => input.to_kind(kind).detach().copy().set_requires_grad(true),
        })
        .collect();
    let output = f(&leaves);
    (&output * random(&output.size(), 99).to_kind(output.kind())).sum(Kind::Float).backward();
    let gradients = leaves.iter().filter(|leaf| leaf.requires_grad()).map(Tensor::grad);
    [output.detach()].into_iter().chain(gradients).map(|tensor| tensor.to_kind(Kind::Float)).collect()
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    assert!(bool::try_from(a.isfinite().all()).unwrap(), "not finite");
    (a - b).abs().max().double_value(&[])
}

/// `ours` against `plain` in both dtypes.
fn agree(what: &str, inputs: &[Tensor], ours: &dyn Fn(&[Tensor]) -> Tensor, plain: &dyn Fn(&[Tensor]) -> Tensor) {
    let exact = run(inputs, Kind::Float, plain);
    for (i, (got, wanted)) in run(inputs, Kind::Float, ours).iter().zip(&exact).enumerate() {
        let size = wanted.abs().max().double_value(&[]);
        assert!(apart(got, wanted) <= 2e-5 * size, "{what}, float32, tensor {i}: {} of {size}", apart(got, wanted));
    }
    agree_in_bf16(what, inputs, ours, plain, &exact, 1.0);
}

fn agree_in_bf16(
    what: &str,
    inputs: &[Tensor],
    ours: &dyn Fn(&[Tensor]) -> Tensor,
    plain: &dyn Fn(&[Tensor]) -> Tensor,
    exact: &[Tensor],
    steps: f64,
) {
    let libtorchs = run(inputs, Kind::BFloat16, plain);
    for (i, got) in run(inputs, Kind::BFloat16, ours).iter().enumerate() {
        let size = exact[i].abs().max().double_value(&[]);
        let allowed = (1.5 * apart(&libtorchs[i], &exact[i])).max(steps * size / 256.0);
        let error = apart(got, &exact[i]);
        assert!(error <= allowed, "{what}, bfloat16, tensor {i}: {error} of {size}, allowed {allowed}");
    }
}

fn plain_norm(x: &Tensor, weight: &Tensor) -> Tensor {
    let wide = x.to_kind(Kind::Float);
    let mean_square = wide.square().mean_dim(-1, true, Kind::Float);
    (wide * (mean_square + 1e-6).rsqrt()).to_kind(x.kind()) * weight
}

#[test]
fn a_norm_is_what_it_is_in_steps() {
    for size in [7, 64, 96, 1000] {
        let inputs = [random(&[3, 5, size], 1), random(&[size], 2)];
        let ours = |t: &[Tensor]| blocks::rms_norm(&t[0], &t[1], 1e-6);
        agree(&format!("norm of {size}"), &inputs, &ours, &|t| plain_norm(&t[0], &t[1]));
    }
    // Not contiguous.
    let inputs = [random(&[4, 6, 8], 1), random(&[8], 2)];
    let ours = |t: &[Tensor]| blocks::rms_norm(&t[0].transpose(0, 1), &t[1], 1e-6);
    agree("a view", &inputs, &ours, &|t| plain_norm(&t[0].transpose(0, 1), &t[1]));
}

#[test]
fn a_rotation_is_what_it_is_in_steps() {
    let (rows, length, size) = (3, 7, 12);
    for angle_rows in [1, rows] {
        let angle = random(&[angle_rows, length, size / 2], 3) * 100.0;
        let angle = Tensor::cat(&[&angle, &angle], -1);
        let (cos, sin) = (angle.cos(), angle.sin());
        let ours = |t: &[Tensor]| blocks::rotary(&t[0], &cos.to_kind(t[0].kind()), &sin.to_kind(t[0].kind()));
        let plain = |t: &[Tensor]| {
            let halves = t[0].chunk(2, -1);
            let turned = Tensor::cat(&[&halves[1].neg(), &halves[0]], -1);
            let angles = |table: &Tensor| table.to_kind(t[0].kind()).unsqueeze(2);
            &t[0] * angles(&cos) + turned * angles(&sin)
        };
        agree("rotation", &[random(&[rows, length, 2, size], 4)], &ours, &plain);
    }
}

#[test]
fn swiglu_is_what_it_is_in_steps() {
    let inputs = [random(&[3, 50, 33], 5) * 4.0, random(&[3, 50, 33], 6)];
    agree("swiglu", &inputs, &|t| blocks::swiglu(&t[0], &t[1]), &|t| t[0].silu() * &t[1]);
    // Far out, where the exponential would overflow.
    let far = Tensor::from_slice(&[-200.0f32, -100.0, -88.5, 0.0, 88.5, 200.0]);
    agree("swiglu far out", &[far.shallow_clone(), far], &|t| blocks::swiglu(&t[0], &t[1]), &|t| t[0].silu() * &t[1]);
}

#[test]
fn scores_are_those_of_the_distribution() {
    for temperature in [1.0, 0.7, 2.5] {
        let targets = Tensor::from_slice(&[0i64, 999, 500, 3, 3]);
        let inputs = [random(&[5, 1000], 7) * 3.0, targets];
        let ours = |t: &[Tensor]| {
            let (logprobs, entropies) = logprob::logprobs(&t[0], &t[1], temperature);
            Tensor::cat(&[logprobs, entropies], 0)
        };
        let plain = |t: &[Tensor]| {
            let distribution = (t[0].to_kind(Kind::Float) / temperature).log_softmax(-1, Kind::Float);
            let logprobs = distribution.gather(-1, &t[1].unsqueeze(-1), false).squeeze_dim(-1);
            Tensor::cat(&[logprobs, -(distribution.exp() * &distribution).sum_dim_intlist(-1, false, Kind::Float)], 0)
        };
        agree(&format!("scores at {temperature}"), &inputs, &ours, &plain);
    }
}

#[test]
fn a_logit_of_minus_infinity_has_no_share_and_no_gradient() {
    let logits = Tensor::from_slice(&[1.0f32, f32::NEG_INFINITY, 2.0, 0.5]).view([1, 4]).set_requires_grad(true);
    let (logprobs, entropies) = logprob::logprobs(&logits, &Tensor::from_slice(&[2i64]), 1.0);
    (logprobs + &entropies).sum(Kind::Float).backward();
    let without = Tensor::from_slice(&[1.0f32, 2.0, 0.5]).log_softmax(-1, Kind::Float);
    let entropy = -(without.exp() * &without).sum(Kind::Float).double_value(&[]);
    assert!((entropies.double_value(&[0]) - entropy).abs() < 1e-6);
    assert_eq!(logits.grad().double_value(&[0, 1]), 0.0);
    assert!(bool::try_from(logits.grad().isfinite().all()).unwrap());
}

#[test]
fn what_is_not_a_number_stays_that() {
    let nan = |kind| Tensor::from_slice(&[1.0f32, f32::NAN, 2.0]).view([1, 3]).to_kind(kind);
    for kind in [Kind::Float, Kind::BFloat16] {
        let is_nan = |tensor: Tensor| bool::try_from(tensor.isnan().any()).unwrap();
        assert!(is_nan(blocks::rms_norm(&nan(kind), &Tensor::ones([3], (kind, CPU)), 1e-6)));
        assert!(is_nan(blocks::swiglu(&nan(kind), &nan(kind))));
        assert!(is_nan(logprob::logprobs(&nan(kind), &Tensor::from_slice(&[0i64]), 1.0).0));
    }
}

#[test]
fn an_adapted_linear_is_the_sum_of_its_parts() {
    for (rows, input, out, rank) in [(5, 24, 40, 3), (130, 512, 256, 8)] {
        let inputs = [
            random(&[2, rows, input], 8),
            random(&[out, input], 9) / 8.0,
            random(&[rank, input], 10) / 8.0,
            random(&[out, rank], 11),
        ];
        for onednn in [true, false] {
            // The factors are float32 whatever the base is.
            let ours = |t: &[Tensor]| {
                let (a, b) = (t[2].to_kind(Kind::Float), t[3].to_kind(Kind::Float));
                linear::linear(&t[0], &t[1], Some((&a, &b, 0.5)), onednn)
            };
            let plain = |t: &[Tensor]| {
                let low = t[0].linear::<Tensor>(&t[2], None) * 0.5;
                t[0].linear::<Tensor>(&t[1], None) + low.linear::<Tensor>(&t[3], None)
            };
            agree(&format!("oneDNN: {onednn}, {rows} rows"), &inputs, &ours, &plain);
            let bare = |t: &[Tensor]| linear::linear(&t[0], &t[1], None, onednn);
            agree("no adapter", &inputs[..2], &bare, &|t| t[0].linear::<Tensor>(&t[1], None));
        }
    }
}

#[test]
fn a_refusal_of_libtorch_is_the_panic_that_tch_makes() {
    let (x, weight) = (random(&[2, 3], 1), random(&[4, 5], 2));
    let error = affine::engine::refusal::attempt(|| Ok(linear::linear(&x, &weight, None, false))).unwrap_err();
    assert!(error.to_string().contains("mat1 and mat2"), "{error}");
}

#[test]
fn causal_attention_is_libtorchs_whatever_the_blocks() {
    let plain =
        |t: &[Tensor]| Tensor::scaled_dot_product_attention::<Tensor>(&t[0], &t[1], &t[2], None, 0.0, true, None, true);
    for (rows, length, heads, groups, size) in
        [(2, 2, 2, 1, 8), (3, 33, 4, 2, 16), (1, 300, 6, 2, 32), (2, 128, 2, 2, 64)]
    {
        let heads_of = |heads: i64, seed| random(&[rows, length, heads, size], seed).transpose(1, 2);
        let inputs = [heads_of(heads, 12), heads_of(groups, 13), heads_of(groups, 14)];
        let exact = run(&inputs, Kind::Float, &plain);
        agree_in_bf16(
            &format!("{length} positions"),
            &inputs,
            &|t| attention::causal(&t[0], &t[1], &t[2]),
            &plain,
            &exact,
            2.0,
        );
    }
}

#[test]
fn a_decoded_token_attends_to_its_own_past_and_nothing_else() {
    let (rows, groups, heads, size, capacity) = (3, 2, 6, 16, 40);
    let positions = [0i64, 17, 39];
    for kind in [Kind::Float, Kind::BFloat16] {
        let of = |shape: &[i64], seed| random(shape, seed).to_kind(kind);
        let (q, k, v) =
            (of(&[rows, heads, 1, size], 1), of(&[rows, groups, 1, size], 2), of(&[rows, groups, 1, size], 3));
        let (keys, values) = (of(&[rows, groups, capacity, size], 4), of(&[rows, groups, capacity, size], 5));
        let (held_keys, held_values) = (keys.copy(), values.copy());
        let got = attention::decode(&q, &k, &v, &held_keys, &held_values, &Tensor::from_slice(&positions));
        for (row, &position) in positions.iter().enumerate() {
            let row = row as i64;
            let past = |held: &Tensor, new: &Tensor| {
                Tensor::cat(&[held.narrow(0, row, 1).narrow(2, 0, position), new.narrow(0, row, 1)], 2)
            };
            let [wanted_q, wanted_k, wanted_v] =
                [q.narrow(0, row, 1), past(&keys, &k), past(&values, &v)].map(|t| t.to_kind(Kind::Float));
            let wanted = Tensor::scaled_dot_product_attention::<Tensor>(
                &wanted_q, &wanted_k, &wanted_v, None, 0.0, false, None, true,
            );
            let step = if kind == Kind::Float { 1e-6 } else { 1.0 / 128.0 };
            let error = apart(&got.narrow(0, row, 1).to_kind(Kind::Float), &wanted);
            assert!(error <= step * wanted.abs().max().double_value(&[]), "{kind:?}, row {row}: {error}");
            // The new key and value are in the cache, and nothing else changed.
            let slot = |held: &Tensor| held.narrow(0, row, 1).narrow(2, position, 1);
            assert_eq!(apart(&slot(&held_keys).to_kind(Kind::Float), &k.narrow(0, row, 1).to_kind(Kind::Float)), 0.0);
            assert_eq!(apart(&slot(&held_values).to_kind(Kind::Float), &v.narrow(0, row, 1).to_kind(Kind::Float)), 0.0);
        }
        let changed = held_keys.not_equal_tensor(&keys).any_dim(-1, false).sum(Kind::Int64).int64_value(&[]);
        assert!(changed <= rows * groups, "{changed} slots were written");
    }
}

#[test]
fn a_prepacked_weight_computes_what_the_weight_does_until_that_is_written_to() {
    let weight = random(&[96, 64], 1).to_kind(Kind::BFloat16);
    let (a, b) = (random(&[4, 64], 2), random(&[96, 4], 3));
    let x = random(&[5, 1, 64], 4).to_kind(Kind::BFloat16);
    let prepacked = linear::Prepacked::new(&weight);
    for adapter in [None, Some((&a, &b, 0.25))] {
        let (got, wanted) = (prepacked.linear(&x, adapter), linear::linear(&x, &weight, adapter, false));
        let size = wanted.abs().max().to_kind(Kind::Float).double_value(&[]);
        assert!(apart(&got.to_kind(Kind::Float), &wanted.to_kind(Kind::Float)) <= size / 128.0);
    }
    assert!(prepacked.is_of(&weight));
    let _ = weight.shallow_clone().fill_(0.0);
    assert!(!prepacked.is_of(&weight));
}

#[test]
fn attention_of_grouped_heads_is_libtorchs_with_a_mask() {
    let (rows, size, length) = (3, 16, 40);
    let positions = Tensor::from_slice(&[0i64, 17, 39]).view([rows, 1, 1, 1]);
    let mask = Tensor::arange(length, (Kind::Int64, CPU)).le_tensor(&positions);
    let plain =
        |t: &[Tensor]| Tensor::scaled_dot_product_attention(&t[0], &t[1], &t[2], Some(&mask), 0.0, false, None, true);
    for (heads, keys) in [(2, 2), (6, 2), (4, 1)] {
        // As the projections and a cache with more room lay them out.
        let held = |seed| random(&[rows, keys, 64, size], seed);
        let inputs = [random(&[rows, 1, heads, size], 21), held(22), held(23)];
        let laid_out = |t: &[Tensor]| [t[0].transpose(1, 2), t[1].narrow(2, 0, length), t[2].narrow(2, 0, length)];
        let ours = |t: &[Tensor]| {
            let [q, k, v] = laid_out(t);
            grouped(&q, &k, &v, &mask)
        };
        let plain = |t: &[Tensor]| plain(&laid_out(t));
        let exact = run(&inputs, Kind::Float, &plain);
        let what = format!("{heads} heads over {keys}");
        for (got, wanted) in run(&inputs, Kind::Float, &ours).iter().zip(&exact) {
            assert!(apart(got, wanted) <= 2e-5 * wanted.abs().max().double_value(&[]), "{what}");
        }
        agree_in_bf16(&what, &inputs, &ours, &plain, &exact, 2.0);
    }
}
