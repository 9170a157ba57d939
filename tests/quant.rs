//! Quantised bases: NF4 against numbers that bitsandbytes gave (`tests/golden/quant/record.py`), gradients against those
//! of the plain weight, and LoRA on top.

use affine::engine::model::linear::{Linear, Weight};
use affine::engine::model::quant::Quantized;
use affine::engine::model::{Quantization, Scheme};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::{golden, tiny};

const NF4: Quantization = Quantization { scheme: Scheme::Nf4, double: false };
const NF4_DOUBLE: Quantization = Quantization { scheme: Scheme::Nf4, double: true };
const INT8: Quantization = Quantization { scheme: Scheme::Int8, double: false };

/// `weights` of record.py.
fn weights(rows: i64, columns: i64) -> Tensor {
    let number =
        |i: i64| (((i * 1_103_515_245 + 12_345) % (1 << 31)) as f64 / (1u64 << 31) as f64 - 0.5, 1 + i / 64 % 7);
    let numbers: Vec<f32> = (0..rows * columns).map(number).map(|(n, size)| (n * size as f64) as f32).collect();
    Tensor::from_slice(&numbers).view([rows, columns])
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn hex(tensor: &Tensor) -> String {
    Vec::<u8>::try_from(tensor).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn nf4_stores_and_gives_back_what_bitsandbytes_does() {
    let cases = golden::json("quant/nf4.json");
    for case in cases.as_array().unwrap() {
        let (rows, columns) = (case["rows"].as_i64().unwrap(), case["columns"].as_i64().unwrap());
        let double = case["double"].as_bool().unwrap();
        let name = format!("{rows}x{columns}, double {double}");
        let quantized = Quantized::new(&weights(rows, columns), Quantization { scheme: Scheme::Nf4, double });
        let stored = quantized.tensors();
        let part = |name: &str| stored.iter().find(|(known, _)| *known == name).unwrap().1;
        let wanted = case["codes"].as_str().unwrap();
        // The last block is filled up with zeros here, and cut off there.
        assert_eq!(&hex(part(""))[..wanted.len()], wanted, "{name}: codes");
        if double {
            assert_eq!(hex(part(".absmax")), case["scales"].as_str().unwrap(), "{name}: scales");
            let offset = case["offset"].as_f64().unwrap();
            assert!((part(".nested_offset").double_value(&[]) - offset).abs() < 1e-6, "{name}: offset");
        }
        let back = quantized.dequantized().flatten(0, -1);
        let last = back.numel() as i64 - 16;
        for (start, key) in [(0, "first"), (last, "last")] {
            let wanted = Tensor::from_slice(&numbers(&case[key]));
            assert!(apart(&back.narrow(0, start, 16), &wanted) < 1e-6, "{name}: {key} numbers");
        }
        let sum = back.sum(Kind::Double).double_value(&[]);
        assert!((sum - case["sum"].as_f64().unwrap()).abs() < 1e-2, "{name}: sum {sum}");
    }
}

#[test]
fn a_quantised_linear_computes_and_differentiates_as_its_dequantised_weight() {
    for quantization in [NF4, NF4_DOUBLE, INT8] {
        let quantized = Quantized::new(&weights(48, 70), quantization);
        let plain = Linear::new(quantized.dequantized());
        let linear = Linear { weight: Weight::Quantized(quantized), adapter: None };
        let run = |linear: &Linear| {
            let x = weights(5, 70).set_requires_grad(true);
            let y = linear.forward(&x, true);
            y.square().sum(Kind::Float).backward();
            (y.detach(), x.grad())
        };
        let ((y, gradient), (wanted, wanted_gradient)) = (run(&linear), run(&plain));
        assert!(apart(&y, &wanted) < 1e-5, "{quantization:?}");
        assert!(apart(&gradient, &wanted_gradient) < 1e-3, "{quantization:?}");
    }
}

#[test]
fn rounding_to_fewer_bits_costs_what_it_should() {
    tch::manual_seed(0);
    let weight = Tensor::randn([256, 512], (Kind::Float, Device::Cpu));
    // QLoRA's NF4 loses about 9 % of a normal weight, eight bits in blocks of 64 about half a percent.
    let error = |quantization| Quantized::new(&weight, quantization).error;
    assert!((0.08..0.10).contains(&error(NF4)), "{}", error(NF4));
    assert!((0.08..0.10).contains(&error(NF4_DOUBLE)), "{}", error(NF4_DOUBLE));
    assert!((0.003..0.008).contains(&error(INT8)), "{}", error(INT8));
    let bits = |quantization| Quantized::new(&weight, quantization).bytes() as f64 * 8.0 / weight.numel() as f64;
    assert!(bits(NF4) < 4.7 && bits(NF4_DOUBLE) < 4.4 && bits(INT8) < 8.6);
}

#[test]
fn zeros_stay_zeros() {
    for quantization in [NF4, NF4_DOUBLE, INT8] {
        let back = Quantized::new(&Tensor::zeros([8, 64], (Kind::Float, Device::Cpu)), quantization).dequantized();
        assert_eq!(back.abs().max().double_value(&[]), 0.0, "{quantization:?}");
    }
}

#[test]
fn a_quantised_model_stays_near_the_plain_one_and_keeps_its_count() {
    let ids: Vec<i64> = (1..20).collect();
    let wanted = tiny::model().logprobs(&ids, 1.0).unwrap();
    for (quantization, most) in [(INT8, 0.02), (NF4, 0.3)] {
        let mut model = tiny::model();
        let parameters = model.parameters();
        model.quantize(quantization);
        assert_eq!(model.parameters(), parameters);
        let got = model.logprobs(&ids, 1.0).unwrap();
        let worst = got.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst > 0.0 && worst < most, "{quantization:?}: {worst}");
        model.dequantize();
        let back = model.logprobs(&ids, 1.0).unwrap();
        assert!(got.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5), "{quantization:?}");
    }
}
