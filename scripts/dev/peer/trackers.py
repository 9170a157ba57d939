"""wandb and TensorBoard read what affine's trackers wrote: every value, step and type, after kills and resumes too.

    python trackers.py AFFINE [--seed 1] [CHECK...]

trackers.lua writes a run as its standard input says. Wants
wandb==0.31.0, tensorboard==2.21.0, tensorboardX==2.6.5 and numpy. `wandb sync` uploads to a stand-in for W&B's service
that is served here: histories are appended where the service says they end, as it does. wandb 0.31 has no Python
reader of its files any more: they are read by its protobufs here, and by `wandb sync` itself.
"""

import argparse
import glob
import gzip
import hashlib
import http.server
import json
import logging
import math
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib

import numpy
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX.summary import make_histogram
from wandb.proto.wandb_internal_pb2 import Record

parser = argparse.ArgumentParser()
parser.add_argument("affine", type=lambda path: pathlib.Path(path).resolve())
parser.add_argument("checks", nargs="*")
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_intermixed_args()
# It says of each resumed run that steps were taken again.
logging.getLogger("tensorboard").setLevel(logging.ERROR)
rng = random.Random(arguments.seed)
work = pathlib.Path(tempfile.mkdtemp(prefix="trackers-"))
# wandb leaves notes of its own in the folder that it is called in.
os.chdir(work)
programs = pathlib.Path(sys.executable).absolute().parent


class Service:
    """What `wandb sync` needs of W&B's service, kept in memory."""

    def __init__(self):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with service.lock:
                    stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
                    self.reply(service.stream(stream[1], json.loads(body)) if stream else service.graphql(json.loads(body)))

            def do_PUT(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                _, _, run, path = self.path.split("/", 3)
                with service.lock:
                    service.run(run)["files"][path] = body
                self.reply({})

            def do_GET(self):
                self.reply({})

            def reply(self, value):
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that goes away."""

        self.lock, self.runs = threading.RLock(), {}
        server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(self, name):
        return self.runs.setdefault(name, {"lines": {}, "files": {}, "config": {}, "settings": {}, "exits": []})

    def stream(self, name, body):
        run = self.run(name)
        for file, chunk in (body.get("files") or {}).items():
            lines = run["lines"].setdefault(file, {})
            lines.update({chunk["offset"] + index: line for index, line in enumerate(chunk["content"])})
        if body.get("complete"):
            run["exits"].append(body["exitcode"])
        return {"limits": {}}

    def graphql(self, request):
        operation = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])[1]
        variables = request.get("variables") or {}
        if operation == "UpsertBucket":
            run = self.run(variables["name"])
            run["settings"].update({key: value for key, value in variables.items() if value is not None})
            run["config"] = json.loads(variables["config"]) if variables.get("config") else run["config"]
            entity = {"id": "entity", "name": variables.get("entity") or "nobody"}
            project = {"id": "project", "name": variables.get("project") or "uncategorized", "entity": entity}
            bucket = {"id": "id", "name": variables["name"], "displayName": "shown", "description": None, "config": None}
            lines = len(run["lines"].get("wandb-history.jsonl", {}))
            bucket |= {"sweepName": None, "project": project, "historyLineCount": lines}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if operation == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.url}/upload/{variables['run']}/{file}"} for file in variables["files"]]
            return {"data": {"createRunFiles": {"runID": "id", "uploadHeaders": [], "files": files}}}
        if operation == "ServerFeaturesQuery":
            return {"data": {"serverInfo": {"features": []}}}
        return {"data": {}}

    def history(self, name):
        """The rows, whose places have no gap."""
        lines = self.runs[name]["lines"].get("wandb-history.jsonl", {})
        assert sorted(lines) == list(range(len(lines)))
        return [json.loads(lines[index]) for index in sorted(lines)]

    def summary(self, name):
        return json.loads(self.runs[name]["lines"]["wandb-summary.json"][0])

    def console(self, name):
        lines = self.runs[name]["lines"].get("output.log", {})
        return [lines[index].split(" ", 1)[1] for index in sorted(lines)]


def environment(service):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_") and "proxy" not in key.lower()}
    own = {"WANDB_BASE_URL": service.url, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
    return kept | own | {"HOME": str(work), "WANDB_CONFIG_DIR": str(work), "WANDB_CACHE_DIR": str(work)}


def sync(service, *folders, within=90):
    words = [programs / "wandb", "sync", "--yes", *folders]
    done = subprocess.run(words, env=environment(service), capture_output=True, text=True, timeout=within)
    assert done.returncode == 0, done.stderr


class Writer:
    """An affine that writes a run; where one is there, it goes on with that."""

    def __init__(self, folder, options=None, config=None, env=None):
        script = pathlib.Path(__file__).resolve().parent / "trackers.lua"
        words = [arguments.affine, script, json.dumps(options or {}), json.dumps(config or {})]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env, cwd=folder)
        self.run = folder / json.loads(self.process.stdout.readline())
        self.folders = sorted(self.run.glob("wandb/offline-run-*"))
        self.id = self.folders[-1].name.split("-", 3)[-1]

    def tell(self, **op):
        self.process.stdin.write(json.dumps(encoded(op)) + "\n")
        self.process.stdin.flush()
        return self

    def do(self, **op):
        self.tell(**op)
        assert json.loads(self.process.stdout.readline()) == op["op"]
        return self

    def log(self, stage, step, metrics, time=1700000000.0):
        return self.do(op="log", stage=stage, step=step, time=time + step / 8, metrics=metrics)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def finish(self):
        self.do(op="finish")
        self.process.stdin.close()
        assert self.process.wait() == 0


def encoded(value):
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {key: encoded(item) for key, item in value.items()}
    return [encoded(item) for item in value] if isinstance(value, list) else value


def new(name):
    return pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=work))


def run_of(folder):
    (run,) = folder.glob("runs/*-peer")
    return run


def records(path):
    """The whole records of a `.wandb` file."""
    data, position, record = pathlib.Path(path).read_bytes(), 7, b""
    assert data[:7] == b":W&B\xe1\xbe\x00"
    while position < len(data):
        room = 32768 - position % 32768
        if room < 7:
            assert data[position : position + room] == bytes(room)
            position += room
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, position)
        chunk = data[position + 7 : position + 7 + length]
        assert len(chunk) == length and zlib.crc32(bytes([kind]) + chunk) == checksum
        position, record = position + 7 + length, record + chunk
        if kind in (1, 4):
            yield Record.FromString(record)
            record = b""


def log_file(folder):
    return glob.glob(f"{folder}/*.wandb")[0]


def has_end(path):
    try:
        return [record.WhichOneof("record_type") for record in records(path)][-1] == "exit"
    except (AssertionError, IndexError, struct.error):
        return False


def rows(path, own=False):
    """The rows of a `.wandb` file as {names: value}."""
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            items = {tuple(item.nested_key) or (item.key,): json.loads(item.value_json) for item in record.history.item}
            assert items[("_step",)] == record.history.step.num
            yield {names: value for names, value in items.items() if own or not names[0].startswith("_")}


def same(a, b):
    """Equal in value and type; NaN equals NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a and b != b)


def value(depth=0):
    """An awkward one."""
    words = ["", "ü\n\t\"\\", "x" * rng.choice([1, 70000]), "NaN", "🦀", "null"]
    numbers = [0, -1, 2**53, 2**62, -(2**63), 1.0, -0.0, 1e-300, 1e300, 0.1, math.nan, math.inf, -math.inf, rng.gauss(0, 1), 5e-324]
    kinds = ["number"] * 6 + ["word", "bool", "list"] + ["nested"] * (2 if depth < 2 else 0)
    match rng.choice(kinds):
        case "number":
            return rng.choice(numbers)
        case "word":
            return rng.choice(words)
        case "bool":
            return rng.random() < 0.5
        case "list":
            return [rng.choice(numbers[:10]) for _ in range(rng.randrange(4))]
        case "nested":
            return {rng.choice(["a", "b.c", "d/e", "ü f"]): value(depth + 1) for _ in range(rng.randrange(1, 3))}


def metrics():
    return {name: value() for name in rng.sample(["loss", "train/loss", "a.b", "ü", "x y", "n", "reward_mean"], 4)}


def leaves(item, names=()):
    if not isinstance(item, dict):
        return {names: item}
    return {path: leaf for key, inner in item.items() for path, leaf in leaves(inner, (*names, key)).items()}


def check_records():
    """Values, types and names are those that the real SDK writes of the same numbers."""
    logged = [(step, metrics()) for step in sorted(rng.sample(range(1000), 60))]
    samples = [["id", "text", "score", "ok"], [[1, "ü\n|", 0.5, True], [2, None, math.nan, False]]]
    weights = [rng.gauss(0, 1) for _ in range(500)] + [7.0, 7.0]
    writer = Writer(new("records"))
    for step, numbers in logged:
        writer.log("", step, numbers)
    writer.do(op="table", stage="", step=2000, time=1.0, name="some/samples", columns=samples[0], rows=samples[1])
    writer.do(op="histogram", stage="", step=2001, time=1.0, name="weights", values=weights)
    writer.do(op="histogram", stage="", step=2002, time=1.0, name="same", values=[3.0, 3.0])
    writer.finish()
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
    with wandb.init(mode="offline", dir=new("sdk"), settings=settings) as run:
        for step, numbers in logged:
            run.log(numbers, step=step)
        run.log({"some/samples": wandb.Table(columns=samples[0], data=samples[1])}, step=2000)
        run.log({"weights": wandb.Histogram(weights)}, step=2001)
        run.log({"same": wandb.Histogram([3.0, 3.0])}, step=2002)
        theirs = pathlib.Path(run.dir)
    # The SDK says that it is finished before its file is whole.
    wait_for(lambda: has_end(log_file(theirs.parent)))
    ours = pathlib.Path(writer.folders[-1]) / "files"
    pairs = zip(rows(log_file(ours.parent), own=True), rows(log_file(theirs.parent), own=True), strict=True)
    for mine, real in pairs:
        step = mine.pop(("step",))
        assert step == real[("_step",)] == mine[("_step",)]
        # The SDK keeps a table as an artifact as well, and names its file by the step before.
        drop = {"artifact_path", "_latest_artifact_path", "path"}
        assert mine.get(("some/samples", "path"), "").endswith(real.get(("some/samples", "path"), "")[-32:])
        real = {names: item for names, item in real.items() if names[0] not in ("_runtime", "_timestamp") and names[-1] not in drop}
        mine = {names: item for names, item in mine.items() if names[0] not in ("_runtime", "_timestamp") and names[-1] not in drop}
        # The SDK drops what follows 17 digits of a float and the zero of 1.0; both read back as the same number.
        plain = lambda row: {names: numbers_plain(item) for names, item in row.items()}
        assert same(plain(mine), plain(real)), (mine, real)
    (mine,), (real,) = (list(folder.rglob("*.table.json")) for folder in (ours, theirs))
    assert mine.parent.relative_to(ours) == real.parent.relative_to(theirs) and mine.read_bytes() == real.read_bytes()


def numbers_plain(item):
    if isinstance(item, list):
        return [numbers_plain(inner) for inner in item]
    return int(item) if isinstance(item, float) and item.is_integer() else item


def check_types():
    """What was logged comes back exactly from the file."""
    writer = Writer(new("types"))
    logged = [metrics() for _ in range(200)]
    for step, numbers in enumerate(logged):
        writer.log("sft", step, numbers)
    writer.finish()
    for step, (numbers, row) in enumerate(zip(logged, rows(log_file(writer.folders[-1])), strict=True)):
        expected = {("sft/" + names[0], *names[1:]): leaf for names, leaf in leaves(numbers).items()}
        assert same(row, {("sft/step",): step} | expected), (row, expected)


def check_blocks():
    """Records end at every distance from the end of a block."""
    folder, service = new("blocks"), Service()
    writer = Writer(folder)
    path, expected, reached = log_file(writer.folders[0]), {}, set()
    # A first record shows how much stands around a text.
    size = os.path.getsize(path)
    writer.do(op="summary", metrics={"k00": "x" * 20000})
    around = os.path.getsize(path) - size - 20000
    for distance in range(1, 20):
        room = 32768 - os.path.getsize(path) % 32768
        # Less than a chunk's head is left empty; in more, a first chunk begins, and the next block takes another head.
        room = room if room > 20000 else 32768 if room < 7 else room + 32768 - 7
        length = room - around - distance
        writer.do(op="summary", metrics={f"k{distance:02}": "x" * length})
        expected[f"k{distance:02}"] = length
        reached.add(-os.path.getsize(path) % 32768)
    assert reached >= set(range(1, 12)), reached
    writer.log("", 1, {"loss": 1})
    writer.finish()
    assert len(list(records(path))) == 20 + 2 + 3 + 2
    sync(service, *writer.folders)
    assert {key: len(text) for key, text in service.summary(writer.id).items() if key in expected} == expected


def check_sync():
    """All of a run arrives."""
    options = {"project": "p", "entity": "e", "group": "g", "job_type": "rl", "name": "a name", "notes": "said", "tags": ["x", "y z"]}
    config = {"learning_rate": 1e-5, "n": 3, "deep": {"list": [1, "a", None], "flag": True}}
    writer, service, kept = Writer(new("sync"), options, config), Service(), work / "kept.txt"
    kept.write_text("kept as it was")
    logged = [metrics() for _ in range(50)]
    for step, numbers in enumerate(logged, 1):
        writer.log("rl", step, numbers).do(op="console", line=f"step {step} ü")
    writer.do(op="file", path=str(kept))
    kept.write_text("changed")
    writer.do(op="text", stage="rl", step=50, time=1.0, name="sample", text="a\nb")
    writer.do(op="table", stage="rl", step=50, time=1.0, name="samples", columns=["a"], rows=[[1], ["ü"]])
    writer.do(op="summary", metrics={"best": 0.75, "scores": {"sat": 1}}).tell(op="exit", exit_code=3).process.wait()
    sync(service, writer.folders[-1])
    run, summary, history = service.runs[writer.id], service.summary(writer.id), service.history(writer.id)
    assert [row["rl/step"] for row in history] == [*range(1, 51), 50, 50]
    assert [row["_step"] for row in history] == [*range(1, 53)]
    for numbers, row in zip(logged, history):
        for key, item in numbers.items():
            assert same(deep_plain(item), deep_plain(row["rl/" + key])), (item, row["rl/" + key])
        assert row["_timestamp"] == 1700000000 + row["rl/step"] / 8
    assert history[50]["rl/sample"] == "a\nb" and summary["rl/sample"] == "a\nb"
    table = history[51]["rl/samples"]
    content = run["files"][table["path"]]
    assert json.loads(content) == {"columns": ["a"], "data": [[1], ["ü"]]}
    assert (table["size"], table["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (table["ncols"], table["nrows"], table["_type"]) == (1, 2, "table-file")
    assert run["files"]["kept.txt"] == b"kept as it was"
    assert (summary["best"], summary["scores"], summary["rl/step"], summary["_step"]) == (0.75, {"sat": 1}, 50, 52)
    assert said(service, writer.id) == [f"step {step} ü" for step in range(1, 51)]
    assert run["exits"] == [3]
    assert {key: run["config"][key]["value"] for key in config} == config
    settings = run["settings"]
    for key, name in {"project": "project", "entity": "entity", "group": "groupName", "job_type": "jobType", "name": "displayName"}.items():
        assert settings[name] == options[key]
    assert (settings["tags"], settings["notes"]) == (options["tags"], options["notes"])
    assert axes(run)["rl/sample"] == axes(run)["rl/samples"] == "rl/step"


def said(service, name):
    """The console's lines that the check had said; random numbers raise alarms besides."""
    return [line for line in service.console(name) if line.startswith(("step ", "base "))]


def axes(run):
    """Along what each metric is drawn."""
    definitions = run["config"]["_wandb"]["value"]["m"]
    return {item["1"]: definitions[item["5"] - 1]["1"] for item in definitions if "5" in item}


def deep_plain(item):
    return {key: deep_plain(inner) for key, inner in item.items()} if isinstance(item, dict) else numbers_plain(item)


def resumed(upload):
    """A run of two stages that is killed in between, goes on from its last checkpoint, and is killed in the second stage, and
    goes on. `upload` is called with the folders that are not uploaded yet, whenever the run is down."""
    folder, config = new("resume"), {"seed": 1}
    seen = lambda step: {"loss": step / 4, "text": f"at {step}"} | ({"held_out": step} if step % 5 == 0 else {})
    first = Writer(folder, config=config)
    for step in range(1, 13):
        first.log("base", step, seen(step)).do(op="console", line=f"base {step}")
    first.do(op="summary", metrics={"base_done": 1}).kill()
    upload(first.folders)
    second = Writer(folder, config=config)
    assert second.id == first.id
    for step in range(11, 16):  # from the checkpoint at 10
        second.log("base", step, seen(step)).do(op="console", line=f"base {step} again")
    for step in range(1, 8):
        second.log("sft", step, {"loss": step / 2})
        second.do(op="table", stage="sft", step=step, time=1.0, name="samples", columns=["n"], rows=[[step]])
    second.kill()
    upload(second.folders)
    third = Writer(folder, config=config)
    for step in range(5, 10):
        third.log("sft", step, {"loss": step / 2, "late": step})
        third.do(op="table", stage="sft", step=step, time=1.0, name="samples", columns=["n"], rows=[[step]])
    third.finish()
    upload(third.folders)
    return third.id


def has_every_step_once(service, name):
    history, run = service.history(name), service.runs[name]
    seen = lambda key, stage: [row[f"{stage}/step"] for row in history if f"{stage}/{key}" in row]
    assert seen("loss", "base") == seen("text", "base") == [*range(1, 16)]
    assert seen("held_out", "base") == [5, 10, 15]
    assert seen("loss", "sft") == seen("samples", "sft") == [*range(1, 10)]
    assert seen("late", "sft") == [*range(5, 10)]
    for row in history:
        for stage, part in (("base", 4), ("sft", 2)):
            assert row.get(f"{stage}/loss", row.get(f"{stage}/step", 0) / part) == row.get(f"{stage}/step", 0) / part
    numbers = [row["_step"] for row in history]
    assert numbers == sorted(set(numbers)), numbers
    runtimes = [row["_runtime"] for row in history]
    assert runtimes == sorted(runtimes)
    summary = service.summary(name)
    assert (summary["base_done"], summary["base/text"], summary["sft/late"], summary["_step"]) == (1, "at 15", 9, numbers[-1])
    assert said(service, name) == [f"base {step}" for step in range(1, 13)] + [f"base {step} again" for step in range(11, 16)]
    assert axes(run).keys() == {"base/loss", "base/text", "base/held_out", "sft/loss", "sft/samples", "sft/late"}
    assert run["exits"][-1] == 0


def check_resume():
    """However it is uploaded, a run that went on has every step once."""
    for when in ("at the end", "at once", "each after the next began"):
        service, waiting = Service(), []

        def upload(folders):
            match when:
                case "at once":
                    sync(service, *folders)
                case "each after the next began":
                    waiting.append(folders)
                    if len(waiting) > 1:
                        sync(service, *waiting[-2])

        name = resumed(upload)
        if when != "at once":
            sync(service, *glob.glob(f"{work}/resume-*/runs/*-peer/wandb/*-{name}"))
        has_every_step_once(service, name)


def check_torn():
    """A record that was torn anywhere costs itself, and nothing hangs."""
    writer = Writer(new("torn"))
    for step in range(1, 4):
        writer.log("", step, {"loss": step, "long": "x" * 20000})
    writer.kill()
    path = pathlib.Path(log_file(writer.folders[0]))
    whole = path.read_bytes()
    ends = {1: 0, 5: 0, 4000: 0}
    for cut in ends:
        path.write_bytes(whole[:-cut])
        for go_on in (False, True):
            service = Service()
            copy = new("torn-copy")
            subprocess.run(["cp", "-r", writer.run.parent, copy], check=True)
            folder = run_of(copy) / "wandb"
            if go_on:
                later = Writer(copy)
                for step in range(2, 6):
                    later.log("", step, {"loss": step, "long": ""})
                later.finish()
            sync(service, *glob.glob(f"{folder}/offline-run-*"))
            steps = [row["step"] for row in service.history(writer.id)]
            assert steps == ([1, 2, 3, 4, 5] if go_on else [1, 2]), (cut, go_on, steps)
            assert service.runs[writer.id]["exits"][-1] == (0 if go_on else 1)


def check_killed():
    """Killed at any moment, a run has what it was told before, and goes on."""
    for _ in range(6):
        folder, service = new("killed"), Service()
        writer = Writer(folder)
        deadline = time.monotonic() + rng.uniform(0.05, 0.3)
        sent = 0
        while time.monotonic() < deadline:
            sent += 1
            writer.tell(op="log", stage="", step=sent, time=1.0, metrics={"loss": sent / 8, "long": "x" * rng.randrange(9000)})
        writer.kill()
        answered = len(writer.process.stdout.read().split("\n")) - 1
        later = Writer(folder)
        for step in range(max(answered - 3, 1), sent + 3):
            later.log("", step, {"loss": step / 8, "long": ""})
        later.finish()
        sync(service, *glob.glob(f"{folder}/runs/*-peer/wandb/offline-run-*"))
        history = service.history(writer.id)
        assert [row["step"] for row in history] == [row["_step"] for row in history] == [*range(1, sent + 3)]
        assert all(row["loss"] == row["step"] / 8 for row in history)
        board = scalars(run_of(folder) / "tensorboard")
        assert [event.step for event in board["loss"]] == [*range(1, sent + 3)]


def check_exits():
    """However a process ends, the run has an end, but for a kill."""
    expected = {"finish": 0, "exit": 7, "error": 1, "spin": 255, "nothing": 0}
    for how, exit_code in expected.items():
        writer, service = Writer(new("exits")), Service()
        writer.log("", 1, {"loss": 1.0})
        match how:
            case "finish":
                writer.finish()
            case "nothing":
                writer.process.stdin.close()
            case "spin":
                writer.do(op="spin")
                writer.process.send_signal(signal.SIGINT)
                writer.process.send_signal(signal.SIGINT)
            case _:
                writer.tell(op=how, exit_code=exit_code)
        writer.process.wait()
        ends = [record.exit.exit_code for record in records(log_file(writer.folders[0])) if record.WhichOneof("record_type") == "exit"]
        assert ends == [exit_code], (how, ends)
        sync(service, *writer.folders)
        assert service.runs[writer.id]["exits"] == [exit_code]


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def check_live():
    """`wandb beta sync --live` uploads while the run is written; killed and resumed, without a step twice."""
    service, folder = Service(), new("live")
    options = {"project": "p", "mode": "online"}
    env = environment(service) | {"PATH": f"{programs}:{os.environ['PATH']}"}
    arrived = lambda name: [row["step"] for row in service.history(name)] if name in service.runs else []
    first = Writer(folder, options, env=env)
    for step in range(1, 6):
        first.log("", step, {"loss": step})
    wait_for(lambda: arrived(first.id) == [1, 2, 3, 4, 5])
    first.log("", 6, {"loss": 6})
    wait_for(lambda: arrived(first.id) == [1, 2, 3, 4, 5, 6])
    assert not service.runs[first.id]["exits"]
    first.kill()
    second = Writer(folder, options, env=env)
    for step in range(4, 10):
        second.log("", step, {"loss": step})
    wait_for(lambda: arrived(first.id) == [*range(1, 10)])
    second.finish()
    assert arrived(first.id) == [*range(1, 10)]
    assert service.runs[first.id]["exits"] == [1, 0]
    assert len(glob.glob(f"{folder}/runs/*-peer/wandb/*/*.synced")) == 2


def scalars(folder):
    """Each scalar's events as TensorBoard has them."""
    board = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "histograms": 0}).Reload()
    return {tag: board.Scalars(tag) for tag in board.Tags()["scalars"]}


def check_tensorboard():
    """Scalars, texts and histograms, each with its step and its time."""
    folder = new("board")
    writer = Writer(folder)
    numbers = {"loss": 0.1, "n": 3, "nan": math.nan, "inf": math.inf, "flag": True, "deep": {"a": {"b": -2.5}}, "word": "ü", "none": None}
    for step in range(1, 4):
        writer.log("sft", step, numbers)
    batches = [[rng.gauss(0, 10.0**rng.randrange(-14, 8)) for _ in range(rng.randrange(1, 300))] for _ in range(40)]
    batches += [[0.0], [0.0, 0.0, 1e-13, -1e-13], [1.0] * 5, [1e-12, 1.1e-12, -1e-12], [1e19, -1e19, 3.0]]
    for step, values in enumerate(batches):
        writer.do(op="histogram", stage="", step=step, time=step / 4, name="weights", values=values + [math.nan] * (step % 2))
    writer.do(op="text", stage="sft", step=3, time=9.5, name="sample", text="a *b*\n\nü")
    writer.do(op="table", stage="sft", step=3, time=9.5, name="samples", columns=["a", "b|c"], rows=[[1, "x\ny"], [math.nan, None]])
    writer.finish()
    stage = scalars(run_of(folder) / "tensorboard" / "sft")
    expected = {"loss": 0.1, "n": 3, "nan": math.nan, "inf": math.inf, "flag": 1, "deep/a/b": -2.5}
    assert stage.keys() == expected.keys()
    for tag, number in expected.items():
        assert [event.step for event in stage[tag]] == [1, 2, 3]
        assert [event.wall_time for event in stage[tag]] == [1700000000 + step / 8 for step in (1, 2, 3)]
        assert all(same(event.value, float(numpy.float32(number))) for event in stage[tag])
    board = EventAccumulator(str(run_of(folder) / "tensorboard" / "sft"), size_guidance={"tensors": 0}).Reload()
    texts = lambda tag: [(event.step, event.tensor_proto.string_val[0].decode()) for event in board.Tensors(tag)]
    assert texts("sample") == [(3, "a *b*\n\nü")] and texts("word") == [(1, "ü"), (2, "ü"), (3, "ü")]
    assert texts("samples") == [(3, "| a | b\\|c |\n| --- | --- |\n| 1 | x<br>y |\n| NaN | null |\n")]
    assert all(board.SummaryMetadata(tag).plugin_data.plugin_name == "text" for tag in ("sample", "word"))
    edges, edge = [], 1e-12
    while edge < 1e20:
        edges.append(edge)
        edge *= 1.1
    edges = [-edge for edge in reversed(edges)] + [0] + edges
    root = EventAccumulator(str(run_of(folder) / "tensorboard"), size_guidance={"histograms": 0}).Reload()
    for event, values in zip(root.Histograms("weights"), batches, strict=True):
        real, mine = make_histogram(numpy.array(values), edges), event.histogram_value
        assert (mine.bucket, mine.bucket_limit) == (list(real.bucket), list(real.bucket_limit)), (values, mine, real)
        assert (mine.min, mine.max, mine.num) == (real.min, real.max, real.num)
        assert math.isclose(mine.sum, real.sum, rel_tol=1e-9, abs_tol=1e-9 * max(map(abs, values)))
        assert math.isclose(mine.sum_squares, real.sum_squares, rel_tol=1e-9)


def check_tensorboard_resume():
    """A run that goes on voids the steps that it takes again, of its stage alone, also behind a torn event."""
    folder = new("board-resume")
    first = Writer(folder)
    for stage in ("base", "sft"):
        for step in range(1, 9):
            first.log(stage, step, {"loss": step / 2})
    first.kill()
    torn = pathlib.Path(glob.glob(f"{folder}/runs/*-peer/tensorboard/sft/*")[0])
    torn.write_bytes(torn.read_bytes()[:-5])
    second = Writer(folder)
    for step in range(6, 11):
        second.log("sft", step, {"loss": step * 2})
    second.finish()
    expected = [(step, step / 2) for step in range(1, 6)] + [(step, step * 2) for step in range(6, 11)]
    pairs = lambda stage: [(event.step, event.value) for event in scalars(run_of(folder) / "tensorboard" / stage)["loss"]]
    assert pairs("sft") == expected
    assert pairs("base") == [(step, step / 2) for step in range(1, 9)]
    # What a browser is shown, by the server's own reader, which is not the one above.
    port = 20000 + os.getpid() % 20000
    words = [programs / "tensorboard", "--logdir", run_of(folder) / "tensorboard", "--port", str(port), "--bind_all"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def shown(stage):
        try:
            url = f"http://127.0.0.1:{port}/data/plugin/scalars/scalars?tag=loss&run={stage}"
            return [(step, value) for _, step, value in json.load(open_url(url))]
        except OSError:
            return None

    try:
        wait_for(lambda: shown("sft") == expected)
        wait_for(lambda: shown("base") == pairs("base"))
    finally:
        server.terminate()
        server.wait()


checks = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}
for name in arguments.checks or checks:
    begun = time.monotonic()
    checks[name]()
    print(f"{name}: {checks[name].__doc__.splitlines()[0]} ({time.monotonic() - begun:.1f} s)", flush=True)
