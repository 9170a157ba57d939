//! Tensor bytes behind Lua handles.
//!
//! To Lua's collector every handle is a hundred bytes, so hundreds of dead ones may lie about while each keeps
//! megabytes alive. Handles therefore count what they hold; past a soft maximum everything is collected, and where most
//! of it turns out to be in use the maximum grows. (Torch7's rule, THGeneral.c: `heapSoftmax`, `maybeTriggerGC`.)

use std::cell::Cell;

use mlua::Lua;

/// Where the soft maximum begins, in bytes.
const START: usize = 256 << 20;

thread_local! {
    // A Lua state stays on its thread, and so do its handles.
    static HELD: Cell<usize> = const { Cell::new(0) };
    static SOFT_MAX: Cell<usize> = const { Cell::new(START) };
}

/// The bytes that one handle keeps alive, for as long as this lives.
#[derive(Debug)]
pub struct Held(usize);

impl Held {
    /// Counts `bytes`, after collecting what is dead if they are too many.
    pub fn new(lua: &Lua, bytes: usize) -> mlua::Result<Self> {
        if HELD.get().saturating_add(bytes) > SOFT_MAX.get() {
            lua.gc_collect()?;
            let held = HELD.get().saturating_add(bytes);
            if held > SOFT_MAX.get() / 5 * 4 {
                SOFT_MAX.set(held.max(SOFT_MAX.get()) / 5 * 7);
            }
        }
        HELD.set(HELD.get() + bytes);
        Ok(Held(bytes))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get() - self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_handles_are_collected_before_they_pile_up_and_live_ones_raise_the_maximum() {
        let lua = Lua::new();
        let handle = |lua: &Lua, bytes: usize| Ok(mlua::AnyUserData::wrap(Held::new(lua, bytes)?));
        lua.globals().set("handle", lua.create_function(handle).unwrap()).unwrap();
        let peak = lua.create_function(|_, ()| Ok(HELD.get())).unwrap();
        lua.globals().set("held", peak).unwrap();

        let dead =
            "local peak = 0; for _ = 1, 2000 do handle(64 << 20); peak = math.max(peak, held()) end; return peak";
        assert!(lua.load(dead).eval::<usize>().unwrap() <= START);

        lua.load("live = {}; for i = 1, 100 do live[i] = handle(64 << 20) end").exec().unwrap();
        assert_eq!(HELD.get() / (64 << 20), 100);
        assert!(SOFT_MAX.get() > HELD.get());

        lua.load("live = nil").exec().unwrap();
        lua.gc_collect().unwrap();
        assert_eq!(HELD.get(), 0);
    }
}
