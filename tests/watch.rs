//! `affine watch` as a person meets it: in a terminal, and where there is none.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

fn row(iteration: u64) -> String {
    let row = json!({ "stage": "rl", "iteration": iteration, "total": 20, "seconds": 1, "time": 1.8e9 + iteration as f64,
                      "score_mean": { "grid": iteration as f64 / 20.0 } });
    format!("{row}\n")
}

fn append(run: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(run.join("metrics.jsonl"));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// What is seen on a terminal, as far as `affine watch` draws: text, and where it goes.
#[derive(Default)]
struct Seen {
    /// All that came.
    bytes: Vec<u8>,
}

impl Seen {
    fn holds(&self, what: &str) -> bool {
        self.bytes.windows(what.len()).any(|part| part == what.as_bytes())
    }

    /// The lines of the screen.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let mut cells = vec![vec![' '; 200]; 60];
        let (mut x, mut y) = (0, 0);
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c == '\u{1b}' {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len() - 1);
                if rest.as_bytes()[end] == b'H' {
                    let (row, column) = rest[1..end].split_once(';').unwrap();
                    (y, x) = (row.parse::<usize>().unwrap() - 1, column.parse::<usize>().unwrap() - 1);
                }
                rest = &rest[end + 1..];
            } else if !c.is_control() {
                cells[y][x] = c;
                x += 1;
            }
        }
        cells.into_iter().map(|line| line.into_iter().collect()).collect()
    }
}

/// `affine watch` in a terminal of 80 columns and 24 lines.
struct Terminal {
    child: Child,
    /// The end that a person has.
    master: File,
    seen: Arc<Mutex<Seen>>,
    before: libc::termios,
}

impl Terminal {
    fn start(run: &Path) -> Terminal {
        let (mut master, mut slave) = (0, 0);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: two numbers to fill in, no name, no settings, and a size.
        let opened = unsafe { libc::openpty(&mut master, &mut slave, std::ptr::null_mut(), std::ptr::null(), &size) };
        assert_eq!(opened, 0);
        // SAFETY: both were just opened and are nobody else's.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let before = settings(&master);
        let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
        command.args(["watch"]).arg(run).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // SAFETY: both calls are allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let (seen, mut output) = (Arc::new(Mutex::new(Seen::default())), master.try_clone().unwrap());
        let filled = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                filled.lock().unwrap().bytes.extend_from_slice(&buffer[..length]);
            }
        });
        Terminal { child, master, seen, before }
    }

    fn wait_for(&self, what: &str) {
        let begun = Instant::now();
        while !self.seen.lock().unwrap().lines().iter().any(|line| line.contains(what)) {
            let lines = || self.seen.lock().unwrap().lines().join("\n");
            assert!(begun.elapsed() < Duration::from_secs(10), "{what:?} is not seen:\n{}", lines());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a process of ours.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for its end: the terminal is as it was.
    fn end(mut self) -> ExitStatus {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(begun.elapsed() < Duration::from_secs(10), "it goes on"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        std::thread::sleep(Duration::from_millis(50));
        let after = settings(&self.master);
        let flags = |terminal: &libc::termios| (terminal.c_iflag, terminal.c_oflag, terminal.c_lflag);
        assert_eq!(flags(&after), flags(&self.before));
        let seen = self.seen.lock().unwrap();
        assert!(seen.holds("\x1b[?1049h") && seen.holds("\x1b[?1049l") && seen.holds("\x1b[?25h"));
        status
    }
}

fn settings(terminal: &File) -> libc::termios {
    let mut settings = MaybeUninit::zeroed();
    // SAFETY: it is a terminal, which fills the settings in.
    unsafe {
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()), 0);
        settings.assume_init()
    }
}

fn begun(root: &Path) -> PathBuf {
    let run = root.join("20270115-080000-demo");
    fs::create_dir(&run).unwrap();
    append(&run, &row(1));
    std::os::unix::fs::symlink(run.file_name().unwrap(), root.join("latest")).unwrap();
    run
}

#[test]
fn a_run_is_watched_in_a_terminal_while_it_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let run = begun(root.path());
    let mut terminal = Terminal::start(&root.path().join("latest"));
    terminal.wait_for("20270115-080000-demo");
    terminal.wait_for("1/20 iterations");
    append(&run, &(2..=12).map(row).collect::<String>());
    terminal.wait_for("12/20 iterations");
    terminal.press("?");
    terminal.wait_for("leave; the run goes on");
    terminal.press("?");
    let size = libc::winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: a size for a terminal of ours, whose process hears of it.
    unsafe { libc::ioctl(terminal.master.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    // Side by side from 110 columns on.
    terminal.wait_for("┐┌ episodes");
    let next = root.path().join("20270115-090000-next");
    fs::create_dir(&next).unwrap();
    fs::remove_file(root.path().join("latest")).unwrap();
    std::os::unix::fs::symlink(next.file_name().unwrap(), root.path().join("latest")).unwrap();
    terminal.wait_for("latest moved on from 20270115-080000-demo to 20270115-090000-next");
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn a_run_that_has_not_begun_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&root.path().join("latest"));
    terminal.wait_for("waiting for it to begin");
    begun(root.path());
    terminal.wait_for("1/20 iterations");
    // Ctrl-C, which is a key here.
    terminal.press("\x03");
    assert!(terminal.end().success());
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let root = tempfile::tempdir().unwrap();
    begun(root.path());
    let terminal = Terminal::start(&root.path().join("latest"));
    terminal.wait_for("1/20 iterations");
    terminal.signal(libc::SIGTERM);
    assert_eq!(terminal.end().code(), Some(130));
}

#[test]
fn a_second_signal_gives_it_back_where_a_file_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let run = begun(root.path());
    let terminal = Terminal::start(&run);
    terminal.wait_for("1/20 iterations");
    // To open a pipe is to wait for who writes to it.
    let made = Command::new("mkfifo").arg(run.join("pipe")).status().unwrap();
    assert!(made.success());
    fs::rename(run.join("pipe"), run.join("metrics.jsonl")).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    terminal.signal(libc::SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    terminal.signal(libc::SIGTERM);
    assert_eq!(terminal.end().code(), Some(130));
}

fn without_terminal(args: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    let output = command.arg("watch").args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_a_terminal_a_text_tells_how_it_stands() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("runs");
    let (code, _, error) = without_terminal(&[], root.path());
    assert_eq!(code, Some(1));
    assert!(error.starts_with("affine: runs/latest: there is no such run\nhint: "), "{error}");
    fs::create_dir(&runs).unwrap();
    begun(&runs);
    let wanted = "20270115-080000-demo: over, after 0:01\n  rl       1/20 iterations, 1.0 s each\n  iteration 1: score_mean \
                  grid 0.05, seconds 1\n  no alarms\n";
    for args in [&[][..], &["--once"], &["latest"], &["runs/20270115-080000-demo"], &["20270115-080000-demo"]] {
        assert_eq!(without_terminal(args, root.path()), (Some(0), wanted.to_string(), String::new()), "{args:?}");
    }
}
