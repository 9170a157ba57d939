//! The GPU: what the driver says, and whether libtorch can use it.

use libloading::os::unix::{Library, Symbol};

use super::finding::Finding;
use crate::engine::bytes;
use crate::engine::native::graph;

const SUBJECT: &str = "CUDA";

pub fn cuda() -> Finding {
    match driver() {
        Probe::NoDriver => Finding::warn(
            SUBJECT,
            "no NVIDIA driver here; training runs on the CPU",
            "models above some hundred million parameters want a GPU: install NVIDIA's driver, then make libtorch build",
        ),
        Probe::Broken(what) => {
            Finding::fail(SUBJECT, what, "see whether nvidia-smi works; in a container, whether the GPU was passed in")
        }
        Probe::Found(driver) if driver.devices.is_empty() => Finding::warn(
            SUBJECT,
            "a driver is here, but it shows no GPU; training runs on the CPU",
            "see CUDA_VISIBLE_DEVICES and nvidia-smi",
        ),
        Probe::Found(driver) => usable(&driver),
    }
}

/// The driver shows GPUs: can libtorch use them?
fn usable(driver: &Driver) -> Finding {
    let gpus: Vec<String> = driver.devices.iter().map(Gpu::describe).collect();
    let gpus = format!("{}; driver for CUDA {}", gpus.join(", "), driver.version);
    if tch::Cuda::is_available() {
        let seen = tch::Cuda::device_count();
        let graphs = if graph::is_built() { "" } else { "; no CUDA graphs, affine was built without CUDA's headers" };
        return Finding::ok(SUBJECT, format!("{seen} usable: {gpus}{graphs}"));
    }
    if driver.version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 13) {
        let advice = "libtorch 2.11.0's wheel wants a driver for CUDA 13 (580 or newer); training runs on the CPU";
        return Finding::warn(SUBJECT, format!("the driver is too old for libtorch: {gpus}"), advice);
    }
    let advice = "obtain libtorch's CUDA libraries: make libtorch WITH_CUDA=yes";
    Finding::warn(SUBJECT, format!("libtorch cannot use what is here: {gpus}"), advice)
}

enum Probe {
    NoDriver,
    Broken(String),
    Found(Driver),
}

struct Driver {
    /// The newest CUDA that it serves: `13.0`.
    version: String,
    devices: Vec<Gpu>,
}

struct Gpu {
    name: String,
    memory: u64,
    /// Compute capability.
    capability: (i32, i32),
}

impl Gpu {
    fn describe(&self) -> String {
        let (major, minor) = self.capability;
        format!("{} ({}, sm_{major}{minor})", self.name, bytes::of_memory(self.memory))
    }
}

/// `CUDA_ERROR_NO_DEVICE` of cuda.h.
const NO_DEVICE: i32 = 100;
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `…_MINOR`.
const CAPABILITY: [i32; 2] = [75, 76];

/// Asks the driver's own library, which needs no other part of CUDA.
fn driver() -> Probe {
    // SAFETY: the library's initialisers are meant to run in any process, and the functions have the types of cuda.h.
    unsafe {
        let Ok(library) = Library::new("libcuda.so.1") else { return Probe::NoDriver };
        match ask(&library) {
            Ok(driver) => Probe::Found(driver),
            Err(what) => Probe::Broken(what),
        }
    }
}

/// # Safety
/// `library` is NVIDIA's libcuda.
unsafe fn ask(library: &Library) -> Result<Driver, String> {
    type Number = unsafe extern "C" fn(*mut i32) -> i32;
    unsafe {
        let init: Symbol<unsafe extern "C" fn(u32) -> i32> = symbol(library, "cuInit")?;
        let version: Symbol<Number> = symbol(library, "cuDriverGetVersion")?;
        let count: Symbol<Number> = symbol(library, "cuDeviceGetCount")?;
        let get: Symbol<unsafe extern "C" fn(*mut i32, i32) -> i32> = symbol(library, "cuDeviceGet")?;
        let name: Symbol<unsafe extern "C" fn(*mut u8, i32, i32) -> i32> = symbol(library, "cuDeviceGetName")?;
        let memory: Symbol<unsafe extern "C" fn(*mut usize, i32) -> i32> = symbol(library, "cuDeviceTotalMem_v2")?;
        let attribute: Symbol<unsafe extern "C" fn(*mut i32, i32, i32) -> i32> =
            symbol(library, "cuDeviceGetAttribute")?;

        let mut number = 0;
        version(&mut number);
        let version = format!("{}.{}", number / 1000, number % 1000 / 10);
        match init(0) {
            0 => {}
            NO_DEVICE => return Ok(Driver { version, devices: Vec::new() }),
            code => return Err(format!("the driver does not start (cuInit: error {code})")),
        }
        let (mut devices, mut total) = (Vec::new(), 0);
        count(&mut total);
        for index in 0..total {
            let (mut device, mut text, mut bytes, mut capability) = (0, [0u8; 256], 0, [0, 0]);
            if get(&mut device, index) != 0 {
                continue;
            }
            // One byte is kept for the zero at the end.
            name(text.as_mut_ptr(), text.len() as i32 - 1, device);
            memory(&mut bytes, device);
            for (value, which) in capability.iter_mut().zip(CAPABILITY) {
                attribute(value, which, device);
            }
            let name = text.split(|&byte| byte == 0).next().unwrap_or_default();
            devices.push(Gpu {
                name: String::from_utf8_lossy(name).into_owned(),
                memory: bytes as u64,
                capability: (capability[0], capability[1]),
            });
        }
        Ok(Driver { version, devices })
    }
}

/// # Safety
/// The symbol has the type `T`.
unsafe fn symbol<T>(library: &Library, name: &str) -> Result<Symbol<T>, String> {
    unsafe { library.get(name.as_bytes()) }.map_err(|_| format!("the driver's library lacks {name}"))
}
