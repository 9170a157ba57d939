//! The storage behind a tensor (`storage.cpp`): views share one, and it is what takes memory.

use std::ffi::c_void;

use tch::Tensor;

unsafe extern "C" {
    fn affine_storage(tensor: *const c_void, identity: *mut usize, bytes: *mut u64);
    fn affine_gpu_memory(device: i32, now: *mut u64, peak: *mut u64) -> bool;
}

/// A tensor's storage: its identity, good for as long as some tensor keeps it alive, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    pub identity: usize,
    pub bytes: usize,
}

impl Storage {
    pub fn of(tensor: &Tensor) -> Self {
        let (mut identity, mut bytes) = (0, 0);
        // SAFETY: tch's pointer is an at::Tensor that lives as long as `tensor`; the function only reads it.
        unsafe { affine_storage(tensor.as_ptr().cast(), &mut identity, &mut bytes) };
        Storage { identity, bytes: bytes as usize }
    }
}

/// Bytes that all tensors of this process hold on a GPU: now, and at most so far. Nothing where there is no such GPU.
pub fn gpu_memory(device: usize) -> Option<(u64, u64)> {
    let (mut now, mut peak) = (0, 0);
    // SAFETY: the function writes to these two integers alone and catches what libtorch throws.
    unsafe { affine_gpu_memory(device as i32, &mut now, &mut peak) }.then_some((now, peak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn views_share_a_storage_and_copies_have_their_own() {
        let tensor = Tensor::zeros([4, 8], (Kind::Float, Device::Cpu));
        let storage = Storage::of(&tensor);
        assert_eq!(storage.bytes, 4 * 8 * 4);
        assert_eq!(Storage::of(&tensor.get(1)), storage);
        assert_eq!(Storage::of(&tensor.tr()), storage);
        assert_ne!(Storage::of(&tensor.copy()).identity, storage.identity);
    }
}
