# The fork server inside the sandbox: one program per request, each in a fork of this warm interpreter.
#
# A request is "number memory cpu threads…" with three descriptors: the program's standard streams. The program lies in
# the working folder. The answer is "status microseconds": the wait status and the processor time. Nothing here trusts a
# program: before its first line runs, the fork has lost the connection and put on its own filter.
import sys

sys.path.remove("")
filter_hex, open_files, file_size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

import atexit, builtins, ctypes, gc, os, resource, select, threading, types, _socket
import bisect, collections, copy, datetime, decimal, fractions, functools, heapq, io, itertools, json, math, operator
import random, re, string, typing
import site

# What `site` gives to programs; its search for packages stays off.
site.setquit()
site.setcopyright()
site.sethelper()

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, SIGKILL, PIDFD_OPEN = 1, 22, 2, 9, 434
OWN_PID = (0x7FFFA7F1).to_bytes(4, "little")

control = _socket.socket(fileno=3)
folder = os.getcwd()


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def serve():
    """Returns once per program, in its process."""
    server = os.getpid()
    while True:
        request, ancillary, _, _ = control.recvmsg(256, _socket.CMSG_SPACE(12))
        if not request:
            os._exit(0)
        streams = memoryview(ancillary[0][2]).cast("i").tolist()
        memory, cpu = map(int, request.split())
        child = os.fork()
        if child == 0:
            return confine(server, streams, memory, cpu)
        for stream in streams:
            os.close(stream)
        end = libc.syscall(PIDFD_OPEN, child, 0)
        waiting = select.poll()
        waiting.register(control, select.POLLIN)
        waiting.register(end, select.POLLIN)
        if any(ready == 3 for ready, _ in waiting.poll()):
            # Nobody sends during a run: whoever asked is gone. The program dies with its parent.
            os._exit(0)
        os.close(end)
        _, status, usage = os.wait4(child, 0)
        control.send(b"%d %d" % (status, (usage.ru_utime + usage.ru_stime) * 1e6))


def confine(server, streams, memory, cpu):
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        os._exit(1)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    if filter_hex:
        instructions = bytes.fromhex(filter_hex).replace(OWN_PID, os.getpid().to_bytes(4, "little"))
        buffer = ctypes.create_string_buffer(instructions, len(instructions))
        program = Filter(len(instructions) // 8, ctypes.addressof(buffer))
        if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
            control.send(b"!%c%c" % (5, ctypes.get_errno()))
            os._exit(1)
    control.close()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def run(path):
    """What `python program.py` does with a file; the exit code."""
    main = types.ModuleType("__main__")
    main.__file__, main.__builtins__ = path, builtins
    sys.modules["__main__"] = main
    sys.argv[:] = [path]
    sys.path.insert(0, folder)
    try:
        with open(path, "rb") as file:
            source = file.read()
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as end:
        return exit_code(end.code)
    except BaseException as error:
        # The first line of the traceback is ours.
        trace = error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def exit_code(code):
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def finish(code):
    """What the interpreter does at its end, in its order, but for taking all of itself apart, which costs more than
    most programs: every page that it touches has to be copied first."""
    for step in (threading._shutdown, atexit._run_exitfuncs, let_go):
        try:
            step()
        except BaseException:
            sys.excepthook(*sys.exc_info())
    # A program may have put another object in the place of standard output, with the old one still full.
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except BaseException:
            code = code or 120
    os._exit(code)


def let_go():
    """Files that were not closed are flushed, and `__del__` is called."""
    names = sys.modules["__main__"].__dict__
    for name in list(names):
        if name != "__builtins__":
            names[name] = None
    gc.collect()


gc.collect()
gc.freeze()
control.send(b"ready")
serve()
finish(run(folder + "/program.py"))
