//! `wandb beta sync --live`, where the user has it: uploads a run while it is written.
//!
//! An upload outlives the process that it reads from: cut off, W&B would upload all of it a second time. So a run that goes on
//! may find that the upload of its earlier fragments is still at work, and waits for it: two of them upload everything twice.
//! While an upload is at work, its file `uploading` in the newest of its folders is locked.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::log::is_taken;
use crate::engine::signals::as_started;
use crate::engine::{Error, Result};

/// An upload that reads along.
#[derive(Debug)]
pub struct Live(Receiver<io::Result<bool>>);

impl Live {
    /// `program`: the user's `wandb`. `folders`: what [`Wandb::folders`](super::Wandb::folders) says.
    pub fn start(program: &Path, folders: &[&Path]) -> Live {
        let (report, result) = channel();
        let (program, folders) = (program.to_path_buf(), folders.iter().map(|path| path.to_path_buf()).collect());
        std::thread::spawn(move || report.send(upload(&program, folders)));
        Live(result)
    }

    /// Waits until all is uploaded: whether it is. What is not uploaded when `patience` is over goes on by itself.
    pub fn finish(&self, patience: Duration) -> Result<bool> {
        match self.0.recv_timeout(patience) {
            Ok(Ok(uploaded)) => Ok(uploaded),
            Ok(Err(error)) => Err(Error::message(format!("wandb cannot be started: {error}"))),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(false),
        }
    }
}

fn upload(program: &Path, folders: Vec<PathBuf>) -> io::Result<bool> {
    while folders.iter().any(|folder| is_uploading(folder)) {
        std::thread::sleep(Duration::from_millis(200));
    }
    let newest = folders.last().expect("a run has a folder");
    let mut command = Command::new(program);
    command.args(["beta", "sync", "--live", "--yes", "--skip-synced"]).args(&folders);
    // Standard input keeps the file locked as long as the upload lives. Ctrl-C is for the run, whose end the upload is to read.
    command.stdin(lock(newest)?).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = as_started(|| command.spawn())?;
    drop(command);
    Ok(child.wait()?.success())
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(folder.join("uploading"))?;
    is_taken(&file);
    Ok(file)
}

fn is_uploading(folder: &Path) -> bool {
    let file = OpenOptions::new().append(true).open(folder.join("uploading"));
    file.is_ok_and(|file| is_taken(&file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A `wandb` that says what it was called with, and waits for a file `go`.
    fn program(folder: &Path) -> PathBuf {
        let (path, go, calls) = (folder.join("wandb"), folder.join("go"), folder.join("calls"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\nwhile [ ! -e {} ]; do sleep 0.02; done\n",
            calls.display(),
            go.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_second_upload_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        let program = program(folder.path());
        let calls = || std::fs::read_to_string(folder.path().join("calls")).unwrap_or_default().lines().count();
        let upload = Live::start(&program, &[&first]);
        while calls() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let later = Live::start(&program, &[&first, &second]);
        assert!(!later.finish(Duration::from_millis(300)).unwrap());
        assert_eq!(calls(), 1);
        std::fs::write(folder.path().join("go"), "").unwrap();
        assert!(upload.finish(Duration::from_secs(20)).unwrap());
        assert!(later.finish(Duration::from_secs(20)).unwrap());
        assert_eq!(calls(), 2);
    }
}
