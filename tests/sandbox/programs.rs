//! A program sees what it would see under `python program.py`.

use std::path::PathBuf;

use affine::engine::sandbox::{Limits, Outcome, Program, Sandbox, SandboxOptions, Status};

use super::host::{on_every_host, run, text};

fn run_with(sandbox: &Sandbox, code: impl Into<Vec<u8>>, stdin: impl Into<Vec<u8>>) -> Outcome {
    sandbox.run(&Program { code: code.into(), stdin: stdin.into(), limits: Limits::default() }).unwrap()
}

fn sandbox() -> Sandbox {
    Sandbox::new(&SandboxOptions::default()).unwrap()
}

/// Code, standard input, standard output, the last line of standard error, exit code. The expected ones are those of
/// `python3.11 program.py < stdin`.
#[rustfmt::skip]
const ORDINARY: &[(&str, &str, &str, &str, Option<i32>)] = &[
    ("print(input())", "a\r\nb", "a\r\n", "", Some(0)),
    ("print(sum(map(int, open(0).read().split())))", "1 2\n3", "6\n", "", Some(0)),
    ("print(open('/dev/stdin').read(), end='')", "x\n", "x\n", "", Some(0)),
    ("import sys\nprint(sys.stdin.buffer.read())", "é", "b'\\xc3\\xa9'\n", "", Some(0)),
    ("print('é', ascii(input()))", "\u{1f600}", "é '\\U0001f600'\n", "", Some(0)),
    ("print(__name__, __file__ == __import__('sys').argv[0])", "", "__main__ True\n", "", Some(0)),
    ("if __name__ == '__main__': print('main')", "", "main\n", "", Some(0)),
    ("x = 1\ndef f(): return x\nclass A: pass\nprint(f(), A, A.__module__)", "", "1 <class '__main__.A'> __main__\n", "", Some(0)),
    ("exit()", "", "", "", Some(0)),
    ("quit(3)", "", "", "", Some(3)),
    ("raise SystemExit('bye')", "", "", "bye", Some(1)),
    ("import sys\nsys.exit(256 + 7)", "", "", "", Some(7)),
    ("import os\nos._exit(9)", "", "", "", Some(9)),
    ("1 / 0", "", "", "ZeroDivisionError: division by zero", Some(1)),
    ("input()", "", "", "EOFError: EOF when reading a line", Some(1)),
    ("print('a')\nassert False, 'no'", "", "a\n", "AssertionError: no", Some(1)),
    ("import no_such_module", "", "", "ModuleNotFoundError: No module named 'no_such_module'", Some(1)),
    ("def f(:", "", "", "SyntaxError: invalid syntax", Some(1)),
    ("return", "", "", "SyntaxError: 'return' outside function", Some(1)),
    ("def f(): f()\nf()", "", "", "RecursionError: maximum recursion depth exceeded", Some(1)),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", "", "", "", None),
    ("import os\nos.abort()", "", "", "", None),
    ("import signal\nsignal.raise_signal(signal.SIGKILL)", "", "", "", None),
    ("import threading\nt = threading.Thread(target=lambda: print('thread'))\nt.start()", "", "thread\n", "", Some(0)),
    ("import sys, threading\nsys.setrecursionlimit(10 ** 6)\nthreading.stack_size(1 << 26)\ndef f(n): return n and f(n - 1)\n\
      t = threading.Thread(target=lambda: print(f(50_000)))\nt.start()\nt.join()", "", "0\n", "", Some(0)),
    ("import atexit\natexit.register(print, 'end')\nprint('begin')", "", "begin\nend\n", "", Some(0)),
    ("class A:\n    def __del__(self): print('gone')\na = A()\nprint('here')", "", "here\ngone\n", "", Some(0)),
    ("f = open(1, 'w')\nf.write('not closed')", "", "not closed", "", Some(0)),
    ("import io, sys\nprint('old')\nsys.stdout = io.StringIO()\nprint('new')", "", "old\n", "", Some(0)),
    ("import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8')\nprint('wrapped')", "", "wrapped\n", "", Some(0)),
    ("import os, sys\nsys.stdout.write('a')\nos.write(1, b'b')", "", "ba", "", Some(0)),
    ("import sys\nprint(sys.stdout.isatty(), sys.stdin.seekable(), sys.stdout.errors)", "", "False False surrogateescape\n", "", Some(0)),
    ("import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nprint(asyncio.run(f()))", "", "5\n", "", Some(0)),
    ("from concurrent.futures import ThreadPoolExecutor as P\nwith P(4) as p: print(list(p.map(abs, [-1, 2])))", "", "[1, 2]\n", "", Some(0)),
    ("import queue, sqlite3, hashlib, zlib, bz2, lzma, decimal, datetime, uuid, xml.dom.minidom, unittest, dataclasses, enum, statistics\nprint(hashlib.md5(b'').hexdigest())", "", "d41d8cd98f00b204e9800998ecf8427e\n", "", Some(0)),
    ("with open('t', 'w') as f: f.write('x')\nwith open('t') as f: print(f.read())\nprint(__import__('os').getcwd() == __import__('tempfile').gettempdir())\nwith __import__('tempfile').TemporaryFile() as f: f.write(b'x')\nwith __import__('tempfile').NamedTemporaryFile() as f: f.write(b'x')", "", "x\nTrue\n", "", Some(0)),
    ("import pickle, json\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)", "", "A\n", "", Some(0)),
    ("import time\ntime.sleep(0.01)\nprint(time.perf_counter() > 0, time.localtime().tm_year > 2000)", "", "True True\n", "", Some(0)),
    ("import os\nprint(os.cpu_count() > 0, len(os.urandom(4)))", "", "True 4\n", "", Some(0)),
    ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nprint(1)", "", "1\n", "", Some(0)),
];

#[test]
fn ordinary_programs_run_as_they_do_in_cpython() {
    on_every_host(|sandbox, host| {
        for &(code, stdin, stdout, complaint, exit_code) in ORDINARY {
            let outcome = run_with(sandbox, code, stdin);
            let stderr = text(&outcome.stderr);
            assert_eq!(text(&outcome.stdout), stdout, "{host:?}: {code}\n{stderr}");
            let last = stderr.lines().last().unwrap_or_default();
            assert!(
                last.starts_with(complaint) && last.is_empty() == complaint.is_empty(),
                "{host:?}: {code}\n{stderr}"
            );
            assert_eq!(outcome.exit_code, exit_code, "{host:?}: {code}");
            let status = if exit_code == Some(0) { Status::Ok } else { Status::Error };
            assert_eq!(outcome.status, status, "{host:?}: {code}");
        }
    });
}

#[test]
fn a_traceback_begins_in_the_program_and_shows_its_lines() {
    let stderr = text(&run(&sandbox(), "def f():\n    return 1 / 0\n\nf()").stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "Traceback (most recent call last):");
    assert!(lines[1].ends_with("program.py\", line 4, in <module>"), "{stderr}");
    assert!(stderr.contains("\n    f()\n") && !stderr.contains("<string>"), "{stderr}");
}

#[test]
fn bytes_that_are_no_program_end_in_a_syntax_error() {
    let sandbox = sandbox();
    for code in [&b"print(1)\0print(2)"[..], b"\0", b"print('\xff')", b"\xff\xfe", b"# -*- coding: no-such -*-\n"] {
        let outcome = run_with(&sandbox, code, "");
        let stderr = text(&outcome.stderr);
        assert_eq!((outcome.status, outcome.exit_code), (Status::Error, Some(1)), "{code:?}: {stderr}");
        assert!(stderr.contains("Error") && outcome.stdout.is_empty(), "{code:?}: {stderr}");
    }
    // What a file may say of its encoding counts.
    assert_eq!(text(&run_with(&sandbox, &b"# coding: latin-1\nprint('\xe9')"[..], "").stdout), "é\n");
    assert_eq!(text(&run_with(&sandbox, &b"\xef\xbb\xbfprint(1)\r\nprint(2)\r\n"[..], "").stdout), "1\n2\n");
}

#[test]
fn bytes_go_in_and_come_out_unchanged() {
    let all: Vec<u8> = (0..=255).collect();
    let echo = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())";
    assert_eq!(run_with(&sandbox(), echo, all.clone()).stdout, all);
    // What is no UTF-8 passes through text as well, as it does under LANG=C.UTF-8.
    assert_eq!(run_with(&sandbox(), "print(input(), end='')", &b"\xff\0a"[..]).stdout, b"\xff\0a");
}

#[test]
fn several_threads_run_programs_at_once() {
    let sandbox = sandbox();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                for round in 0..20 {
                    let stdin = format!("{number} {round}\n");
                    let code = "import time\ntext = input()\nopen('own', 'w').write(text)\ntime.sleep(0.005)\n\
                                print(text, open('own').read(), len(__import__('os').listdir()))";
                    let outcome = run_with(sandbox, code, stdin.as_str());
                    let both = format!("{} {} 2\n", stdin.trim(), stdin.trim());
                    assert_eq!(text(&outcome.stdout), both, "{outcome:?}");
                }
            });
        }
    });
}

#[test]
fn a_run_repeats_itself() {
    let code = "print(list({'a', 'b', 'c', 'd', 'e', 'f'}), hash('x'))";
    let (one, other) = (sandbox(), sandbox());
    let first = run(&one, code).stdout;
    assert!([&one, &one, &other].into_iter().all(|sandbox| run(sandbox, code).stdout == first));
}

#[test]
fn every_cpython_from_3_8_on_serves_and_others_are_named() {
    let folders = std::env::var("PYENV_ROOT").map(PathBuf::from).unwrap_or_default().join("versions");
    for folder in std::fs::read_dir(folders).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let numbers: Vec<u32> = name.split('.').filter_map(|part| part.parse().ok()).collect();
        let [major, minor, _] = numbers[..] else { continue };
        let python = Some(folder.path().join("bin/python"));
        match Sandbox::new(&SandboxOptions { python, accept_risk: false }) {
            Ok(sandbox) => {
                assert!((major, minor) >= (3, 8), "{name}");
                assert_eq!(sandbox.describe().split(' ').nth(1), Some(name.as_str()));
                let outcome = run_with(&sandbox, "import sys\nprint(sys.version_info[:2], input())\n1 / 0", "x");
                assert_eq!(text(&outcome.stdout), format!("({major}, {minor}) x\n"), "{outcome:?}");
                assert!(text(&outcome.stderr).ends_with("ZeroDivisionError: division by zero\n"), "{outcome:?}");
            }
            Err(error) => {
                assert!((major, minor) < (3, 8), "{name}: {error}");
                assert!(error.hint().unwrap().contains("3.8 or newer"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn a_host_without_python_is_told_what_to_install() {
    let complaint = |python: &str| {
        let options = SandboxOptions { python: Some(python.into()), accept_risk: false };
        let error = Sandbox::new(&options).err().expect("no such interpreter");
        (error.to_string(), error.hint().unwrap_or_default().to_string())
    };
    let (message, hint) = complaint("/no/such/python");
    assert_eq!(message, "there is no /no/such/python");
    assert!(hint.contains("apt-get install python3"), "{hint}");
    assert_eq!(complaint("/bin/true").0, "/bin/true is no working Python: it answers nothing");
    assert!(complaint("/bin/false").1.contains("3.8 or newer"));
    assert!(complaint("/etc/hostname").0.starts_with("/etc/hostname does not start: "));
}
