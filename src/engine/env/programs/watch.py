# Runs a program and tells what its variables held in the end, as JSON: {"prints": text, "ends": [[name, repr], …]}.
#
# Of each function that ran once, and of the module, what was held when it returned, in the order of the returns. Left
# out are generators, comprehensions, values that are no plain data, and long ones.
import collections, io, json, sys

code = compile(SOURCE, "<program>", "exec")
PLAIN = (bool, int, float, str, list, tuple, dict, set, frozenset, type(None), collections.deque)
calls, ends = collections.Counter(), []


def plain(value):
    if type(value) not in PLAIN or (hasattr(value, "__len__") and len(value) > MOST):
        return None
    if type(value) is int and value.bit_length() > 3 * MOST:
        return None
    text = repr(value)
    return text if len(text) <= MOST and " at 0x" not in text else None


def watch(frame, event, _):
    own = frame.f_code
    if own.co_filename != "<program>" or (own.co_name.startswith("<") and own is not code) or own.co_flags & 0x2A0:
        return
    if event == "call":
        calls[own] += 1
    elif event == "return":
        held = [(name, plain(value)) for name, value in frame.f_locals.items() if not name.startswith("__")]
        ends.append((own, [pair for pair in held if pair[1] is not None]))


real, sys.stdout = sys.stdout, io.StringIO()
sys.setprofile(watch)
try:
    exec(code, {"__name__": "__main__"})
except SystemExit as left:
    if left.code not in (None, 0):
        raise
finally:
    sys.setprofile(None)
    printed, sys.stdout = sys.stdout.getvalue(), real
once = [pair for own, held in ends if calls[own] == 1 for pair in held]
print(json.dumps({"prints": printed, "ends": once}))
