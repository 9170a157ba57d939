//! Calls into our C++ that make a tensor.

use std::ffi::{CStr, c_char, c_void};

use tch::{TchError, Tensor};

unsafe extern "C" {
    fn free(pointer: *mut c_void);
}

/// A tensor as the C++ side takes it.
pub fn pointer(tensor: &Tensor) -> *const c_void {
    tensor.as_ptr() as *const c_void
}

/// The tensor that `call` makes. Panics as tch does where libtorch refuses: `engine::refusal` knows that panic.
///
/// # Safety
/// `call` returns a new `at::Tensor`, or null and a C string that is ours to free.
pub unsafe fn tensor(call: impl FnOnce(*mut *mut c_char) -> *mut c_void) -> Tensor {
    let mut refusal = std::ptr::null_mut();
    let made = call(&mut refusal);
    if made.is_null() {
        // SAFETY: as the caller promised.
        let refused: Result<Tensor, _> = Err(unsafe { taken(refusal) });
        return refused.unwrap();
    }
    // SAFETY: as the caller promised, and what tch's own functions do.
    unsafe { Tensor::from_ptr(made.cast()) }
}

unsafe fn taken(text: *mut c_char) -> TchError {
    // SAFETY: a C string that nobody else holds.
    unsafe {
        let error = TchError::Torch(CStr::from_ptr(text).to_string_lossy().into_owned());
        free(text.cast());
        error
    }
}
