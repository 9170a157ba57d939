//! The server's mind: environments by id, and what each original answers.
//!
//! As upstream, every environment has a dictionary of what was last said (`info`); the texts of errors are Python's.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::arguments::{Argument, Arguments, decoded, in_body, in_query};
use super::http::{Reply, Request};
use super::routes::{Endpoint, routes};
use super::seat::{Answer, Failure, Seat, is_true, merge, said};
use crate::engine::Result;
use crate::engine::env::agentgym::Kind;
use crate::engine::env::{Description, Environment};

/// Makes another environment of the served sort.
pub type Make<'a> = dyn FnMut() -> Result<Box<dyn Environment>> + 'a;

/// WebShop's ids are drawn from 0 up to this.
const LARGEST_SHOP: u64 = 48_950_076;

/// WebShop keeps no more environments, and hands out the oldest ids again.
const MAX_SHOPS: usize = 8000;

pub struct App<'a> {
    make: Box<Make<'a>>,
    description: Description,
    kind: Option<Kind>,
    seats: HashMap<i128, Seat>,
    /// Ids in the order of their creation.
    order: Vec<i128>,
    created: i128,
    max_instances: usize,
    idle: Duration,
    /// WebShop: how often an old id was handed out again.
    reused: usize,
}

impl<'a> App<'a> {
    pub fn new(mut make: Box<Make<'a>>, max_instances: usize, idle: Duration) -> Result<Self> {
        let description = make()?.describe();
        let kind = Kind::named(&description.name);
        let (seats, order) = (HashMap::new(), Vec::new());
        Ok(App { make, description, kind, seats, order, created: 0, max_instances, idle, reused: 0 })
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    pub fn answer(&mut self, request: &Request) -> Reply {
        let path = decoded(&request.path);
        let Some(route) = routes(self.kind).iter().find(|route| route.path == path) else {
            return Reply::detail(404, "Not Found");
        };
        if route.method != request.method {
            return Reply { allow: Some(route.method), ..Reply::detail(405, "Method Not Allowed") };
        }
        let arguments = match (route.method, route.fields) {
            (_, []) => Ok(Arguments::default()),
            ("GET", fields) => in_query(request, fields),
            (_, fields) => in_body(request, fields),
        };
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(problems) => return Reply::detail(422, problems),
        };
        match self.reply(route.endpoint, &arguments) {
            Ok(value) => Reply::json(200, value),
            // WebShop wraps no errors.
            Err(Failure::Said(_)) if self.kind == Some(Kind::WebShop) => Reply::internal_error(),
            Err(Failure::Said(text) | Failure::Full(text)) => Reply::json(200, json!({ "error": text })),
            Err(Failure::Crash) => Reply::internal_error(),
        }
    }

    fn reply(&mut self, endpoint: Endpoint, arguments: &Arguments) -> Answer {
        let id = arguments.integer(self.kind.map_or("id", Kind::id_key)).unwrap_or(-1);
        match endpoint {
            Endpoint::Greeting => Ok(match self.kind {
                Some(kind) => kind.greeting().into(),
                None => format!("This is environment {}.", self.description.name).into(),
            }),
            Endpoint::Description => serde_json::to_value(&self.description).map_err(|_| Failure::Crash),
            Endpoint::Messages => self.messages(id),
            Endpoint::Create => self.create(),
            Endpoint::Reset => self.reset(id, arguments),
            Endpoint::Step => self.step(id, arguments.text("action")),
            Endpoint::Observation => self.observation(id),
            Endpoint::Detail => Ok(self.playing(id)?.info.clone().into()),
            Endpoint::Close => self.close(id),
            Endpoint::List => Ok(self.order.iter().map(|id| Value::from(*id as i64)).collect()),
            Endpoint::Broken => Err(Failure::Crash),
            Endpoint::Facts(names) => {
                let seat = self.playing(id)?;
                let fact = |name: &&str| Ok((name.to_string(), seat.fact(name, name)?));
                names.iter().map(fact).collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
            Endpoint::Fact(name, original) => self.playing(id)?.fact(name, original),
        }
    }

    fn create(&mut self) -> Answer {
        if self.kind == Some(Kind::WebShop) {
            return self.open_shop();
        }
        self.make_room()?;
        let id = self.created;
        self.created += 1;
        let mut seat = Seat::default();
        let mut reply = json!({ "id": id as i64 });
        match self.kind {
            Some(Kind::TextCraft) => {
                // Upstream begins with the task that has the id's number, whatever the body asks for.
                seat.environment = Some((self.make)()?);
                let observation = seat.begin(self.wrapped(id))?;
                let begun = json!({ "observation": observation, "done": false, "reward": 0 });
                merge(&mut reply, &begun);
                seat.update(&begun);
                seat.update(&json!({ "deleted": false }));
            }
            Some(Kind::AlfWorld) => seat.update(&json!({ "done": false, "reward": 0, "deleted": false })),
            _ => seat.update(&json!({ "deleted": false, "done": false })),
        }
        self.admit(id, seat);
        Ok(reply)
    }

    fn open_shop(&mut self) -> Answer {
        if self.order.len() >= MAX_SHOPS {
            self.reused += 1;
            return Ok((self.order[(self.reused - 1) % MAX_SHOPS] as i64).into());
        }
        self.make_room()?;
        let fresh = |seats: &HashMap<_, _>| {
            std::iter::repeat_with(|| i128::from(any_number(LARGEST_SHOP + 1))).find(|id| !seats.contains_key(id))
        };
        let id = fresh(&self.seats).ok_or(Failure::Crash)?;
        let mut seat = Seat::default();
        seat.environment = Some((self.make)()?);
        let observation = seat.begin(any_number(self.description.num_tasks.unwrap_or(u64::from(u32::MAX))))?;
        seat.update(&json!({ "observation": observation }));
        self.admit(id, seat);
        Ok((id as i64).into())
    }

    /// Gives up the environment whose client was silent longest where there is no room for another.
    fn make_room(&mut self) -> Result<(), Failure> {
        let open = || self.seats.iter().filter(|(_, seat)| !is_true(&seat.info, "deleted"));
        if open().count() < self.max_instances {
            return Ok(());
        }
        match open().min_by_key(|(_, seat)| seat.used).filter(|(_, seat)| seat.used.elapsed() >= self.idle) {
            Some((&id, _)) => {
                tracing::info!("environment {id} was not used for {:?} and is given up", self.idle);
                self.forget(id);
                Ok(())
            }
            None => Err(Failure::Full(format!(
                "{} environments are open on this server, and no more are allowed (--max-instances): close one that is done",
                self.max_instances
            ))),
        }
    }

    fn forget(&mut self, id: i128) {
        self.seats.remove(&id);
        self.order.retain(|other| *other != id);
    }

    fn admit(&mut self, id: i128, seat: Seat) {
        self.order.push(id);
        self.seats.insert(id, seat);
    }

    fn reset(&mut self, id: i128, arguments: &Arguments) -> Answer {
        if self.kind == Some(Kind::AlfWorld) && !["Text", "Embody", "Hybrid"].contains(&arguments.text("world_type")) {
            return said(r#"world_type must be one of "Text", "Embody" and "Hybrid""#);
        }
        self.known(id)?;
        let task = self.task(id, arguments);
        let kind = self.kind;
        let make = &mut self.make;
        let seat = self.seats.get_mut(&id).ok_or(Failure::Crash)?;
        let task = match task {
            Ok(task) => task,
            Err(failure) => {
                if kind == Some(Kind::TextCraft) {
                    // Upstream empties the inventory before it looks at the index.
                    seat.begin(seat.task)?;
                }
                return Err(failure);
            }
        };
        if seat.environment.is_none() {
            seat.environment = Some(make()?);
        }
        seat.begin(task).and_then(|observation| seat.begun(kind, id, observation, arguments))
    }

    /// The task that a reset asks for.
    fn task(&self, id: i128, arguments: &Arguments) -> Result<u64, Failure> {
        let index = match self.kind {
            Some(Kind::WebShop) => "session_id",
            Some(Kind::AlfWorld) => "game",
            _ => "data_idx",
        };
        let tasks = self.description.num_tasks;
        let index = match (self.kind, arguments.get(index)) {
            (_, Some(Argument::Integer(index))) => *index,
            (Some(Kind::WebShop), _) => i128::from(any_number(tasks.unwrap_or(u64::from(u32::MAX)))),
            (Some(Kind::TextCraft), Some(Argument::Null)) => {
                return said("unsupported operand type(s) for %: 'NoneType' and 'int'");
            }
            _ => 0,
        };
        let size = i128::from(tasks.unwrap_or(u64::MAX));
        match self.kind {
            Some(Kind::TextCraft) => Ok(self.wrapped(index)),
            Some(Kind::BabyAi) if index < 0 => {
                said(format!("Seed must be greater or equal to zero, actual value: {}", index.div_euclid(40)))
            }
            // A list's index: negative ones count from the end.
            Some(Kind::AlfWorld | Kind::SciWorld | Kind::WebShop) if (-size..size).contains(&index) => {
                Ok(index.rem_euclid(size) as u64)
            }
            Some(Kind::AlfWorld | Kind::SciWorld | Kind::WebShop) => said("list index out of range"),
            Some(Kind::BabyAi) | None => match u64::try_from(index) {
                Ok(task) if i128::from(task) < size => Ok(task),
                _ => said(format!("environment {id} has the tasks from 0 to {}, not {index}", size - 1)),
            },
        }
    }

    /// TextCraft's indices go round, as Python's `%` does.
    fn wrapped(&self, index: i128) -> u64 {
        index.rem_euclid(i128::from(self.description.num_tasks.unwrap_or(u64::MAX))) as u64
    }

    fn step(&mut self, id: i128, action: &str) -> Answer {
        let kind = self.kind;
        let seat = self.playing(id)?;
        if seat.environment.is_none() {
            // The text of a Python KeyError.
            return said(id.to_string());
        }
        let step = seat.play(kind, action)?;
        if let Some(text) = step.info.get("error").and_then(Value::as_str) {
            return said(text);
        }
        seat.stepped(kind, &step)
    }

    fn messages(&mut self, id: i128) -> Answer {
        match &self.known(id)?.environment {
            Some(environment) => Ok(json!(environment.messages()?)),
            None => said("no episode has begun"),
        }
    }

    fn observation(&mut self, id: i128) -> Answer {
        let kind = self.kind;
        let seat = self.playing(id)?;
        let last = seat.info.get("observation");
        match (kind, last) {
            (Some(Kind::BabyAi), last) => {
                let observation = match last.and_then(Value::as_str) {
                    None => "Environment not initialized".to_string(),
                    Some(last) if last.starts_with(&seat.goal) => last.to_string(),
                    Some(last) => format!("{}{last}", seat.goal),
                };
                let number = |name: &str| seat.info.get(name).cloned().unwrap_or(json!(0));
                Ok(json!({
                    "observation": observation,
                    "reward": number("reward"),
                    "score": number("score"),
                    "done": false,
                    "deleted": false,
                }))
            }
            (_, Some(last)) => Ok(last.clone()),
            (_, None) => said("'observation'"),
        }
    }

    fn close(&mut self, id: i128) -> Answer {
        let kind = self.kind;
        let Some(seat) = self.seats.get_mut(&id) else {
            return if kind == Some(Kind::SciWorld) { Err(Failure::Crash) } else { Ok(false.into()) };
        };
        match kind {
            Some(Kind::SciWorld) if is_true(&seat.info, "deleted") => return Err(Failure::Crash),
            Some(Kind::SciWorld) => {
                seat.environment = None;
                seat.update(&json!({ "deleted": true }));
                return Ok(true.into());
            }
            // Upstream stumbles over an environment that never began, and keeps the id.
            Some(Kind::BabyAi) if seat.environment.is_none() || seat.crossed_out => {
                seat.crossed_out = true;
                return Ok(false.into());
            }
            _ => {}
        }
        self.forget(id);
        Ok(true.into())
    }

    fn known(&mut self, id: i128) -> Result<&mut Seat, Failure> {
        match self.seats.get_mut(&id) {
            None => said(format!("The id {id} is not valid.")),
            Some(seat) if is_true(&seat.info, "deleted") => {
                said(format!("The task with environment {id} has been deleted."))
            }
            Some(seat) => {
                seat.used = Instant::now();
                Ok(seat)
            }
        }
    }

    /// The environment, if its episode goes on. TextCraft and WebShop do not ask.
    fn playing(&mut self, id: i128) -> Result<&mut Seat, Failure> {
        let sticky = !matches!(self.kind, Some(Kind::TextCraft | Kind::WebShop));
        let seat = self.known(id)?;
        if sticky && is_true(&seat.info, "done") {
            return said(format!("The task with environment {id} has finished."));
        }
        Ok(seat)
    }
}

/// A number below `bound` that nobody can foresee, as WebShop's ids are.
fn any_number(bound: u64) -> u64 {
    RandomState::new().hash_one(0) % bound
}
