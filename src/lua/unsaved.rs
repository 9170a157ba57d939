//! What the trainers of a state have reached and not saved, which an interruption saves.

use std::rc::{Rc, Weak};

use mlua::Lua;

use super::report::Report;

/// Saves what a trainer has reached and not saved; an error while the trainer or the model is in use.
pub type Saving = Rc<dyn Fn() -> mlua::Result<()>>;

/// The trainers of a state, for as long as a script holds them.
#[derive(Default)]
struct Trainers(Vec<Weak<dyn Fn() -> mlua::Result<()>>>);

/// Saves what the trainers of a state have reached: an interruption may come where none of them is at work. One that is
/// saves by itself.
pub fn save_all(lua: &Lua) {
    let Some(trainers) = lua.app_data_ref::<Trainers>() else { return };
    let trainers: Vec<Saving> = trainers.0.iter().filter_map(Weak::upgrade).collect();
    for save in trainers {
        if let Err(error) = save() {
            tracing::debug!("not saved: {}", Report::new(&error).message);
        }
    }
}

/// Adds a trainer to those of its state.
pub fn remember(lua: &Lua, save: Saving) -> Saving {
    if lua.app_data_ref::<Trainers>().is_none() {
        lua.set_app_data(Trainers::default());
    }
    if let Some(mut trainers) = lua.app_data_mut::<Trainers>() {
        trainers.0.retain(|trainer| trainer.strong_count() > 0);
        trainers.0.push(Rc::downgrade(&save));
    }
    save
}
