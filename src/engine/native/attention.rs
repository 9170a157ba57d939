//! Attention on the CPU (`attention.cpp`): of whole sequences in bfloat16, and of one new token per row.

use std::ffi::{c_char, c_void};

use tch::Tensor;

use super::call::{self, pointer};

unsafe extern "C" {
    fn affine_has_amx() -> bool;
    fn affine_causal_attention(
        q: *const c_void,
        k: *const c_void,
        v: *const c_void,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
    fn affine_decode_attention(
        q: *const c_void,
        k: *const c_void,
        v: *const c_void,
        keys: *const c_void,
        values: *const c_void,
        positions: *const c_void,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
}

/// Whether libtorch's own attention has fast bfloat16 products here.
pub fn has_amx() -> bool {
    // SAFETY: looks at the processor.
    unsafe { affine_has_amx() }
}

/// `q`: `[B, K·G, T, D]`; `k`, `v`: `[B, K, T, D]`, bfloat16 → `[B, K·G, T, D]`. Each position attends to itself and those
/// before it.
pub fn causal(q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    // SAFETY: tensors that live through the call.
    unsafe { call::tensor(|refusal| affine_causal_attention(pointer(q), pointer(k), pointer(v), refusal)) }
}

/// Writes `k` and `v`, `[B, K, 1, D]`, into `keys` and `values`, `[B, K, capacity, D]` and contiguous, at each row's position,
/// `[B]` int64, and attends from `q`, `[B, K·G, 1, D]`, to the slots up to there → `[B, K·G, 1, D]`. Without a gradient.
pub fn decode(q: &Tensor, k: &Tensor, v: &Tensor, keys: &Tensor, values: &Tensor, positions: &Tensor) -> Tensor {
    // SAFETY: tensors that live through the call.
    unsafe {
        call::tensor(|refusal| {
            affine_decode_attention(
                pointer(q),
                pointer(k),
                pointer(v),
                pointer(keys),
                pointer(values),
                pointer(positions),
                refusal,
            )
        })
    }
}
