//! Devices and dtypes by name, CUDA opened at run time, the number of threads.

use std::sync::OnceLock;

use tch::{Cuda, Device, Kind};

use super::error::with_causes;
use super::{Error, Result};

/// Opens libtorch's CUDA half where the machine has a driver, so that one binary serves both kinds of machine.
/// Must run before the first tensor; calling it again does nothing.
pub fn open_cuda() {
    static OPENED: OnceLock<()> = OnceLock::new();
    OPENED.get_or_init(|| {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // Without a driver libtorch_cuda.so only costs its gigabyte of address space.
        // SAFETY: both libraries' initialisers are meant to run in any process that loads them.
        unsafe {
            let Ok(driver) = Library::open(Some("libcuda.so.1"), RTLD_NOW) else { return };
            std::mem::forget(driver);
            let beside = format!("{}/libtorch_cuda.so", env!("AFFINE_LIBTORCH_LIB"));
            let opened = Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL)
                .or_else(|_| Library::open(Some(beside.as_str()), RTLD_NOW | RTLD_GLOBAL));
            match opened {
                Ok(library) => std::mem::forget(library),
                Err(error) => tracing::warn!(
                    "a CUDA driver is here, but libtorch's CUDA half does not load: {}",
                    with_causes(&error)
                ),
            }
        }
    });
}

/// `"auto"` (CUDA when there is one), `"cpu"`, `"cuda"` or `"cuda:N"`.
pub fn device(name: &str) -> Result<Device> {
    let wanted = match name {
        "auto" => return Ok(Device::cuda_if_available()),
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => name.strip_prefix("cuda:").and_then(|index| index.parse().ok()).ok_or_else(|| {
            Error::option("device", "\"auto\", \"cpu\", \"cuda\" or \"cuda:N\"", format!("\"{name}\""))
        })?,
    };
    let count = if Cuda::is_available() { Cuda::device_count() as usize } else { 0 };
    if wanted >= count {
        let seen = if count == 0 { "no CUDA device".to_string() } else { format!("{count} CUDA devices") };
        return Err(Error::hinted(
            format!("device: \"{name}\" was asked for, but libtorch sees {seen}"),
            "device = \"auto\" uses CUDA only where it is there",
        ));
    }
    Ok(Device::Cuda(wanted))
}

/// The name that [`device`] reads.
pub fn name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_string(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// `"float32"`, `"bfloat16"`, `"float16"` or `"float64"`, as transformers names them; `option` is whose value it is.
pub fn dtype(option: &str, name: &str) -> Result<Kind> {
    match name {
        "float32" => Ok(Kind::Float),
        "bfloat16" => Ok(Kind::BFloat16),
        "float16" => Ok(Kind::Half),
        "float64" => Ok(Kind::Double),
        _ => Err(Error::option(option, "\"float32\", \"bfloat16\", \"float16\" or \"float64\"", format!("\"{name}\""))),
    }
}

/// The name that [`dtype`] reads; libtorch's own name for the kinds that are no floating-point dtype.
pub fn dtype_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "float32",
        Kind::BFloat16 => "bfloat16",
        Kind::Half => "float16",
        Kind::Double => "float64",
        Kind::Int64 => "int64",
        Kind::Int => "int32",
        Kind::Int16 => "int16",
        Kind::Int8 => "int8",
        Kind::Uint8 => "uint8",
        Kind::Bool => "bool",
        _ => "another dtype",
    }
}
