//! What this machine is: its libtorch, processor, memory and disks, as the system tells it.

use std::path::Path;

/// `2.11.0+cu130`, as the wheel or the zip that the binary was linked with says beside its libraries.
pub fn libtorch_version() -> Option<String> {
    let folder = Path::new(libtorch_folder()).parent()?;
    if let Ok(text) = std::fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_string());
    }
    let text = std::fs::read_to_string(folder.join("version.py")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix("__version__ = ")?.trim_matches(['\'', '"']).to_string()))
}

/// Where the libraries are that this binary was linked with.
pub fn libtorch_folder() -> &'static str {
    env!("AFFINE_LIBTORCH_LIB")
}

pub fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// What NVIDIA's driver calls its GPUs, in the order of their places on the bus.
pub fn gpu_models() -> Vec<String> {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let mut files: Vec<_> = folders.map(|folder| folder.path().join("information")).collect();
    files.sort();
    let model = |text: String| text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_string()));
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok().and_then(model)).collect()
}

/// Who made the processor: `GenuineIntel`, `AuthenticAMD`.
pub fn cpu_maker() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("vendor_id"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// Processors that this process may use.
pub fn cpu_count() -> usize {
    std::thread::available_parallelism().map(usize::from).unwrap_or(1)
}

/// Bytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
}

/// The memory that this process can have: the machine's, or what a container's limit leaves of it.
pub fn memory() -> Option<Memory> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let machine = Memory { total: kilobytes(&text, "MemTotal:")?, available: kilobytes(&text, "MemAvailable:")? };
    let number =
        |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let (Some(limit), Some(used)) = (number("memory.max"), number("memory.current")) else { return Some(machine) };
    Some(Memory { total: machine.total.min(limit), available: machine.available.min(limit.saturating_sub(used)) })
}

/// The memory that a process takes at the moment, in bytes; pages that it shares with others count in full.
pub fn resident_bytes(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    kilobytes(&text, "VmRSS:")
}

/// The most memory that this process has used at once, since the mark was last set back.
pub fn high_water_mark() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Runs `f` while every large block of memory is the system's own and goes back to it when it is freed. Where many large
/// blocks come and smaller ones stay, glibc's heap would keep gaps between these: a quarter of what was freed. Slower, so
/// for work that is not repeated.
pub fn giving_memory_back<T>(f: impl FnOnce() -> T) -> T {
    /// What glibc comes to by itself once blocks of 32 MiB were freed.
    const USUAL: (libc::c_int, libc::c_int) = (32 << 20, 64 << 20);
    struct Usual;
    impl Drop for Usual {
        fn drop(&mut self) {
            set_heap(USUAL.0, USUAL.1);
        }
    }
    set_heap(128 << 10, 128 << 10);
    let _usual = Usual;
    f()
}

/// Bytes from which on a block is mapped by itself, and free bytes at the heap's end that are given back.
fn set_heap(mapped: libc::c_int, trimmed: libc::c_int) {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two numbers of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, mapped);
        libc::mallopt(libc::M_TRIM_THRESHOLD, trimmed);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = (mapped, trimmed);
}

/// A line of /proc/meminfo such as `MemTotal:  24624772 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Bytes that this user can still write to the file system that holds `folder`.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: statvfs writes into the zeroed struct, and `path` ends with a zero byte.
    let (found, status) = unsafe {
        let mut status: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut status), status)
    };
    (found == 0).then(|| status.f_bavail * status.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_meminfo_is_read_in_bytes() {
        assert_eq!(kilobytes("MemTotal:       2 kB\nMemAvailable:   1 kB\n", "MemAvailable:"), Some(1024));
        assert_eq!(kilobytes("MemTotal:       2 kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn this_machine_has_memory_and_a_disk() {
        let memory = memory().unwrap();
        assert!(memory.total >= memory.available && memory.available > 0);
        assert!(free_bytes(Path::new("/")).is_some());
        assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
    }
}
