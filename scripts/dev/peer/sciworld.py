"""ScienceWorld through its own Python package, beside affine: `sciworld.py AFFINE WALKS [TASKS [VARIATIONS [STEPS]]]`.

Needs `pip install scienceworld==1.2.3` and Java. Plays random walks of valid, invalid and odd actions, each in a Java
process of its own, with constant identity hashes (without them the package does not repeat itself). The binary AFFINE
plays along, action by action, so that both are timed on the same machine at the same time; its texts must be the same.
The walks are written to the file WALKS. Then

    AFFINE_PEER_SCIWORLD=WALKS cargo test --release fresh_walks -- --ignored --nocapture

plays them once more with all that the package asks its simulator for, and compares that too.
"""

import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import time

os.environ["JAVA_TOOL_OPTIONS"] = "-XX:+UnlockExperimentalVMOptions -XX:hashCode=2"

from scienceworld import ScienceWorldEnv  # noqa: E402

ODD = ["", "look around", "inventory", "task", "0", "1", "99", "reset task", "wait", "wait1", "help", "objects", "gibberish",
       "LOOK AROUND", "  inventory  ", "open", "focus on", "go to the moon", "pour é into 漢", "tab\there", "use x on"]
OBJECTS = ["door", "kitchen", "thermometer", "metal pot", "sink", "air", "agent", "cupboard", "table", "water", "battery"]


# Plays the actions that come in, one JSON string a line; answers with what came of each and how long it took.
PLAYER = """
local env, json, time = require "affine.env", require "affine.json", require "affine.time"
local e = env.make("sciworld", { step_limit = 100000 })
for line in io.lines() do
  local ask, begun = json.decode(line), time.clock()
  local observation
  if type(ask) == "table" then observation = e:reset(ask) else observation = e:step(ask) end
  print(json.encode { observation = observation, ms = 1e3 * (time.clock() - begun) })
  io.stdout:flush()
end
"""


class Affine:
    """The binary as a player beside the package; its Java process is kept from walk to walk."""

    def __init__(self, binary):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([binary, "-e", PLAYER], stdin=pipe, stdout=pipe, text=True, encoding="utf-8")

    def ask(self, what):
        """Observation and milliseconds, of an action or of a task to begin."""
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"affine ended at {what!r}")
        reply = json.loads(line)
        return reply["observation"], reply["ms"]


def drawn(draw, valid, templates):
    """One in two actions is valid; the others are templates filled at random, or odd."""
    which = draw.random()
    if which < 0.5 and valid:
        action = draw.choice(valid)
        # A wrong focus ends the walk.
        return action if not action.startswith("focus") or draw.random() < 0.1 else "look around"
    if which < 0.8:
        words = draw.choice(templates).split(" ")
        return " ".join(draw.choice(OBJECTS) if word in ("OBJ", "LOC") else word for word in words)
    return draw.choice(ODD)


def walk(affine, task, variation, simplifications, steps, seed):
    draw = random.Random(seed)
    env = ScienceWorldEnv()
    try:
        env.load(task, variation, simplifications)
        description = env.get_task_description()
        observation, _, done, info = env.step("look around")
        row = {"task": task, "variation": variation, "simplifications": simplifications,
               "opening": f"{description}\n{observation}", "steps": []}
        opening, _ = affine.ask({"task": task, "variation": variation, "simplifications": simplifications})
        assert opening == row["opening"], f"{task} {variation}: affine begins with {opening!r}, not {row['opening']!r}"
        templates = [t for t in env.get_possible_actions() if not t.startswith("focus")]
        while len(row["steps"]) < steps and not done:
            action = drawn(draw, info["valid"], templates)
            begun = time.perf_counter()
            observation, reward, done, info = env.step(action)
            ms = 1e3 * (time.perf_counter() - begun)
            same, ours = affine.ask(action)
            if same != observation:
                print(f"{task} {variation}, {action!r}: affine says {same!r}, not {observation!r}", flush=True)
            valid = hashlib.sha256("\n".join(info["valid"]).encode()).hexdigest()
            row["steps"].append({"action": action, "observation": observation, "moves": info["moves"], "valid": valid,
                                 "result": [float(info["score"]), float(reward), done], "ms": round(ms, 3), "affine_ms": round(ours, 3),
                                 "same": same == observation})
        return row
    finally:
        env.close()


def main():
    binary, out, *numbers = sys.argv[1:]
    tasks, variations, steps = [int(number) for number in numbers] + [30, 2, 30][len(numbers):]
    env = ScienceWorldEnv()
    names = {name: env.get_max_variations(name) for name in env.task_names}
    env.close()
    draw = random.Random(int(time.time()))
    affine, done = Affine(binary), []
    with open(out, "w", encoding="utf-8") as file:
        for name in list(names)[:tasks]:
            for number in draw.sample(range(names[name]), variations):
                electrical = "power" in name or "conductivity" in name
                simple = draw.choice(["", "", "openDoors", "teleportAction,openContainers" if electrical else "easy"])
                row = walk(affine, name, number, simple, steps, draw.random())
                done += row["steps"]
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"{name} {number} {simple!r}: {len(row['steps'])} steps", flush=True)
    median = {key: statistics.median(step[key] for step in done) for key in ("ms", "affine_ms")}
    ratio = median["ms"] / median["affine_ms"]
    same = sum(step["same"] for step in done)
    print(f"{len(done)} steps in {out}; affine says the same in {same} without asking what the package asks")
    print(f"median step: package {median['ms']:.1f} ms, affine {median['affine_ms']:.2f} ms, {ratio:.1f} times as fast")


main()
