//! A rollout in Lua's hands: look at its episodes, write your own credit.

use std::cell::{Ref, RefCell, RefMut};

use mlua::{Lua, MultiValue, Table, UserData, UserDataMethods};
use serde_json::json;

use crate::engine::Error;
use crate::engine::rl::rollout::{Rollout, Sample};
use crate::engine::rollout::{Ending, Episode};
use crate::lua::call::Call;
use crate::lua::{convert, report};

/// What `ppo:rollout` returns.
pub struct RolloutHandle(RefCell<Rollout>);

impl RolloutHandle {
    pub fn new(rollout: Rollout) -> Self {
        RolloutHandle(RefCell::new(rollout))
    }

    pub fn borrow(&self) -> Ref<'_, Rollout> {
        self.0.borrow()
    }

    pub fn borrow_mut(&self) -> RefMut<'_, Rollout> {
        self.0.borrow_mut()
    }
}

impl UserData for RolloutHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("size", |_, this, values: MultiValue| {
            Call::new("batch:size", values).finish()?;
            Ok(this.borrow().samples.len())
        });
        methods.add_method("episodes", |lua, this, values: MultiValue| {
            Call::new("batch:episodes", values).finish()?;
            let rollout = this.borrow();
            let tables =
                rollout.episodes().map(|episode| episode_table(lua, episode)).collect::<mlua::Result<Vec<_>>>()?;
            lua.create_sequence_from(tables)
        });
        methods.add_method("sample", |lua, this, values: MultiValue| {
            let mut call = Call::new("batch:sample", values);
            let index = call.integer("index")?;
            call.finish()?;
            let rollout = this.borrow();
            sample_table(lua, &rollout.samples[place(&rollout, &call, index)?])
        });
        methods.add_method("set_credit", |_, this, values: MultiValue| {
            let mut call = Call::new("batch:set_credit", values);
            let index = call.integer("index")?;
            let advantages: Vec<f64> = call.list("advantages")?;
            let returns: Option<Vec<f64>> = call.optional_list("returns")?;
            call.finish()?;
            let mut rollout = this.borrow_mut();
            let place = place(&rollout, &call, index)?;
            let credited = rollout.samples[place].set_credit(advantages, returns);
            credited.map_err(|error| call.reject(error))
        });
    }
}

/// A sample's position, counted from 1 by the script.
fn place(rollout: &Rollout, call: &Call, index: i64) -> mlua::Result<usize> {
    let size = rollout.samples.len();
    if index < 1 || index as usize > size {
        let message = format!("{}: argument 1 (index): expected 1 to {size}, got {index}", call.function_name());
        return Err(report::raise(Error::message(message)));
    }
    Ok(index as usize - 1)
}

/// An episode as it was played.
fn episode_table(lua: &Lua, episode: &Episode) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("env", episode.environment.as_str())?;
    table.set("task_id", episode.task_id)?;
    table.set("score", episode.normalised_score)?;
    table.set("reward", episode.total_reward())?;
    table.set("success", episode.success)?;
    table.set("ending", episode.ending.name())?;
    table.set("turns", episode.turns.len())?;
    table.set("messages", convert::to_lua(lua, &json!(episode.messages))?)?;
    if let Ending::Failed(reason) = &episode.ending {
        table.set("reason", reason.as_str())?;
    }
    Ok(table)
}

/// The episode and its numbers. Columns have one entry per token of `ids`; `turns` are `{ first, last }` positions counted
/// from 1.
fn sample_table(lua: &Lua, sample: &Sample) -> mlua::Result<Table> {
    let episode = &sample.episode;
    let table = episode_table(lua, episode)?;
    table.set("ids", episode.ids.as_slice())?;
    table.set("mask", episode.mask.as_slice())?;
    table.set("rewards", lua.create_sequence_from(episode.turns.iter().map(|turn| turn.reward))?)?;
    table.set("reward_unit", episode.reward_unit)?;
    table.set("logprobs", episode.logprobs.as_slice())?;
    table.set("reference_logprobs", sample.reference_logprobs.as_slice())?;
    table.set("values", sample.values.as_slice())?;
    table.set("bootstrap", sample.bootstrap)?;
    table.set("advantages", sample.advantages.as_slice())?;
    table.set("returns", sample.returns.as_slice())?;
    let infos = episode.turns.iter().map(|turn| convert::to_lua(lua, &json!(turn.info)));
    table.set("infos", lua.create_sequence_from(infos.collect::<mlua::Result<Vec<_>>>()?)?)?;
    let turns = lua.create_table()?;
    for turn in &episode.turns {
        turns.push(lua.create_sequence_from([turn.tokens.start + 1, turn.tokens.end])?)?;
    }
    table.set("turns", turns)?;
    Ok(table)
}
