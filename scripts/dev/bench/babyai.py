"""Times minigrid's BabyAI levels on one core: bare moves, and text actions with AgentGym's wrapper over them.

    peer/bin/python scripts/dev/bench/babyai.py [--agentgym AgentGym/agentenv-babyai] [--seconds 5]

Set-up as in scripts/dev/peer/babyai.py. Random play over all 40 levels; resets are not counted.
"""

import argparse
import contextlib
import io
import os
import random
import sys
import time
import warnings

warnings.filterwarnings("ignore")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "peer"))

import babyai as peer  # noqa: E402
import gymnasium  # noqa: E402


def bare_moves(limit):
    draws, spent, moves = random.Random(0), 0.0, 0
    while spent < limit:
        env = gymnasium.make(peer.NAMES[draws.randrange(40)])
        env.reset(seed=draws.randrange(10))
        begun = time.perf_counter()
        for _ in range(60):
            env.step(draws.randrange(6))
        spent += time.perf_counter() - begun
        moves += 60
    return moves / spent


def text_actions(limit, folder):
    server, draws, spent, turns = peer.agentgym(folder), random.Random(0), 0.0, 0
    while spent < limit:
        episode = server.create()["id"]
        server.reset(episode, draws.randrange(400))
        begun = time.perf_counter()
        for _ in range(20):
            turns += 1
            reply = server.step(episode, draws.choice(server.env[episode]._get_action_space()))
            if reply["done"]:
                break
        spent += time.perf_counter() - begun
        server.close(episode)
    return turns / spent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agentgym", metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        peer.register_withdrawn_level()
        moves = bare_moves(options.seconds)
        turns = text_actions(options.seconds, options.agentgym) if options.agentgym else None
    print(f"{moves:.0f} moves per second")
    if turns:
        print(f"{turns:.0f} text actions per second")


if __name__ == "__main__":
    main()
