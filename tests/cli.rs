//! The binary from outside: exit codes, streams, `arg`, error texts, Ctrl-C.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub fn affine() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affine"));
    command.env_remove("AFFINE_LOG").env_remove("AFFINE_STDLIB").env_remove("RUST_BACKTRACE");
    let heard = || {
        // SAFETY: asks for what a signal does by itself, which may be done between fork and exec.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
        Ok(())
    };
    // A process that hang-ups are ignored in (`nohup make test`) starts its children so, and tests send them.
    // SAFETY: `heard` is such a call and allocates nothing.
    unsafe { command.pre_exec(heard) };
    command
}

fn run(args: &[&str]) -> Output {
    affine().args(args).output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs `text` as the file `name` of a folder of its own, from within that folder.
fn run_file(name: &str, text: &str, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), name, text);
    affine().current_dir(folder.path()).arg(name).args(args).output().unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn version_names_what_is_inside() {
    let output = run(&["--version"]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0);
    assert!(text.starts_with(concat!("affine ", env!("CARGO_PKG_VERSION"), " (")), "{text}");
    assert!(text.contains("libtorch 2.11.0") && text.contains("Lua 5.4"), "{text}");
}

#[test]
fn help_is_the_hosts_before_a_script_and_the_scripts_behind_it() {
    assert!(stdout(&run(&["--help"])).contains("Usage: affine <SCRIPT> [ARGS]..."));
    let output = run_file("x.lua", "print(table.concat(arg, ' '))", &["--help", "-e", "--", "-x=1", "--version"]);
    assert_eq!(stdout(&output), "--help -e -- -x=1 --version\n");
}

#[test]
fn arg_holds_the_host_the_script_and_its_arguments() {
    let script = "print(arg[0], arg[1], arg[2], #arg, ...)\nassert(arg[-1]:find 'affine')";
    let output = run_file("scripts/x.lua", script, &["a", "b c"]);
    assert_eq!(stdout(&output), "scripts/x.lua\ta\tb c\t2\ta\tb c\n");
}

#[test]
fn code_on_the_command_line_takes_arguments_with_hyphens() {
    let output = run(&["-e", "print(arg[0], ...)", "--flag", "-e", "x"]);
    assert_eq!((stdout(&output).as_str(), code(&output)), ("-e\t--flag\t-e\tx\n", 0));
}

#[test]
fn a_hyphen_reads_the_script_from_standard_input() {
    let mut child = affine().args(["-", "a"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"print(arg[0], ...)").unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), "-\ta\n");
}

#[test]
fn a_shebang_line_counts_as_a_line() {
    let output = run_file("x.lua", "#!/usr/bin/env affine\nerror 'here'", &[]);
    assert!(stderr(&output).starts_with("affine: x.lua:2: here\n"), "{}", stderr(&output));
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let missing = run(&["no/such.lua"]);
    assert_eq!((stderr(&missing).as_str(), code(&missing)), ("affine: no such script: no/such.lua\n", 2));
    assert_eq!(code(&run(&[])), 2);
    assert_eq!(code(&run(&["--versoin"])), 2);
    let folder = run(&["."]);
    assert_eq!(code(&folder), 2);
    assert!(stderr(&folder).starts_with("affine: cannot read the script .: "), "{}", stderr(&folder));
}

#[test]
fn a_syntax_error_is_one_line() {
    let output = run_file("x.lua", "local x = = 2", &[]);
    assert_eq!((stderr(&output).as_str(), code(&output)), ("affine: x.lua:1: unexpected symbol near '='\n", 1));
}

#[test]
fn an_error_is_a_message_a_hint_and_one_traceback() {
    let script = "local json = require 'affine.json'\nlocal function f()\n  json.encode({}, { indnt = 2 })\nend\nf()";
    let output = run_file("x.lua", script, &[]);
    assert_eq!(code(&output), 1);
    assert_eq!(
        stderr(&output),
        "affine: x.lua:3: json.encode: indnt: unknown option\n\
         hint: did you mean `indent`?\n\
         traceback:\n  x.lua:3: in local 'f'\n  x.lua:5: in main chunk\n"
    );
}

#[test]
fn an_error_in_a_module_names_the_module() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "scripts/x.lua", "require 'lib.helper'.go()");
    write(folder.path(), "scripts/lib/helper.lua", "local M = {}\nfunction M.go() error 'deep' end\nreturn M");
    let output = affine().current_dir(folder.path()).arg("scripts/x.lua").output().unwrap();
    let text = stderr(&output);
    assert!(text.starts_with("affine: scripts/lib/helper.lua:2: deep\n"), "{text}");
    assert!(text.contains("\n  scripts/x.lua:1: in main chunk\n"), "{text}");
    assert!(!text.contains("[C]") && !text.contains("runtime error") && !text.contains("stack traceback"), "{text}");
}

#[test]
fn an_error_raised_again_keeps_its_hint() {
    let script = "local ok, e = pcall(require('affine.json').encode, {}, { indnt = 2 })\nerror('later: ' .. e, 0)";
    let text = stderr(&run(&["-e", script]));
    assert!(text.contains("json.encode: indnt: unknown option\nhint: did you mean `indent`?\n"), "{text}");
    assert!(text.starts_with("affine: later: "), "{text}");
}

#[test]
fn a_users_file_cannot_shadow_the_standard_library() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "x.lua", "print(require('affine.json').encode({}), pcall(require, 'affine.mine'))");
    write(folder.path(), "affine/json.lua", "return { encode = function() return 'shadow' end }");
    write(folder.path(), "affine/mine.lua", "return 1");
    let output = affine().current_dir(folder.path()).arg("x.lua").output().unwrap();
    assert!(stdout(&output).starts_with("{}\tfalse\t"), "{}", stdout(&output));
}

#[test]
fn affine_stdlib_replaces_single_files_of_the_standard_library() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "affine/test.lua", "return { mine = true }");
    let script = "print(require('affine.test').mine, require('affine.json').encode {})";
    let output = affine().args(["-e", script]).env("AFFINE_STDLIB", folder.path()).output().unwrap();
    assert_eq!(stdout(&output), "true\t{}\n");

    let missing = folder.path().join("nowhere");
    let output = affine().args(["-e", "require 'affine.test'"]).env("AFFINE_STDLIB", &missing).output().unwrap();
    let text = stderr(&output);
    assert!(
        text.starts_with(&format!(
            "affine: (command line):1: AFFINE_STDLIB: there is no folder {}",
            missing.join("affine").display()
        )),
        "{text}"
    );
    assert!(text.contains("\nhint: name the folder that holds affine/"), "{text}");
}

#[test]
fn a_scripts_own_exit_code_is_kept() {
    assert_eq!(code(&run(&["-e", "os.exit(7)"])), 7);
}

#[test]
fn bytecode_is_not_run() {
    let output = run(&["-e", "print(load('\\27Lua', 'x', 'b'))"]);
    assert_eq!(code(&output), 0);
    let output = run_file("x.lua", "\u{1b}Lua", &[]);
    assert_eq!(code(&output), 1);
}

#[test]
fn log_lines_go_to_standard_error_and_to_the_named_file() {
    let folder = tempfile::tempdir().unwrap();
    let script = "local log = require 'affine.log'\nlog.info 'before'\nlog.file 'logs/a.log'\n\
                  log.info('hello', { loss = 0.123456, step = 3 })\nlog.debug 'hidden'";
    let output = affine().current_dir(folder.path()).args(["-e", script]).output().unwrap();
    assert!(stderr(&output).contains("before") && stderr(&output).contains("hello loss=0.1235 step=3"));
    let text = std::fs::read_to_string(folder.path().join("logs/a.log")).unwrap();
    assert!(text.ends_with(" info: hello loss=0.1235 step=3\n") && text.lines().count() == 1, "{text}");
    let output = affine().args(["-e", "require('affine.log').debug 'shown'"]).env("AFFINE_LOG", "debug").output();
    assert!(stderr(&output.unwrap()).ends_with("debug: shown\n"));
}

#[test]
fn a_reader_that_has_gone_ends_a_printing_script_quietly() {
    let mut child =
        affine().args(["-e", "while true do print 'x' end"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let status = child.wait().unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((line.as_str(), errors.as_str(), status.code()), ("x\n", "", Some(0)));
}

/// A command with its standard output and standard error in a shell's words.
fn shell(words: &str) -> Output {
    let affine = env!("CARGO_BIN_EXE_affine");
    Command::new("bash")
        .args(["-c", &words.replace("affine ", &format!("{affine} "))])
        .env("AFFINE_LOG", "info")
        .output()
        .unwrap()
}

#[test]
fn a_full_disk_under_standard_output_is_one_sentence_and_exit_code_1() {
    let sentence = "affine: standard output cannot be written: the disk is full\n";
    let said = |words: &str| {
        let output = shell(words);
        (code(&output), stderr(&output))
    };
    for script in ["print(1)", "io.write(1)", "print(('x'):rep(1e6))"] {
        let (code, text) = said(&format!("affine -e \"{script}\" > /dev/full"));
        assert!(code == 1 && text == sentence, "{script}: {code} {text}");
    }
    // Written without a look at what came of it, and found at the end.
    for script in ["io.stdout:write(1)", "io.stdout:write(1) os.exit()", "for i = 1, 1e5 do io.stdout:write(i) end"] {
        let (code, text) = said(&format!("affine -e \"{script}\" > /dev/full"));
        assert!(code == 1 && text.contains("standard output cannot be written"), "{script}: {code} {text}");
    }
    for command in ["--help", "--version", "env list", "check tests/lua/tiny.lua"] {
        let (code, text) = said(&format!("affine {command} > /dev/full"));
        let plain = "standard output cannot be written: the disk is full\n";
        assert!(code == 1 && text.ends_with(plain) && text.lines().count() == 1, "{command}: {code} {text}");
    }
}

#[test]
fn standard_error_that_fails_changes_no_result() {
    let log = "require('affine.log').info 'x' io.stderr:write 'y'";
    for place in ["2> /dev/full", "2>&-", "2> >(true)"] {
        for (script, expected) in
            [(log.to_string(), 0), (format!("{log} error 'no'"), 1), (format!("{log} os.exit(3)"), 3)]
        {
            let output = shell(&format!("affine -e \"{script}\" {place}"));
            assert_eq!(output.status.code(), Some(expected), "{script} {place}: {}", output.status);
        }
        assert_eq!(shell(&format!("affine nothing.lua {place}")).status.code(), Some(2), "{place}");
        assert_eq!(shell(&format!("affine --wrong {place}")).status.code(), Some(2), "{place}");
    }
}

#[test]
fn whoever_reads_may_go() {
    for words in [
        "affine -e \"for i = 1, 1e5 do print(i) require('affine.log').info 'x' end\" 2>&1 | head -1",
        "affine -e \"for i = 1, 1e5 do io.write(i, 10) end\" | head -c 1",
        "affine -e \"for i = 1, 1e5 do io.stdout:write(i) end\" | head -c 1",
        "affine --help | true",
        "affine env list | true",
        "affine -e \"print(1)\" >&-",
    ] {
        let output = shell(&format!("set -o pipefail; {words}"));
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{words}");
    }
}

#[test]
fn what_is_no_terminal_gets_no_escape_codes() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("it.log");
    // Libraries log with fields, which tracing paints.
    let script =
        format!("require('affine.log').file '{}' pcall(require('affine.model').load, 'owner/name')", log.display());
    let mut command = affine();
    command.args(["-e", &script]).env("AFFINE_LOG", "trace,affine=trace").env("HF_ENDPOINT", "http://127.0.0.1:9");
    let output = command.env("HF_HOME", folder.path()).env_remove("HF_HUB_OFFLINE").output().unwrap();
    let texts = [stderr(&output), stdout(&output), std::fs::read_to_string(&log).unwrap()];
    assert!(texts.iter().all(|text| !text.contains('\u{1b}')), "{texts:?}");
    assert!(texts[2].contains('='), "{texts:?}");
}

/// Starts a command whose script prints `ready`, sends it `signals` one after the other, and waits for its end.
pub fn interrupt(command: &mut Command, signals: &[&str]) -> Output {
    interrupt_as(command, signals, true)
}

/// As [`interrupt`], the signals as fast as they can be sent.
pub fn interrupt_without_answers(command: &mut Command, signals: &[&str]) -> Output {
    interrupt_as(command, signals, false)
}

fn interrupt_as(command: &mut Command, signals: &[&str], answered: bool) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    for signal in signals {
        let sent = Command::new("kill").args([*signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        // The first one is answered with a line; where a second one is to end it, it must not come before.
        if answered {
            errors.read_line(&mut text).unwrap();
        }
    }
    errors.read_to_string(&mut text).unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    Output { status: child.wait().unwrap(), stdout: rest, stderr: text.into_bytes() }
}
