"""Steps per second of ALFWorld's real engine, one process: a random walk through one game file, CPU time.

    python scripts/dev/bench/alfworld.py GAME/game.tw-pddl [STEPS]

Needs alfworld and textworld as scripts/dev/peer/alfworld.py says.
"""

import pathlib
import random
import sys
import time

# This file has the package's name, and Python looks in its folder first.
sys.path = [folder for folder in sys.path if pathlib.Path(folder).resolve() != pathlib.Path(__file__).parent.resolve()]

from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
from textworld import EnvInfos
from textworld.envs.pddl import PddlEnv

game, steps = sys.argv[1], int((sys.argv[2:] or ["300"])[0])
env = AlfredDemangler(PddlEnv(EnvInfos(won=True, admissible_commands=True)))
rng = random.Random(0)

begin = time.process_time()
env.load(game)
state = env.reset()
print(f"load and reset: {time.process_time() - begin:.3f} s")

begin = time.process_time()
for _ in range(steps):
    state, _, done = env.step(rng.choice(state.admissible_commands))
    if done:
        state = env.reset()
spent = time.process_time() - begin
print(f"{steps} steps in {spent:.2f} s of CPU time: {steps / spent:.1f} steps per second, {1000 * spent / steps:.1f} ms each")
