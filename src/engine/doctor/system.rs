//! Memory and disks.

use std::path::Path;

use super::finding::Finding;
use crate::engine::bytes;
use crate::engine::hub;
use crate::engine::system::machine;

const GIB: u64 = 1 << 30;

/// Qwen3-4B in bfloat16, and what its adapter, activations and optimizer take beside it.
const MEMORY_WANTED: u64 = 12 * GIB;
/// The demo takes less than half of this.
const MEMORY_NEEDED: u64 = GIB;

/// A model of 8 GB from the Hub, merged copies of it after SFT and RL, and one to deploy.
const DISK_WANTED: u64 = 40 * GIB;
/// The demo's models and checkpoints take a tenth of this.
const DISK_NEEDED: u64 = GIB / 2;

pub fn memory() -> Finding {
    let Some(memory) = machine::memory() else {
        return Finding::warn("memory", "the system does not say how much there is", "mount /proc");
    };
    let message = format!("{} of {} free", bytes::of_memory(memory.available), bytes::of_memory(memory.total));
    match memory.available {
        ..MEMORY_NEEDED => Finding::fail("memory", message, "even the demo needs half a gigabyte: end other programs"),
        MEMORY_NEEDED..MEMORY_WANTED => {
            let advice = "enough for small models; training a 4B model on the CPU takes 12 GiB and more";
            Finding::warn("memory", message, advice)
        }
        _ => Finding::ok("memory", message),
    }
}

/// The folder that one works in, and the Hub's cache.
pub fn disks() -> Vec<Finding> {
    let here = std::env::current_dir().unwrap_or_else(|_| ".".into());
    let mut findings = vec![disk("disk", &here)];
    if let Some(cache) = hub::cache_folder() {
        let there = cache.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        findings.push(disk("Hub cache", there));
    }
    findings
}

fn disk(subject: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    let Some(free) = machine::free_bytes(folder) else {
        return Finding::fail(subject, format!("{shown} cannot be looked at"), "work in a folder that exists");
    };
    let message = format!("{} free in {shown}", bytes::of_memory(free));
    if tempfile::tempfile_in(folder).is_err() {
        return Finding::fail(
            subject,
            format!("{message}, but it cannot be written to"),
            "work in a folder of your own",
        );
    }
    match free {
        ..DISK_NEEDED => Finding::fail(subject, message, "make room: even the demo writes some hundred megabytes"),
        DISK_NEEDED..DISK_WANTED => {
            let advice = "enough for small models; a 4B model with its merged copies takes 40 GiB";
            Finding::warn(subject, message, advice)
        }
        _ => Finding::ok(subject, message),
    }
}
