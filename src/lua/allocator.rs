//! Lua's memory. Where the system has no more of it, or where it would be all that the machine has, Lua raises "not enough
//! memory", which a script can catch; mlua's own allocator ends the process.

use std::os::raw::c_void;
use std::ptr;

use mlua::{Lua, ffi};

use crate::engine::system::machine;

/// The part of the machine's memory that one Lua state may fill. Beyond it the system would look for a process to kill.
const PART: f64 = 0.8;

/// What a state has, in bytes.
struct Account {
    used: usize,
    limit: usize,
}

/// Gives a state this allocator. What mlua's own has given out so far is the same malloc's, so it can be changed and freed
/// here.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    let limit = machine::memory().map_or(usize::MAX, |memory| (memory.total as f64 * PART) as usize);
    // As long as the state, which has no place to free it from: 16 bytes per state.
    let account = Box::leak(Box::new(Account { used: lua.used_memory(), limit }));
    let account = ptr::from_mut(account).cast::<c_void>();
    // SAFETY: the allocator keeps Lua's contract (see `allocate`), and the account outlives the state.
    unsafe { lua.exec_raw::<()>((), |state| ffi::lua_setallocf(state, allocate, account)) }
}

/// `lua_Alloc`: frees where `new` is 0, else gives a block of `new` bytes with the content of `block`, or null.
///
/// SAFETY: Lua gives a block that came from here or from mlua's allocator, which is Rust's system allocator, that is malloc,
/// and `old` is its size unless `block` is null.
unsafe extern "C" fn allocate(account: *mut c_void, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
    let account = unsafe { &mut *account.cast::<Account>() };
    let old = if block.is_null() { 0 } else { old };
    if new == 0 {
        unsafe { libc::free(block) };
        account.used = account.used.saturating_sub(old);
        return ptr::null_mut();
    }
    let used = account.used.saturating_sub(old).saturating_add(new);
    if new > old && used > account.limit {
        return ptr::null_mut();
    }
    let block = unsafe { libc::realloc(block, new) };
    if !block.is_null() {
        account.used = used;
    }
    block
}
