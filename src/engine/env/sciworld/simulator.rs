//! A running ScienceWorld: its methods, typed. One world at a time.

use std::path::Path;

use super::connection::{Connection, Silence};
use super::error::broken;
use super::find;
use super::launch::{Launch, Process};
use super::tasks::{TASKS, Variation};
use super::wire::{self, Argument, Refusal, Value};
use crate::engine::{Error, Result};

const CLASS: &str = "scienceworld.runtime.pythonapi.PythonInterface";

const ANOTHER_VERSION: &str = "`affine env setup sciworld` obtains version 1.2.3, which AgentGym's numbers are of";

/// What the simulator says after an action. The rules that its Python wrapper adds are not applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub observation: String,
    /// At most 1; −1 after a wrong focus.
    pub score: f64,
    pub completed: bool,
    pub moves: i64,
}

pub struct Simulator {
    process: Process,
    connection: Connection,
    object: String,
    launch: Launch,
    usable: bool,
}

impl Simulator {
    /// Starts a Java process with a simulator in it: a second or two.
    pub fn start(launch: &Launch) -> Result<Self> {
        let known = find::is_known_version(&launch.jar)?;
        let (mut process, port) = Process::start(launch)?;
        let mut connection = Connection::open(port, launch.timeout)?;
        let replies = connection.exchange(&[wire::construct(CLASS)]).map_err(|silence| lost(&mut process, silence))?;
        let made = replies.first().map(|line| wire::read(line));
        let Some(Ok(Value::Object(object))) = made else {
            let problem = format!("{} is no jar of ScienceWorld: {}", launch.jar.display(), reason(made));
            return Err(Error::hinted(problem, ANOTHER_VERSION));
        };
        let mut simulator = Simulator { process, connection, object, launch: launch.clone(), usable: true };
        simulator.check_tasks()?;
        if !known {
            tracing::warn!(
                "{} is not the jar of ScienceWorld {}, though it has the same tasks: texts and scores may differ",
                launch.jar.display(),
                find::VERSION
            );
        }
        Ok(simulator)
    }

    /// The numbering of tasks rests on our table: a jar with other tasks or variations would play something else.
    fn check_tasks(&mut self) -> Result<()> {
        let count = |task: &super::tasks::Task| self.call("getTaskMaxVariations", &[Argument::Text(task.name)]);
        let commands: Vec<String> = TASKS.iter().map(count).collect();
        let counts = self.ask(&commands)?;
        let different = TASKS.iter().zip(&counts).find(|(task, count)| **count != Value::Int(task.variations.into()));
        let Some((task, count)) = different else { return Ok(()) };
        let has = match count {
            Value::Int(0..) => format!("{} variations", text(count)),
            _ => "none".to_string(),
        };
        let jar = self.launch.jar.display();
        let problem = format!(
            "{jar} is another version than ScienceWorld {}: of the task {} it has {has}, not {} variations",
            find::VERSION,
            task.name,
            task.variations
        );
        Err(Error::hinted(problem, ANOTHER_VERSION))
    }

    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// False once an exchange was cut short: replies would no longer belong to commands.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// The Java process's id in the system.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Loads a world. With `gold` the simulator also searches for a path to the goal, which takes up to 12 s and much
    /// memory, and may leave it in another world than without.
    pub fn load(&mut self, variation: Variation, simplifications: &str, gold: bool) -> Result<()> {
        let Variation { task, number } = variation;
        let arguments =
            [Argument::Text(task), Argument::Int(number), Argument::Text(simplifications), Argument::Bool(gold)];
        match self.ask_one("load", &arguments)? {
            Value::Text(text) if text.is_empty() => Ok(()),
            refusal => Err(broken(format!("cannot load {variation}: {}", text(&refusal)))),
        }
    }

    pub fn task_description(&mut self) -> Result<String> {
        self.text("getTaskDescription", &[])
    }

    pub fn act(&mut self, action: &str) -> Result<Turn> {
        let commands = [
            self.call("step", &[Argument::Text(action)]),
            self.call("getScore", &[]),
            self.call("getCompleted", &[]),
            self.call("getNumMoves", &[]),
        ];
        let values = self.ask(&commands)?;
        match <[Value; 4]>::try_from(values) {
            Ok([Value::Text(observation), Value::Double(score), Value::Bool(completed), Value::Int(moves)]) => {
                Ok(Turn { observation, score, completed, moves })
            }
            other => Err(broken(format!("a step was answered with {other:?}"))),
        }
    }

    /// What the Python wrapper asks after every step, in its order; the last of it are the valid actions. The other
    /// three are asked because asking is not wholly without effect on the world.
    pub fn look_as_the_wrapper(&mut self) -> Result<Vec<String>> {
        let free = ["freeActionLook", "freeActionInventory", "freeActionTaskDesc"].map(|name| self.call(name, &[]));
        self.ask(&free)?;
        self.valid_actions()
    }

    pub fn valid_actions(&mut self) -> Result<Vec<String>> {
        self.list("getValidActionObjectCombinations")
    }

    pub fn possible_actions(&mut self) -> Result<Vec<String>> {
        self.list("getPossibleActions")
    }

    pub fn possible_objects(&mut self) -> Result<Vec<String>> {
        self.list("getPossibleObjects")
    }

    /// The path to the goal that the last `load` found; empty if it found none.
    pub fn gold_path(&mut self) -> Result<Vec<String>> {
        self.list("getGoldActionSequence")
    }

    pub fn goals(&mut self) -> Result<String> {
        self.text("getGoalProgressStr", &[])
    }

    /// The simulator writes the tree into a file `objectTree.json` in `folder`.
    pub fn object_tree(&mut self, folder: &Path) -> Result<serde_json::Value> {
        let refusal = self.text("getObjectTree", &[Argument::Text(&folder.to_string_lossy())])?;
        if !refusal.is_empty() {
            return Err(broken(refusal));
        }
        let file = std::fs::File::open(folder.join("objectTree.json")).map_err(|e| broken(e.to_string()))?;
        serde_json::from_reader(std::io::BufReader::new(file)).map_err(|e| broken(e.to_string()))
    }

    /// The elements of a Java list of strings, joined over there so that it takes one reply.
    fn list(&mut self, method: &str) -> Result<Vec<String>> {
        let id = match self.ask_one(method, &[])? {
            Value::Object(id) => id,
            other => return Err(broken(format!("{method} was answered with {other:?}"))),
        };
        let join = wire::call("z:java.lang.String", "join", &[Argument::Text("\n"), Argument::Object(&id)]);
        // Without the release the list would stay in the Java process for good.
        match self.ask(&[join, wire::release(&id)])?.into_iter().next() {
            Some(Value::Text(joined)) if joined.is_empty() => Ok(Vec::new()),
            Some(Value::Text(joined)) => Ok(joined.split('\n').map(str::to_string).collect()),
            other => Err(broken(format!("{method} was answered with {other:?}"))),
        }
    }

    fn text(&mut self, method: &str, arguments: &[Argument]) -> Result<String> {
        match self.ask_one(method, arguments)? {
            Value::Text(text) => Ok(text),
            other => Err(broken(format!("{method} was answered with {other:?}"))),
        }
    }

    fn call(&self, method: &str, arguments: &[Argument]) -> String {
        wire::call(&self.object, method, arguments)
    }

    fn ask_one(&mut self, method: &str, arguments: &[Argument]) -> Result<Value> {
        let command = self.call(method, arguments);
        Ok(self.ask(&[command])?.pop().unwrap_or(Value::Nothing))
    }

    /// The values of several calls. All replies are read before the first exception among them is told.
    fn ask(&mut self, commands: &[String]) -> Result<Vec<Value>> {
        if !self.usable {
            return Err(broken("the Java process is of no more use; call reset".to_string()));
        }
        let lines = self.connection.exchange(commands).map_err(|silence| {
            self.usable = false;
            lost(&mut self.process, silence)
        })?;
        lines.iter().map(|line| wire::read(line).map_err(|refusal| self.refused(refusal))).collect()
    }

    fn refused(&mut self, refusal: Refusal) -> Error {
        let said = match refusal {
            Refusal::Exception(text) => text,
            Refusal::Thrown(id) => {
                let asked = [wire::call(&id, "toString", &[]), wire::release(&id)];
                match self.ask(&asked).ok().and_then(|values| values.into_iter().next()) {
                    Some(value) => text(&value),
                    None => "an exception".to_string(),
                }
            }
            Refusal::Unreadable => {
                self.usable = false;
                "it does not speak py4j's protocol".to_string()
            }
        };
        broken(format!("the simulator failed: {said}"))
    }
}

/// The error of a process that did not answer.
fn lost(process: &mut Process, silence: Silence) -> Error {
    match silence {
        Silence::Closed => process.death(),
        Silence::Failed(error) => error,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn reason(made: Option<Result<Value, Refusal>>) -> String {
    match made {
        Some(Err(Refusal::Exception(text))) => text,
        _ => format!("there is no {CLASS} in it"),
    }
}
