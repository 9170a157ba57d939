#!/usr/bin/env python3
"""Runs that compute, each ended by one signal at a random moment: none may die of it.

    AFFINE=target/release/affine scripts/dev/signals.py [--runs 200] [--others 20] [--seed 0]

Training in float32 gets SIGINT and SIGTERM, with one thread and with two, `--runs` times each; training in bfloat16, PPO and
decoding `--others` times each. A run must end with 130 within a minute, a trainer's with one checkpoint that a second process
resumes from (every tenth is). Exit code 1 where one did not. tests/signals.rs sends the other signals, a thousand into one run.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AFFINE = Path(os.environ.get("AFFINE", ROOT / "target/release/affine")).resolve()

# Shapes that oneDNN's generated float32 products take (uxlfoundation/oneDNN#4845).
MODEL = """
local model, tokenizer, trainer = require "affine.model", require "affine.tokenizer", require "affine.trainer"
local env, folder, resume = require "affine.env", arg[1], arg[2] == "resume"
local texts, data = {}, {}
for i = 1, 50 do texts[i] = "go to the red ball " .. i .. " turn left move forward answer" end
for i = 1, 256 do data[i] = { text = ("red ball "):rep(5 + i % 40) } end
local m = model.create {
  tokenizer = tokenizer.train(texts, { vocab_size = 300 }), preset = "tiny", hidden_size = 96, num_hidden_layers = 3,
  num_attention_heads = 3, num_key_value_heads = 1, head_dim = 32, intermediate_size = 256,
}
m:save(folder .. "/model")
m = model.load(folder .. "/model", { dtype = "DTYPE" })
local said = false
local function ready()
  if not said then print "ready" end
  said = true
end
"""
SFT = MODEL + """
local sft = trainer.sft(m, {
  data = data, max_steps = 100000, batch_size = 32, output_dir = folder, save_steps = 0, logging_steps = 0, train_on = "all",
  resume = resume,
})
for _ in sft:steps() do ready() end
"""
PPO = MODEL + """
local ball = env.make(env.define {
  name = "ball",
  prompt = "Say something.",
  reset = function(_, task) return "go to the red ball " .. task.id end,
  step = function(_, answer) return "", #answer % 7 / 7, true end,
})
local ppo = trainer.ppo(m, {
  iterations = 100000, num_rollouts = 16, batch_size = 16, minibatch_size = 16, max_new_tokens = 24, output_dir = folder,
  save_steps = 0, learning_rate = 1e-5, resume = resume,
})
for _ in ppo:iterations { ball } do ready() end
"""
DECODING = MODEL + """
m:generate({ "go to the red ball" }, { max_new_tokens = 8 })
ready()
while true do m:generate({ "go to", "turn left", "answer" }, { max_new_tokens = 200 }) end
"""
# What runs, its dtype, whether it trains.
KINDS = {
    "sft float32": (SFT, "float32", True),
    "sft bfloat16": (SFT, "bfloat16", True),
    "ppo float32": (PPO, "float32", True),
    "ppo bfloat16": (PPO, "bfloat16", True),
    "decoding float32": (DECODING, "float32", False),
    "decoding bfloat16": (DECODING, "bfloat16", False),
}


def stopped(script, folder, threads, wait, wanted, *arguments):
    """Sends `wanted` so many seconds after the first step; what is wrong with the end."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    words = [str(AFFINE), "-e", script, folder, *arguments]
    process = subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if process.stdout.readline() != "ready\n":
        return f"did not begin: {process.communicate()[1][-400:]}"
    time.sleep(wait)
    process.send_signal(wanted)
    try:
        said = process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "did not end within a minute"
    return None if process.returncode == 130 else f"exit code {process.returncode}: {said[-400:]}"


def saved(folder):
    """The step of the only checkpoint."""
    steps = [int(path.name.removeprefix("checkpoint-")) for path in Path(folder).glob("checkpoint-*")]
    return steps[0] if len(steps) == 1 else None


def ended(kind, wanted, threads, wait, resume):
    """One run; what is wrong with it."""
    script, dtype, trains = KINDS[kind]
    script = script.replace("DTYPE", dtype)
    with tempfile.TemporaryDirectory(prefix="affine-signals-") as folder:
        wrong = stopped(script, folder, threads, wait, wanted)
        if wrong or not trains:
            return wrong
        before = saved(folder)
        if before is None:
            return f"left {sorted(path.name for path in Path(folder).iterdir())}"
        if resume:
            wrong = stopped(script, folder, threads, 0, wanted, "resume")
            if wrong:
                return f"resumed: {wrong}"
            steps = sorted(int(path.name.removeprefix("checkpoint-")) for path in Path(folder).glob("checkpoint-*"))
            if steps[-1] <= before:
                return f"resumed at {before}, saved {steps}"
    return None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=200, help="runs of float32 training for each signal and number of threads (200)")
    options.add_argument("--others", type=int, default=20, help="runs of every other combination (20)")
    options.add_argument("--seed", type=int, default=0, help="decides the moments (0)")
    options = options.parse_args()
    draw, failures = random.Random(options.seed), 0
    for kind in KINDS:
        runs = options.runs if kind == "sft float32" else options.others
        for threads in (1, 2):
            for name in ("INT", "TERM"):
                good = 0
                for run in range(runs):
                    wait = draw.uniform(0, 0.5)
                    wrong = ended(kind, getattr(signal, "SIG" + name), threads, wait, run % 10 == 0)
                    good += wrong is None
                    if wrong:
                        failures += 1
                        print(f"FAULT: {kind}, SIG{name} after {wait:.3f} s, {threads} threads: {wrong}", flush=True)
                print(f"{kind}, SIG{name}, {threads} threads: {good} of {runs}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
