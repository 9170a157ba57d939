//! The Java processes of this program: each environment instance has one while it plays; those that an instance leaves
//! behind are kept for the next.
//!
//! Memory is looked at before a process is started: an instance that would find none is refused when it is made.

use std::sync::{Mutex, MutexGuard};

use super::expert;
use super::launch::Launch;
use super::simulator::Simulator;
use crate::engine::error::size_text;
use crate::engine::{Error, Result, machine};

/// What a Java process takes beside its heap, in MiB: classes, compiled code, stacks (measured with Java 17).
const BESIDE_HEAP_MB: u64 = 64;

/// Processes that are kept though no instance needs them at the moment.
const MAX_IDLE: usize = 16;

struct Pool {
    /// Environment instances.
    seats: usize,
    /// Processes that instances hold.
    playing: usize,
    idle: Vec<Simulator>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { seats: 0, playing: 0, idle: Vec::new() });

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The memory that one Java process may take, in bytes.
pub fn bytes_per_process(heap_mb: u32) -> u64 {
    (u64::from(heap_mb) + BESIDE_HEAP_MB) << 20
}

/// An environment instance's place: it may start one Java process, and there is memory for that.
#[derive(Debug)]
pub struct Seat(());

impl Seat {
    /// Refused when the processes that are still to be started would not fit into the memory that is free.
    pub fn take(heap_mb: u32) -> Result<Seat> {
        let mut pool = pool();
        let each = bytes_per_process(heap_mb);
        let to_start = (pool.seats + 1).saturating_sub(pool.playing + pool.idle.len()) as u64;
        if let Some(free) = machine::memory().map(|memory| memory.available)
            && to_start * each > free
        {
            return Err(too_many(pool.seats + 1, each, free, heap_mb));
        }
        pool.seats += 1;
        if pool.seats >= 16 && pool.seats.is_power_of_two() {
            let all = size_text(pool.seats as u64 * each);
            tracing::info!("{} instances of ScienceWorld will take up to {all} of memory", pool.seats);
        }
        Ok(Seat(()))
    }
}

fn too_many(instances: usize, each: u64, free: u64, heap_mb: u32) -> Error {
    let problem = format!(
        "{instances} instances of ScienceWorld take a Java process of up to {} each, {} in all, and only {} of memory \
         are free",
        size_text(each),
        size_text(instances as u64 * each),
        size_text(free >> 20 << 20),
    );
    Error::hinted(problem, format!("play fewer episodes side by side, or lower heap_mb (it is {heap_mb})"))
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.seats -= 1;
        // Nobody plays any more: the memory goes back.
        let unused = if pool.seats == 0 { std::mem::take(&mut pool.idle) } else { Vec::new() };
        let nobody = pool.seats == 0;
        drop(pool);
        drop(unused);
        if nobody {
            expert::rest();
        }
    }
}

/// A simulator with its Java process, in an instance's hands.
pub struct Lent(Option<Simulator>);

impl Lent {
    /// An idle process of this kind, or a new one.
    pub fn get(launch: &Launch) -> Result<Lent> {
        let idle = {
            let mut pool = pool();
            let position = pool.idle.iter().position(|simulator| simulator.launch() == launch);
            pool.playing += 1;
            position.map(|position| pool.idle.swap_remove(position))
        };
        // From here on the drop counts it out again, should the start fail.
        let mut lent = Lent(idle);
        if lent.0.is_none() {
            lent.0 = Some(Simulator::start(launch)?);
        }
        Ok(lent)
    }

    pub fn simulator(&mut self) -> Result<&mut Simulator> {
        self.0.as_mut().ok_or_else(|| super::broken("the Java process was not started".to_string()))
    }

    pub fn is_usable(&self) -> bool {
        self.0.as_ref().is_some_and(Simulator::is_usable)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let simulator = self.0.take().filter(Simulator::is_usable);
        let mut pool = pool();
        pool.playing -= 1;
        let surplus = match simulator {
            Some(simulator) if pool.idle.len() < MAX_IDLE.min(pool.seats) => {
                pool.idle.push(simulator);
                None
            }
            other => other,
        };
        drop(pool);
        drop(surplus);
    }
}
