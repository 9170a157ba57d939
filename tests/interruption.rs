//! Ctrl-C and SIGTERM, wherever they arrive: the work stops at a clean point, and the exit code is 130.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use super::cli::{affine, code, interrupt, stderr, stdout};

/// Starts `script`, which prints `ready`, sends it `signals` one after the other, and waits for its end.
fn interrupted(script: &str, signals: &[&str]) -> Output {
    interrupt(affine().args(["-e", script]), signals)
}

fn assert_stopped(script: &str, output: &Output) {
    let text = stderr(output);
    assert_eq!(code(output), 130, "{script}: {text}");
    assert!(text.ends_with("affine: interrupted\n"), "{script}: {text}");
}

#[test]
fn ctrl_c_ends_loops_that_catch_errors_in_coroutines_and_sleeps() {
    let scripts = [
        "print 'ready' while true do end",
        "print 'ready' while true do pcall(function() while true do end end) end",
        "print 'ready' while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "print 'ready' while true do xpcall(function() while true do end end, print) end",
        "print 'ready' while true do load(function() while true do end end) end",
        "print 'ready' while true do pcall(require('affine.time').sleep, 1000) end",
        // A coroutine that was made before and runs in another one.
        "local inner = coroutine.create(function() while true do end end) print 'ready'\n\
         coroutine.wrap(function() while true do coroutine.resume(inner) end end)()",
        // A coroutine that ran before, and the main one again.
        "coroutine.wrap(function() coroutine.yield(1) end)() print 'ready' while true do pcall(string.rep, 'x', 10) end",
        "print 'ready' while true do pcall(require, 'no.such.module') end",
    ];
    for script in scripts {
        assert_stopped(script, &interrupted(script, &["-INT"]));
    }
    assert_eq!(code(&interrupted(scripts[0], &["-TERM"])), 130);
}

#[test]
fn ctrl_c_lets_close_handlers_tidy_up() {
    let script = "local guard <close> = setmetatable({}, { __close = function() print 'closed' end })\n\
                  print 'ready' while true do end";
    assert_eq!(stdout(&interrupted(script, &["-INT"])), "closed\n");
}

#[test]
fn a_second_ctrl_c_ends_what_does_not_listen() {
    // Backtracking inside string.find never returns to Lua.
    let script = "print 'ready' string.find(string.rep('a', 60), string.rep('a-', 60) .. 'b')";
    assert_eq!(code(&interrupted(script, &["-INT", "-INT"])), 130);
}

const TINY: &str = "local affine, tiny = require 'affine', dofile 'tests/lua/tiny.lua'\n";

#[test]
fn ctrl_c_stops_a_decode_a_rollout_an_evaluation_and_what_scripts_do_in_them() {
    let scripts = [
        "local m = tiny.model { max_position_embeddings = 100000 }\nprint 'ready'\n\
         while true do pcall(m.generate, m, { 'red' }, { max_new_tokens = 90000, stop = { '~~~~' } }) end",
        "local ppo, e = tiny.ppo(), tiny.environment()\nprint 'ready'\n\
         while true do pcall(ppo.rollout, ppo, { e }, 1000) end",
        "local m, e = tiny.model(), tiny.environment()\nprint 'ready'\n\
         while true do pcall(affine.eval.run, m, { envs = { e }, num_eval_samples = 5000 }) end",
        // An environment that never answers.
        "local e = affine.env.make(affine.env.define { name = 'e', prompt = 'Go.', reset = function() return '' end,\n\
         step = function() print 'ready' while true do end end })\ntiny.ppo():rollout({ e }, 1)",
    ];
    for script in scripts {
        let script = format!("{TINY}{script}");
        assert_stopped(&script, &interrupted(&script, &["-INT"]));
    }
}

#[test]
fn ctrl_c_stops_workers_and_whoever_waits_for_them() {
    let scripts = [
        "local pool = require('affine.worker').pool('return function() while true do pcall(error) end end', { threads = 2 })\n\
         print 'ready' while true do pcall(pool.map, pool, { 1, 2, 3 }) end",
        "print 'ready' require('affine.worker').pool('while true do end')",
    ];
    for script in scripts {
        assert_stopped(script, &interrupted(script, &["-TERM"]));
    }
}

/// A training script in `folder` that is ready once its first step is done.
fn training(folder: &Path, body: &str) -> String {
    let options = format!("output_dir = '{}', max_new_tokens = 1, iterations = 100000", folder.display());
    let sft = format!(
        "data = tiny.records(), output_dir = '{}', max_steps = 100000, save_steps = 0, logging_steps = 0",
        folder.display()
    );
    format!("{TINY}local trainer = affine.trainer\n{}", body.replace("$SFT", &sft).replace("$PPO", &options))
}

#[test]
fn ctrl_c_finishes_the_step_and_saves_it_whatever_the_training_was_doing() {
    let scripts = [
        "local first = true\ntrainer.sft(tiny.model(), { $SFT, on_step = function() if first then print 'ready' end first = false end }):run()",
        "trainer.sft(tiny.model(), { $SFT, on_step = function() print 'ready' while true do end end }):run()",
        "for step in trainer.sft(tiny.model(), { $SFT }):steps() do print 'ready' while true do end end",
        "for step in trainer.sft(tiny.model(), { $SFT, on_step = function() print 'ready' while true do end end }):steps() do end",
        "trainer.ppo(tiny.model(), { $PPO, on_iteration = function() print 'ready' while true do end end }):run { envs = { tiny.environment() } }",
        "for it in trainer.ppo(tiny.model(), { $PPO }):iterations { tiny.environment() } do print 'ready' while true do end end",
    ];
    for script in scripts {
        let folder = tempfile::tempdir().unwrap();
        let script = training(folder.path(), script);
        assert_stopped(&script, &interrupted(&script, &["-INT"]));
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let saved: Vec<_> = entries.filter(|name| name.to_string_lossy().starts_with("checkpoint-")).collect();
        assert_eq!(saved.len(), 1, "{script}: {saved:?}");
    }
}

#[test]
fn ctrl_c_stops_a_download() {
    // A Hub that takes the call and never answers.
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", hub.local_addr().unwrap());
    let script = "print 'ready' require('affine.model').load 'owner/name'";
    let cache = tempfile::tempdir().unwrap();
    let mut command = affine();
    command.args(["-e", script]).env("HF_ENDPOINT", address).env("HF_HOME", cache.path()).env_remove("HF_HUB_OFFLINE");
    command.env("AFFINE_LOG", "warn");
    assert_stopped(script, &interrupt(&mut command, &["-INT"]));
}
