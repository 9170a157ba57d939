//! Attention, by one of libtorch's kernels, or on the CPU by our own where it is faster.
//!
//! Left to itself libtorch takes the fastest that the device, dtype and shape allow: a flash kernel, which never holds the
//! matrix of scores, on the CPU and on GPUs from compute capability 8.0 on in bfloat16 and float16. Attention with a mask,
//! which only the decode loop's cache needs, has a flash kernel on the CPU alone; from one new token per row [`grouped`]
//! computes it everywhere else.

use tch::{Device, Kind, Tensor};

use super::compute::{AttentionChoice, Compute};
use crate::engine::native;
use crate::engine::{Error, Result, device};

/// Query heads, key and value heads, and the size of each.
pub type Heads = (i64, i64, i64);

/// `asked`: `Some(true)` demands a flash kernel, `Some(false)` does without. `like` has the device and the dtype.
pub fn choose(asked: Option<bool>, heads: Heads, like: &Tensor) -> Result<AttentionChoice> {
    match asked {
        None => Ok(AttentionChoice::Fastest),
        Some(false) => Ok(AttentionChoice::Math),
        Some(true) if kernel(AttentionChoice::Fastest, heads, like) == FLASH => Ok(AttentionChoice::Fastest),
        Some(true) => {
            let (dtype, device) = (device::dtype_name(like.kind()), device::name(like.device()));
            let hint = "leave it out to take the fastest kernel that there is; a GPU has one for bfloat16 and float16";
            let problem =
                format!("use_flash_attention: {device} has no flash kernel for {dtype} and heads of {}", heads.2);
            Err(Error::hinted(problem, hint))
        }
    }
}

/// What computes the attention of whole sequences: `flash`, `efficient` or `math`.
pub fn kernel(choice: AttentionChoice, (queries, keys, size): Heads, like: &Tensor) -> &'static str {
    if choice == AttentionChoice::Math {
        return MATH;
    }
    let of = |heads: i64| Tensor::zeros([1, heads, 16, size], (like.kind(), like.device()));
    let (q, k) = (of(queries), of(keys));
    // libtorch's own numbers of its kernels; cuDNN's is a flash kernel, too.
    match Tensor::f_internal_fused_sdp_choice::<Tensor>(&q, &k, &k, None, 0.0, true, None, true) {
        Ok(1 | 3) => FLASH,
        Ok(2) => "efficient",
        _ => MATH,
    }
}

/// Each position attends to itself and those before it. `q`, `k`, `v`: `[B, heads, T, head_dim]`.
pub fn causal(compute: Compute, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    match compute.attention {
        AttentionChoice::Fastest if compute.kernels.take_attention(q) => native::attention::causal(q, k, v),
        choice => attend(choice, q, k, v, None, true),
    }
}

/// Whether our own kernel attends from one new token per row.
pub fn decodes(compute: Compute, q: &Tensor) -> bool {
    compute.attention == AttentionChoice::Fastest && compute.kernels.take(q)
}

/// `mask` is true where a query may attend to a key, or what is added to the scores.
pub fn masked(compute: Compute, q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Tensor {
    match compute.attention {
        AttentionChoice::Fastest if q.size()[2] == 1 && mask.kind() == Kind::Bool => grouped(q, k, v, mask),
        choice => attend(choice, q, k, v, Some(mask), false),
    }
}

fn attend(choice: AttentionChoice, q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool) -> Tensor {
    match choice {
        AttentionChoice::Fastest => Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, None, true),
        AttentionChoice::Math => {
            Tensor::internal_scaled_dot_product_attention_math(q, k, v, mask, 0.0, causal, None, None, true).0
        }
    }
}

/// Attention from one new token per row, `q`: `[B, H, 1, D]`, to those of `k` and `v`, `[B, K, L, D]`, for which `mask`,
/// `[B, 1, 1, L]`, is true. The query heads that share a key head are multiplied with it together, so keys and values are
/// read once; libtorch's own way on a GPU repeats them for every query head first.
pub fn grouped(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Tensor {
    let (kind, (queries, size)) = (q.kind(), (q.size()[1], q.size()[3]));
    let (rows, keys, length) = (k.size()[0], k.size()[1], k.size()[2]);
    let q = q.reshape([rows * keys, queries / keys, size]);
    let [k, v] = [k, v].map(|held| held.reshape([rows * keys, length, size]));
    let scores = wide_product(&q, &k.transpose(1, 2)) / (size as f64).sqrt();
    let unseen = mask.logical_not();
    let scores = scores.view([rows, keys, queries / keys, length]).masked_fill(&unseen, f64::NEG_INFINITY);
    let shares = scores.softmax(-1, None).to_kind(kind).view([rows * keys, queries / keys, length]);
    shares.bmm(&v).view([rows, queries, 1, size])
}

/// A batch of products, not rounded to bfloat16 or float16: softmax would make much of that.
fn wide_product(a: &Tensor, b: &Tensor) -> Tensor {
    let wide = |tensor: &Tensor| match tensor.kind() {
        Kind::Double => tensor.shallow_clone(),
        _ => tensor.to_kind(Kind::Float),
    };
    match (a.device(), a.kind()) {
        // Widens what it multiplies nowhere but in registers; a libtorch that cannot is no reason to stop.
        (Device::Cuda(_), Kind::BFloat16 | Kind::Half) => {
            a.f_bmm_dtype(b, Kind::Float).unwrap_or_else(|_| wide(a).bmm(&wide(b)))
        }
        _ => wide(a).bmm(&wide(b)),
    }
}

const FLASH: &str = "flash";
const MATH: &str = "math";
