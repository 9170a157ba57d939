//! Log-probs and entropies straight from logits on the CPU (`logprob.cpp`).

use std::ffi::{c_char, c_void};

use tch::Tensor;

use super::call::{self, pointer};

unsafe extern "C" {
    fn affine_scores(
        logits: *const c_void,
        targets: *const c_void,
        temperature: f64,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
}

/// Of `log_softmax(logits / temperature)`: the targets' log-probs and the entropies in nats, `[N]` float32 each.
/// `logits`: `[N, V]`; `targets`: `[N]` int64.
pub fn logprobs(logits: &Tensor, targets: &Tensor, temperature: f64) -> (Tensor, Tensor) {
    // SAFETY: tensors that live through the call.
    let both =
        unsafe { call::tensor(|refusal| affine_scores(pointer(logits), pointer(targets), temperature, refusal)) };
    (both.get(0), both.get(1))
}
