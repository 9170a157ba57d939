//! Linear maps over a stored weight that is dequantised when it is used (`quant.cpp`).

use std::ffi::{c_char, c_void};

use tch::Tensor;

use super::call::{self, pointer};

/// Numbers that share a scale, counted along the rows.
pub const BLOCK: i64 = 64;
/// Scales that share a scale, where they are quantised too.
pub const NESTED_BLOCK: i64 = 256;

type Parts = [*const c_void; 6];

unsafe extern "C" {
    fn affine_quantized_linear(
        x: *const c_void,
        parts: *const *const c_void,
        out: i64,
        input: i64,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
    fn affine_dequantized(
        like: *const c_void,
        parts: *const *const c_void,
        out: i64,
        input: i64,
        refusal: *mut *mut c_char,
    ) -> *mut c_void;
}

/// What a quantised weight `[out, in]` is stored as; [`crate::engine::model::quant`] makes it.
#[derive(Debug)]
pub struct Stored {
    /// int8: a number each. NF4: uint8, two numbers each, the first in the high bits. Flat, in whole blocks of 64.
    pub codes: Tensor,
    /// A float32 per block, or, with `nested`, a uint8 code of it.
    pub scales: Tensor,
    /// NF4: `[256, 2]`, the two numbers of each byte.
    pub table: Option<Tensor>,
    pub nested: Option<Nested>,
    pub out: i64,
    pub input: i64,
}

/// How the scales were quantised: `scale = book[code] * scales[block of 256] + offset`.
#[derive(Debug)]
pub struct Nested {
    pub book: Tensor,
    pub scales: Tensor,
    pub offset: Tensor,
}

impl Stored {
    /// `x Wᵀ` in the dtype of `x`, differentiable in `x`.
    pub fn linear(&self, x: &Tensor) -> Tensor {
        let parts = self.parts();
        // SAFETY: the pointers are tensors that outlive the call.
        unsafe {
            call::tensor(|refusal| affine_quantized_linear(pointer(x), parts.as_ptr(), self.out, self.input, refusal))
        }
    }

    /// The weight, `[out, in]` in the dtype of `like`.
    pub fn dequantized(&self, like: &Tensor) -> Tensor {
        let parts = self.parts();
        // SAFETY: as above.
        unsafe {
            call::tensor(|refusal| affine_dequantized(pointer(like), parts.as_ptr(), self.out, self.input, refusal))
        }
    }

    /// Blocks `first` to `first + count` of it, `[count, 64]`, sharing its memory. `first` counts whole blocks of scales.
    pub fn blocks(&self, first: i64, count: i64) -> Self {
        let bytes = self.codes.numel() as i64 / self.scales.numel() as i64;
        let nested = self.nested.as_ref().map(|nested| Nested {
            book: nested.book.shallow_clone(),
            scales: nested.scales.narrow(0, first / NESTED_BLOCK, (count + NESTED_BLOCK - 1) / NESTED_BLOCK),
            offset: nested.offset.shallow_clone(),
        });
        Stored {
            codes: self.codes.narrow(0, first * bytes, count * bytes),
            scales: self.scales.narrow(0, first, count),
            table: self.table.as_ref().map(Tensor::shallow_clone),
            nested,
            out: count,
            input: BLOCK,
        }
    }

    fn parts(&self) -> Parts {
        let maybe = |tensor: Option<&Tensor>| tensor.map_or(std::ptr::null(), pointer);
        let nested = self.nested.as_ref();
        [
            pointer(&self.codes),
            pointer(&self.scales),
            maybe(self.table.as_ref()),
            maybe(nested.map(|nested| &nested.book)),
            maybe(nested.map(|nested| &nested.scales)),
            maybe(nested.map(|nested| &nested.offset)),
        ]
    }
}
