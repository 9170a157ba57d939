//! The little C++ that tch lacks: one file per reason, each behind a safe Rust function. build.rs compiles it against
//! libtorch's own headers.

pub mod attention;
pub mod blocks;
mod call;
pub mod graph;
pub mod linear;
pub mod logprob;
pub mod quant;
pub mod storage;

/// From here on libtorch writes no warnings to standard error: they speak of its own functions, and what they warn of (the
/// `std` of one number) shows in the result. A level that the user chose stays.
pub fn silence_warnings() {
    unsafe extern "C" {
        static mut FLAGS_caffe2_log_level: libc::c_int;
    }
    const ERRORS: libc::c_int = 2;
    if std::env::var_os("TORCH_CPP_LOG_LEVEL").is_none() {
        // SAFETY: an integer that libc10 exports and reads; no other thread runs yet.
        unsafe { FLAGS_caffe2_log_level = ERRORS };
    }
}
