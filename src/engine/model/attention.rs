//! Which kernel computes attention: one of libtorch's, or on the CPU our own where it is faster.
//!
//! Left to itself libtorch takes the fastest that the device, dtype and shape allow: a flash kernel, which never holds the
//! matrix of scores, on the CPU and on GPUs from compute capability 8.0 on in bfloat16 and float16. Attention with a mask,
//! which only the decode loop's cache needs, has a flash kernel on the CPU alone.

use tch::Tensor;

use crate::engine::native::{self, kernels};
use crate::engine::{Error, Result, device};

/// How attention is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernel {
    /// The kernel that libtorch chooses, or our own, which holds no matrix of scores either.
    #[default]
    Chosen,
    /// Two matrix products and a softmax between them: exact on every device, memory quadratic in the length.
    Math,
}

/// Query heads, key and value heads, and the size of each.
pub type Heads = (i64, i64, i64);

impl Kernel {
    /// `asked`: `Some(true)` demands a flash kernel, `Some(false)` does without. `like` has the device and the dtype.
    pub fn choose(asked: Option<bool>, heads: Heads, like: &Tensor) -> Result<Self> {
        match asked {
            None => Ok(Kernel::Chosen),
            Some(false) => Ok(Kernel::Math),
            Some(true) if Kernel::Chosen.name(heads, like) == FLASH => Ok(Kernel::Chosen),
            Some(true) => {
                let (dtype, device) = (device::dtype_name(like.kind()), device::name(like.device()));
                let hint =
                    "leave it out to take the fastest kernel that there is; a GPU has one for bfloat16 and float16";
                let problem =
                    format!("use_flash_attention: {device} has no flash kernel for {dtype} and heads of {}", heads.2);
                Err(Error::hinted(problem, hint))
            }
        }
    }

    /// What computes the attention of whole sequences: `flash`, `efficient` or `math`.
    pub fn name(self, (queries, keys, size): Heads, like: &Tensor) -> &'static str {
        if self == Kernel::Math {
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
    pub fn causal(self, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
        match self {
            Kernel::Chosen if kernels::take_attention(q) => native::attention::causal(q, k, v),
            _ => self.attend(q, k, v, None, true),
        }
    }

    /// Whether our own kernel attends from one new token per row.
    pub fn decodes(self, q: &Tensor) -> bool {
        self == Kernel::Chosen && kernels::take(q)
    }

    /// `mask` is true where a query may attend to a key, or what is added to the scores.
    pub fn masked(self, q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Tensor {
        self.attend(q, k, v, Some(mask), false)
    }

    fn attend(self, q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool) -> Tensor {
        match self {
            Kernel::Chosen => Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, None, true),
            Kernel::Math => {
                Tensor::internal_scaled_dot_product_attention_math(q, k, v, mask, 0.0, causal, None, None, true).0
            }
        }
    }
}

const FLASH: &str = "flash";
const MATH: &str = "math";
