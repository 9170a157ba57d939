//! Results task by task: nothing is played twice, an interruption costs little, other protocols are other results.

use std::path::Path;
use std::process::{Command, Output};

/// An environment that notes each task which is played, a model, and an evaluation of it.
const SETTING: &str = r#"
    local env, eval, fs = require("affine.env"), require("affine.eval"), require("affine.fs")
    local model, tokenizer = require("affine.model"), require("affine.tokenizer")
    seed, options, interrupt_at, break_at = 1, {}, nil, nil
    played = {}
    local echo = env.make(env.define {
      name = "echo",
      prompt = "Say something.",
      reset = function(self, task)
        self.id = task.id
        played[#played + 1] = task.id
        if task.id == break_at then error("the server is gone") end
        if task.id == interrupt_at then os.execute("kill -INT $PPID; sleep 0.2") end
        return "Task " .. task.id
      end,
      step = function(self) return "", self.id % 2, true end,
    })
    function evaluate()
      local m = model.create { preset = "tiny", tokenizer = tokenizer.train { "Say something. Task 1" }, seed = seed }
      local given = { envs = { echo }, num_eval_samples = 6, max_new_tokens = 2, batch_size = 2, results = "results.jsonl.zst" }
      for key, value in pairs(options) do given[key] = value end
      local row = eval.run(m, given).envs.echo
      print(table.concat(played, " "), ("%d %g"):format(row.n, row.mean))
      played = {}
      return row
    end
"#;

fn run(folder: &Path, code: &str) -> Output {
    let code = format!("{SETTING}\n{code}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(folder).args(["-e", &code]);
    affine::engine::signals::as_started(|| command.output()).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_was_played_is_not_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let code = "
        evaluate()
        evaluate()
        options.num_eval_samples = 8
        evaluate()
        options.again = true
        evaluate()
        local rows = require('affine.eval').results.read('results.jsonl.zst')
        print(#rows, rows[2].env, rows[2].task_id, rows[2].score, rows[2].ending, rows[2].turns, rows[2].tokens)
        print(rows[2].messages[1].content, #rows[2].messages, rows[2].model.dtype, rows[2].protocol.max_new_tokens)";
    let output = run(folder.path(), code);
    let wanted = "0 1 2 3 4 5\t6 0.5\n\t6 0.5\n6 7\t8 0.5\n0 1 2 3 4 5 6 7\t8 0.5\n8\techo\t1\t1.0\tterminated\t1\t2\n";
    assert!(out(&output).starts_with(wanted), "{output:?}");
    assert!(out(&output).contains("Say something.") && out(&output).ends_with("\t2\tfloat32\t2\n"), "{output:?}");
    // Another process finds it as well.
    assert_eq!(out(&run(folder.path(), "options.num_eval_samples = 8 evaluate()")), "\t8 0.5\n");
}

#[test]
fn another_model_or_protocol_is_another_result() {
    let folder = tempfile::tempdir().unwrap();
    let all = "0 1 2 3 4 5\t6 0.5\n";
    for change in [
        "",
        "seed = 2",
        "options.temperature = 0",
        "options.max_new_tokens = 3",
        "options.seed = 5",
        "options.also = { code = 'x' }",
    ] {
        let code = format!("{change} local a = evaluate() local b = evaluate() assert(a.protocol == b.protocol)");
        assert_eq!(out(&run(folder.path(), &code)), format!("{all}\t6 0.5\n"), "{change}");
    }
    let code = "
        local protocols, models = {}, {}
        for _, row in ipairs(require('affine.eval').results.read('results.jsonl.zst')) do
          protocols[row.protocol_hash], models[row.model.fingerprint] = true, true
        end
        local function count(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end
        print(count(protocols), count(models))";
    assert_eq!(out(&run(folder.path(), code)), "5\t2\n");
}

#[test]
fn an_interrupted_evaluation_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "interrupt_at = 4 evaluate()");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    // Two pieces of two tasks were kept.
    assert_eq!(out(&run(folder.path(), "evaluate()")), "4 5\t6 0.5\n");
}

#[test]
fn a_task_that_failed_is_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "break_at = 3 options.num_eval_samples = 30 evaluate()");
    assert!(out(&output).ends_with("\t29 0.482759\n"), "{output:?}");
    assert_eq!(out(&run(folder.path(), "options.num_eval_samples = 30 evaluate()")), "3\t30 0.5\n");
}

#[test]
fn a_file_that_is_none_of_results_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.jsonl"), "{\"a\": 1}\n").unwrap();
    let output = run(folder.path(), "options.results = 'x.jsonl' evaluate()");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("x.jsonl: line 1: missing field `model`"), "{text}");
    let output = run(folder.path(), "require('affine.eval').results.add('y.jsonl', { { env = 'echo' } })");
    assert!(String::from_utf8_lossy(&output.stderr).contains("eval.results.add: rows[1]"), "{output:?}");
}

#[test]
fn what_a_script_read_and_wrote_back_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let code = "
        evaluate()
        local results = require('affine.eval').results
        results.add('results.jsonl.zst', { results.read('results.jsonl.zst')[1] })
        print(#results.read('results.jsonl.zst'))
        evaluate()";
    assert_eq!(out(&run(folder.path(), code)), "0 1 2 3 4 5\t6 0.5\n6\n\t6 0.5\n");
}

#[test]
fn samples_of_a_task_differ_in_nothing_but_their_luck() {
    let folder = tempfile::tempdir().unwrap();
    let code = "
        options.samples_per_task = 2
        local row = evaluate()
        seed = 2
        evaluate()
        print(#row.protocols, row.protocols[1] == row.protocol, row.protocols[2] == row.protocol)
        local eval, models = require('affine.eval'), {}
        for _, one in ipairs(eval.results.read('results.jsonl.zst')) do
          models[one.model.fingerprint] = models[one.model.fingerprint] or {}
          table.insert(models[one.model.fingerprint], one)
        end
        local a, b = next(models)
        local _, other = next(models, a)
        local found = eval.compare(b, other)
        print(found.envs.echo.tasks, found.envs.echo.pairs, next(found.differs))
        local fewer = {}
        for _, one in ipairs(other) do
          if one.protocol.seed == 0 then fewer[#fewer + 1] = one end
        end
        print(table.concat(eval.compare(b, fewer).differs.echo, ' '))";
    let output = run(folder.path(), code);
    assert!(out(&output).ends_with("2\ttrue\tfalse\n6\t12\tnil\nseed\n"), "{output:?}");
}

#[test]
fn a_baseline_is_kept_and_compared_task_by_task() {
    let folder = tempfile::tempdir().unwrap();
    let code = "
        local env, eval = require('affine.env'), require('affine.eval')
        local sat = env.make('affine:sat', { n = 3, k = 2, m = 4 })
        local given = { kind = 'random', num_eval_samples = 6, results = 'b.jsonl' }
        local first = eval.baseline(sat, given)
        local function rows() return eval.results.read('b.jsonl') end
        local kept = rows()
        print(#kept, first.n, kept[1].model.source, kept[1].protocol.player, kept[1].protocol.temperature)
        print(kept[1].messages[#kept[1].messages].role, kept[1].tokens)
        local time = kept[1].time
        local second = eval.baseline(sat, given)
        print(second.mean == first.mean, rows()[1].time == time, #rows())
        given.kind = 'expert'
        eval.baseline(sat, given)
        local by = {}
        for _, row in ipairs(rows()) do
          by[row.model.source] = by[row.model.source] or {}
          table.insert(by[row.model.source], row)
        end
        local found = eval.compare(by.expert, by['random play'])
        print(found.envs.sat.tasks, table.concat(found.differs.sat, ' '))
        given.kind = 'rule'
        print(eval.baseline(env.make('affine:sat', { n = 3, k = 2, m = 4 }), given) == nil or #rows())";
    let output = run(folder.path(), code);
    let wanted = "6\t6\trandom play\trandom play\tnil\nassistant\tnil\ntrue\ttrue\t6\n6\tplayer\n";
    assert!(out(&output).starts_with(wanted), "{output:?}");
}

#[test]
fn a_task_is_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "options.task_ids = { 5, 7, 5 } evaluate()");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("task_ids: expected each task once, got task 5 twice"), "{text}");
}
