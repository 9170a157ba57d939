//! A door into a running process: a socket in its run's folder, through which its user sends code that the process runs between
//! two steps.
//!
//! A thread takes connections and hands requests on; the thread that trains asks [`Door::next`] between two steps, which costs
//! it a look at one flag. Who knocks must be the user whose process it is.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use serde::{Deserialize, Serialize};

use crate::engine::file::reason;
use crate::engine::{Error, Result, cancel};

/// The socket's name in a run's folder.
pub const SOCKET: &str = "attach.sock";

/// What was run through the door, a line of JSON each.
const JOURNAL: &str = "attached.jsonl";

/// How long a wait may overlook Ctrl-C.
const SLICE: Duration = Duration::from_millis(50);

/// What a client sends, a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    Run(String),
    /// Ends what the last one runs.
    Stop,
}

/// What it hears of a piece of code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was printed, and the values of an expression.
    pub output: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The code ends too early to be run: more lines are wanted.
    #[serde(default)]
    pub unfinished: bool,
}

/// A piece of code that waits to be run, and whom to answer.
pub struct Request {
    pub code: String,
    /// Whether the client wants it to end.
    pub stop: Arc<AtomicBool>,
    client: u32,
    answer: Sender<Answer>,
}

/// The inside of a run's door. Dropped, it closes.
pub struct Door {
    folder: PathBuf,
    requests: Receiver<Request>,
    /// Requests that wait.
    waiting: Arc<AtomicUsize>,
    is_closed: Arc<AtomicBool>,
}

impl Door {
    /// Opens the door of a run's folder.
    pub fn open(folder: &Path) -> Result<Door> {
        let path = folder.join(SOCKET);
        let refused = |error: std::io::Error| Error::file(&path, format!("cannot be made: {}", reason(&error)));
        // Of a process that was killed.
        let _ = std::fs::remove_file(&path);
        let listener = short(folder, UnixListener::bind).map_err(refused)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(refused)?;
        let (sender, requests) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let is_closed = Arc::new(AtomicBool::new(false));
        let (counted, closed) = (waiting.clone(), is_closed.clone());
        let listen = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let (sender, waiting) = (sender.clone(), counted.clone());
                std::thread::spawn(move || serve(stream, &sender, &waiting));
            }
        };
        std::thread::Builder::new().name("attach".to_string()).spawn(listen).map_err(refused)?;
        Ok(Door { folder: folder.to_path_buf(), requests, waiting, is_closed })
    }

    /// The next request, where one waits.
    pub fn next(&self) -> Option<Request> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let request = self.requests.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(request)
    }

    /// Waits for the next request. `None` where nobody can send one any more.
    pub fn wait(&self) -> Result<Option<Request>> {
        loop {
            cancel::check()?;
            match self.requests.recv_timeout(SLICE) {
                Ok(request) => {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    return Ok(Some(request));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Answers a request, and notes in the run's folder who ran what and what came of it.
    pub fn answer(&self, request: &Request, answer: Answer) -> Result<()> {
        if !answer.unfinished {
            let line = serde_json::json!({
                "time": chrono::Utc::now().timestamp_millis() as f64 / 1000.0,
                "uid": request.client,
                "code": request.code,
                "output": answer.output,
                "error": answer.error,
            });
            let path = self.folder.join(JOURNAL);
            let journal = OpenOptions::new().create(true).append(true).open(&path);
            let noted = journal.and_then(|mut journal| journal.write_all(format!("{line}\n").as_bytes()));
            noted.map_err(|error| Error::file(&path, format!("cannot be written: {}", reason(&error))))?;
            tracing::info!("attached, user {}: {}", request.client, request.code.trim());
        }
        // Who has gone is told nothing.
        let _ = request.answer.send(answer);
        Ok(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // The thread that listens wakes up, and ends.
        let _ = short(&self.folder, UnixStream::connect);
        let _ = std::fs::remove_file(self.folder.join(SOCKET));
    }
}

/// A call with a path to the socket of a folder that is short enough for one: by the folder's descriptor.
fn short<T>(folder: &Path, call: impl FnOnce(PathBuf) -> std::io::Result<T>) -> std::io::Result<T> {
    let folder = File::open(folder)?;
    call(PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET))
}

/// A client's connection, until it goes.
fn serve(stream: UnixStream, requests: &Sender<Request>, waiting: &AtomicUsize) {
    let Ok(client) = socket_peercred(&stream) else { return };
    if client.uid != rustix::process::geteuid() {
        return;
    }
    let Ok(mut answers) = stream.try_clone() else { return };
    let stop = Arc::new(AtomicBool::new(false));
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Question::Stop) => stop.store(true, Ordering::SeqCst),
            Ok(Question::Run(code)) => {
                stop.store(false, Ordering::SeqCst);
                let (answer, answered) = channel();
                let request = Request { code, stop: stop.clone(), client: client.uid.as_raw(), answer };
                waiting.fetch_add(1, Ordering::Relaxed);
                if requests.send(request).is_err() {
                    return;
                }
                let mut told = match answers.try_clone() {
                    Ok(told) => told,
                    Err(_) => return,
                };
                // Meanwhile the client may want to stop it.
                std::thread::spawn(move || {
                    if let Ok(answer) = answered.recv() {
                        let _ = told.write_all(format!("{}\n", serde_json::json!(answer)).as_bytes());
                    }
                });
            }
            Err(error) => {
                let answer = Answer { error: Some(format!("no question: {error}")), ..Answer::default() };
                let _ = answers.write_all(format!("{}\n", serde_json::json!(answer)).as_bytes());
            }
        }
    }
    // Who has gone waits for nothing.
    stop.store(true, Ordering::SeqCst);
}

/// The outside of a run's door.
pub struct Visitor {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Visitor {
    pub fn knock(folder: &Path) -> Result<Visitor> {
        let stream = short(folder, UnixStream::connect).map_err(|_| {
            let sentence = format!("{}: no process is at work on this run that could be attached to", folder.display());
            let hint = "it must run on this machine, under your user, in a script that calls track.run and a trainer";
            Error::hinted(sentence, hint)
        })?;
        let gone = |error: std::io::Error| Error::message(format!("the run has gone: {error}"));
        stream.set_read_timeout(Some(SLICE)).map_err(gone)?;
        let answers = BufReader::new(stream.try_clone().map_err(gone)?);
        Ok(Visitor { stream, answers })
    }

    /// Has the run take a piece of code, and waits for what comes of it. `waiting` hears, now and then, that it has not come
    /// yet; where it gives true the code is asked to stop.
    pub fn ask(&mut self, code: &str, mut waiting: impl FnMut() -> bool) -> Result<Answer> {
        self.send(&Question::Run(code.to_string()))?;
        let mut line = String::new();
        let gone = || Error::message("the run has ended");
        loop {
            match self.answers.read_line(&mut line) {
                Ok(0) => return Err(gone()),
                Ok(_) => return serde_json::from_str(&line).map_err(|error| Error::message(error.to_string())),
                Err(error) if is_timeout(&error) => {
                    if waiting() {
                        self.send(&Question::Stop)?;
                    }
                }
                Err(_) => return Err(gone()),
            }
        }
    }

    fn send(&mut self, question: &Question) -> Result<()> {
        let line = format!("{}\n", serde_json::json!(question));
        self.stream.write_all(line.as_bytes()).map_err(|_| Error::message("the run has ended"))
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_answered_and_noted() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a socket's own path may be.
        let run = folder.path().join("r".repeat(120));
        std::fs::create_dir(&run).unwrap();
        let door = Door::open(&run).unwrap();
        assert!(door.next().is_none());
        let mode = std::fs::metadata(run.join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asked = run.clone();
        let client = std::thread::spawn(move || Visitor::knock(&asked).unwrap().ask("1 + 1", || false));
        let request = door.wait().unwrap().unwrap();
        assert_eq!(request.code, "1 + 1");
        let answer = Answer { output: "2\n".to_string(), ..Answer::default() };
        door.answer(&request, answer.clone()).unwrap();
        assert_eq!(client.join().unwrap().unwrap(), answer);
        let journal = std::fs::read_to_string(run.join(JOURNAL)).unwrap();
        assert!(journal.contains(r#""code":"1 + 1","output":"2\n""#), "{journal}");
        drop(door);
        assert!(Visitor::knock(&run).err().unwrap().to_string().contains("no process is at work on this run"));
    }

    #[test]
    fn what_runs_is_asked_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path()).unwrap();
        let path = folder.path().to_path_buf();
        let client = std::thread::spawn(move || Visitor::knock(&path).unwrap().ask("while true do end", || true));
        let request = door.wait().unwrap().unwrap();
        while !request.stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        door.answer(&request, Answer { error: Some("stopped".to_string()), ..Answer::default() }).unwrap();
        assert_eq!(client.join().unwrap().unwrap().error.as_deref(), Some("stopped"));
    }
}
