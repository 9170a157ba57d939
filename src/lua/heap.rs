//! Bytes of tensors behind Lua handles.
//!
//! To Lua's collector every handle is a hundred bytes, so hundreds of dead ones may lie about while each keeps
//! megabytes alive. Handles therefore count what they hold, each storage once however many views there are; past a soft
//! maximum everything is collected, and where most of it turns out to be in use the maximum grows. (Torch7's rule,
//! THGeneral.c: `heapSoftmax`, `maybeTriggerGC`.) An allocation that fails is tried once more after a collection.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use mlua::{AnyUserData, Lua, Table};
use tch::Tensor;

use super::report;
use crate::engine::native::storage::Storage;
use crate::engine::{Error, Result};

/// Where the soft maximum begins, in bytes.
const START: usize = 256 << 20;

thread_local! {
    // A Lua state stays on its thread, and so do its handles.
    static STORAGES: RefCell<HashMap<usize, Counted>> = RefCell::default();
    static HELD: Cell<usize> = const { Cell::new(0) };
    static HANDLES: Cell<usize> = const { Cell::new(0) };
    static SOFT_MAX: Cell<usize> = const { Cell::new(START) };
    static WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// A storage and the number of handles that keep it.
struct Counted {
    bytes: usize,
    handles: usize,
}

/// The storages that one handle keeps alive, for as long as this lives.
#[derive(Debug)]
pub struct Held(Vec<usize>);

impl Held {
    /// Counts the storages of `tensors`, after collecting what is dead if they are too many.
    pub fn new<'a>(lua: &Lua, tensors: impl IntoIterator<Item = &'a Tensor>) -> mlua::Result<Self> {
        let storages: Vec<Storage> = tensors.into_iter().map(Storage::of).collect();
        make_room(lua, storages.iter().map(|storage| storage.bytes).sum())?;
        storages.iter().for_each(count);
        HANDLES.set(HANDLES.get() + 1);
        Ok(Held(storages.into_iter().map(|storage| storage.identity).collect()))
    }
}

fn make_room(lua: &Lua, bytes: usize) -> mlua::Result<()> {
    if HELD.get().saturating_add(bytes) <= SOFT_MAX.get() {
        return Ok(());
    }
    lua.gc_collect()?;
    let held = HELD.get().saturating_add(bytes);
    if held > SOFT_MAX.get() / 5 * 4 {
        SOFT_MAX.set(held.max(SOFT_MAX.get()) / 5 * 7);
    }
    Ok(())
}

fn count(storage: &Storage) {
    STORAGES.with_borrow_mut(|storages| {
        let counted = storages.entry(storage.identity).or_insert_with(|| {
            HELD.set(HELD.get() + storage.bytes);
            Counted { bytes: storage.bytes, handles: 0 }
        });
        counted.handles += 1;
    });
}

impl Drop for Held {
    fn drop(&mut self) {
        HANDLES.set(HANDLES.get() - 1);
        STORAGES.with_borrow_mut(|storages| {
            for identity in &self.0 {
                let Some(counted) = storages.get_mut(identity) else { continue };
                counted.handles -= 1;
                if counted.handles == 0 {
                    HELD.set(HELD.get() - counted.bytes);
                    storages.remove(identity);
                }
            }
        });
    }
}

/// Runs what allocates. Where a device has no room for it, collects what is dead and runs it once more.
pub fn with_retry<T>(lua: &Lua, mut allocate: impl FnMut() -> Result<T>) -> Result<T> {
    match allocate() {
        Err(error) if error.is_out_of_memory() => {
            let before = HELD.get();
            // Twice: what a finalizer lets go is free only after the next cycle.
            for _ in 0..2 {
                lua.gc_collect().map_err(|error| Error::message(error.to_string()))?;
            }
            tracing::debug!("{error}: collected {} bytes of tensors, trying once more", before - HELD.get());
            allocate()
        }
        result => result,
    }
}

/// [`report::guard_in`] for what allocates.
pub fn guard<T>(lua: &Lua, function: &str, mut allocate: impl FnMut() -> Result<T>) -> mlua::Result<T> {
    let result = with_retry(lua, || report::attempt(&mut allocate));
    result.map_err(|error| report::raise(report::named(function, error)))
}

/// The registry's name for the table that new handles are put into (see [`watch`]).
const WATCHED: &str = "affine.watched";

/// From now on every new handle becomes a key of `table`; with none, of none. Gives the table that was there before:
/// `affine.scope` closes what it holds.
pub fn watch(lua: &Lua, table: Option<Table>) -> mlua::Result<Option<Table>> {
    let before = lua.named_registry_value(WATCHED)?;
    WATCHING.set(table.is_some());
    lua.set_named_registry_value(WATCHED, table)?;
    Ok(before)
}

/// Tells whoever watches of a new handle.
pub fn announce(lua: &Lua, handle: &AnyUserData) -> mlua::Result<()> {
    match WATCHING.get() {
        true => lua.named_registry_value::<Table>(WATCHED)?.raw_set(handle, true),
        false => Ok(()),
    }
}

/// What the handles of this state hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Handles of tensors and models that were neither closed nor collected.
    pub handles: usize,
    /// Bytes of their storages.
    pub tensor_bytes: usize,
    /// Past this many, everything dead is collected.
    pub soft_limit: usize,
}

pub fn usage() -> Usage {
    Usage { handles: HANDLES.get(), tensor_bytes: HELD.get(), soft_limit: SOFT_MAX.get() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn megabytes(n: i64) -> Tensor {
        // Never touched, so the pages cost nothing.
        Tensor::empty([n << 20], (Kind::Uint8, Device::Cpu))
    }

    #[test]
    fn dead_handles_are_collected_before_they_pile_up_and_live_ones_raise_the_maximum() {
        let lua = Lua::new();
        let handle = |lua: &Lua, n: i64| {
            let tensor = megabytes(n);
            Ok(AnyUserData::wrap((Held::new(lua, [&tensor])?, tensor)))
        };
        lua.globals().set("handle", lua.create_function(handle).unwrap()).unwrap();
        lua.globals().set("held", lua.create_function(|_, ()| Ok(usage().tensor_bytes)).unwrap()).unwrap();

        let dead = "local peak = 0; for _ = 1, 2000 do handle(64); peak = math.max(peak, held()) end; return peak";
        assert!(lua.load(dead).eval::<usize>().unwrap() <= START);

        lua.load("live = {}; for i = 1, 100 do live[i] = handle(64) end").exec().unwrap();
        assert_eq!(usage().tensor_bytes / (64 << 20), 100);
        assert!(usage().soft_limit > usage().tensor_bytes);

        lua.load("live = nil").exec().unwrap();
        lua.gc_collect().unwrap();
        assert_eq!((usage().tensor_bytes, usage().handles), (0, 0));
    }

    #[test]
    fn a_storage_counts_once_until_its_last_view_is_gone() {
        let lua = Lua::new();
        let tensor = megabytes(1);
        let view = tensor.narrow(0, 0, 10);
        let (whole, part) = (Held::new(&lua, [&tensor]).unwrap(), Held::new(&lua, [&view]).unwrap());
        assert_eq!((usage().tensor_bytes, usage().handles), (1 << 20, 2));
        drop((whole, tensor));
        assert_eq!(usage().tensor_bytes, 1 << 20);
        drop(part);
        assert_eq!(usage().tensor_bytes, 0);
    }

    #[test]
    fn an_allocation_that_fails_is_tried_once_more_after_a_collection() {
        let lua = Lua::new();
        let tensor = megabytes(1);
        let dead = AnyUserData::wrap(Held::new(&lua, [&tensor]).unwrap());
        lua.globals().set("dead", dead).unwrap();
        lua.globals().set("dead", mlua::Value::Nil).unwrap();
        let mut tries = 0;
        let given = with_retry(&lua, || {
            tries += 1;
            if usage().tensor_bytes > 0 { Err(Error::OutOfMemory("no room".into())) } else { Ok(7) }
        });
        assert_eq!((given.unwrap(), tries), (7, 2));
        let never = with_retry(&lua, || -> Result<()> { Err(Error::OutOfMemory("no room".into())) });
        assert!(never.unwrap_err().is_out_of_memory());
    }
}
