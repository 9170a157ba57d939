//! A fork server: a warm interpreter behind the walls that runs one program after the other.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};

use super::folder::Folder;
use super::interpreter::Interpreter;
use super::launch::{self, FAILED, Start, Walls};
use super::program::Program;
use super::{files, syscalls};
use crate::engine::error::Context;
use crate::engine::{Error, Result, cancel};

const SOURCE: &str = include_str!("server.py");

/// How long an interpreter may take to start, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a wait may overlook Ctrl-C.
pub const SLICE: Duration = Duration::from_millis(20);

/// Open files per program.
const OPEN_FILES: u64 = 64;
/// Bytes per file.
pub const FILE_SIZE: u64 = 16 << 20;

pub struct Server {
    pid: libc::pid_t,
    control: OwnedFd,
    pub folder: Folder,
    /// It waits for a program, and its folder is empty.
    ready: bool,
}

/// What a server says.
pub enum Answer {
    /// The program's wait status and its processor time.
    Ended { status: i32, cpu: Duration },
    /// Nothing more: it is dead.
    Gone,
}

impl Server {
    pub fn start(interpreter: &Interpreter, walls: &Walls) -> Result<Self> {
        loop {
            let (mut server, complaints) = Server::launch(interpreter, walls)?;
            match server.first_word()? {
                FirstWord::Ready => {
                    server.ready = true;
                    return Ok(server);
                }
                FirstWord::Failed(_) if walls.ask_for_less() => {}
                FirstWord::Failed(error) => return Err(error),
                FirstWord::Nothing => return Err(died_at_start(complaints)),
            }
        }
    }

    /// A server that may not have started yet, and what it complains of.
    fn launch(interpreter: &Interpreter, walls: &Walls) -> Result<(Self, OwnedFd)> {
        let folder = Folder::new()?;
        let kind = SocketType::SEQPACKET;
        let (ours, control) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(io_error)?;
        let (stdin, _) = pipe_with(PipeFlags::CLOEXEC).map_err(io_error)?;
        let (complaints, stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(io_error)?;
        let start = Start {
            executable: open(interpreter)?,
            arguments: arguments(interpreter, walls)?,
            variables: variables(&folder)?,
            folder: text(folder.path().as_os_str())?,
            ruleset: if walls.has_landlock() { Some(files::ruleset(interpreter, folder.path())?) } else { None },
            stdin,
            stdout,
            control,
        };
        let pid = launch::launch(&start, walls)?;
        Ok((Server { pid, control: ours, folder, ready: false }, complaints))
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Sends a program with its standard streams. `false`: the server is dead.
    pub fn send(&mut self, program: &Program, streams: [BorrowedFd; 3]) -> Result<bool> {
        self.ready = false;
        let path = self.folder.source();
        fs::write(&path, &program.code).map_err(|error| Error::file(&path, error))?;
        let request = format!("{} {}", program.limits.memory, program.limits.cpu_seconds());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&streams));
        let sent = sendmsg(&self.control, &[IoSlice::new(request.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL);
        Ok(sent.is_ok())
    }

    /// The answer that [`control`](Self::control) announces.
    pub fn answer(&mut self) -> Result<Answer> {
        let mut buffer = [0; 64];
        let answer = self.receive(&mut buffer);
        if answer.is_empty() {
            return Ok(Answer::Gone);
        }
        let (status, cpu) = parse(answer)?;
        self.ready = self.folder.clear().is_ok();
        Ok(Answer::Ended { status, cpu })
    }

    /// Kills it with whatever runs inside.
    pub fn kill(&mut self) {
        self.ready = false;
        // SAFETY: the number is that of our own child, which nobody has waited for.
        unsafe {
            libc::kill(-self.pid, libc::SIGKILL);
            libc::kill(self.pid, libc::SIGKILL);
        }
    }

    fn first_word(&mut self) -> Result<FirstWord> {
        let started = Instant::now();
        while !is_readable(self.control(), SLICE)? {
            cancel::check()?;
            if started.elapsed() > PATIENCE {
                return Err(Error::message(format!("the interpreter did not start in {} s", PATIENCE.as_secs())));
            }
        }
        let mut buffer = [0; 64];
        Ok(match self.receive(&mut buffer) {
            b"ready" => FirstWord::Ready,
            [] => FirstWord::Nothing,
            other => {
                FirstWord::Failed(parse(other).err().unwrap_or_else(|| Error::message("an answer to no question")))
            }
        })
    }

    fn receive<'a>(&self, buffer: &'a mut [u8]) -> &'a [u8] {
        // A connection that is reset is one that has ended.
        let length = recv(&self.control, &mut *buffer, RecvFlags::empty()).map_or(0, |(length, _)| length);
        &buffer[..length.min(buffer.len())]
    }
}

/// What a server says first.
enum FirstWord {
    Ready,
    /// A step on the way failed.
    Failed(Error),
    /// It died.
    Nothing,
}

fn died_at_start(complaints: OwnedFd) -> Error {
    let mut said = String::new();
    // What cannot be read has not been said.
    let _ = File::from(complaints).take(1 << 16).read_to_string(&mut said);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Error::message(format!("the interpreter does not start inside the sandbox: {}", last.trim()))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        // SAFETY: as in `kill`; nobody asks for the status.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

fn parse(answer: &[u8]) -> Result<(i32, Duration)> {
    if let [FAILED, step, errno] = *answer {
        return Err(launch::failure(step, errno));
    }
    let text = String::from_utf8_lossy(answer);
    let numbers = text.split_once(' ').and_then(|(status, cpu)| Some((status.parse().ok()?, cpu.parse().ok()?)));
    let (status, microseconds) = numbers.ok_or_else(|| Error::message(format!("the sandbox answered `{text}`")))?;
    Ok((status, Duration::from_micros(microseconds)))
}

/// Whether a read would not wait, after at most `span`.
pub fn is_readable(descriptor: BorrowedFd, span: Duration) -> Result<bool> {
    let mut descriptors = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    wait(&mut descriptors, span)?;
    Ok(!descriptors[0].revents().is_empty())
}

/// `poll` for at most `span`; a signal ends the wait early.
pub fn wait(descriptors: &mut [PollFd], span: Duration) -> Result<()> {
    let span = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: span.subsec_nanos().into() };
    match poll(descriptors, Some(&span)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(io_error(error)),
    }
}

pub fn io_error(error: rustix::io::Errno) -> Error {
    Error::message(io::Error::from(error).to_string()).within("sandbox")
}

fn open(interpreter: &Interpreter) -> Result<OwnedFd> {
    let path = &interpreter.executable;
    File::open(path).map(OwnedFd::from).map_err(|error| Error::file(path, error))
}

fn arguments(interpreter: &Interpreter, walls: &Walls) -> Result<Vec<CString>> {
    let filter = if walls.has_seccomp() { hex(&syscalls::program()?) } else { String::new() };
    let (files, size) = (OPEN_FILES.to_string(), FILE_SIZE.to_string());
    let rest = ["-S", "-s", "-B", "-c", SOURCE, &filter, &files, &size];
    let rest = rest.iter().map(OsStr::new);
    std::iter::once(interpreter.executable.as_os_str()).chain(rest).map(text).collect()
}

/// The same order of sets in every run; text in UTF-8; nothing of the user's own variables.
fn variables(folder: &Folder) -> Result<Vec<CString>> {
    let folder = folder.path().display();
    let mut variables = vec![
        "LANG=C.UTF-8".to_string(),
        "PYTHONHASHSEED=0".to_string(),
        format!("HOME={folder}"),
        format!("TMPDIR={folder}"),
    ];
    // An interpreter that needs it to start needs it here too.
    variables.extend(std::env::var("LD_LIBRARY_PATH").ok().map(|path| format!("LD_LIBRARY_PATH={path}")));
    variables.iter().map(|variable| text(OsStr::new(variable))).collect()
}

fn text(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::message("a path with a NUL byte in it")).context("sandbox")
}

/// A filter's instructions as the kernel lays them out.
fn hex(filter: &[seccompiler::sock_filter]) -> String {
    let bytes = filter.iter().flat_map(|instruction| {
        let [c0, c1] = instruction.code.to_ne_bytes();
        let [k0, k1, k2, k3] = instruction.k.to_ne_bytes();
        [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
    });
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
