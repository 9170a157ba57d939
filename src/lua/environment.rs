//! The engine's environment trait over a Lua definition: what a custom environment's author wrote, checked at every
//! call. An error, or a value of the wrong type, is an error of the episode and of nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::kind::{integral, kind};
use super::{convert, options, report};
use crate::engine::env::{
    Baselines, Demonstrator, Description, Environment, Explained, Identity, Parsed, Step, TurnLimit,
};
use crate::engine::random::WHOLE_WORD;
use crate::engine::text::{Message, ROLES, check_roles};
use crate::engine::{Error, Result};

/// A clone plays the same episode: what changes during it is shared. So no borrow is held while Lua runs, and an
/// environment's function may call the very handle that called it.
#[derive(Clone)]
pub struct LuaEnvironment {
    /// What `env.define` returned.
    definition: Table,
    options: Table,
    description: Rc<Description>,
    /// The `self` of the episode's functions.
    instance: Rc<RefCell<Table>>,
    first_observation: Rc<RefCell<String>>,
}

impl LuaEnvironment {
    pub fn new(lua: &Lua, definition: Table, changes: Option<Table>) -> mlua::Result<Self> {
        let require: Function = lua.globals().get("require")?;
        let module: Table = require.call("affine.env")?;
        let merged = module.get::<Function>("merge_options")?.call((&definition, changes));
        // The mistake is in the script's call, not in the library's line that found it.
        let options: Table = merged.map_err(|error| match report::lower(&error) {
            Error::Script { message, hint, .. } => options::reject("env.make", Error::Message { message, hint }),
            other => report::raise(other),
        })?;
        let description = Rc::new(describe(&definition, &options)?);
        let instance = Rc::new(RefCell::new(instance(lua, &definition, &options)?));
        Ok(LuaEnvironment { definition, options, description, instance, first_observation: Rc::default() })
    }

    /// Calls the definition's function of that name with `self` in front; `None` when it has none.
    fn call(&self, name: &str, args: impl IntoLuaMulti) -> Result<Option<Vec<Value>>> {
        let lua = self.definition.weak_lua().upgrade();
        let called = (|| -> mlua::Result<Option<Vec<Value>>> {
            let Some(function) = self.definition.get::<Option<Function>>(name)? else { return Ok(None) };
            let mut values = args.into_lua_multi(&lua)?;
            values.push_front(Value::Table(self.instance.borrow().clone()));
            Ok(Some(function.call::<MultiValue>(values)?.into_iter().collect()))
        })();
        called.map_err(|error| match report::lower(&error) {
            Error::Interrupted => Error::Interrupted,
            other => Error::Environment { name: self.description.name.clone(), source: Box::new(other.within(name)) },
        })
    }

    fn broken(&self, problem: String) -> Error {
        Error::environment(&self.description.name, problem)
    }

    fn wrong(&self, function: &str, expected: &str, got: &Value) -> Error {
        self.broken(format!("{function}: expected {expected}, got {}", kind(got)))
    }

    fn text(&self, function: &str, what: &str, value: &Value) -> Result<String> {
        match value {
            Value::String(text) => Ok(text.to_string_lossy()),
            other => Err(self.wrong(function, what, other)),
        }
    }

    /// A field that is a string or a function of `self`.
    fn words(&self, name: &str) -> Result<Option<String>> {
        match self.definition.get::<Value>(name) {
            Ok(Value::Nil) => Ok(None),
            Ok(Value::Function(_)) => {
                let values = self.call(name, ())?.unwrap_or_default();
                self.text(name, "a string", first(&values)).map(Some)
            }
            Ok(other) => self.text(name, "a string", &other).map(Some),
            Err(error) => Err(report::lower(&error)),
        }
    }

    /// A function that gives an action or nil; `None` too when there is no such function.
    fn action(&self, name: &str, args: impl IntoLuaMulti) -> Result<Option<String>> {
        match self.call(name, args)?.as_deref().map(first) {
            None | Some(Value::Nil) => Ok(None),
            Some(action) => self.text(name, "an action as a string, or nil", action).map(Some),
        }
    }

    fn stream(&self, seed: u64, purpose: &str) -> Result<Value> {
        let lua = self.definition.weak_lua().upgrade();
        let made = (|| -> mlua::Result<Value> {
            let require: Function = lua.globals().get("require")?;
            let random: Table = require.call("affine.random")?;
            random.get::<Function>("new")?.call((seed as i64, purpose))
        })();
        made.map_err(|error| report::lower(&error))
    }
}

impl Environment for LuaEnvironment {
    fn describe(&self) -> Description {
        Description::clone(&self.description)
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let lua = self.definition.weak_lua().upgrade();
        let rng = self.stream(task_id, &format!("environment {}", self.description.name))?;
        let prepared = (|| -> mlua::Result<(Table, Table)> {
            let task = lua.create_table()?;
            task.set("id", task_id as i64)?;
            task.set("rng", rng)?;
            Ok((instance(&lua, &self.definition, &self.options)?, task))
        })();
        let (instance, task) = prepared.map_err(|error| report::lower(&error))?;
        self.instance.replace(instance);
        let values = self.call("reset", task)?.unwrap_or_default();
        let observation = self.text("reset", "the first observation as a string", first(&values))?;
        self.first_observation.replace(observation.clone());
        Ok(observation)
    }

    fn messages(&self) -> Result<Vec<Message>> {
        if let Some(values) = self.call("messages", ())? {
            let lua = self.definition.weak_lua().upgrade();
            let json = convert::to_json(&lua, first(&values)).map_err(|e| self.broken(format!("messages: {e}")))?;
            let messages: Vec<Message> = serde_json::from_value(json)
                .map_err(|e| self.broken(format!("messages: expected a list of {{ role =, content = }}: {e}")))?;
            check_roles(&messages, &ROLES).map_err(|problem| self.broken(format!("messages: {problem}")))?;
            return Ok(messages);
        }
        let mut messages = Vec::new();
        if let Some(system) = self.words("system")? {
            messages.push(Message::new("system", system));
        }
        let prompt = self.words("prompt")?.unwrap_or_default();
        messages.push(Message::user(format!("{prompt}\n{}", self.first_observation.borrow())));
        Ok(messages)
    }

    /// The options, and the author's own words.
    fn identity(&self) -> Identity {
        let lua = self.definition.weak_lua().upgrade();
        // What has no form in JSON is told by its kind: it must not take the others with it.
        let told =
            |value: &Value| convert::to_json(&lua, value).unwrap_or_else(|_| format!("a {}", kind(value)).into());
        let options = self.options.pairs::<String, Value>().flatten().map(|(key, value)| (key, told(&value)));
        let sorted: BTreeMap<String, serde_json::Value> = options.collect();
        let mut settings: serde_json::Map<_, _> = sorted.into_iter().collect();
        for words in ["system", "prompt"] {
            if let Ok(Value::String(text)) = self.definition.get(words) {
                settings.insert(words.into(), text.to_string_lossy().into());
            }
        }
        Identity { settings: settings.into(), ..Identity::default() }
    }

    fn parse(&self, reply: &str) -> Result<Parsed> {
        let Some(values) = self.call("parse", reply)? else {
            return Ok(Parsed::Action(reply.trim().to_string()));
        };
        match first(&values) {
            Value::Nil => {
                let complaint = values.get(1).unwrap_or(&Value::Nil);
                self.text("parse", "an action, or nil and a complaint", complaint).map(Parsed::Complaint)
            }
            action => self.text("parse", "an action as a string", action).map(Parsed::Action),
        }
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let values = self.call("step", action)?.unwrap_or_default();
        let [observation, reward, done, info] = [0, 1, 2, 3].map(|i| values.get(i).unwrap_or(&Value::Nil));
        let info = self.info(info)?;
        let observation = self.text("step", "the observation as a string", observation)?;
        let reward = self.number("the reward as a number", reward)?;
        Ok(Step {
            observation,
            reward,
            done: match done {
                Value::Boolean(done) => *done,
                other => return Err(self.wrong("step", "true or false as third result (done)", other)),
            },
            score: self.field(&info, "score", "a number", serde_json::Value::as_f64)?.unwrap_or(reward),
            truncated: self.field(&info, "truncated", "true or false", serde_json::Value::as_bool)?.unwrap_or(false),
            info,
        })
    }

    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        match self.call("reply", (action, thought))? {
            Some(values) => self.text("reply", "a string", first(&values)),
            None => Ok(action.to_string()),
        }
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        let lua = self.definition.weak_lua().upgrade();
        let instance = instance(&lua, &self.definition, &self.options).map_err(|error| report::lower(&error))?;
        Ok(Box::new(LuaEnvironment {
            definition: self.definition.clone(),
            options: self.options.clone(),
            description: self.description.clone(),
            instance: Rc::new(RefCell::new(instance)),
            first_observation: Rc::default(),
        }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }
}

impl Demonstrator for LuaEnvironment {
    fn expert(&mut self) -> Result<Option<String>> {
        self.action("expert", ())
    }

    fn explain(&mut self) -> Result<Option<Explained>> {
        let Some(values) = self.call("explain", ())? else {
            return Ok(self.expert()?.map(|action| Explained { action, thought: None }));
        };
        if first(&values).is_nil() {
            return Ok(None);
        }
        let action = self.text("explain", "an action as a string, or nil", first(&values))?;
        let thought = match values.get(1) {
            None | Some(Value::Nil) => None,
            Some(thought) => Some(self.text("explain", "a thought as a string, or nil", thought)?),
        };
        Ok(Some(Explained { action, thought }))
    }
}

impl Baselines for LuaEnvironment {
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let rng = self.stream(random(WHOLE_WORD) >> 1, "random action")?;
        self.action("random_action", rng)
    }

    fn constant_actions(&self) -> Vec<String> {
        self.definition.get("constant_actions").unwrap_or_default()
    }

    fn rule(&self) -> Result<Option<String>> {
        self.action("rule", ())
    }
}

impl LuaEnvironment {
    fn number(&self, expected: &str, value: &Value) -> Result<f64> {
        match value {
            Value::Integer(n) => Ok(*n as f64),
            Value::Number(x) if x.is_finite() => Ok(*x),
            Value::Number(x) => Err(self.broken(format!("step: expected {expected}, got {x}"))),
            other => Err(self.wrong("step", expected, other)),
        }
    }

    fn info(&self, value: &Value) -> Result<serde_json::Map<String, serde_json::Value>> {
        const EXPECTED: &str = "a table with names or nothing as fourth result (info)";
        match value {
            Value::Nil => Ok(serde_json::Map::new()),
            Value::Table(_) => {
                let lua = self.definition.weak_lua().upgrade();
                match convert::to_json(&lua, value).map_err(|e| self.broken(format!("step: info: {e}")))? {
                    serde_json::Value::Object(info) => Ok(info),
                    _ => Err(self.wrong("step", EXPECTED, value)),
                }
            }
            other => Err(self.wrong("step", EXPECTED, other)),
        }
    }

    /// A field of `info` that means something to the engine.
    fn field<T>(
        &self,
        info: &serde_json::Map<String, serde_json::Value>,
        name: &str,
        expected: &str,
        read: impl Fn(&serde_json::Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = info.get(name) else { return Ok(None) };
        let wrong = || self.broken(format!("step: info.{name}: expected {expected}, got {value}"));
        read(value).map(Some).ok_or_else(wrong)
    }
}

fn first(values: &[Value]) -> &Value {
    values.first().unwrap_or(&Value::Nil)
}

fn instance(lua: &Lua, definition: &Table, options: &Table) -> mlua::Result<Table> {
    let instance = lua.create_table()?;
    instance.set("options", options)?;
    let metatable = lua.create_table()?;
    metatable.set("__index", definition)?;
    instance.set_metatable(Some(metatable))?;
    Ok(instance)
}

/// `env.define` has checked the fields' types.
fn describe(definition: &Table, options: &Table) -> mlua::Result<Description> {
    let range: Table = definition.get("score_range")?;
    let turns = |options: &Table| -> mlua::Result<usize> {
        match options.get::<Value>("max_turns")? {
            Value::Integer(n) if n > 0 => Ok(n as usize),
            Value::Number(x) if integral(x).is_some_and(|n| n > 0) => Ok(x as usize),
            _ => definition.get("max_turns"),
        }
    };
    let (own, asked) = (turns(&definition.get("options")?)?, turns(options)?);
    let declared = TurnLimit::named(&definition.get::<String>("turn_limit")?).unwrap_or_default();
    Ok(Description {
        name: definition.get("name")?,
        num_tasks: definition.get("num_tasks")?,
        score_range: (range.get(1)?, range.get(2)?),
        success_threshold: definition.get("success_threshold")?,
        max_turns: asked,
        turn_limit: match declared {
            TurnLimit::Task => TurnLimit::of_task(own, asked),
            TurnLimit::Outside => TurnLimit::Outside,
        },
        move_limit: declared,
    })
}
