"""ScienceWorld through its own Python package: `python3 scripts/peer/sciworld.py WALKS [TASKS [VARIATIONS [STEPS]]]`.

Needs `pip install scienceworld==1.2.3` and Java. Plays random walks of valid, invalid and odd actions, each in a Java
process of its own, with constant identity hashes (without them the package does not repeat itself), and writes them to
the file WALKS with the time of every step. Then

    AFFINE_PEER_SCIWORLD=WALKS cargo test --release fresh_walks -- --ignored --nocapture

plays the same walks and compares every byte and the times.
"""

import hashlib
import json
import os
import random
import sys
import time

os.environ["JAVA_TOOL_OPTIONS"] = "-XX:+UnlockExperimentalVMOptions -XX:hashCode=2"

from scienceworld import ScienceWorldEnv  # noqa: E402

ODD = ["", "look around", "inventory", "task", "0", "1", "99", "reset task", "wait", "wait1", "help", "objects", "gibberish",
       "LOOK AROUND", "  inventory  ", "open", "focus on", "go to the moon", "pour é into 漢", "tab\there", "use x on"]
OBJECTS = ["door", "kitchen", "thermometer", "metal pot", "sink", "air", "agent", "cupboard", "table", "water", "battery"]


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


def walk(task, variation, simplifications, steps, seed):
    draw = random.Random(seed)
    env = ScienceWorldEnv()
    try:
        env.load(task, variation, simplifications)
        description = env.get_task_description()
        observation, _, done, info = env.step("look around")
        row = {"task": task, "variation": variation, "simplifications": simplifications,
               "opening": f"{description}\n{observation}", "steps": []}
        templates = [t for t in env.get_possible_actions() if not t.startswith("focus")]
        while len(row["steps"]) < steps and not done:
            action = drawn(draw, info["valid"], templates)
            begun = time.perf_counter()
            observation, reward, done, info = env.step(action)
            ms = 1e3 * (time.perf_counter() - begun)
            valid = hashlib.sha256("\n".join(info["valid"]).encode()).hexdigest()
            row["steps"].append({"action": action, "observation": observation, "moves": info["moves"], "valid": valid,
                                 "result": [float(info["score"]), float(reward), done], "ms": round(ms, 3)})
        return row
    finally:
        env.close()


def main():
    out, *numbers = sys.argv[1:]
    tasks, variations, steps = [int(number) for number in numbers] + [30, 2, 30][len(numbers):]
    env = ScienceWorldEnv()
    names = {name: env.get_max_variations(name) for name in env.task_names}
    env.close()
    draw = random.Random(int(time.time()))
    count = 0
    with open(out, "w", encoding="utf-8") as file:
        for name in list(names)[:tasks]:
            for number in draw.sample(range(names[name]), variations):
                electrical = "power" in name or "conductivity" in name
                simple = draw.choice(["", "", "openDoors", "teleportAction,openContainers" if electrical else "easy"])
                row = walk(name, number, simple, steps, draw.random())
                count += len(row["steps"])
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"{name} {number} {simple!r}: {len(row['steps'])} steps", flush=True)
    print(f"{count} steps in {out}")


main()
