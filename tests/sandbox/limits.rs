//! Programs that want too much.

use std::time::{Duration, Instant};

use affine::engine::sandbox::{Limit, Limits, Program, Sandbox, Status};

use super::host::{Host, on_every_host, run_within, text};

fn within(wall: f64) -> Limits {
    Limits { wall, cpu: 1.0, memory: 256 << 20, output: 10_000 }
}

/// Runs a program that ends at a limit, and then one that shows that the sandbox still works.
fn ends(sandbox: &Sandbox, host: Host, code: &str, wall: f64, expected: (Status, Option<Limit>)) -> String {
    let started = Instant::now();
    let outcome = run_within(sandbox, code, within(wall));
    assert_eq!((outcome.status, outcome.limit), expected, "{host:?}: {code}\n{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs_f64(wall + 10.0), "{host:?}: {code}: {:?}", started.elapsed());
    assert!(outcome.stdout.len() <= 10_000 && outcome.stderr.len() <= 10_200);
    let after = run_within(sandbox, "print('alive')", Limits::default());
    assert_eq!(text(&after.stdout), "alive\n", "{host:?}: after {code}");
    text(&outcome.stderr)
}

#[test]
fn time_runs_out() {
    on_every_host(|sandbox, host| {
        let wall = (Status::Timeout, Some(Limit::Wall));
        let cpu = (Status::Timeout, Some(Limit::Cpu));
        ends(sandbox, host, "import time\nwhile True: time.sleep(1)", 0.3, wall);
        ends(sandbox, host, "import signal\nsignal.pause()", 0.3, wall);
        ends(sandbox, host, "input()\nimport threading\nthreading.Event().wait()", 0.3, (Status::Error, None));
        ends(sandbox, host, "import threading\nthreading.Event().wait()", 0.3, wall);
        ends(sandbox, host, "while True: pass", 0.3, wall);
        ends(sandbox, host, "while True: pass", 20.0, cpu);
        ends(sandbox, host, "import re\nre.match('(a+)+b', 'a' * 60)", 20.0, cpu);
        let deaf = "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, lambda *_: None)\n    except (OSError, ValueError): pass\n";
        ends(sandbox, host, &format!("{deaf}while True: pass"), 20.0, cpu);
        ends(sandbox, host, &format!("{deaf}import time\nwhile True: time.sleep(9)"), 0.3, wall);
        let tired =
            "import threading\nfor _ in range(8): threading.Thread(target=lambda: all(iter(lambda: 1, 0))).start()";
        ends(sandbox, host, tired, 20.0, cpu);
        ends(sandbox, host, "import os\nos.close(1); os.close(2)\nwhile True: pass", 0.3, wall);
        let atexit = "import atexit, time\natexit.register(time.sleep, 100)";
        ends(sandbox, host, atexit, 0.3, wall);
    });
}

#[test]
fn memory_runs_out() {
    on_every_host(|sandbox, host| {
        let memory = (Status::Memory, None);
        for code in [
            "x = bytearray(1 << 30)",
            "x = []\nwhile True: x.append(' ' * 100_000)",
            "x = 'a'\nwhile True: x += x",
            "x = [0] * 10 ** 12",
            "def f(x): return f([x] * 10 ** 6)\nimport sys\nsys.setrecursionlimit(10 ** 6)\nf(0)",
        ] {
            ends(sandbox, host, code, 20.0, memory);
        }
        // A program that catches it goes on.
        let caught = "try: bytearray(1 << 30)\nexcept MemoryError: print('caught')";
        ends(sandbox, host, caught, 20.0, (Status::Ok, None));
        ends(sandbox, host, "import mmap\nmmap.mmap(-1, 1 << 30)", 20.0, (Status::Error, None));
        // The C stack ends in a signal.
        let code = "import sys\nsys.setrecursionlimit(10 ** 8)\nr = []\nfor _ in range(10 ** 6): r = [r]\nrepr(r)";
        let outcome = run_within(sandbox, code, Limits { cpu: 10.0, ..within(20.0) });
        assert_eq!((outcome.status, outcome.limit), (Status::Error, None), "{host:?}: {outcome:?}");
    });
}

#[test]
fn output_runs_over() {
    on_every_host(|sandbox, host| {
        let output = (Status::Output, None);
        for code in [
            "while True: print('x' * 100)",
            "import sys\nwhile True: sys.stderr.write('x' * 100)",
            "import os\nwhile True: os.write(1, b'x' * 65536)",
            "print('x' * 10_001, end='')",
            "import threading\nfor _ in range(4): threading.Thread(target=lambda: [print('y') for _ in iter(int, 1)]).start()",
        ] {
            ends(sandbox, host, code, 20.0, output);
        }
        let outcome = run_within(sandbox, "print('x' * 10_000, end='')", within(20.0));
        assert_eq!((outcome.status, outcome.stdout.len()), (Status::Ok, 10_000));
    });
}

#[test]
fn bombs_of_processes_threads_and_files_go_out() {
    on_every_host(|sandbox, host| {
        let error = (Status::Error, None);
        let fork = "import os\nwhile True: os.fork()";
        assert!(ends(sandbox, host, fork, 20.0, error).contains("OSError"), "{host:?}");
        let threads = "import threading, time\nthreading.stack_size(32768)\n\
                       while True: threading.Thread(target=time.sleep, args=(60,)).start()";
        assert!(ends(sandbox, host, threads, 20.0, error).contains("64 threads"), "{host:?}");
        let bytes = "for i in range(1000):\n    with open(str(i), 'wb') as f: f.write(bytes(10 << 20))";
        assert!(ends(sandbox, host, bytes, 20.0, error).contains("64 MiB"), "{host:?}");
        let hidden = "import os\nfor i in range(1000):\n    f = open('x', 'wb'); f.write(bytes(10 << 20)); os.dup(f.fileno()); os.remove('x')";
        assert!(ends(sandbox, host, hidden, 20.0, error).contains("64 MiB"), "{host:?}");
        let mapped = "import mmap, os, time\nkept = []\nfor i in range(1000):\n    with open('x', 'w+b') as f:\n        \
                      f.write(bytes(10 << 20)); f.flush(); kept.append(mmap.mmap(f.fileno(), 4096))\n    os.remove('x')\n\
                      time.sleep(5)";
        assert!(ends(sandbox, host, mapped, 20.0, error).contains("64 MiB"), "{host:?}");
        let large = "with open('x', 'wb') as f:\n    while True: f.write(bytes(1 << 20))";
        assert!(ends(sandbox, host, large, 20.0, error).contains("File too large"), "{host:?}");
        let sparse = "with open('x', 'wb') as f: f.truncate(1 << 40)";
        assert!(ends(sandbox, host, sparse, 20.0, error).contains("File too large"), "{host:?}");
        let open = "x = []\nwhile True: x.append(open('/dev/null'))";
        assert!(ends(sandbox, host, open, 20.0, error).contains("Too many open files"), "{host:?}");
    });
}

#[test]
fn input_that_nobody_reads_and_output_that_needs_input_do_not_hang() {
    on_every_host(|sandbox, host| {
        let run = |code: &str, stdin: Vec<u8>| {
            sandbox.run(&Program { code: code.into(), stdin, limits: Limits::default() }).unwrap()
        };
        let outcome = run("print('done')", vec![b'x'; 10_000_000]);
        assert_eq!((outcome.status, text(&outcome.stdout)), (Status::Ok, "done\n".into()), "{host:?}");
        // Both pipes full at once.
        let echo = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()";
        let input = b"0123456789\n".repeat(50_000);
        let outcome = run(echo, input.clone());
        assert_eq!((outcome.status, outcome.stdout == input), (Status::Ok, true), "{host:?}");
        let outcome = run("import os\nos.close(0)\nprint('closed')", vec![b'x'; 1_000_000]);
        assert_eq!(text(&outcome.stdout), "closed\n", "{host:?}");
    });
}

#[test]
fn limits_out_of_range_are_named() {
    on_every_host(|sandbox, _| {
        let complaint = |limits: Limits| {
            let program = Program { code: "print(1)".into(), stdin: Vec::new(), limits };
            sandbox.run(&program).unwrap_err().to_string()
        };
        let all = Limits::default();
        assert_eq!(
            complaint(Limits { wall: 0.0, ..all.clone() }),
            "limits.wall: expected seconds above 0 and up to 86400, got 0"
        );
        assert_eq!(
            complaint(Limits { cpu: f64::NAN, ..all.clone() }),
            "limits.cpu: expected seconds above 0 and up to 86400, got NaN"
        );
        assert_eq!(
            complaint(Limits { memory: 1000, ..all.clone() }),
            "limits.memory: expected 67108864 to 1099511627776 bytes, got 1000"
        );
        assert_eq!(
            complaint(Limits { output: u64::MAX, ..all }),
            "limits.output: expected up to 1073741824 bytes, got 18446744073709551615"
        );
    });
}
