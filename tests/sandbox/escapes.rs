//! What a hostile program may try. Every attempt is a line of Python; one that succeeds prints `ESCAPED` with the line.
//! Beside that, what lies outside is looked at afterwards.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use affine::engine::sandbox::{Sandbox, SandboxOptions, Status};

use super::host::{Host, on, on_every_host, refuse, run, text};

/// Runs each line; a line that raises `OSError`, or anything else, was refused.
const TRY: &str = r#"
import ctypes, fcntl, io, mmap, os, resource, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    """A system call of one's own, around Python and the C library; what the kernel refuses is an OSError."""
    number, arguments = ctypes.c_long(number), [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    answer = libc.syscall(number, *arguments)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer

def attempt(lines):
    tried = refused = 0
    for line in filter(None, map(str.strip, lines.splitlines())):
        tried += 1
        try:
            exec(line, globals())
        except BaseException as error:
            refused += 1
            print(type(error).__name__, error, "|", line, file=sys.stderr)
        else:
            print("ESCAPED", line)
    print("tried", tried, "refused", refused)
"#;

/// Runs attempts, of which all must fail.
fn all_fail(sandbox: &Sandbox, host: Host, setup: &str, lines: &str) {
    let count = lines.lines().filter(|line| !line.trim().is_empty()).count();
    let outcome = run(sandbox, &format!("{TRY}\n{setup}\nattempt(r'''{lines}''')"));
    let (stdout, stderr) = (text(&outcome.stdout), text(&outcome.stderr));
    assert_eq!(stdout, format!("tried {count} refused {count}\n"), "{host:?}\n{outcome:?}\n{stderr}");
    for slip in ["NameError", "SyntaxError", "AttributeError", "TypeError"] {
        assert!(!stderr.contains(slip), "an attempt that cannot work anywhere: {stderr}");
    }
}

/// A file outside that the test's own user may read and write.
struct Secret {
    folder: tempfile::TempDir,
}

const SECRET: &str = "the secret";

impl Secret {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
        fs::write(folder.path().join("stolen.py"), "value = 1").unwrap();
        Secret { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn assert_untouched(&self) {
        let file = self.path().join("secret.txt");
        assert_eq!(fs::read_to_string(&file).unwrap(), SECRET);
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
        assert!(metadata.modified().unwrap().elapsed().unwrap().as_secs() < 600, "its time was set");
        let mut names: Vec<_> = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["secret.txt", "stolen.py"]);
    }

    fn setup(&self) -> String {
        let (path, pid) = (self.path().display(), std::process::id());
        format!("folder, host = '{path}', {pid}\nsecret = folder + '/secret.txt'")
    }
}

#[test]
fn nothing_outside_can_be_read_on_any_way() {
    on_every_host(|sandbox, host| {
        let secret = Secret::new();
        // The line by which each would get out if the walls were not there was tried with a bare python3.
        all_fail(
            sandbox,
            host,
            &secret.setup(),
            r#"
            open(secret).read()
            open("/etc/passwd").read()
            open("/etc/hostname").read()
            open("/etc/group").read()
            open("/proc/1/status").read()
            open("/proc/self/environ").read()
            open("/proc/self/maps").read()
            open("/proc/%d/environ" % host).read()
            open("/proc/%d/cmdline" % os.getppid()).read()
            open("/proc/%d/mem" % os.getppid(), "rb").read(1)
            open("/proc/net/tcp").read()
            open("/proc/mounts").read()
            open("/sys/kernel/uevent_seqnum").read()
            open("/dev/kmsg")
            open("/dev/mem", "rb")
            open("/dev/zero", "rb")
            open("/dev/shm/x", "w")
            open("/proc/self/root" + secret).read()
            open("/proc/thread-self/root" + secret).read()
            open("/proc/%d/root" % host + secret).read()
            open("/proc/self/cwd/../" + secret.split("/", 2)[2]).read()
            open("../" + secret.split("/", 2)[2]).read()
            os.open("etc/passwd", os.O_RDONLY, dir_fd=os.open("/", os.O_PATH))
            open("/proc/self/fd/%d" % os.open(secret, os.O_PATH)).read()
            os.read(os.open(secret, os.O_PATH), 10)
            os.symlink(secret, "link")
            os.symlink("/", "root")
            os.link(secret, "hard")
            os.rename(secret, "mine")
            os.listdir("/")
            os.listdir("/tmp")
            os.listdir("/proc")
            os.listdir("/proc/self/fd")
            os.listdir(folder)
            os.listdir(os.path.expanduser("~root"))
            list(os.scandir(".."))
            sys.path.insert(0, folder) or __import__("stolen")
            exec(compile(io.FileIO(folder + "/stolen.py").read(), "x", "exec"))
            mmap.mmap(os.open(secret, os.O_RDONLY), 0)
            ctypes.CDLL(secret)
            call(2, secret.encode(), 0)
            call(257, -100, secret.encode(), 0)
            call(437, -100, secret.encode(), struct.pack("QQQ", 0, 0, 0), 24)
            call(304, -100, b"\0" * 136, 0)
            call(303, -100, secret.encode(), b"\0" * 136, b"\0" * 8, 0)
            call(59, secret.encode(), 0, 0)
            call(425, 8, b"\0" * 120)
            call(139, 1, 0, 0)
            os.getxattr(secret, "user.x")
            os.listxattr(secret)
            "#,
        );
        secret.assert_untouched();
    });
}

#[test]
fn nothing_outside_can_be_written_made_or_removed() {
    on_every_host(|sandbox, host| {
        let secret = Secret::new();
        all_fail(
            sandbox,
            host,
            &secret.setup(),
            r#"
            open(secret, "w").write("x")
            open(secret, "a").write("x")
            open(secret, "r+").write("x")
            open(folder + "/new", "w")
            open("/tmp/affine-escaped", "w")
            open("/tmp/" + os.urandom(4).hex(), "x")
            open("/dev/shm/affine-escaped", "w")
            open("/proc/self/oom_score_adj", "w").write("-1000")
            open("/proc/%d/oom_score_adj" % host, "w").write("1000")
            open("/proc/sys/kernel/core_pattern", "w").write("|/bin/sh")
            open("/proc/self/attr/current", "w").write("x")
            open("/dev/tty", "w")
            open("/dev/ptmx", "r+b", 0)
            os.open(secret, os.O_RDONLY | os.O_TRUNC)
            os.open(secret, os.O_WRONLY | os.O_TRUNC)
            os.open(folder, os.O_TMPFILE | os.O_RDWR)
            os.open(".", os.O_TMPFILE | os.O_RDWR)
            os.truncate(secret, 0)
            os.remove(secret)
            os.rename(secret, folder + "/other")
            os.replace(sys.argv[0], secret)
            os.link(sys.argv[0], folder + "/linked")
            os.symlink("x", folder + "/symlink")
            os.mkdir(folder + "/sub")
            os.rmdir(folder)
            os.mkfifo(folder + "/fifo")
            os.mknod(folder + "/node", 0o600)
            os.chmod(secret, 0o777)
            os.chmod(folder, 0o777)
            os.chown(secret, os.getuid(), os.getgid())
            os.utime(secret, (0, 0))
            os.utime(os.open(secret, os.O_PATH), (0, 0))
            os.setxattr(secret, "user.x", b"y")
            os.chroot(".")
            os.mkdir("sub")
            os.chmod(".", 0o777)
            call(85, (folder + "/creat").encode(), 0o644)
            call(86, sys.argv[0].encode(), (folder + "/link").encode())
            call(76, secret.encode(), 0)
            call(90, secret.encode(), 0o777)
            call(132, secret.encode(), 0)
            call(280, -100, secret.encode(), 0, 0)
            call(452, -100, secret.encode(), 0o777, 0)
            call(316, -100, secret.encode(), -100, b"x", 0)
            call(161, b".")
            call(165, b"x", b"/tmp", b"tmpfs", 0, 0)
            "#,
        );
        secret.assert_untouched();
        assert!(!Path::new("/tmp/affine-escaped").exists());
    });
}

#[test]
fn the_interpreters_own_files_and_caches_stay_as_they_are() {
    on_every_host(|sandbox, host| {
        all_fail(
            sandbox,
            host,
            "import json, os.path\nown = json.__file__\ncache = json.__cached__",
            r#"
            open(own, "a").write("\nraise SystemExit")
            open(cache, "ab").write(b"x")
            open(os.path.dirname(own) + "/new.py", "w")
            open(os.path.dirname(cache) + "/new.pyc", "wb")
            os.truncate(own, 0)
            os.remove(cache)
            os.rename(cache, cache + ".old")
            os.utime(cache)
            os.chmod(own, 0o777)
            os.mkdir(os.path.dirname(own) + "/folder")
            open(sys.executable, "r+b")
            __import__("py_compile").compile(own, doraise=True)
            "#,
        );
    });
}

#[test]
fn there_is_no_network_and_no_socket_but_a_pair() {
    on_every_host(|sandbox, host| {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("socket");
        let by_path = UnixListener::bind(&path).unwrap();
        let name = format!("affine-test-{}-{}", std::process::id(), host.root);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstracted = UnixListener::bind_addr(&address).unwrap();
        let setup = format!(
            "port, path, name = {}, '{}', '\\0{name}'\n\
             def unix(kind=socket.SOCK_STREAM): return socket.socket(socket.AF_UNIX, kind)",
            tcp.local_addr().unwrap().port(),
            path.display()
        );
        all_fail(
            sandbox,
            host,
            &setup,
            r#"
            socket.create_connection(("127.0.0.1", port), 2)
            socket.create_connection(("::1", port), 2)
            socket.create_connection(("8.8.8.8", 53), 2)
            socket.getaddrinfo("localhost", "ssh")[0][4] and socket.gethostbyname("example.com")
            socket.socket()
            socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
            socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
            unix().connect(path)
            unix().connect(name)
            unix().bind("socket")
            unix().bind("\0other")
            unix(socket.SOCK_DGRAM).sendto(b"x", name)
            socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", name)
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            socket.socketpair()[0].connect(name)
            socket.socketpair()[0].sendto(b"x", name)
            socket.socketpair()[0].sendmsg([b"x"], [], 0, name)
            socket.socketpair()[0].listen()
            socket.fromfd(3, socket.AF_UNIX, socket.SOCK_STREAM)
            call(41, 1, 1, 0)
            call(425, 8, b"\0" * 120)
            call(53, 2, 1, 0, b"\0" * 8)
            "#,
        );
        for (what, answer) in [
            ("TCP", tcp.set_nonblocking(true).and_then(|()| tcp.accept().map(drop))),
            ("a path", by_path.set_nonblocking(true).and_then(|()| by_path.accept().map(drop))),
            ("a name", abstracted.set_nonblocking(true).and_then(|()| abstracted.accept().map(drop))),
        ] {
            assert_eq!(answer.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "{host:?}: a connection by {what}");
        }
    });
}

#[test]
fn no_process_can_be_started_or_harmed() {
    on_every_host(|sandbox, host| {
        let pid = std::process::id();
        all_fail(
            sandbox,
            host,
            &format!("host, parent, me = {pid}, os.getppid(), os.getpid()\nlimits = b'\\0' * 16"),
            r#"
            os.fork() or os._exit(0)
            os.forkpty()
            os.execv(sys.executable, [sys.executable, "-c", "print('ESCAPED')"])
            os.posix_spawn("/bin/sh", ["sh", "-c", "echo ESCAPED"], {})
            subprocess.run(["/bin/echo", "ESCAPED"], check=True)
            subprocess.run([sys.executable, "-c", "print('ESCAPED')"], check=True)
            subprocess.check_output("echo ESCAPED", shell=True)
            assert os.system("echo ESCAPED") == 0
            os.popen("echo ESCAPED").close() and 1 / 0
            __import__("multiprocessing").get_context("fork").Process(target=print).start()
            call(57) or os._exit(0)
            call(58) or os._exit(0)
            call(56, 17, 0, 0, 0, 0) or os._exit(0)
            call(56, 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0)
            call(435, struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0), 64) or os._exit(0)
            call(59, b"/bin/sh", 0, 0)
            call(322, 255, b"", 0, 0, 0x1000)
            call(322, os.open(sys.executable, os.O_RDONLY), b"", 0, 0, 0x1000)
            os.dup2(os.open(sys.executable, os.O_RDONLY), 255)
            os.kill(parent, signal.SIGKILL)
            os.kill(parent, signal.SIGSTOP)
            os.kill(host, signal.SIGKILL)
            os.kill(1, signal.SIGKILL)
            os.kill(0, signal.SIGKILL)
            os.kill(-1, signal.SIGKILL)
            os.kill(-me, signal.SIGKILL)
            os.killpg(0, signal.SIGKILL)
            os.killpg(os.getpgrp(), signal.SIGKILL)
            call(200, parent, 9)
            call(234, parent, parent, 9)
            call(129, parent, 9, b"\0" * 128)
            call(297, parent, parent, 9, b"\0" * 128)
            call(434, parent, 0)
            call(424, 3, 9, 0, 0)
            call(438, 3, 0, 0)
            call(101, 16, parent, 0, 0)
            call(310, parent, b"\0" * 16, 1, b"\0" * 16, 1, 0)
            call(311, parent, b"\0" * 16, 1, b"\0" * 16, 1, 0)
            call(302, parent, 7, limits, 0)
            resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))
            fcntl.fcntl(os.pipe()[0], 8, parent)
            fcntl.fcntl(os.pipe()[0], 10, 9)
            fcntl.fcntl(os.pipe()[0], 15, struct.pack("ii", 1, parent))
            fcntl.ioctl(socket.socketpair()[0], 0x8901, struct.pack("i", parent))
            os.sched_setaffinity(parent, [0])
            os.setpriority(os.PRIO_PROCESS, parent, 19)
            os.setpgid(0, 0)
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
            resource.setrlimit(resource.RLIMIT_CPU, (1 << 30, 1 << 30))
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            "#,
        );
    });
}

#[test]
fn the_kernels_doors_are_shut() {
    on_every_host(|sandbox, host| {
        all_fail(
            sandbox,
            host,
            "",
            r#"
            os.setuid(0) if os.getuid() else call(105, 0)
            os.setgroups([])
            call(272, 0x10000000)
            call(272, 0x00020000)
            call(308, os.pipe()[0], 0)
            call(155, b".", b".")
            call(428, -100, b".", 0)
            call(429, -1, b"", -100, b".", 0)
            call(430, b"tmpfs", 0)
            call(442, -100, b".", 0, b"\0" * 32, 32)
            call(157, 38, 0, 0, 0, 0)
            call(157, 4, 1, 0, 0, 0)
            call(157, 1, 0, 0, 0, 0)
            call(157, 22, 1, 0, 0, 0)
            call(157, 23, 0, 0, 0, 0)
            call(157, 0x59616d61, -1, 0, 0, 0)
            call(317, 0, 0, 0)
            call(444, 0, 0, 1)
            call(446, 3, 0)
            call(126, b"\0" * 8, b"\0" * 24)
            call(321, 0, b"\0" * 64, 64)
            call(298, b"\0" * 128, 0, -1, -1, 0)
            call(323, 0)
            call(250, 0, 0, 0, 0, 0)
            call(248, b"user", b"x", b"y", 1, -2)
            call(319, b"x", 0)
            call(447, 0)
            call(29, 0, 4096, 0o1600)
            call(68, 1, 0o1600)
            call(240, b"/q", 0o102, 0o600, 0)
            call(253)
            call(294, 0)
            call(300, 0, 0)
            call(170, b"x", 1)
            call(164, b"\0" * 16, 0)
            call(227, 0, b"\0" * 16)
            call(172, 3)
            call(173, 0, 1, 1)
            call(175, b"", 0, b"")
            call(246, 0, 0, 0, 0)
            call(169, 0xfee1dead, 672274793, 0)
            call(135, 0x0040000)
            call(149, 0, 4096)
            call(154, 1, b"\0" * 16, 16)
            call(103, 3, b"\0" * 16, 16)
            call(237, 0, 4096, 1, 0, 0, 0)
            call(0x40000000 + 39)
            call(0x40000000 + 41, 2, 1, 0)
            call(600)
            "#,
        );
        // The 32-bit door: `int 0x80` numbers its calls differently, so a filter for 64 bits must not let it by.
        let code = r#"
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))  # mov eax, 20 (getpid); int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print("ESCAPED", ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"#;
        let outcome = run(sandbox, code);
        assert_eq!((outcome.status, text(&outcome.stdout)), (Status::Error, String::new()), "{host:?}: {outcome:?}");
    });
}

#[test]
fn no_descriptor_is_inherited() {
    on_every_host(|sandbox, host| {
        // One that a careless part of this process might leave to its children.
        let (read, write) = rustix::pipe::pipe().unwrap();
        let code = "import os\n\
                    def is_open(fd):\n    try: os.fstat(fd)\n    except OSError: return False\n    return True\n\
                    print([fd for fd in range(5000) if is_open(fd)])";
        for _ in 0..2 {
            // A server that starts while they are open inherits them until its first call.
            let fresh = Sandbox::new(&SandboxOptions::default()).unwrap();
            assert_eq!(text(&run(&fresh, code).stdout), "[0, 1, 2]\n", "{host:?}");
        }
        assert_eq!(text(&run(sandbox, code).stdout), "[0, 1, 2]\n", "{host:?}");
        drop((read, write));
    });
}

#[test]
fn a_program_finds_nothing_of_the_one_before_it() {
    on_every_host(|sandbox, host| {
        let first = r#"
import builtins, collections, json, os, random, sys
for name in ("kept.txt", "json.py", "sitecustomize.py", ".hidden", "a" * 200):
    open(name, "w").write("print('ESCAPED')")
open(sys.argv[0], "w").write("print('ESCAPED')")
os.environ["LEFT"] = "ESCAPED"
os.chdir("/")
builtins.print = json.dumps = collections.Counter = lambda *args: os.write(1, b"ESCAPED")
sys.modules["left"] = json
sys.setrecursionlimit(50)
random.seed(1)
sys.stdout.write("done")
"#;
        let second = r#"
import collections, json, os, random, sys
print(sorted(os.listdir(".")), os.environ.get("LEFT"), "left" in sys.modules, sys.getrecursionlimit(), json.dumps(1),
      collections.Counter("a"), os.getcwd() == os.path.dirname(sys.argv[0]), random.random())
"#;
        let expected = "['program.py'] None False 1000 1 Counter({'a': 1}) True";
        let mut draws = Vec::new();
        for _ in 0..3 {
            assert_eq!(text(&run(sandbox, first).stdout), "done", "{host:?}");
            let stdout = text(&run(sandbox, second).stdout);
            let (seen, draw) = stdout.trim_end().rsplit_once(' ').unwrap();
            assert_eq!(seen, expected, "{host:?}");
            draws.push(draw.to_string());
        }
        assert!(draws[0] != draws[1] && draws[1] != draws[2], "{host:?}: {draws:?}");
    });
}

#[test]
fn a_program_has_no_privileges_and_no_name_for_this_machine() {
    on_every_host(|sandbox, host| {
        let code = "import os, socket\nprint(os.uname().nodename, os.getuid(), sorted(os.environ))";
        let stdout = text(&run(sandbox, code).stdout);
        let names = "['HOME', 'LANG', 'PYTHONHASHSEED', 'TMPDIR']";
        let names = if std::env::var_os("LD_LIBRARY_PATH").is_some() {
            names.replace("'PYTHON", "'LD_LIBRARY_PATH', 'PYTHON")
        } else {
            names.to_string()
        };
        assert!(stdout.trim_end().ends_with(&names), "{host:?}: {stdout}");
        if sandbox.describe().contains("namespaces") {
            assert!(stdout.starts_with("sandbox "), "{host:?}: {stdout}");
        }
    });
}

/// gVisor and old kernels have no Landlock, some containers forbid seccomp.
#[test]
fn where_the_kernel_cannot_confine_nothing_runs_unless_the_risk_is_accepted() {
    let missing = [("Landlock", libc::SYS_landlock_create_ruleset), ("seccomp", libc::SYS_seccomp)];
    for (wall, call) in missing {
        let host = Host { root: false, namespaces: true };
        on(host, move || {
            refuse(call, &[], libc::ENOSYS);
            let error = Sandbox::new(&SandboxOptions::default()).err().expect("it must refuse");
            assert_eq!(error.to_string(), format!("this kernel has no {wall}, so programs cannot be confined"));
            assert!(error.hint().unwrap().contains("`accept_risk = true`"), "{:?}", error.hint());

            let options = SandboxOptions { accept_risk: true, ..SandboxOptions::default() };
            let sandbox = Sandbox::new(&options).unwrap();
            assert!(!sandbox.describe().contains(wall), "{}", sandbox.describe());
            let outcome = run(&sandbox, "print(1)");
            assert_eq!((outcome.status, text(&outcome.stdout)), (Status::Ok, "1\n".to_string()), "{outcome:?}");
        });
    }
}
