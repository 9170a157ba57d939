//! Calls into our C++ that make a tensor or succeed, and the text that comes back where libtorch refuses.

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
    // SAFETY: as the caller promised.
    unsafe { f_tensor(call) }.unwrap()
}

unsafe fn f_tensor(call: impl FnOnce(*mut *mut c_char) -> *mut c_void) -> Result<Tensor, TchError> {
    let mut refusal = std::ptr::null_mut();
    let made = call(&mut refusal);
    if !made.is_null() {
        // SAFETY: a new tensor, ours from here on, as what tch's own functions return.
        return Ok(unsafe { Tensor::from_ptr(made.cast()) });
    }
    // SAFETY: as the caller promised.
    Err(TchError::Torch(unsafe { taken(refusal) }))
}

/// Whether `call` succeeds, else why not.
///
/// # Safety
/// `call` returns true, or false and a C string that is ours to free.
pub unsafe fn done(call: impl FnOnce(*mut *mut c_char) -> bool) -> Result<(), String> {
    let mut refusal = std::ptr::null_mut();
    match call(&mut refusal) {
        true => Ok(()),
        // SAFETY: as the caller promised.
        false => Err(unsafe { taken(refusal) }),
    }
}

/// # Safety
/// `refusal` is a C string that nobody else holds.
unsafe fn taken(refusal: *mut c_char) -> String {
    unsafe {
        let text = CStr::from_ptr(refusal).to_string_lossy().into_owned();
        free(refusal.cast());
        text
    }
}
