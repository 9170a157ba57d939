//! Signals at the level of the process: who blocks them, what children inherit, what a storm of them does to training.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::cli::{affine, code, interrupt, stderr, stdout};

/// Training in float32 on shapes that oneDNN's generated products take, for ever.
const TRAINING: &str = r#"
local model, tokenizer, trainer = require "affine.model", require "affine.tokenizer", require "affine.trainer"
local texts, data = {}, {}
for i = 1, 50 do texts[i] = "go to the red ball " .. i .. " turn left move forward answer" end
for i = 1, 256 do data[i] = { text = ("red ball "):rep(5 + i % 40) } end
local m = model.create {
  tokenizer = tokenizer.train(texts, { vocab_size = 300 }), preset = "tiny", hidden_size = 96, num_hidden_layers = 3,
  num_attention_heads = 3, num_key_value_heads = 1, head_dim = 32, intermediate_size = 256,
}
local sft = trainer.sft(m, {
  data = data, max_steps = 100000, batch_size = 32, output_dir = arg[1], save_steps = 0, logging_steps = 0, train_on = "all",
})
for step in sft:steps() do if step.step == 2 then print "ready" end end
"#;

/// A child that has printed `ready`.
fn started(command: &mut Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, reader)
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the number is that of our own child, which nobody has waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// A set of signals as `/proc` tells it, per thread.
fn sets(process: u32, name: &str) -> Vec<(String, u64)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |task: &Path| {
        let status = fs::read_to_string(task.join("status")).unwrap();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_string();
        (field("Name:"), u64::from_str_radix(&field(name), 16).unwrap())
    };
    tasks.map(|task| of(&task.unwrap().path())).collect()
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn no_thread_that_computes_can_be_made_to_run_a_handler() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = affine();
    command.args(["-e", TRAINING]).arg(folder.path()).env("OMP_NUM_THREADS", "2");
    let (mut child, _reader) = started(&mut command);
    let caught = sets(child.id(), "SigCgt:")[0].1;
    // Faults, whose handlers have stacks of their own, and what the C library keeps to itself.
    let faults = bit(libc::SIGSEGV) | bit(libc::SIGBUS) | bit(32) | bit(33);
    let blocked = sets(child.id(), "SigBlk:");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(blocked.len() > 2, "{blocked:?}");
    assert_ne!(caught & bit(libc::SIGINT), 0);
    for (name, blocked) in blocked.iter().filter(|(name, _)| name != "signals") {
        assert_eq!(caught & !faults & !blocked, 0, "{name} blocks {blocked:x} of {caught:x}");
    }
}

#[test]
fn a_storm_of_signals_leaves_training_whole() {
    for signal in [libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = affine();
        command.args(["-e", TRAINING]).arg(folder.path()).env("OMP_NUM_THREADS", "2");
        let (mut child, mut reader) = started(&mut command);
        for _ in 0..1000 {
            send(&child, signal);
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        send(&child, libc::SIGTERM);
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        reader.read_to_string(&mut String::new()).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{signal}: {status} {errors}");
        let saved = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(saved.filter(|name| name.to_string_lossy().starts_with("checkpoint-")).count(), 1, "{signal}");
    }
}

#[test]
fn what_a_script_starts_hears_ctrl_c() {
    // The shell's own mask, whichever way it was started.
    let script = "local read = \"grep SigBlk /proc/self/status\"\n\
                  os.execute(read) local pipe <close> = io.popen(read) print(pipe:read 'a')";
    let output = affine().args(["-e", script]).output().unwrap();
    let text = stdout(&output);
    let masks: Vec<&str> = text.split_whitespace().filter(|word| *word != "SigBlk:").collect();
    assert_eq!(masks, ["0000000000000000"; 2], "{text}");
}

#[test]
fn a_mask_that_was_inherited_changes_nothing() {
    let mut command = affine();
    command.args(["-e", "print 'ready' while true do end"]);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            Ok(())
        });
    }
    assert_eq!(code(&interrupt(&mut command, &["-INT"])), 130);
}

#[test]
fn a_hang_up_that_is_ignored_from_the_start_stays_so() {
    let mut command = affine();
    command.args(["-e", "print 'ready' require('affine.time').sleep(0.5) print 'slept'"]);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    let (mut child, mut reader) = started(&mut command);
    send(&child, libc::SIGHUP);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("slept\n", Some(0)));
}

#[test]
fn ctrl_c_ends_what_waits_for_a_child_or_for_input() {
    for script in [
        "print 'ready' os.execute 'sleep 1000'",
        "print 'ready' while true do pcall(os.execute, 'sleep 1000') end",
        "print 'ready' io.read()",
        "print 'ready' for line in io.lines() do end",
        "local pipe = io.popen 'sleep 1000' print 'ready' pipe:read()",
    ] {
        // An input that never comes.
        let output = interrupt(affine().args(["-e", script]).stdin(Stdio::piped()), &["-INT"]);
        assert_eq!(code(&output), 130, "{script}: {}", stderr(&output));
        assert!(stderr(&output).ends_with("affine: interrupted\n"), "{script}: {}", stderr(&output));
    }
}

#[test]
fn os_execute_tells_what_luas_own_tells() {
    let script = "print(os.execute()) print(os.execute 'exit 3') print(os.execute 'true')\n\
                  print(os.execute 'kill -9 $$') print(pcall(os.execute, {}))\n\
                  print(pcall(io.popen, 'true', 'x')) print(io.popen('cat', 'w'):close())";
    let output = affine().args(["-e", script]).output().unwrap();
    assert_eq!(
        stdout(&output),
        "true\nnil\texit\t3\ntrue\texit\t0\nnil\tsignal\t9\n\
         false\t(command line):2: os.execute: argument 1 (command): expected string, got table\n\
         false\t(command line):3: io.popen: mode: expected \"r\" or \"w\", got \"x\"\ntrue\texit\t0\n"
    );
}
