//! The handle that a script plays an environment with.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, UserData, UserDataMethods, UserDataRef, Value, Variadic};

use crate::engine::env::label::{self, Labelled, Origin};
use crate::engine::env::{Ending, Environment, EpisodeState, Parsed, Step};
use crate::engine::random::WHOLE_WORD;
use crate::engine::rollout::prompt_hash;
use crate::engine::{self, Error};
use crate::lua::call::Call;
use crate::lua::environment::LuaEnvironment;
use crate::lua::kind::kind;
use crate::lua::{convert, options, report};

/// An environment in Lua's hands; empty once it is closed.
pub struct EnvironmentHandle {
    played: RefCell<Option<Played>>,
    /// How its episode stands, once one has begun.
    episode: RefCell<Option<EpisodeState>>,
    origin: RefCell<Origin>,
}

/// What a handle plays with.
enum Played {
    /// Calls back into Lua, so nothing may be borrowed while it plays.
    Script(LuaEnvironment),
    Native(Rc<RefCell<Box<dyn Environment>>>),
}

impl EnvironmentHandle {
    /// `origin` need not know the environment's name.
    pub fn script(environment: LuaEnvironment, origin: Origin) -> Self {
        let name = environment.describe().name;
        Self::new(Played::Script(environment), Origin { name, ..origin })
    }

    pub fn native(environment: Box<dyn Environment>, origin: Origin) -> Self {
        let name = environment.describe().name;
        Self::new(Played::Native(Rc::new(RefCell::new(environment))), Origin { name, ..origin })
    }

    fn new(played: Played, origin: Origin) -> Self {
        EnvironmentHandle {
            played: RefCell::new(Some(played)),
            episode: RefCell::default(),
            origin: RefCell::new(origin),
        }
    }

    /// Calls the environment. The handle itself is free again before the call.
    fn play<T>(&self, act: impl FnOnce(&mut dyn Environment) -> engine::Result<T>) -> mlua::Result<T> {
        let played = match &*self.played.borrow() {
            Some(Played::Script(environment)) => Played::Script(environment.clone()),
            Some(Played::Native(environment)) => Played::Native(environment.clone()),
            None => return Err(report::raise(Error::message("this environment was closed"))),
        };
        report::guard(|| match played {
            Played::Script(mut environment) => act(&mut environment),
            Played::Native(environment) => match environment.try_borrow_mut() {
                Ok(mut environment) => act(environment.as_mut()),
                Err(_) => Err(Error::message("this environment is in use by the call that led here")),
            },
        })
    }

    /// Begins an episode.
    fn begin<T>(&self, reset: impl FnOnce(&mut dyn Environment) -> engine::Result<T>) -> mlua::Result<T> {
        self.play(|environment| {
            self.episode.take();
            let begun = reset(environment)?;
            self.episode.replace(Some(EpisodeState::new(environment.describe())));
            Ok(begun)
        })
    }

    /// Plays a turn. Nothing is borrowed meanwhile: the environment may be a script that holds this very handle.
    fn turn(
        &self,
        lua: &Lua,
        take: impl FnOnce(&mut EpisodeState, &mut dyn Environment) -> engine::Result<Step>,
    ) -> mlua::Result<(String, f64, bool, Value)> {
        let episode = self.episode.borrow().clone();
        let step = self.play(|environment| {
            let mut episode = episode.unwrap_or_else(|| EpisodeState::new(environment.describe()));
            let step = take(&mut episode, environment)?;
            self.episode.replace(Some(episode));
            Ok(step)
        })?;
        let mut info = step.info;
        info.insert("score".into(), step.score.into());
        if step.truncated {
            info.insert("truncated".into(), true.into());
        }
        Ok((step.observation, step.reward, step.done, convert::to_lua(lua, &info.into())?))
    }

    /// Another instance, for the engine to play with.
    pub fn fresh(&self) -> mlua::Result<Box<dyn Environment>> {
        let label = self.origin.borrow().label.clone();
        self.fresh_as(label)
    }

    fn fresh_as(&self, label: Option<String>) -> mlua::Result<Box<dyn Environment>> {
        let environment = self.play(|environment| environment.fresh())?;
        Ok(match label {
            Some(label) => Box::new(Labelled { label, environment }),
            None => environment,
        })
    }

    fn origin(&self) -> Origin {
        self.origin.borrow().clone()
    }
}

/// Fresh instances of a list of handles, each under a label of its own.
pub fn environments(function: &str, list: Value) -> mlua::Result<Vec<Box<dyn Environment>>> {
    let handles = handles(function, list)?;
    let labels = labels_of(function, &handles)?;
    handles.iter().zip(labels).map(|(handle, label)| handle.fresh_as(Some(label))).collect()
}

/// `env.labels`: the labels of a list of handles, which keep them from now on.
pub fn labels(_: &Lua, values: MultiValue) -> mlua::Result<Vec<String>> {
    let mut call = Call::new("env.labels", values);
    let handles = handles(&call.function_name(), call.value("envs")?)?;
    call.finish()?;
    let labels = labels_of(&call.function_name(), &handles)?;
    for (handle, label) in handles.iter().zip(&labels) {
        let mut origin = handle.origin.borrow_mut();
        if *label != origin.name {
            origin.label = Some(label.clone());
        }
    }
    Ok(labels)
}

fn labels_of(function: &str, handles: &[UserDataRef<EnvironmentHandle>]) -> mlua::Result<Vec<String>> {
    let origins: Vec<Origin> = handles.iter().map(|handle| handle.origin()).collect();
    label::labels(&origins).map_err(|error| options::reject(function, error))
}

fn handles(function: &str, list: Value) -> mlua::Result<Vec<UserDataRef<EnvironmentHandle>>> {
    let expected = |got: String| {
        let error = Error::option("envs", "a list of environments that env.make returned", got);
        options::reject(function, error)
    };
    let Value::Table(list) = &list else {
        return Err(expected(kind(&list)));
    };
    let mut all = Vec::new();
    for item in list.sequence_values::<Value>() {
        match item? {
            Value::UserData(handle) if handle.is::<EnvironmentHandle>() => {
                all.push(handle.borrow::<EnvironmentHandle>()?);
            }
            other => return Err(expected(kind(&other))),
        }
    }
    if all.is_empty() {
        return Err(expected("an empty list".to_string()));
    }
    Ok(all)
}

impl UserData for EnvironmentHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("reset", |_, this, values: MultiValue| {
            let is_named = matches!(values.front(), Some(Value::Table(_)));
            let mut call = Call::new("env:reset", values);
            if is_named {
                let task = options::read(&call.function_name(), call.optional_table("task_id")?)?;
                call.finish()?;
                return this.begin(|environment| environment.reset_to(&task));
            }
            let task_id = task_id(&mut call)?;
            call.finish()?;
            this.begin(|environment| environment.reset(task_id))
        });
        methods.add_method("messages", |lua, this, values: MultiValue| {
            Call::new("env:messages", values).finish()?;
            let messages = this.play(|environment| environment.messages())?;
            convert::to_lua(lua, &serde_json::to_value(messages).map_err(mlua::Error::external)?)
        });
        methods.add_method("parse", |_, this, values: MultiValue| {
            let mut call = Call::new("env:parse", values);
            let reply = call.string("reply")?;
            call.finish()?;
            Ok(match this.play(|environment| environment.parse(&reply))? {
                Parsed::Action(action) => (Some(action), None),
                Parsed::Complaint(observation) => (None, Some(observation)),
            })
        });
        methods.add_method("step", |lua, this, values: MultiValue| {
            let mut call = Call::new("env:step", values);
            let action = call.string("action")?;
            call.finish()?;
            this.turn(lua, |episode, environment| episode.act(environment, &action))
        });
        methods.add_method("hear", |lua, this, values: MultiValue| {
            let mut call = Call::new("env:hear", values);
            let reply = call.string("reply")?;
            call.finish()?;
            this.turn(lua, |episode, environment| episode.hear(environment, &reply))
        });
        methods.add_method("episode", |lua, this, values: MultiValue| {
            Call::new("env:episode", values).finish()?;
            let episode = this.episode.borrow();
            let Some(episode) = &*episode else {
                return Err(report::raise(Error::message("env:episode: no episode has begun; call reset first")));
            };
            let table = lua.create_table()?;
            table.set("turns", episode.turns())?;
            table.set("score", episode.score())?;
            table.set("success", episode.is_success())?;
            table.set("finished", episode.is_done())?;
            table.set("ending", episode.ending().map(Ending::name))?;
            Ok(table)
        });
        methods.add_method("expert", |_, this, values: MultiValue| {
            Call::new("env:expert", values).finish()?;
            this.play(|environment| environment.demonstrator().map_or(Ok(None), |player| player.expert()))
        });
        methods.add_method("explain", |_, this, values: MultiValue| {
            Call::new("env:explain", values).finish()?;
            let explained =
                this.play(|environment| environment.demonstrator().map_or(Ok(None), |player| player.explain()))?;
            Ok(explained.map_or((None, None), |explained| (Some(explained.action), explained.thought)))
        });
        methods.add_method("reply", |_, this, values: MultiValue| {
            let mut call = Call::new("env:reply", values);
            let action = call.string("action")?;
            let thought = call.optional_string("thought")?;
            call.finish()?;
            this.play(|environment| environment.reply(&action, thought.as_deref()))
        });
        methods.add_method("rule", |_, this, values: MultiValue| {
            Call::new("env:rule", values).finish()?;
            this.play(|environment| environment.baselines().map_or(Ok(None), |players| players.rule()))
        });
        methods.add_method("random_action", |_, this, values: MultiValue| {
            let mut call = Call::new("env:random_action", values);
            let rng = call.any_userdata("rng")?;
            call.finish()?;
            // Of a whole word Lua's integers hold 63 bits.
            let draw = |n: u64| {
                let high = if n == WHOLE_WORD { i64::MAX } else { n as i64 - 1 };
                mlua::ObjectLike::call_method::<i64>(&rng, "int", Variadic::from_iter([0, high]))
            };
            let mut failed = None;
            let action = this.play(|environment| {
                let Some(players) = environment.baselines() else { return Ok(None) };
                players.random_action(&mut |n| {
                    draw(n).map(|value| value as u64).unwrap_or_else(|error| {
                        failed = Some(error);
                        0
                    })
                })
            });
            failed.map_or(action, Err)
        });
        methods.add_method("constant_actions", |_, this, values: MultiValue| {
            Call::new("env:constant_actions", values).finish()?;
            this.play(|environment| {
                Ok(environment.baselines().map_or_else(Vec::new, |players| players.constant_actions()))
            })
        });
        methods.add_method("prompt_hash", |_, this, values: MultiValue| {
            let mut call = Call::new("env:prompt_hash", values);
            let task_id = task_id(&mut call)?;
            call.finish()?;
            this.begin(|environment| {
                environment.reset(task_id)?;
                Ok(prompt_hash(&environment.messages()?))
            })
        });
        methods.add_method("describe", |lua, this, values: MultiValue| {
            Call::new("env:describe", values).finish()?;
            let (about, identity) = this.play(|environment| Ok((environment.describe(), environment.identity())))?;
            let table = lua.create_table()?;
            table.set("label", this.origin().label)?;
            table.set("name", about.name)?;
            table.set("num_tasks", about.num_tasks)?;
            table.set("score_low", about.score_range.0)?;
            table.set("score_high", about.score_range.1)?;
            table.set("success_threshold", about.success_threshold)?;
            table.set("max_turns", about.max_turns)?;
            table.set("turn_limit", about.turn_limit.name())?;
            if about.move_limit != about.turn_limit {
                table.set("move_limit", about.move_limit.name())?;
            }
            table.set("generator", identity.generator)?;
            if let Some(instructions) = identity.instructions {
                let fields = [("source", instructions.source), ("sha256", &instructions.sha256)];
                table.set("instructions", lua.create_table_from(fields)?)?;
            }
            Ok(table)
        });
        methods.add_method("close", |_, this, values: MultiValue| {
            Call::new("env:close", values).finish()?;
            this.played.take();
            Ok(())
        });
        methods.add_meta_method("__close", |_, this, _: MultiValue| {
            this.played.take();
            Ok(())
        });
    }
}

/// The next argument as a task's id.
fn task_id(call: &mut Call) -> mlua::Result<u64> {
    let id = call.integer("task_id")?;
    u64::try_from(id).map_err(|_| call.reject(Error::option("task_id", "an integer of at least 0", id)))
}
