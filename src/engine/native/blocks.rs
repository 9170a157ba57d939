//! RMS norm, rotary embedding and SwiGLU on the CPU in float32 and bfloat16, each one pass over memory (`blocks.cpp`).

use std::ffi::{c_char, c_void};

use tch::Tensor;

use super::call::{self, pointer};

unsafe extern "C" {
    fn affine_rms_norm(x: *const c_void, weight: *const c_void, eps: f64, refusal: *mut *mut c_char) -> *mut c_void;
    fn affine_rotary(
        x: *const c_void,
        cos: *const c_void,
        sin: *const c_void,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
    fn affine_swiglu(gate: *const c_void, up: *const c_void, refusal: *mut *mut c_char) -> *mut c_void;
}

/// `x / √(mean(x²) + ε) · weight` over the last dimension, rounded to the dtype before the weight.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Tensor {
    // SAFETY: tensors that live through the call.
    unsafe { call::tensor(|refusal| affine_rms_norm(pointer(x), pointer(weight), eps, refusal)) }
}

/// `x`: `[B, T, heads, D]`, turned by `cos` and `sin`, `[B or 1, T, D]` and contiguous.
pub fn rotary(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
    // SAFETY: tensors that live through the call.
    unsafe { call::tensor(|refusal| affine_rotary(pointer(x), pointer(cos), pointer(sin), refusal)) }
}

/// `silu(gate) · up`, of one shape.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Tensor {
    // SAFETY: tensors that live through the call.
    unsafe { call::tensor(|refusal| affine_swiglu(pointer(gate), pointer(up), refusal)) }
}
