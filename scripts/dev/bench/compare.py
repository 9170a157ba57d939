#!/usr/bin/env python3
"""Runs suites, our side and the peers interleaved, and prints the medians, the spread, the ratios and the roofline fractions.

    compare.py AFFINE FOLDER SUITE... [--rounds 5]

Every run is a process of its own. Sides take turns, in reversed order every other round, so that the slow drift of a
shared machine hits all of them alike. CPU seconds (of all threads) are the main measure, because on such a machine wall
seconds are what the others leave over. FOLDER/results/SUITE.json keeps every run. Ends with 1 where the two sides did not
do the same work: their losses, greedy tokens or sampled tokens differ by more than the tolerance.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import prepare
from cases import SUITES, UNEQUAL, bytes_per_decode_step, useful_flops
from make_model import PRESETS

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = "affine"
# Largest relative difference of a loss. In bfloat16 the peers under autocast round the adapter too, which we do not.
LOSS_TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-3}
SAMPLED_TOLERANCE = 0.02


def commands(affine, case, job):
    """Command lines by side, ours first."""
    sides = {OURS: [affine, os.path.join(HERE, case["kind"] + ".lua"), job]}
    for peer, options in case.get("peers", {"transformers": []}).items():
        sides[peer] = [sys.executable, os.path.join(HERE, case["kind"] + ".py"), job, *options]
    return sides


def run(words, env):
    """The JSON object in the last line of what a command prints."""
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=1800)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"{' '.join(words)}\nended with {done.returncode}:\n{done.stderr[-3000:]}")


def environment(a):
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads), MKL_NUM_THREADS=str(a.threads), OMP_WAIT_POLICY="passive",
               PYTHONWARNINGS="ignore")
    peer_env = dict(env)
    if a.trl_ppo:
        peer_env["PYTHONPATH"] = os.pathsep.join([a.trl_ppo, env.get("PYTHONPATH", "")])
    return env, peer_env


def measured(result, key):
    """What one run of a side took: seconds per step or iteration, or per decoded token where rows are of one length."""
    seconds = statistics.median(result[key + "_s"])
    prefill = result.get(f"prefill_{key}_s")
    if prefill:
        return seconds - statistics.median(prefill)
    # Replies of different lengths: what a token took. An iteration of PPO is one whatever its tokens.
    if isinstance(result["tokens"], list) and "mean_logprob" not in result:
        return sum(result[key + "_s"]) / sum(result["tokens"])
    return seconds


class Side:
    """The runs of one side of a case."""

    def __init__(self, name, runs):
        self.name, self.runs = name, runs

    def spread(self, function):
        values = [function(r) for r in self.runs]
        return statistics.median(values), min(values), max(values)

    def cpu(self):
        return self.spread(lambda r: measured(r, "cpu"))

    def wall(self):
        return self.spread(lambda r: measured(r, "wall"))

    def memory(self):
        """The peak net of what the idle process takes, and the peak."""
        return (statistics.median(r["peak_mb"] - r["idle_mb"] for r in self.runs),
                statistics.median(r["peak_mb"] for r in self.runs))


def disagreements(case, sides):
    """Sentences about work that was not the same."""
    ours, tolerance = sides[0].runs[0], LOSS_TOLERANCE[case["dtype"]]
    for side in sides[1:]:
        theirs = side.runs[0]
        if case["kind"] == "sft":
            off = max(abs(x - y) / abs(y) for x, y in zip(ours["loss"], theirs["loss"], strict=True))
            if off > tolerance:
                yield f"{side.name}: losses differ by up to {off:.1e} ({ours['loss']} and {theirs['loss']})"
            if ours["tokens"] != theirs["tokens"]:
                yield f"{side.name}: {theirs['tokens']} tokens a step, ours {ours['tokens']}"
        elif case["kind"] == "generate":
            pairs = [p for x, y in zip(ours["greedy"], theirs["greedy"], strict=True) for p in zip(x, y)]
            same = sum(x == y for x, y in pairs) / len(pairs)
            # Rounding decides between two near logits in bfloat16, and what follows is another text.
            if same < (1.0 if case["dtype"] == "float32" else 0.5):
                yield f"{side.name}: {100 * same:.0f} % of the greedy tokens are the same"
            if not case["ends"] and ours["tokens"] != theirs["tokens"]:
                yield f"{side.name}: made {theirs['tokens']} tokens, ours {ours['tokens']}"
        elif case["kind"] == "ppo" and theirs["mean_logprob"]:
            x, y = ours["mean_logprob"][0], theirs["mean_logprob"][0]
            if abs(x - y) > SAMPLED_TOLERANCE * abs(y):
                yield f"{side.name}: the sampled tokens' mean log-prob is {y:.3f}, ours {x:.3f}"
            if abs(sum(ours["tokens"]) - sum(theirs["tokens"])) > SAMPLED_TOLERANCE * sum(theirs["tokens"]):
                yield f"{side.name}: sampled {theirs['tokens']} tokens, ours {ours['tokens']}"


def roofline(case, side, ceiling):
    """The part of the machine's ceiling that the useful work reached."""
    shape, cpu = PRESETS[case["model"]][:7], side.cpu()[0]
    if case["kind"] == "generate":
        if case["ends"]:
            # A step reads all weights and makes at best a token in every row.
            least = bytes_per_decode_step(case, shape) / (1e9 * max(ceiling["gbs"].values())) / case["batch_size"]
            return least / cpu
        steps = case["new"] - 1
        return bytes_per_decode_step(case, shape) * steps / cpu / (1e9 * max(ceiling["gbs"].values()))
    flops = useful_flops(case, shape, side.runs[0]["tokens"] if case["kind"] == "sft" else None)
    return flops / cpu / (1e9 * max(ceiling["gflops"].values()))


def per_unit(case, seconds):
    """What a table shows of seconds: those of a step or iteration, or milliseconds per decoding step or token."""
    if case["kind"] == "generate":
        return 1000 * seconds / (1 if case["ends"] else case["new"] - 1)
    return seconds


UNITS = {"sft": "s/step", "ppo": "s/iteration", "generate": "ms/decoding step"}


def table(case, sides, ceiling):
    unit = "ms/token" if case["kind"] == "generate" and case["ends"] else UNITS[case["kind"]]
    best = min((s for s in sides[1:] if s.name not in UNEQUAL), key=lambda s: s.cpu()[0])
    yield f"**{case['name']}**, {len(sides[0].runs)} rounds"
    yield ""
    yield f"| | CPU {unit} (least to most) | wall | peak MB (net) | roofline | peer / affine |"
    yield "|---|---|---|---|---|---|"
    for side in sides:
        cpu, wall = ([per_unit(case, x) for x in which()] for which in (side.cpu, side.wall))
        net, peak = side.memory()
        ratio = "" if side.name == OURS else f"{side.cpu()[0] / sides[0].cpu()[0]:.2f}" + (" ←" if side is best else "")
        yield (f"| {side.name} | {cpu[0]:.4g} ({cpu[1]:.4g} to {cpu[2]:.4g}) | {wall[0]:.4g} | {peak:.0f} ({net:.0f}) "
               f"| {100 * roofline(case, side, ceiling):.0f} % | {ratio} |")
    for side in sides:
        phases = side.runs[0].get("phases")
        if phases:
            medians = {n: statistics.median(r["phases"][n] for r in side.runs) for n in phases}
            yield f"\n{side.name}: " + ", ".join(f"{name} {seconds:.3g}" for name, seconds in medians.items()) + " CPU s"
    yield ""
    if "target" in case:
        reached = best.cpu()[0] / sides[0].cpu()[0]
        yield f"Target {case['target']} × against {best.name}: {reached:.2f} × ({'reached' if reached >= case['target'] else 'missed'})."
    if "memory_target" in case:
        ours, least = sides[0].memory()[0], min(s.memory()[0] for s in sides[1:])
        part = ours / best.memory()[0]
        yield (f"Target {case['memory_target']} × the net memory of {best.name}: {part:.2f} × "
               f"({'reached' if part <= case['memory_target'] else 'missed'}); {ours / least:.2f} × that of the leanest peer.")


def compare(a, suite, env, peer_env):
    """Runs a suite; returns the sentences about unequal work."""
    prepare.prepare(a.folder, suite)
    complaints, record = [], []
    for index, case in enumerate(SUITES[suite]):
        case = {"batch_size": case["batch"], **case}
        sides = commands(a.affine, case, prepare.job_path(a.folder, suite, index))
        if a.without:
            sides = {name: words for name, words in sides.items() if not any(w in name for w in a.without)}
        runs, ceilings = {name: [] for name in sides}, []
        for turn in range(a.rounds):
            for name in list(sides)[:: -1 if turn % 2 else 1]:
                runs[name].append(run(sides[name], env if name == OURS else peer_env))
                if a.verbose:
                    print(f"{time.strftime('%T')} {case['name']}: {name}: {measured(runs[name][-1], 'cpu'):.4g} CPU s, "
                          f"{measured(runs[name][-1], 'wall'):.4g} s", file=sys.stderr, flush=True)
            ceilings.append(run([sys.executable, os.path.join(HERE, "ceiling.py"), case["dtype"]], env))
        ceiling = {k: {n: statistics.median(c[k][n] for c in ceilings) for n in ceilings[0][k]} for k in ("gflops", "gbs")}
        case_sides = [Side(name, runs[name]) for name in sides]
        print("\n".join(table(case, case_sides, ceiling)))
        print(f"\nCeiling, {case['dtype']}: " + ", ".join(f"{n} {r:.0f} GFLOP/s, {ceiling['gbs'].get(n, 0):.0f} GB/s"
                                                         for n, r in ceiling["gflops"].items()) + ".\n", flush=True)
        complaints += [f"{case['name']}: {sentence}" for sentence in disagreements(case, case_sides)]
        record.append({"case": case, "runs": runs, "ceiling": ceiling})
    os.makedirs(os.path.join(a.folder, "results"), exist_ok=True)
    with open(os.path.join(a.folder, "results", suite + ".json"), "w") as f:
        json.dump({"when": time.strftime("%F %T"), "machine": machine(a), "cases": record}, f, indent=1)
    return complaints


def machine(a):
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    return f"{model}, {os.cpu_count()} processors, {a.threads} thread(s) a side, load {os.getloadavg()[0]:.1f}, affine at {commit}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("affine", help="the binary")
    ap.add_argument("folder", help="where models, jobs and results are kept")
    ap.add_argument("suites", nargs="+", choices=SUITES, metavar="SUITE", help=", ".join(SUITES))
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--verbose", action="store_true", help="a line for every run as it ends")
    ap.add_argument("--without", nargs="*", default=[], metavar="PEER", help="leave out peers whose name has this in it")
    ap.add_argument("--trl-ppo", metavar="FOLDER", help="a folder with trl 1.12.0, the last that has PPO")
    a = ap.parse_args()
    a.folder = os.path.abspath(a.folder)
    complaints = []
    print(f"{machine(a)}\n")
    for suite in a.suites:
        print(f"### {suite}\n", flush=True)
        env, peer_env = environment(a)
        complaints += compare(a, suite, env, peer_env if suite.startswith("ppo") else env)
    for sentence in complaints:
        print("Not the same work: " + sentence)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
