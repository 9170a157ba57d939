#!/usr/bin/env python3
"""What a run comes to that is ended at random moments, or runs into a full disk, and is started again until it is whole.

    AFFINE=target/release/affine scripts/dev/chaos.py [--runs 20] [--signals KILL,INT,TERM,HUP] [--sizes 9] [--seed 0]

Runs a small scripts/full.lua once without trouble, then `--runs` times for each signal, each time in a new folder: the
process gets the signal at a random moment, three times, and is started again until it ends by itself. Then on `--sizes`
disks (tmpfs in a user namespace) that are too small, which grow before it is started again. Every run must end with the
weights, the summary and the metrics of the first one, each step once; an interrupted process with 130, one without room
with 1 and a sentence about the disk. Exit code 1 where any did not.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AFFINE = Path(os.environ.get("AFFINE", ROOT / "target/release/affine")).resolve()
SETTINGS = """
data.environments={"sat","abd"} data.num_samples=8 data.base.num_samples=8 training.base.max_steps=12
training.max_steps=12 training.save_steps=5 training.logging_steps=1 training.batch_size=4 training.base.batch_size=4
training.gradient_accumulation_steps=1 training.lora_dropout=0.1 training.max_length=1024
model.create.max_position_embeddings=4096 model.create.hidden_size=64 model.create.num_hidden_layers=2
model.create.intermediate_size=128 rl.iterations=3 rl.num_rollouts=2 rl.minibatch_size=2 rl.batch_size=2
rl.save_steps=1 rl.max_new_tokens=8 evaluation.num_eval_samples=2 evaluation.max_new_tokens=8
""".split()
COMMAND = [str(AFFINE), "scripts/full.lua", *(word for setting in SETTINGS for word in ("--set", setting))]
# What a clock decides.
TIMES = {"seconds", "rollout_seconds", "tokens_per_second", "time"}
ENDINGS = 3


def untimed(value):
    """A JSON value without what a clock decides."""
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in TIMES}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def result(folder):
    """What must be equal: weights, summary, metrics."""
    weights = {}
    for path in sorted((folder / "models").rglob("*.safetensors")):
        weights[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    runs = sorted(path for path in (folder / "runs").iterdir() if path.is_dir() and not path.is_symlink())
    lines = [json.loads(line) for run in runs for line in (run / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((folder / "models/evaluation/summary.json").read_text())
    return {"weights": weights, "summary": untimed(summary), "metrics": [untimed(line) for line in lines]}


def differences(found, expected):
    """In words, the first of each kind."""
    said = []
    for name in [name for name in expected["weights"] if found["weights"].get(name) != expected["weights"][name]][:1]:
        said.append(f"weights in {name}")
    if found["summary"] != expected["summary"]:
        said.append("summary")
    if found["metrics"] != expected["metrics"]:
        pairs = enumerate(zip(found["metrics"], expected["metrics"], strict=False), 1)
        first = next(((i, a, b) for i, (a, b) in pairs if a != b), None)
        counts = f"{len(found['metrics'])} and {len(expected['metrics'])} lines"
        said.append(f"metrics: line {first[0]}: {first[1]} and {first[2]}" if first else f"metrics: {counts}")
    return said


def start(folder, **options):
    (folder / "scripts").exists() or (folder / "scripts").symlink_to(ROOT / "scripts")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        COMMAND, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options,
    )


def ended(name, draw, span, expected):
    """One run that is ended at random moments; what is wrong with it."""
    wanted = getattr(signal, "SIG" + name)
    with tempfile.TemporaryDirectory(prefix="affine-chaos-") as folder:
        folder, moments = Path(folder), []
        for attempt in range(ENDINGS + 1):
            process = start(folder)
            if attempt < ENDINGS:
                moments.append(round(draw.uniform(0, span), 2))
                try:
                    process.communicate(timeout=moments[-1])
                except subprocess.TimeoutExpired:
                    process.send_signal(wanted)
            _, said = process.communicate()
            # A signal may come after the last line of work, or before the process listens.
            allowed = {0, -wanted, 130} if attempt < ENDINGS else {0}
            if process.returncode not in allowed:
                return f"SIG{name} at {moments}: exit code {process.returncode}: {said[-400:]}"
        wrong = differences(result(folder), expected)
        return f"SIG{name} at {moments}: other {'; '.join(wrong)}" if wrong else None


# Starts a shell's words on a disk of its own: `$1` bytes at `$2`.
ON_A_DISK = 'mount -t tmpfs -o size="$1" none "$2" && cd "$2" && shift 2 && '
# The first attempt on the small disk, then on one that has grown, then what is left for the comparison.
FULL = (
    ON_A_DISK
    + 'ln -s "$1" scripts; kept=$2; shift 2; "$@" 2> "$kept/said"; echo $? > "$kept/code"; mount -o remount,size=4g . '
    + '&& "$@" 2> "$kept/said-again"; echo $? > "$kept/code-again"; cp -r models runs "$kept"'
)


def filled(size, expected):
    """One run on a disk of so many bytes; what is wrong with it."""
    with tempfile.TemporaryDirectory(prefix="affine-chaos-") as folder:
        disk, kept = Path(folder) / "disk", Path(folder) / "kept"
        disk.mkdir(), kept.mkdir()
        words = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", FULL, "bash"]
        words += [str(size), str(disk), str(ROOT / "scripts"), str(kept), *COMMAND]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        if not (kept / "code").exists():
            return f"{size} bytes: no disk could be made: are user namespaces allowed?"
        code, said = (kept / "code").read_text().strip(), (kept / "said").read_text()
        complaint = said.splitlines()[-12:]
        if code != "1" or "the disk is full" not in said or "internal error" in said:
            return f"{size} bytes: exit code {code}: {complaint}"
        if (kept / "code-again").read_text().strip() != "0":
            return f"{size} bytes, then room: {(kept / 'said-again').read_text()[-400:]}"
        wrong = differences(result(kept), expected)
        return f"{size} bytes, then room: other {'; '.join(wrong)}" if wrong else None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=20, help="runs for each signal (20)")
    options.add_argument("--signals", default="KILL,INT,TERM,HUP", help="comma-separated names (KILL,INT,TERM,HUP)")
    options.add_argument("--sizes", type=int, default=9, help="disks that are too small (9)")
    options.add_argument("--seed", type=int, default=0, help="decides the moments (0)")
    options = options.parse_args()
    draw, failures = random.Random(options.seed), 0

    with tempfile.TemporaryDirectory(prefix="affine-chaos-") as folder:
        folder, begun = Path(folder), time.monotonic()
        process = start(folder)
        _, said = process.communicate()
        if process.returncode != 0:
            sys.exit(f"the run without trouble failed: {said}")
        span, expected = time.monotonic() - begun, result(folder)
        (folder / "scripts").unlink()
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        shutil.rmtree(folder / "data_cache", ignore_errors=True)
    print(f"without trouble: {span:.0f} s, {len(expected['metrics'])} lines of metrics, {used >> 10} KiB", flush=True)

    work = [(f"SIG{name}", lambda name=name: ended(name, draw, span, expected))
            for name in options.signals.split(",") if name for _ in range(options.runs)]
    work += [("disk", lambda size=used * step // (options.sizes + 1): filled(size, expected))
             for step in range(1, options.sizes + 1)]
    counts = {}
    for kind, run in work:
        wrong = run()
        good, all_ = counts.get(kind, (0, 0))
        counts[kind] = (good + (wrong is None), all_ + 1)
        if wrong:
            failures += 1
            print(f"FAULT: {wrong}", flush=True)
        if counts[kind][1] == sum(other == kind for other, _ in work):
            print(f"{kind}: {counts[kind][0]} of {counts[kind][1]} ended as the run without trouble", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
