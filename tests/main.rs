//! The one integration binary.

/// The layers keep their arrows.
mod arch;
/// The command line as a user meets it.
mod cli;
/// Every script under tests/lua.
mod lua;
/// The LuaCATS stubs and the live modules name the same functions.
mod stubs;
