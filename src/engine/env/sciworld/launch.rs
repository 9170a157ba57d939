//! One Java process that runs the simulator: started with a small heap, drained, and gone when we are.
//!
//! The process reads its standard input and ends when that closes, which the kernel sees to however this program
//! ends, SIGKILL included. It listens on loopback only, on a port of its own choice; py4j 0.10.3, which is inside the
//! jar, knows no password, so other users of the same machine could talk to it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::error::{NAME, broken};
use super::find;
use crate::engine::signals::as_started;
use crate::engine::system::machine;
use crate::engine::{Error, Result, cancel};

/// How a Java process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    pub java: PathBuf,
    pub jar: PathBuf,
    /// The largest heap, in MiB.
    pub heap_mb: u32,
    /// Whether identity hashes are constant, see [`SciWorldOptions::deterministic`](super::SciWorldOptions).
    pub deterministic: bool,
    /// The longest wait for the process to start and for each of its answers.
    pub timeout: Duration,
}

/// What keeps a process small. One simulator is one thread, so collector threads gain nothing; the heap gives back what
/// it does not need, and garbage is collected before there is much of it. Both compilers stay: the second takes 27 MB and
/// makes a step 2.4 times as fast.
const SMALL: [&str; 7] = [
    "-Xms8m",
    "-Xss2m",
    "-XX:+UseSerialGC",
    "-XX:ReservedCodeCacheSize=48m",
    "-XX:MaxNewSize=8m",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=25",
];

/// Variables with which Java takes flags from elsewhere; with them two machines would play differently.
const FLAG_VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"];

/// What `-XX:+ExitOnOutOfMemoryError` exits with.
const OUT_OF_MEMORY: i32 = 3;

/// How much of what the process printed last is kept for an error's text.
const TAIL: usize = 2048;

impl Launch {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.java);
        command.arg(format!("-Xmx{}m", self.heap_mb)).args(SMALL);
        command.arg("-XX:+ExitOnOutOfMemoryError");
        if self.deterministic {
            command.args(["-XX:+UnlockExperimentalVMOptions", "-XX:hashCode=2"]);
        }
        command.args(["-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US"]);
        command.arg("-cp").arg(&self.jar).args(["py4j.GatewayServer", "--die-on-broken-pipe", "0"]);
        for name in FLAG_VARIABLES {
            command.env_remove(name);
        }
        command.current_dir(run_folder());
        // Ctrl-C is for us alone: we stop at a clean point.
        command.process_group(0);
        command
    }
}

/// The simulator writes its table of object types (`object_type_ids.tsv`, always the same) to where it runs: not to
/// where the user is.
fn run_folder() -> PathBuf {
    let ours = find::setup_folder().map(|folder| folder.join("run"));
    // Tried, because a plan may look at it and not write there.
    let can_write = |folder: &PathBuf| std::fs::create_dir_all(folder).is_ok() && tempfile::tempfile_in(folder).is_ok();
    ours.filter(can_write).unwrap_or_else(std::env::temp_dir)
}

/// The running processes' ids in the system.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn all_running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// How many Java processes of ours there are.
pub fn running() -> usize {
    all_running().len()
}

/// The memory that they take at the moment.
pub fn resident_bytes() -> u64 {
    all_running().iter().filter_map(|process| machine::resident_bytes(*process)).sum()
}

/// A running Java process. Dropping it ends it.
pub struct Process {
    child: Child,
    tail: Arc<Mutex<Vec<u8>>>,
    heap_mb: u32,
    timeout: Duration,
}

impl Process {
    /// Starts Java and waits until it says on which port it listens.
    pub fn start(launch: &Launch) -> Result<(Process, u16)> {
        let cannot =
            |what: &dyn std::fmt::Display| broken(format!("{} cannot be started: {what}", launch.java.display()));
        let (output, input) = std::io::pipe().map_err(|e| cannot(&e))?;
        let errors = input.try_clone().map_err(|e| cannot(&e))?;
        // The command goes with the call, and with it our copies of the pipe's end: the output ends when Java does.
        let child = as_started(|| launch.command().stdin(Stdio::piped()).stdout(input).stderr(errors).spawn());
        let tail = Arc::new(Mutex::new(Vec::new()));
        let child = child.map_err(|e| cannot(&e))?;
        all_running().push(child.id());
        let mut process = Process { child, tail: Arc::clone(&tail), heap_mb: launch.heap_mb, timeout: launch.timeout };
        let (send, port) = channel();
        std::thread::Builder::new()
            .name("sciworld output".to_string())
            .stack_size(128 << 10)
            .spawn(move || drain(BufReader::new(output), &send, &tail))
            .map_err(|e| cannot(&e))?;
        let port = process.wait_for_port(&port)?;
        Ok((process, port))
    }

    fn wait_for_port(&mut self, port: &Receiver<u16>) -> Result<u16> {
        let begun = Instant::now();
        loop {
            match port.recv_timeout(Duration::from_millis(20)) {
                Ok(port) => return Ok(port),
                Err(RecvTimeoutError::Disconnected) => return Err(self.death()),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > self.timeout => {
                    let limit = self.timeout.as_secs();
                    return Err(broken(format!(
                        "the Java process did not say its port within {limit} s{}",
                        self.said()
                    )));
                }
                Err(RecvTimeoutError::Timeout) => cancel::check()?,
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The error of a process that no longer answers: how it ended, as far as it did.
    pub fn death(&mut self) -> Error {
        let begun = Instant::now();
        // Its end may be seen on the connection a moment before the process is gone.
        while begun.elapsed() < Duration::from_secs(2) {
            match self.child.try_wait() {
                Ok(Some(status)) => return self.ended(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(_) => break,
            }
        }
        broken(format!("the Java process closed the connection{}", self.said()))
    }

    fn ended(&self, status: ExitStatus) -> Error {
        if status.code() == Some(OUT_OF_MEMORY) {
            let problem = format!("the Java process ran out of its heap of {} MiB", self.heap_mb);
            return Error::Environment {
                name: NAME.to_string(),
                source: Box::new(Error::hinted(problem, "give it more with heap_mb; the next reset starts a new one")),
            };
        }
        use std::os::unix::process::ExitStatusExt;
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_string(),
        };
        broken(format!("the Java process {how}{}", self.said()))
    }

    /// The last line that the process printed, to be appended to an error.
    fn said(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let text = String::from_utf8_lossy(&tail);
        match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            Some(line) => format!("; it said last: {}", line.chars().take(200).collect::<String>()),
            None => String::new(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        all_running().retain(|process| *process != self.child.id());
    }
}

/// Reads what the process prints until it ends: a full pipe would block it. The first line that is a number is the
/// port; lines before it may be warnings of Java's.
fn drain(mut output: impl BufRead, port: &Sender<u16>, tail: &Mutex<Vec<u8>>) {
    let mut said = false;
    let mut line = Vec::new();
    // A line of any length is read in pieces.
    while let Ok(length @ 1..) = output.by_ref().take(1 << 16).read_until(b'\n', &mut line) {
        debug_assert!(length <= 1 << 16);
        let number = || std::str::from_utf8(&line).ok()?.trim().parse().ok();
        match number() {
            Some(number) if !said => said = port.send(number).is_ok(),
            _ => {
                let mut tail = tail.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                tail.extend_from_slice(&line);
                let surplus = tail.len().saturating_sub(TAIL);
                tail.drain(..surplus);
            }
        }
        line.clear();
    }
}
