//! The most memory that a piece of work needed, measured.

use libloading::os::unix::{Library, Symbol};
use tch::Device;

use super::machine;

/// Measures from here on.
pub struct Peak {
    device: Device,
}

impl Peak {
    pub fn begin(device: Device) -> Self {
        if device == Device::Cpu {
            // The kernel's own high-water mark of this process, set back to what it uses now. Where that is not allowed the
            // mark is that of the whole run so far: too high, never too low.
            let _ = std::fs::write("/proc/self/clear_refs", "5");
        }
        Peak { device }
    }

    /// Bytes at the highest point: of this process on a CPU; in use on the whole device on a GPU, whose allocator gives
    /// nothing back, so that what is in use now is what was needed.
    pub fn bytes(&self) -> Option<u64> {
        match self.device {
            Device::Cuda(_) => cuda_memory().map(|(free, total)| total - free),
            _ => machine::high_water_mark(),
        }
    }

    /// What there is in all.
    pub fn capacity(&self) -> Option<u64> {
        match self.device {
            Device::Cuda(_) => cuda_memory().map(|(_, total)| total),
            _ => machine::memory().map(|memory| memory.total),
        }
    }
}

/// Free and all bytes of the device that this thread works on.
fn cuda_memory() -> Option<(u64, u64)> {
    // SAFETY: the driver is loaded already wherever a tensor is on a GPU, the function has had this signature since CUDA
    // 3.2, and libtorch has made the device's context current on this thread.
    unsafe {
        let driver = Library::new("libcuda.so.1").ok()?;
        let ask: Symbol<unsafe extern "C" fn(*mut usize, *mut usize) -> i32> = driver.get(b"cuMemGetInfo_v2").ok()?;
        let (mut free, mut total) = (0, 0);
        (ask(&mut free, &mut total) == 0).then_some((free as u64, total as u64))
    }
}
