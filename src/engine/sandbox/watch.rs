//! One run: feeds standard input, collects what is written, and ends the program at the first limit.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::folder;
use super::program::{Limit, Limits, Outcome, Program, Status};
use super::server::{Answer, FILE_SIZE, SLICE, Server, io_error, is_readable, wait};
use crate::engine::{Result, cancel};

/// Bytes on disk of all of a program's files.
const DISK: u64 = 64 << 20;
const THREADS: usize = 64;

/// How a run ended.
pub enum End {
    Done(Outcome),
    /// The server died, and its program with it.
    ServerGone,
}

/// Runs a program on a server; an idle server is given back ready or dead.
pub fn run(server: &mut Server, program: &Program) -> Result<End> {
    let [(their_stdin, stdin), (stdout, their_stdout), (stderr, their_stderr)] = [pipe()?, pipe()?, pipe()?];
    for ours in [&stdin, &stdout, &stderr] {
        fcntl_setfl(ours, OFlags::NONBLOCK).map_err(io_error)?;
    }
    let streams = [their_stdin.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()];
    let sent = server.send(program, streams)?;
    drop((their_stdin, their_stdout, their_stderr));
    if !sent {
        server.kill();
        return Ok(End::ServerGone);
    }
    let limits = &program.limits;
    let mut run = Run {
        limits,
        started: Instant::now(),
        looked: Instant::now(),
        stdin: Some(stdin),
        input: &program.stdin,
        stdout: Stream::new(stdout),
        stderr: Stream::new(stderr),
        end: None,
    };
    let end = run.until_its_end(server);
    if !matches!(end, Ok(Stop::Ended)) {
        server.kill();
    }
    Ok(match end? {
        Stop::Gone => End::ServerGone,
        stop => End::Done(run.outcome(stop)),
    })
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).map_err(io_error)
}

/// Why a run is over.
#[derive(Clone, Copy)]
enum Stop {
    /// By itself.
    Ended,
    Wall,
    Output,
    /// It did what it must not do too much of.
    Excess(&'static str),
    /// The server is dead.
    Gone,
}

struct Run<'a> {
    limits: &'a Limits,
    started: Instant,
    /// When threads and disk were last looked at.
    looked: Instant,
    stdin: Option<OwnedFd>,
    /// What is still to be fed.
    input: &'a [u8],
    stdout: Stream,
    stderr: Stream,
    end: Option<(ExitStatus, Duration)>,
}

impl Run<'_> {
    fn until_its_end(&mut self, server: &mut Server) -> Result<Stop> {
        let wall = Duration::from_secs_f64(self.limits.wall);
        loop {
            if self.end.is_some() && self.stdout.is_over() && self.stderr.is_over() {
                return Ok(Stop::Ended);
            }
            cancel::check()?;
            let left = wall.saturating_sub(self.started.elapsed());
            if left.is_zero() {
                return Ok(Stop::Wall);
            }
            self.wait_for_something(server, left.min(SLICE))?;
            self.feed();
            let limit = self.limits.output;
            if self.stdout.read(limit)? || self.stderr.read(limit)? {
                return Ok(Stop::Output);
            }
            if self.end.is_none() && is_readable(server.control(), Duration::ZERO)? {
                match server.answer()? {
                    Answer::Ended { status, cpu } => self.end = Some((ExitStatus::from_raw(status), cpu)),
                    Answer::Gone => return Ok(Stop::Gone),
                }
            }
            if self.looked.elapsed() >= SLICE && self.end.is_none() {
                self.looked = Instant::now();
                if let Some(excess) = excess(server) {
                    return Ok(Stop::Excess(excess));
                }
            }
        }
    }

    fn wait_for_something(&self, server: &Server, span: Duration) -> Result<()> {
        let mut descriptors = Vec::with_capacity(4);
        if self.end.is_none() {
            descriptors.push(PollFd::from_borrowed_fd(server.control(), PollFlags::IN));
        }
        descriptors.extend(self.stdin.iter().map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        let outputs = [&self.stdout, &self.stderr].into_iter().filter_map(|stream| stream.pipe.as_ref());
        descriptors.extend(outputs.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        wait(&mut descriptors, span)
    }

    /// Writes what the pipe takes; a program that has closed it wants no more.
    fn feed(&mut self) {
        while let Some(stdin) = &self.stdin {
            match rustix::io::write(stdin, self.input) {
                Ok(written) if written < self.input.len() => self.input = &self.input[written..],
                Err(Errno::AGAIN) => return,
                _ => self.stdin = None,
            }
        }
    }

    fn outcome(self, stop: Stop) -> Outcome {
        let killed = |status, limit| (status, limit, None);
        let (status, limit, exit_code) = match (stop, self.end) {
            (Stop::Wall, _) => killed(Status::Timeout, Some(Limit::Wall)),
            (Stop::Output, _) => killed(Status::Output, None),
            (Stop::Ended, Some((end, cpu))) => self.judge(end, cpu),
            _ => killed(Status::Error, None),
        };
        let mut stderr = self.stderr.bytes;
        if let Stop::Excess(what) = stop {
            stderr.extend_from_slice(format!("\nsandbox: killed, it had {what}\n").as_bytes());
        }
        Outcome { status, limit, stdout: self.stdout.bytes, stderr, exit_code }
    }

    fn judge(&self, end: ExitStatus, cpu: Duration) -> (Status, Option<Limit>, Option<i32>) {
        let used_up = cpu.as_secs_f64() >= self.limits.cpu_seconds() as f64;
        match (end.code(), end.signal()) {
            (Some(0), _) => (Status::Ok, None, Some(0)),
            (Some(1), _) if says_memory_error(&self.stderr.bytes) => (Status::Memory, None, Some(1)),
            (Some(code), _) => (Status::Error, None, Some(code)),
            (_, Some(libc::SIGXCPU)) => (Status::Timeout, Some(Limit::Cpu), None),
            // Having caught SIGXCPU.
            (_, Some(libc::SIGKILL)) if used_up => (Status::Timeout, Some(Limit::Cpu), None),
            _ => (Status::Error, None, None),
        }
    }
}

/// Whether a traceback's last line is that of a `MemoryError`.
fn says_memory_error(stderr: &[u8]) -> bool {
    let last = stderr.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty());
    last.is_some_and(|line| line == b"MemoryError" || line.starts_with(b"MemoryError:"))
}

/// What the kernel does not count for us.
fn excess(server: &Server) -> Option<&'static str> {
    let programs = children(server.pid());
    let hidden: u64 = programs.iter().map(|&pid| removed_files(pid)).sum();
    if server.folder.size() + hidden > DISK {
        return Some("more than 64 MiB of files");
    }
    let threads: usize = programs.iter().map(|&pid| threads(pid)).sum();
    (threads > THREADS).then_some("more than 64 threads")
}

/// The server's children, as this process numbers them.
fn children(pid: libc::pid_t) -> Vec<libc::pid_t> {
    let numbers = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Bytes at most in files that have no name any more: those that are open, and those that are mapped.
fn removed_files(pid: libc::pid_t) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open = open.filter_map(|entry| fs::metadata(entry.path()).ok());
    let open: u64 = open.filter(|file| file.is_file() && file.nlink() == 0).map(|file| file.blocks() * 512).sum();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mapped = maps.lines().filter(|line| line.contains(folder::PREFIX) && line.ends_with("(deleted)"));
    // addresses, permissions, offset, device, inode, path
    let inodes: BTreeSet<&str> = mapped.filter_map(|line| line.split_whitespace().nth(4)).collect();
    open + inodes.len() as u64 * FILE_SIZE
}

fn threads(pid: libc::pid_t) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// A pipe that a program writes to.
struct Stream {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Stream {
    fn new(pipe: OwnedFd) -> Self {
        Stream { pipe: Some(pipe), bytes: Vec::new() }
    }

    fn is_over(&self) -> bool {
        self.pipe.is_none()
    }

    /// Takes what is there; `true` once there was more than `limit`, which is cut off.
    fn read(&mut self, limit: u64) -> Result<bool> {
        let mut buffer = [0; 1 << 16];
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(io_error(error)),
            }
            if self.bytes.len() as u64 > limit {
                self.bytes.truncate(limit as usize);
                return Ok(true);
            }
        }
        Ok(false)
    }
}
