//! A linear map with a low-rank adapter as one operation, with a backward pass of its own (`linear.cpp`).

use std::ffi::{c_char, c_void};

use tch::Tensor;

use super::call::{self, pointer};

unsafe extern "C" {
    fn affine_linear(
        x: *const c_void,
        weight: *const c_void,
        a: *const c_void,
        b: *const c_void,
        scale: f64,
        onednn: bool,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
    fn affine_pack(weight: *const c_void, refusal: *mut *mut c_char) -> *mut c_void;
    fn affine_records_gradients() -> bool;
    fn affine_version(tensor: *const c_void) -> i64;
    fn affine_packed_linear(
        x: *const c_void,
        packed: *const c_void,
        a: *const c_void,
        b: *const c_void,
        scale: f64,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
}

/// An adapter's factors A `[r, in]` and B `[out, r]`, float32, and its scale.
pub type Factors<'a> = (&'a Tensor, &'a Tensor, f64);

/// `x Wᵀ + s · (x Aᵀ) Bᵀ` with an adapter's factors `(A, B, s)`, which are multiplied in the base's dtype; `x Wᵀ` without.
/// `x`: `[.., in]`, `weight`: `[out, in]`, of one dtype; `a`: `[r, in]`, `b`: `[out, r]`, float32 → `[.., out]`. `onednn`: what
/// multiplies float32 on the CPU, in place of libtorch's own way.
pub fn linear(x: &Tensor, weight: &Tensor, adapter: Option<Factors>, onednn: bool) -> Tensor {
    let (a, b, scale) = pointers(adapter);
    // SAFETY: the pointers are tensors that live through the call, or null where the function allows it.
    unsafe { call::tensor(|refusal| affine_linear(pointer(x), pointer(weight), a, b, scale, onednn, refusal)) }
}

/// A frozen bfloat16 weight in the order in which oneDNN reads it: half the time where a product waits for memory. It takes
/// as much memory as the weight, beside it.
#[derive(Debug)]
pub struct Prepacked {
    weight: Tensor,
    of: (usize, i64),
}

impl Prepacked {
    pub fn new(weight: &Tensor) -> Self {
        // SAFETY: a tensor that lives through the call.
        let packed = unsafe { call::tensor(|refusal| affine_pack(pointer(weight), refusal)) };
        Prepacked { weight: packed, of: identity(weight) }
    }

    /// Whether `weight` is what was packed, not written to since.
    pub fn is_of(&self, weight: &Tensor) -> bool {
        self.of == identity(weight)
    }

    /// As [`linear`], without a gradient.
    pub fn linear(&self, x: &Tensor, adapter: Option<Factors>) -> Tensor {
        let (a, b, scale) = pointers(adapter);
        // SAFETY: the pointers are tensors that live through the call, or null where the function allows it.
        unsafe { call::tensor(|refusal| affine_packed_linear(pointer(x), pointer(&self.weight), a, b, scale, refusal)) }
    }
}

/// Whether operations on this thread are recorded for a backward pass.
pub fn records_gradients() -> bool {
    // SAFETY: reads a flag of this thread.
    unsafe { affine_records_gradients() }
}

fn identity(weight: &Tensor) -> (usize, i64) {
    // SAFETY: reads a counter of a tensor that lives through the call.
    (weight.data_ptr() as usize, unsafe { affine_version(pointer(weight)) })
}

fn pointers(adapter: Option<Factors>) -> (*const c_void, *const c_void, f64) {
    match adapter {
        Some((a, b, scale)) => (pointer(a), pointer(b), scale),
        None => (std::ptr::null(), std::ptr::null(), 0.0),
    }
}
