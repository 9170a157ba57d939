//! `study:population`: several trials on one loaded base, an adapter each, by turns.
//!
//! A trial's function runs in a coroutine and hands over at `trial:report`, which no function of Rust can do: that half is
//! `affine.internal.population`.

use std::time::Instant;

use mlua::{AnyUserData, Function, Lua, MultiValue, Table, Thread, Value};
use serde::Deserialize;

use super::study::StudyHandle;
use super::trial::TrialHandle;
use crate::engine::sweep::{Done, Next, Trial};
use crate::engine::{Error, cancel};
use crate::lua::bind::model::ModelHandle;
use crate::lua::call::Call;
use crate::lua::kind::kind;
use crate::lua::report;
use crate::lua::strict::handle;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PopulationOptions {
    n: Option<u64>,
    #[serde(default = "eight")]
    size: usize,
}

fn eight() -> usize {
    8
}

/// `study:population(options, f)`: trials until the study has `n` of them, or its budget is used up. Gives the reason for its end.
pub fn population(lua: &Lua, values: MultiValue) -> mlua::Result<String> {
    let mut call = Call::new("study:population", values);
    let study = call.this::<StudyHandle>()?.borrow::<StudyHandle>()?.clone();
    let mut options = call.required_options(lua)?;
    let model = match options.take("model")? {
        Value::UserData(handle) if handle.is::<ModelHandle>() => handle.borrow::<ModelHandle>()?.clone(),
        other => return Err(call.reject(Error::option("model", "a loaded model", kind(&other)))),
    };
    let PopulationOptions { n, size } = options.read()?;
    let function = call.function("function")?;
    call.finish()?;
    if size == 0 {
        return Err(call.reject(Error::option("size", "at least 1 trial at a time", 0)));
    }
    study.check_ends(&call, n)?;
    let coroutines: Table = lua.globals().get::<Function>("require")?.call("affine.internal.population")?;
    let mut population = Population { study, model, function, coroutines, members: Vec::new() };
    let done = population.run(lua, &call, n, size);
    population.leave();
    population.study.told_end(&call, done?)
}

struct Member {
    trial: AnyUserData,
    thread: Thread,
    adapter: String,
}

struct Population {
    study: StudyHandle,
    model: ModelHandle,
    function: Function,
    coroutines: Table,
    members: Vec<Member>,
}

impl Population {
    fn run(&mut self, lua: &Lua, call: &Call, n: Option<u64>, size: usize) -> mlua::Result<Done> {
        let begun = Instant::now();
        loop {
            while self.members.len() < size {
                match call.run(|| cancel::check().and_then(|()| self.study.study.next(n, begun)))? {
                    Next::Trial(trial) => self.start(lua, *trial)?,
                    Next::Done(done) if self.members.is_empty() => return Ok(done),
                    Next::Done(_) => break,
                }
            }
            let mut place = 0;
            while place < self.members.len() {
                match self.turn(place) {
                    Ok(None) => place += 1,
                    Ok(Some(values)) => self.end(place, Ok(values))?,
                    Err(error) => self.end(place, Err(error))?,
                }
            }
        }
    }

    fn start(&mut self, lua: &Lua, trial: Trial) -> mlua::Result<()> {
        let adapter = format!("trial-{}", trial.number());
        let trial = handle(lua, "a trial", TrialHandle { trial, ends_itself: true })?;
        let start: Function = self.coroutines.get("start")?;
        let thread = start.call((&trial, adapter.as_str(), &self.function))?;
        self.members.push(Member { trial, thread, adapter });
        Ok(())
    }

    /// Lets a member go on to its next report; what its function returned, where that was its end.
    fn turn(&self, place: usize) -> mlua::Result<Option<MultiValue>> {
        let Member { thread, adapter, .. } = &self.members[place];
        if self.has_adapter(adapter)? {
            report::guard(|| self.model.borrow_mut().map_err(|error| report::lower(&error))?.set_adapter(adapter))?;
        }
        let mut values = self.coroutines.get::<Function>("turn")?.call::<MultiValue>(thread)?;
        match values.pop_front() {
            Some(Value::Boolean(true)) => Ok(None),
            _ => Ok(Some(values)),
        }
    }

    /// A member's function has come to its end.
    fn end(&mut self, place: usize, outcome: mlua::Result<MultiValue>) -> mlua::Result<()> {
        let member = self.members.remove(place);
        if outcome.is_err() {
            // Raises that very error once more.
            let _ = self.close(&member);
        }
        if self.has_adapter(&member.adapter)? {
            let mut model = self.model.borrow_mut()?;
            report::guard(|| model.delete_adapter(&member.adapter))?;
        }
        self.study.settle(&member.trial, outcome)
    }

    /// Closes what a member's function has open: a trainer's loop saves its last step where Ctrl-C ended it.
    fn close(&self, member: &Member) -> mlua::Result<()> {
        self.coroutines.get::<Function>("close")?.call::<()>(&member.thread)
    }

    /// The run is over before its members are: whoever goes on with the study goes on with them.
    fn leave(&mut self) {
        for member in std::mem::take(&mut self.members) {
            let left = self.close(&member).and_then(|()| {
                let trial = member.trial.borrow::<TrialHandle>()?;
                report::guard(|| trial.trial.interrupt())
            });
            if let Err(error) = left {
                tracing::warn!("{}: {}", member.adapter, report::lower(&error));
            }
        }
    }

    fn has_adapter(&self, name: &str) -> mlua::Result<bool> {
        Ok(self.model.borrow()?.adapter_names().contains(&name))
    }
}
