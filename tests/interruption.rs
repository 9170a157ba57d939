//! Ctrl-C and its like, wherever they arrive: the work stops at a clean point, and the exit code is 130.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};

use super::cli::{affine, code, interrupt, interrupt_without_answers, stderr, stdout};
use super::track::without_times;

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
    for signal in ["-TERM", "-HUP", "-USR1", "-USR2"] {
        assert_eq!(code(&interrupted(scripts[0], &[signal])), 130, "{signal}");
    }
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
        assert_eq!(saved(folder.path()).len(), 1, "{script}: {:?}", saved(folder.path()));
    }
}

#[test]
fn whatever_asks_to_stop_saves_and_systems_may_repeat_it() {
    for signals in [&["-TERM"][..], &["-HUP"], &["-USR1"], &["-USR2"], &["-USR1", "-TERM"], &["-INT", "-HUP"]] {
        let folder = tempfile::tempdir().unwrap();
        let body =
            "for step in trainer.sft(tiny.model(), { $SFT }):steps() do if step.step == 3 then print 'ready' end end";
        let script = training(folder.path(), body);
        let mut command = affine();
        command.args(["-e", &script]).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(code(&interrupt_without_answers(&mut command, signals)), 130, "{signals:?}");
        assert_eq!(saved(folder.path()).len(), 1, "{signals:?}");
    }
}

/// The names of the checkpoints in a folder.
fn saved(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("checkpoint-")).collect()
}

#[test]
fn ctrl_c_saves_what_was_trained_also_where_no_step_is_taken() {
    let scripts = [
        // In the evaluation of a step.
        "local many = {} for i = 1, 3000 do many[i] = tiny.records()[i % 8 + 1] end\n\
         local begun = function(step) if step.step == 1 then print 'ready' end end\n\
         trainer.sft(tiny.model(), { $SFT, eval_data = many, eval_steps = 2, batch_size = 1, on_step = begun }):run()",
        // In one that the script asks for.
        "local sft = trainer.sft(tiny.model(), { $SFT }) for _ in sft:steps() do break end\n\
         local many = {} for i = 1, 3000 do many[i] = tiny.records()[i % 8 + 1] end print 'ready'\n\
         while true do sft:evaluate(many) end",
        // In a loop of the script's own, between the trainer's calls and in a rollout.
        "local ppo, e = trainer.ppo(tiny.model(), { $PPO }), tiny.environment()\n\
         local batch = ppo:rollout({ e }, 2) ppo:advantages(batch) ppo:update(batch)\n\
         print 'ready' while true do end",
        "local ppo, e = trainer.ppo(tiny.model(), { $PPO }), tiny.environment()\n\
         local batch = ppo:rollout({ e }, 2) ppo:advantages(batch) ppo:update(batch)\n\
         print 'ready' while true do ppo:rollout({ e }, 1000) end",
        // While the model generates in the loop's body.
        "local m = tiny.model { max_position_embeddings = 100000 }\n\
         for _ in trainer.sft(m, { $SFT }):steps() do print 'ready'\n\
         m:generate({ 'red' }, { max_new_tokens = 90000, stop = { '~~~~' } }) end",
    ];
    for script in scripts {
        let folder = tempfile::tempdir().unwrap();
        let script = training(folder.path(), script);
        assert_stopped(&script, &interrupted(&script, &["-INT"]));
        assert_eq!(saved(folder.path()).len(), 1, "{script}");
    }
}

/// Runs a command that says `ready` again and again, interrupting it at each of `after`'s steps, until it ends by itself;
/// every step that its loop heard of.
fn steps_heard(command: &dyn Fn() -> std::process::Command, signal: i32) -> Vec<u64> {
    let mut heard = Vec::new();
    for wanted in [3, 7, u64::MAX] {
        let mut child = command().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let step: u64 = line.unwrap().parse().unwrap();
            heard.push(step);
            if step == wanted {
                // SAFETY: the number is that of our own child, which nobody has waited for.
                unsafe { libc::kill(child.id() as i32, signal) };
            }
        }
        let status = child.wait().unwrap();
        if wanted == u64::MAX {
            assert_eq!(status.code(), Some(0));
        }
    }
    heard
}

/// What runs `body` (see [`training`]), with twelve steps.
fn twelve_steps(folder: &Path, body: &str) -> impl Fn() -> std::process::Command {
    let script = training(folder, body).replace("100000", "12");
    move || {
        let mut command = affine();
        command.args(["-e", &script]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }
}

#[test]
fn each_step_is_heard_once_across_interruptions() {
    let loops = [
        "for step in trainer.sft(tiny.model(), { $SFT, resume = true }):steps() do print(step.step) end",
        "trainer.sft(tiny.model(), { $SFT, resume = true, on_step = function(step) print(step.step) end }):run()",
        "for it in trainer.ppo(tiny.model(), { $PPO, resume = true }):iterations { tiny.environment() } do print(it.iteration) end",
    ];
    for body in loops {
        let folder = tempfile::tempdir().unwrap();
        let command = twelve_steps(folder.path(), body);
        assert_eq!(steps_heard(&command, libc::SIGINT), (1..=12).collect::<Vec<_>>(), "{body}");
    }
}

#[test]
fn a_loop_of_ones_own_that_is_interrupted_ends_as_one_that_is_not() {
    // The credit follows from what the script keeps, so that a table of another moment would change the weights.
    let body = "local ppo, envs = trainer.ppo(tiny.model(), { $PPO, resume = true, num_rollouts = 4 }), { tiny.environment() }\n\
        local kept = ppo:state()\n\
        for number in ppo:loop() do\n\
          kept.begun = (kept.begun or 0) + 1\n\
          local batch = ppo:rollout(envs)\n\
          for i = 1, batch:size() do\n\
            local credit = {}\n\
            for t = 1, #batch:sample(i).ids do credit[t] = kept.begun - i + (kept.last or 0) end\n\
            batch:set_credit(i, credit)\n\
          end\n\
          ppo:update(batch)\n\
          kept.last = number / 2\n\
          print(number)\n\
        end\n\
        assert(kept.begun == 12 and kept.last == 6)";
    let run = |signal: Option<i32>| {
        let folder = tempfile::tempdir().unwrap();
        let command = twelve_steps(folder.path(), body);
        let heard = match signal {
            Some(signal) => steps_heard(&command, signal),
            None => {
                let output = command().output().unwrap();
                assert_eq!(code(&output), 0, "{}", stderr(&output));
                stdout(&output).lines().map(|line| line.parse().unwrap()).collect()
            }
        };
        assert_eq!(heard, (1..=12).collect::<Vec<_>>(), "{signal:?}");
        std::fs::read(folder.path().join("model.safetensors")).unwrap()
    };
    let straight = run(None);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        assert!(run(Some(signal)) == straight, "{signal}: other weights");
    }
}

#[test]
fn a_step_whose_evaluation_was_interrupted_is_evaluated_and_heard_of_later() {
    let folder = tempfile::tempdir().unwrap();
    let many = "local many = {} for i = 1, 3000 do many[i] = tiny.records()[i % 8 + 1] end ";
    let sft =
        "trainer.sft(tiny.model(), { $SFT, eval_data = $DATA, eval_steps = 1, batch_size = 1, resume = $RESUME })";
    let body = |data: &str, resume: &str, rest: &str| {
        let sft = sft.replace("$DATA", data).replace("$RESUME", resume);
        training(folder.path(), &format!("{many}{}", rest.replace("$TRAINER", &sft)))
    };
    let first =
        body("many", "false", "local sft = $TRAINER print 'ready' for step in sft:steps() do print(step.step) end");
    let output = interrupted(&first, &["-INT"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (130, ""));
    // The data of the evaluation is part of what the run is, so it goes on although it has become shorter.
    let rest = "for step in $TRAINER:steps() do print(step.step, step.eval_loss ~= nil) break end";
    let second = body("tiny.records()", "'force'", rest);
    let output = affine().args(["-e", &second]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert_eq!(stdout(&output), "1\ttrue\n", "{}", stderr(&output));
}

#[test]
fn each_step_is_in_the_metrics_once_also_across_a_kill() {
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lua/tiny.lua");
        let script = format!(
            "local affine, tiny = require 'affine', dofile '{}'\n\
             local run = affine.track.run('it', {{ a = 1 }}, {{ resume = true }})\n\
             local sft = affine.trainer.sft(tiny.model(), {{ data = tiny.records(), output_dir = 'out', max_steps = 12,\n\
             save_steps = 5, logging_steps = 0, resume = true }})\n\
             for step in sft:steps() do run:log {{ stage = 'sft', step = step.step }} print(step.step) end\n\
             run:finish()",
            tiny.display()
        );
        let command = || {
            let mut command = affine();
            command.args(["-e", &script]).current_dir(&work);
            command
        };
        steps_heard(&command, signal);
        let runs: Vec<_> = std::fs::read_dir(work.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(runs.len(), 2, "one run and the link to it: {runs:?}");
        let metrics = without_times(&std::fs::read_to_string(work.join("runs/latest/metrics.jsonl")).unwrap());
        let expected: String = (1..=12).map(|step| format!("{{\"stage\":\"sft\",\"step\":{step}}}\n")).collect();
        assert_eq!(metrics, expected, "signal {signal}");
    }
}

#[test]
fn ctrl_c_is_heard_by_calls_that_take_long() {
    let scripts = [
        "print 'ready' require('affine.env').generated(2 ^ 31)",
        "local text = {} for i = 1, 400000 do text[i] = ('w' .. i * 7919 % 1000003):rep(3) end text = table.concat(text, ' ')\n\
         print 'ready' while true do require('affine.tokenizer').train({ text }, { vocab_size = 60000 }) end",
        // Nothing in them looks up: they are cut off.
        "print 'ready' string.find(string.rep('a', 60), string.rep('a-', 60) .. 'b')",
        "local t = require('affine.tensor').ones { 6000, 6000 } print 'ready' t = t:matmul(t):matmul(t):matmul(t):matmul(t):matmul(t):matmul(t):matmul(t):matmul(t):matmul(t)",
    ];
    for script in scripts {
        assert_stopped(script, &interrupted(script, &["-INT"]));
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
