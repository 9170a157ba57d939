//! `affine.env`: environments by name, and the handle that a script plays with.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

<<<<<<< HEAD
use mlua::{AnyUserData, Function, Lua, MultiValue, Table, UserData, UserDataMethods, Value, Variadic};
=======
use mlua::{Function, Lua, MultiValue, Table, UserData, UserDataMethods, Value, Variadic};
use serde::Deserialize;
use serde::de::DeserializeOwned;
>>>>>>> textcraft

use crate::engine::env::agentgym::client::{AgentGymClient, AgentGymOptions};
use crate::engine::env::agentgym::server::{self, Server};
use crate::engine::env::sat::{Sat, SatOptions};
use crate::engine::env::textcraft::{TextCraft, TextCraftOptions};
use crate::engine::env::{Environment, Parsed};
use crate::engine::rollout::prompt_hash;
use crate::engine::{self, Error, file};
use crate::lua::args::{Args, kind};
use crate::lua::environment::LuaEnvironment;
use crate::lua::{convert, handle, options, report, require};

/// The environments that ship here, and where each comes from.
const BUILT_IN: [(&str, &str); 3] = [
    ("sat", "the Affine subnet's SAT, native"),
    ("textcraft", "AgentGym's TextCraft, native"),
    ("grid", "affine's own, in Lua"),
];

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("make", lua.create_function(make)?)?;
    table.set("built_in", lua.create_function(built_in)?)?;
    table.set("serve", lua.create_function(serve)?)?;
    Ok(table)
}

/// An environment in Lua's hands; empty once it is closed.
pub struct EnvironmentHandle(RefCell<Option<Played>>);

/// What a handle plays with.
enum Played {
    /// Calls back into Lua, so nothing may be borrowed while it plays.
    Script(LuaEnvironment),
    Native(Rc<RefCell<Box<dyn Environment>>>),
}

impl EnvironmentHandle {
    fn script(environment: LuaEnvironment) -> Self {
        EnvironmentHandle(RefCell::new(Some(Played::Script(environment))))
    }

    fn native(environment: Box<dyn Environment>) -> Self {
        EnvironmentHandle(RefCell::new(Some(Played::Native(Rc::new(RefCell::new(environment))))))
    }

    /// Calls the environment. The handle itself is free again before the call.
    fn play<T>(&self, act: impl FnOnce(&mut dyn Environment) -> engine::Result<T>) -> mlua::Result<T> {
        let played = match &*self.0.borrow() {
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

    /// Another instance, for the engine to play with.
    pub fn fresh(&self) -> mlua::Result<Box<dyn Environment>> {
        self.play(|environment| environment.fresh())
    }
}

/// Fresh instances of a list of handles.
pub fn environments(function: &str, list: Value) -> mlua::Result<Vec<Box<dyn Environment>>> {
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
                all.push(handle.borrow::<EnvironmentHandle>()?.fresh()?);
            }
            other => return Err(expected(kind(&other))),
        }
    }
    if all.is_empty() {
        return Err(expected("an empty list".to_string()));
    }
    Ok(all)
}

fn make(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut args = Args::new("env.make", values);
    let what = args.value("name")?;
    let options = args.optional_table("options")?;
    args.finish()?;
    let definition = match &what {
        Value::String(name) => match &*name.to_str()? {
<<<<<<< HEAD
            "sat" | "affine:sat" => return sat(lua, options),
=======
            "sat" | "affine:sat" => return native(&what_is(&what), options, |o: &SatOptions| Sat::new(o)),
            "textcraft" | "affine:textcraft" | "agentgym:textcraft" => {
                return native(&what_is(&what), options, |o: &TextCraftOptions| TextCraft::new(o));
            }
            base if base.starts_with("http://") || base.starts_with("https://") => {
                return native(&what_is(&what), options, |o: &AgentGymOptions| AgentGymClient::new(base, o));
            }
>>>>>>> textcraft
            name => find(lua, name)?,
        },
        other => other.clone(),
    };
    let environment = LuaEnvironment::new(lua, checked(lua, &what, definition)?, options)?;
    handle(lua, "an environment", EnvironmentHandle::script(environment))
}

<<<<<<< HEAD
fn sat(lua: &Lua, table: Option<Table>) -> mlua::Result<AnyUserData> {
    let options: SatOptions = options::read("env.make(\"sat\")", table)?;
    let sat = Sat::new(&options).map_err(|error| options::reject("env.make(\"sat\")", error))?;
    handle(lua, "an environment", EnvironmentHandle::native(Box::new(sat)))
=======
/// An environment written in Rust, with its options.
fn native<O: DeserializeOwned, E: Environment + 'static>(
    what: &str,
    table: Option<Table>,
    make: impl FnOnce(&O) -> engine::Result<E>,
) -> mlua::Result<EnvironmentHandle> {
    let function = format!("env.make({what})");
    let environment = make(&options::read(&function, table)?).map_err(|error| options::reject(&function, error))?;
    Ok(EnvironmentHandle::new(Box::new(environment)))
}

/// What `env.make` was given, for messages.
fn what_is(what: &Value) -> String {
    match what {
        Value::String(name) => format!("\"{}\"", name.to_string_lossy()),
        other => kind(other),
    }
}

fn built_in(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    Args::new("env.built_in", values).finish()?;
    lua.create_sequence_from(
        BUILT_IN
            .iter()
            .map(|(name, origin)| {
                let row = lua.create_table()?;
                row.set("name", *name)?;
                row.set("origin", *origin)?;
                Ok(row)
            })
            .collect::<mlua::Result<Vec<_>>>()?,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServeOptions {
    host: String,
    port: u16,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions { host: "127.0.0.1".to_string(), port: 8000 }
    }
}

fn serve(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut args = Args::new("env.serve", values);
    let handle = args.any_userdata("environment")?;
    let table = args.optional_table("options")?;
    args.finish()?;
    let options: ServeOptions = options::read("env.serve", table)?;
    if !handle.is::<EnvironmentHandle>() {
        let error = Error::option("environment", "what env.make returned", "another handle");
        return Err(options::reject("env.serve", error));
    }
    let prototype = handle.borrow::<EnvironmentHandle>()?.fresh()?;
    report::guard(|| {
        let server = Server::open(server::listen(&options.host, options.port)?, || prototype.fresh())?;
        tracing::info!("serving {} at http://{}, until Ctrl-C", server.description().name, server.address());
        server.run()
    })
>>>>>>> textcraft
}

/// The definition behind a name: a Lua file, a module of the user's, or one that ships here.
fn find(lua: &Lua, name: &str) -> mlua::Result<Value> {
    if name.ends_with(".lua") {
        let code = std::fs::read(name).map_err(|error| report::raise(file::unreadable(Path::new(name), &error)))?;
        return require::chunk(lua, &code, &format!("@{name}")).eval();
    }
    let require: Function = lua.globals().get("require")?;
    if let Some(module) = name.strip_prefix("custom:") {
        return require.call(module);
    }
    let bare = name.strip_prefix("affine:").unwrap_or(name);
    let names = BUILT_IN.map(|(name, _)| name);
    if names.contains(&bare) {
        return require.call(format!("affine.{bare}"));
    }
    let hint = match options::nearest(bare, names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            format!("known are {}, \"custom:<module>\", paths that end in .lua and http://host:port", names.join(", "))
        }
    };
    Err(report::raise(Error::hinted(format!("env.make: no environment is called \"{name}\""), hint)))
}

/// A definition that went through `env.define`.
fn checked(lua: &Lua, what: &Value, definition: Value) -> mlua::Result<Table> {
    let require: Function = lua.globals().get("require")?;
    let module: Table = require.call("affine.env")?;
    let is_definition: bool = module.get::<Function>("is_definition")?.call(&definition)?;
    match definition {
        Value::Table(definition) if is_definition => Ok(definition),
        other => {
            let what = what_is(what);
            let message = format!("env.make: {what}: expected what env.define returns, got {}", kind(&other));
            Err(report::raise(Error::message(message)))
        }
    }
}

impl UserData for EnvironmentHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("reset", |_, this, values: MultiValue| {
            let mut args = Args::new("env:reset", values);
            let task_id = task_id("env:reset", args.integer("task_id")?)?;
            args.finish()?;
            this.play(|environment| environment.reset(task_id))
        });
        methods.add_method("messages", |lua, this, values: MultiValue| {
            Args::new("env:messages", values).finish()?;
            let messages = this.play(|environment| environment.messages())?;
            convert::to_lua(lua, &serde_json::to_value(messages).map_err(mlua::Error::external)?)
        });
        methods.add_method("parse", |_, this, values: MultiValue| {
            let mut args = Args::new("env:parse", values);
            let reply = args.string("reply")?;
            args.finish()?;
            Ok(match this.play(|environment| environment.parse(&reply))? {
                Parsed::Action(action) => (Some(action), None),
                Parsed::Complaint(observation) => (None, Some(observation)),
            })
        });
        methods.add_method("step", |lua, this, values: MultiValue| {
            let mut args = Args::new("env:step", values);
            let action = args.string("action")?;
            args.finish()?;
            let step = this.play(|environment| environment.step(&action))?;
            let mut info = step.info;
            if let Some(score) = step.score {
                info.insert("score".into(), score.into());
            }
            if step.truncated {
                info.insert("truncated".into(), true.into());
            }
            Ok((step.observation, step.reward, step.done, convert::to_lua(lua, &info.into())?))
        });
        for (name, ask) in [
            ("expert", (|environment| environment.expert()) as fn(&mut dyn Environment) -> engine::Result<_>),
            ("rule", |environment| environment.rule()),
        ] {
            methods.add_method(name, move |_, this, values: MultiValue| -> mlua::Result<Option<String>> {
                Args::new(format!("env:{name}"), values).finish()?;
                this.play(ask)
            });
        }
        methods.add_method("random_action", |_, this, values: MultiValue| {
            let mut args = Args::new("env:random_action", values);
            let rng = args.any_userdata("rng")?;
            args.finish()?;
            // A whole word is asked for as 0; Lua's integers hold 63 bits of it.
            let draw = |n: u64| {
                let high = if n == 0 { i64::MAX } else { n as i64 - 1 };
                mlua::ObjectLike::call_method::<i64>(&rng, "int", Variadic::from_iter([0, high]))
            };
            let mut failed = None;
            let action = this.play(|environment| {
                environment.random_action(&mut |n| {
                    draw(n).map(|value| value as u64).unwrap_or_else(|error| {
                        failed = Some(error);
                        0
                    })
                })
            });
            failed.map_or(action, Err)
        });
        methods.add_method("constant_actions", |_, this, values: MultiValue| {
            Args::new("env:constant_actions", values).finish()?;
            this.play(|environment| Ok(environment.constant_actions()))
        });
        methods.add_method("prompt_hash", |_, this, values: MultiValue| {
            let mut args = Args::new("env:prompt_hash", values);
            let task_id = task_id("env:prompt_hash", args.integer("task_id")?)?;
            args.finish()?;
            this.play(|environment| {
                environment.reset(task_id)?;
                Ok(prompt_hash(&environment.messages()?))
            })
        });
        methods.add_method("describe", |lua, this, values: MultiValue| {
            Args::new("env:describe", values).finish()?;
            let about = this.play(|environment| Ok(environment.describe()))?;
            let table = lua.create_table()?;
            table.set("name", about.name)?;
            table.set("num_tasks", about.num_tasks)?;
            table.set("score_low", about.score_range.0)?;
            table.set("score_high", about.score_range.1)?;
            table.set("success_threshold", about.success_threshold)?;
            table.set("max_turns", about.max_turns)?;
            Ok(table)
        });
        methods.add_method("close", |_, this, values: MultiValue| {
            Args::new("env:close", values).finish()?;
            this.0.take();
            Ok(())
        });
        methods.add_meta_method("__close", |_, this, _: MultiValue| {
            this.0.take();
            Ok(())
        });
    }
}

fn task_id(function: &str, id: i64) -> mlua::Result<u64> {
    u64::try_from(id).map_err(|_| options::reject(function, Error::option("task_id", "an integer of at least 0", id)))
}
