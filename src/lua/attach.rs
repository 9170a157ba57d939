//! Code from outside, run between two steps of a trainer, with the names that are in sight there.
//!
//! What the door (see `engine::attach`) hands in runs at this very place of the script: it finds the locals of every function
//! that is under way, the innermost first, then their upvalues, then globals, and what it assigns to them stays assigned. In a
//! coroutine it finds those of the coroutines that led to it, too. An error in it goes to who sent it and not to the script.

use std::ffi::c_int;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlua::{Function, HookTriggers, Lua, Table, Thread, Value, VmState, ffi, lua_State};

use super::{interrupt, report};
use crate::engine::attach::{Answer, Door, Request};
use crate::engine::{Error, Result};

/// The registry's name for the prelude's function that tells who resumed a coroutine.
pub const RESUMER: &str = "affine.resumer";

/// Instructions between two looks at whether the code is to stop.
const LOOK: u32 = 10_000;

/// The doors of a state's runs.
#[derive(Default)]
struct Doors(Vec<std::rc::Weak<Door>>);

/// Opens the door of a run, for as long as what is given lives.
pub fn open(lua: &Lua, run: &Path) -> Result<Rc<Door>> {
    let door = Rc::new(Door::open(run)?);
    if lua.app_data_ref::<Doors>().is_none() {
        lua.set_app_data(Doors::default());
    }
    if let Some(mut doors) = lua.app_data_mut::<Doors>() {
        doors.0.retain(|door| door.strong_count() > 0);
        doors.0.push(Rc::downgrade(&door));
    }
    Ok(door)
}

/// Runs what was sent meanwhile. Called between two steps, where no trainer is at work.
pub fn serve(lua: &Lua) -> Result<()> {
    let doors: Vec<Rc<Door>> = match lua.app_data_ref::<Doors>() {
        Some(doors) => doors.0.iter().filter_map(std::rc::Weak::upgrade).collect(),
        None => return Ok(()),
    };
    for door in doors {
        while let Some(request) = door.next() {
            take(lua, &door, &request)?;
        }
    }
    Ok(())
}

/// Runs one request, and while it has the run paused those that follow.
fn take(lua: &Lua, door: &Door, request: &Request) -> Result<()> {
    let paused = Rc::new(std::cell::Cell::new(false));
    door.answer(request, run(lua, request, &paused))?;
    while paused.get() {
        match door.wait()? {
            Some(request) => door.answer(&request, run(lua, &request, &paused))?,
            None => return Ok(()),
        }
    }
    Ok(())
}

fn run(lua: &Lua, request: &Request, paused: &Rc<std::cell::Cell<bool>>) -> Answer {
    let outcome = stoppable(lua, &request.stop, || evaluate(lua, &request.code, paused));
    outcome.unwrap_or_else(|error| Answer { error: Some(report::lower(&error).to_string()), ..Answer::default() })
}

/// Has `work` end once `stop` is set.
fn stoppable<T>(lua: &Lua, stop: &Arc<AtomicBool>, work: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
    let stop = stop.clone();
    lua.set_hook(HookTriggers::new().every_nth_instruction(LOOK), move |_, _| match stop.load(Ordering::SeqCst) {
        true => Err(report::raise(Error::message("stopped"))),
        false => Ok(VmState::Continue),
    })?;
    let outcome = work();
    lua.remove_hook();
    // Ctrl-C may have come meanwhile.
    interrupt::set_hook();
    outcome
}

fn evaluate(lua: &Lua, code: &str, paused: &Rc<std::cell::Cell<bool>>) -> mlua::Result<Answer> {
    let sight = Sight::look(lua)?;
    let controls = lua.create_table()?;
    for (name, pauses) in [("pause", true), ("resume", false)] {
        let paused = paused.clone();
        controls.set(
            name,
            lua.create_function(move |_, ()| {
                paused.set(pauses);
                Ok(())
            })?,
        )?;
    }
    let attach: Table = lua.globals().get::<Function>("require")?.call("affine.internal.attach")?;
    let run: Function = attach.get("run")?;
    let (ran, text, written, unfinished): (bool, String, Table, bool) =
        run.call((code, sight.table(lua)?, controls))?;
    sight.write(lua, &written)?;
    Ok(match ran {
        true => Answer { output: text, ..Answer::default() },
        false => Answer { error: Some(text), unfinished, ..Answer::default() },
    })
}

/// Where a name is: in a frame of a stack, a local of it or an upvalue of its function.
#[derive(Clone)]
struct Place {
    /// The coroutine whose stack it is, where that is not the one that runs.
    thread: Option<Thread>,
    level: c_int,
    number: c_int,
    is_local: bool,
}

/// The names that are in sight, and their values.
struct Sight {
    names: Vec<(String, Place)>,
    values: Table,
}

impl Sight {
    /// Looks at the stack from the inside out. Called at one depth with [`Sight::write`], so that levels mean the same.
    fn look(lua: &Lua) -> mlua::Result<Sight> {
        let values = lua.create_table()?;
        let mut names: Vec<(String, Place)> = Vec::new();
        for thread in std::iter::once(None).chain(resumers(lua)?.into_iter().map(Some)) {
            for level in 0.. {
                let Some(found) = frame(lua, thread.as_ref(), level)? else { break };
                for (name, place, value) in found {
                    if !names.iter().any(|(known, _)| *known == name) {
                        values.raw_set(name.as_str(), value)?;
                        names.push((name, place));
                    }
                }
            }
        }
        Ok(Sight { names, values })
    }

    fn table(&self, lua: &Lua) -> mlua::Result<Table> {
        let (table, names) = (lua.create_table()?, lua.create_table()?);
        for (name, _) in &self.names {
            names.raw_set(name.as_str(), true)?;
        }
        table.raw_set("names", names)?;
        table.raw_set("values", &self.values)?;
        Ok(table)
    }

    /// Gives the run what was assigned to its names.
    fn write(&self, lua: &Lua, written: &Table) -> mlua::Result<()> {
        for (name, place) in &self.names {
            if written.raw_get::<bool>(name.as_str())? {
                let value: Value = self.values.raw_get(name.as_str())?;
                assign(lua, place, value)?;
            }
        }
        Ok(())
    }
}

/// The coroutines that led to the one that runs, the innermost first.
fn resumers(lua: &Lua) -> mlua::Result<Vec<Thread>> {
    let mut found = Vec::new();
    let resumer: Function = lua.named_registry_value(RESUMER)?;
    let mut thread = lua.current_thread();
    while let Some(before) = resumer.call::<Option<Thread>>(&thread)? {
        found.push(before.clone());
        thread = before;
    }
    Ok(found)
}

/// What a frame has: its locals, the later ones first, which hide earlier ones of their name, then its function's upvalues.
/// `None` above the last frame.
fn frame(lua: &Lua, thread: Option<&Thread>, level: c_int) -> mlua::Result<Option<Vec<(String, Place, Value)>>> {
    let list = lua.create_table()?;
    // SAFETY: the list is at index 1, the other thread or nil at 2; every value that is pushed, there or here, is taken off again, and the
    // debug record is only read where Lua filled it.
    let exists: bool = unsafe {
        lua.exec_raw((list.clone(), thread), |state| {
            let of = stack_of(state);
            let mut record: ffi::lua_Debug = std::mem::zeroed();
            let exists = if of.is_null() { 0 } else { ffi::lua_getstack(of, level, &mut record) };
            if exists != 0 {
                let mut count = 0;
                let mut add = |state: *mut lua_State, name: *const std::ffi::c_char, kind: i64, number: c_int| {
                    // On top of the other stack is the value.
                    if of != state {
                        ffi::lua_xmove(of, state, 1);
                    }
                    ffi::lua_createtable(state, 4, 0);
                    ffi::lua_insert(state, -2);
                    ffi::lua_rawseti(state, -2, 4);
                    ffi::lua_pushstring(state, name);
                    ffi::lua_rawseti(state, -2, 1);
                    ffi::lua_pushinteger(state, kind);
                    ffi::lua_rawseti(state, -2, 2);
                    ffi::lua_pushinteger(state, number.into());
                    ffi::lua_rawseti(state, -2, 3);
                    count += 1;
                    ffi::lua_rawseti(state, 1, count);
                };
                for number in 1.. {
                    let name = ffi::lua_getlocal(of, &record, number);
                    if name.is_null() {
                        break;
                    }
                    add(state, name, 1, number);
                }
                ffi::lua_getinfo(of, c"f".as_ptr(), &mut record);
                let function = ffi::lua_gettop(of);
                for number in 1.. {
                    let name = ffi::lua_getupvalue(of, function, number);
                    if name.is_null() {
                        break;
                    }
                    add(state, name, 0, number);
                }
                if of != state {
                    ffi::lua_settop(of, function - 1);
                }
            }
            ffi::lua_settop(state, 0);
            ffi::lua_pushboolean(state, exists);
        })?
    };
    if !exists {
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in list.sequence_values::<Table>() {
        let entry = entry?;
        let name: mlua::LuaString = entry.raw_get(1)?;
        let thread = thread.cloned();
        let place = Place { thread, level, is_local: entry.raw_get::<i64>(2)? == 1, number: entry.raw_get(3)? };
        found.push((name.to_string_lossy(), place, entry.raw_get(4)?));
    }
    // Lua's own are in brackets, and the globals are no name.
    found.retain(|(name, _, _)| !name.is_empty() && !name.starts_with('(') && name != "_ENV");
    let (mut locals, upvalues): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, place, _)| place.is_local);
    locals.reverse();
    Ok(Some(locals.into_iter().chain(upvalues).collect()))
}

fn assign(lua: &Lua, place: &Place, value: Value) -> mlua::Result<()> {
    // SAFETY: the value is at index 1, the other thread or nil at 2; each branch leaves both stacks as they were before.
    unsafe {
        lua.exec_raw::<()>((value, place.thread.as_ref()), |state| {
            let of = stack_of(state);
            let mut record: ffi::lua_Debug = std::mem::zeroed();
            if !of.is_null() && ffi::lua_getstack(of, place.level, &mut record) != 0 {
                ffi::lua_settop(state, 1);
                if place.is_local {
                    if of != state {
                        ffi::lua_xmove(state, of, 1);
                    }
                    ffi::lua_setlocal(of, &record, place.number);
                } else {
                    ffi::lua_getinfo(of, c"f".as_ptr(), &mut record);
                    if of != state {
                        ffi::lua_xmove(of, state, 1);
                    }
                    ffi::lua_insert(state, 1);
                    ffi::lua_setupvalue(state, 1, place.number);
                }
            }
            ffi::lua_settop(state, 0);
        })
    }
}

/// The stack that is meant: that of the thread at index 2, with room for what is pushed there, or the state's own where that is nil. Null
/// where there is no room.
///
/// # Safety
/// `state` is a living state with at least two values.
unsafe fn stack_of(state: *mut lua_State) -> *mut lua_State {
    // SAFETY: the caller's.
    unsafe {
        let thread = ffi::lua_tothread(state, 2);
        let of = if thread.is_null() { state } else { thread };
        if ffi::lua_checkstack(of, 4) == 0 { std::ptr::null_mut() } else { of }
    }
}
