//! Whether libtorch computes, and how fast.

use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor, utils};

use super::finding::Finding;
use crate::engine::system::machine;

const SUBJECT: &str = "libtorch";
const VERSION: &str = "2.11.0";

pub fn libtorch() -> Finding {
    let found = machine::libtorch_version().unwrap_or_else(|| "of unknown version".to_string());
    let folder = machine::libtorch_folder();
    if !found.starts_with(VERSION) {
        let advice = format!("affine is made for {VERSION}; build it with that one: make libtorch build");
        return Finding::warn(SUBJECT, format!("{found} in {folder}"), advice);
    }
    // 64 ones times 64 ones, and every sum is exact in either format.
    let sum = |kind| {
        let ones = Tensor::ones([64, 64], (kind, Device::Cpu));
        ones.f_matmul(&ones).and_then(|product| product.f_sum(Kind::Double)).map(|sum| sum.double_value(&[]))
    };
    for kind in [Kind::Float, Kind::BFloat16] {
        match sum(kind) {
            Ok(sum) if sum == 64.0 * 64.0 * 64.0 => {}
            Ok(sum) => return broken(format!("computes wrongly: a sum of 262144 came out as {sum}")),
            Err(error) => return broken(format!("does not compute: {error}")),
        }
    }
    let parts = [(utils::has_mkl(), "MKL"), (utils::has_mkldnn(), "oneDNN")];
    let parts: String = parts.iter().filter(|(there, _)| *there).map(|(_, name)| format!(", {name}")).collect();
    let threads = tch::get_num_threads();
    let processors = machine::cpu_count();
    let cpu = machine::cpu_model().unwrap_or_else(|| "a CPU without a name".to_string());
    Finding::ok(SUBJECT, format!("{found}, {threads} threads on {processors} processors ({cpu}){parts}, in {folder}"))
}

fn broken(message: String) -> Finding {
    Finding::fail(SUBJECT, message, "obtain it again: remove .libtorch, then make libtorch build")
}

/// bfloat16 is the number format of the big presets. Where the processor has no instructions for it, it is slower than
/// float32, which is measured here rather than read from a list.
pub fn bfloat16() -> Finding {
    let speeds = [Kind::Float, Kind::BFloat16].map(gigaflops);
    let [float, bfloat] = speeds;
    let message = format!("a product of matrices takes {bfloat:.0} GFLOP/s on the CPU, in float32 {float:.0}");
    if bfloat >= 0.8 * float {
        return Finding::ok("bfloat16", message);
    }
    Finding::warn("bfloat16", message, "train small models on this CPU with --set model.torch_dtype=float32")
}

/// The best of several products of 384 × 384 matrices.
fn gigaflops(kind: Kind) -> f64 {
    const SIZE: i64 = 384;
    let matrix = Tensor::ones([SIZE, SIZE], (kind, Device::Cpu));
    let time = |_| {
        let started = Instant::now();
        let _ = matrix.matmul(&matrix);
        started.elapsed()
    };
    let best = (0..8).map(time).min().unwrap_or(Duration::MAX);
    2.0 * (SIZE as f64).powi(3) / best.as_secs_f64().max(1e-9) / 1e9
}
