//! The Java processes of this program: each environment instance has one while it plays; those that an instance leaves
//! behind are kept for the next.
//!
//! Memory is told and looked at before it is taken: when a script makes an instance, and when a process is started.

use std::sync::{Mutex, MutexGuard};

use super::error::broken;
use super::expert;
use super::launch::{self, Launch};
use super::simulator::Simulator;
use crate::engine::error::size_text;
use crate::engine::system::machine;
use crate::engine::{Error, Result};

/// What a Java process takes beside its heap, in MiB: classes, compiled code, stacks (measured with Java 17).
const BESIDE_HEAP_MB: u64 = 84;

/// Processes that are kept though no instance could need them at the moment.
const MAX_IDLE: usize = 16;

/// From so many instances on it is told what they may take, at every doubling.
const MANY: usize = 16;

struct Pool {
    instances: usize,
    /// Those of them that a script made, and is promised a process for each.
    promised: usize,
    /// Processes that instances hold.
    playing: usize,
    idle: Vec<Simulator>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { instances: 0, promised: 0, playing: 0, idle: Vec::new() });

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The memory that one Java process may take, in bytes.
pub fn bytes_per_process(heap_mb: u32) -> u64 {
    (u64::from(heap_mb) + BESIDE_HEAP_MB) << 20
}

/// What all Java processes of this program could have together: the memory that is free, and what they take already.
fn room() -> Option<u64> {
    Some(machine::memory()?.available + launch::resident_bytes())
}

impl Pool {
    /// How many processes may wait for an instance to need them.
    fn most_idle(&self) -> usize {
        self.instances.saturating_sub(self.playing).max(MAX_IDLE.min(self.instances))
    }

    /// Takes out the idle processes that are too many; to be dropped once the lock is released.
    fn surplus(&mut self) -> Vec<Simulator> {
        let most = self.most_idle().min(self.idle.len());
        self.idle.split_off(most)
    }
}

/// An environment instance, as the pool counts it.
#[derive(Debug)]
pub struct Instance {
    promised: bool,
}

impl Instance {
    /// One that a script makes. Refused when memory has no room for a process of each.
    pub fn promised(heap_mb: u32) -> Result<Instance> {
        let mut pool = pool();
        let (count, each) = (pool.promised + 1, bytes_per_process(heap_mb));
        if let Some(room) = room()
            && count as u64 * each > room
        {
            return Err(too_many(count, each, room, heap_mb));
        }
        pool.promised = count;
        Ok(Instance::counted(pool, true, heap_mb))
    }

    /// One more of the engine's: it makes them in advance and plays a few at a time.
    pub fn spare(heap_mb: u32) -> Instance {
        Instance::counted(pool(), false, heap_mb)
    }

    fn counted(mut pool: MutexGuard<Pool>, promised: bool, heap_mb: u32) -> Instance {
        pool.instances += 1;
        let count = pool.instances;
        if count >= MANY && count.is_power_of_two() {
            let each = bytes_per_process(heap_mb);
            let room = room().map_or("unknown".to_string(), size_text);
            tracing::info!(
                "{count} instances of ScienceWorld: a Java process of up to {} for each that plays, {} if all play at \
                 once; room for them: {room}",
                size_text(each),
                size_text(count as u64 * each),
            );
        }
        Instance { promised }
    }
}

fn too_many(count: usize, each: u64, room: u64, heap_mb: u32) -> Error {
    let problem = format!(
        "{count} instances of ScienceWorld take a Java process of up to {} each, {} in all, and memory has room for {}",
        size_text(each),
        size_text(count as u64 * each),
        size_text(room >> 20 << 20),
    );
    Error::hinted(problem, format!("play fewer episodes side by side, or lower heap_mb (it is {heap_mb})"))
}

impl Drop for Instance {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.instances -= 1;
        pool.promised -= usize::from(self.promised);
        let surplus = pool.surplus();
        let nobody = pool.instances == 0;
        drop(pool);
        drop(surplus);
        if nobody {
            expert::rest();
        }
    }
}

/// A simulator with its Java process, in an instance's hands.
pub struct Lent(Option<Simulator>);

impl Lent {
    /// An idle process of this kind, or a new one if memory has room for it.
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
            make_room(launch.heap_mb)?;
            lent.0 = Some(Simulator::start(launch)?);
        }
        Ok(lent)
    }

    pub fn simulator(&mut self) -> Result<&mut Simulator> {
        self.0.as_mut().ok_or_else(|| broken("the Java process was not started".to_string()))
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
        pool.idle.extend(simulator);
        let surplus = pool.surplus();
        drop(pool);
        drop(surplus);
    }
}

/// Sees to it that memory holds one process more, if need be by ending those that nobody plays on.
fn make_room(heap_mb: u32) -> Result<()> {
    let each = bytes_per_process(heap_mb);
    let is_enough = || room().is_none_or(|room| (launch::running() as u64 + 1) * each <= room);
    if is_enough() {
        return Ok(());
    }
    let idle = std::mem::take(&mut pool().idle);
    drop(idle);
    match is_enough() {
        true => Ok(()),
        false => Err(too_many(launch::running() + 1, each, room().unwrap_or(0), heap_mb)),
    }
}
