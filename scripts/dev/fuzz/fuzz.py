"""Looks for what ends the process: mutated files for every loader, random arguments for every Lua function.

    AFFINE=target/release/affine python3 scripts/dev/fuzz/fuzz.py calls --seed 1 --count 20000
    AFFINE=target/release/affine python3 scripts/dev/fuzz/fuzz.py files --seed 1 --count 600

A Lua error is the right answer to nonsense. A signal, an abort, an "internal error" or a call that does not come back is not:
each is printed with what led to it, and the exit code is 1.
"""

import argparse
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
# Address space of a process: what is asked for without a check is then refused by the system, not by its killer.
ROOM = 12 << 30


def environment(home):
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LD_LIBRARY_PATH")}
    return kept | {"HOME": str(home), "HF_HUB_OFFLINE": "1", "AFFINE_LOG": "error", "OMP_NUM_THREADS": "1", "TMPDIR": str(home)}


def run(script, arguments, folder, patience):
    """Runs a script; how it ended: None, or a sentence. `patience`: seconds without a new line in the journal."""
    journal = folder / "journal"
    journal.unlink(missing_ok=True)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    command = [os.environ["AFFINE"], str(HERE / script), *map(str, arguments), str(journal)]
    with open(folder / "stderr", "wb") as stderr, open(folder / "stdout", "wb") as stdout:
        process = subprocess.Popen(
            command, cwd=folder / "work", stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, preexec_fn=limit,
            env=environment(folder / "home"),
        )
        size, since = -1, time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            now = journal.stat().st_size if journal.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                process.kill()
                process.wait()
                return f"no end within {patience} s"
    said = (folder / "stderr").read_bytes().decode(errors="replace")
    if "internal error" in said:
        line = next(line for line in said.splitlines() if "internal error" in line)
        return f"exit code {process.returncode}: {line}"
    if process.returncode != 0:
        last = said.strip().splitlines()[-1:] or [""]
        return f"exit code {process.returncode}: {last[0][:300]}"
    return None


def last_line(folder):
    journal = folder / "journal"
    lines = journal.read_bytes().decode(errors="replace").splitlines() if journal.exists() else []
    return lines[-1] if lines else "0\t(before the first)"


def fuzz(script, first, count, patience, describe, folder, chunk):
    """Numbers first … first + count - 1, in processes of `chunk` at most. The findings."""
    findings, at, end = [], first, first + count
    while at < end:
        for name in ("work", "home"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
        part = min(chunk, end - at)
        problem = run(script, describe(at, part), folder, patience)
        if problem is None:
            at += part
            continue
        line = last_line(folder)
        if line.endswith("(before the first)"):
            sys.exit(f"{script} did not begin: {(folder / 'stderr').read_text(errors='replace')[-800:]}")
        findings.append(f"{problem}\n    {line[:1500]}")
        print(f"FOUND {findings[-1]}", flush=True)
        number = line.split("\t")[0]
        at = max(at, int(number)) + 1 if number.isdigit() else at + part
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["calls", "files"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--patience", type=int, default=30, help="seconds that one call may take")
    options = parser.parse_args()
    os.environ["AFFINE"] = str(pathlib.Path(os.environ.get("AFFINE", "target/release/affine")).resolve())
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        describe = lambda at, part: [options.seed, at, part]
        script = f"{options.what}.lua"
        findings = fuzz(script, options.first, options.count, options.patience, describe, folder, 2000)
    print(f"{options.what}, seed {options.seed}: {options.count} tried, {len(findings)} found, {time.monotonic() - started:.0f} s")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
