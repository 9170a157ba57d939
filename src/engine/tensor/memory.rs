//! Whether a tensor fits into memory, asked before libtorch tries: where it does not, Linux would rather hand out pages
//! that it does not have and later end the process.

use tch::{Device, Kind};

use crate::engine::tensor::dtype;
use crate::engine::{Error, Result, bytes};

/// Tensors smaller than this are not asked about: reading how much is free costs more than making them.
const SMALL: u64 = 64 << 20;

/// Refuses a tensor that the CPU's memory cannot hold, or whose bytes cannot be counted. On a GPU libtorch itself
/// refuses what is too much.
pub fn afford(shape: &[i64], kind: Kind, device: Device) -> Result<()> {
    let dtype = dtype::name(kind);
    let Some(bytes) = bytes(shape, kind) else {
        return Err(Error::message(format!(
            "a {dtype} tensor of the shape {shape:?} has more bytes than can be counted"
        )));
    };
    if bytes < SMALL || device != Device::Cpu {
        return Ok(());
    }
    match available() {
        Some(free) if bytes > free => {
            let (needed, free) = (bytes::of_memory(bytes), bytes::of_memory(free));
            let message =
                format!("a {dtype} tensor of the shape {shape:?} takes {needed}, and {free} of memory are free");
            Err(Error::hinted(message, "make it smaller, or go through it in parts"))
        }
        _ => Ok(()),
    }
}

/// The bytes of a tensor, where they fit into the i64 that libtorch counts them with.
fn bytes(shape: &[i64], kind: Kind) -> Option<u64> {
    // libtorch counts strides as if no size were 0.
    let mut sizes = shape.iter().map(|&size| u64::try_from(size.max(1)).ok());
    let bytes = sizes.try_fold(kind.elt_size_in_bytes() as u64, |bytes, size| bytes.checked_mul(size?))?;
    i64::try_from(bytes).ok()?;
    Some(if shape.contains(&0) { 0 } else { bytes })
}

/// libtorch's account of memory that it did not get, as one sentence; nothing for any other text.
pub fn missing(text: &str) -> Option<Error> {
    let (_, asked) = text.split_once("you tried to allocate ")?;
    let bytes = asked.split(' ').next()?.parse().ok()?;
    Some(Error::message(format!("out of memory: {} more could not be had", bytes::of_memory(bytes))))
}

/// The bytes that the machine, or the control group that the process is in, still has; nothing where neither says.
fn available() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| field(&text, "MemAvailable:")).map(|kib| kib << 10);
    let group = || -> Option<u64> {
        let limit: u64 = read("/sys/fs/cgroup/memory.max")?.trim().parse().ok()?;
        let used: u64 = read("/sys/fs/cgroup/memory.current")?.trim().parse().ok()?;
        // What is cached of files is given back when it is needed.
        let cached = field(&read("/sys/fs/cgroup/memory.stat")?, "inactive_file")?;
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    };
    machine.into_iter().chain(group()).min()
}

/// The number behind a name in lines of names and numbers.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_counted_or_held_is_refused_with_its_size() {
        let refusal = |shape: &[i64]| afford(shape, Kind::Float, Device::Cpu).map_err(|error| error.to_string());
        assert_eq!(refusal(&[1 << 10, 3]), Ok(()));
        assert_eq!(refusal(&[1 << 40, 0]), Ok(()));
        assert!(refusal(&[1 << 40, 1 << 40, 0]).is_err());
        assert_eq!(
            refusal(&[1 << 40, 1 << 40]).unwrap_err(),
            "a float32 tensor of the shape [1099511627776, 1099511627776] has more bytes than can be counted"
        );
        assert!(refusal(&[1 << 61]).unwrap_err().contains("more bytes"));
        #[cfg(target_os = "linux")]
        assert!(refusal(&[1 << 50]).unwrap_err().contains("takes 4194304.0 GiB, and "));
        assert!(afford(&[1 << 50], Kind::Float, Device::Cuda(0)).is_ok());
    }

    #[test]
    fn libtorchs_account_of_missing_memory_becomes_one_sentence() {
        let text = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you \
                    tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)";
        assert_eq!(missing(text).unwrap().to_string(), "out of memory: 3725.3 GiB more could not be had");
        assert!(missing("you tried to allocate nothing").is_none());
    }

    #[test]
    fn a_field_is_read_by_its_name() {
        let text = "MemTotal:       24604 kB\nMemAvailable:    2048 kB\n";
        assert_eq!((field(text, "MemAvailable:"), field(text, "Nothing:")), (Some(2048), None));
    }
}
