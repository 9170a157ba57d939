"""Plays games of ours with ALFWorld's real engine, for the peer check of the environment `alfworld`.

    python -m venv venv
    venv/bin/pip install alfworld==0.4.2 --no-deps
    venv/bin/pip install textworld==1.7.0 fast_downward_textworld==20.6.4
    venv/bin/python scripts/dev/peer/alfworld.py texts OUT          # upstream's domain and grammar, both dialects, into OUT
    AFFINE_PEER_ALFWORLD_GAMES=OUT cargo test --release -- --ignored games_for_the_peer_check
    venv/bin/python scripts/dev/peer/alfworld.py play OUT           # writes OUT/walks.jsonl
    AFFINE_PEER_ALFWORLD=OUT/walks.jsonl cargo test --release -- --ignored --nocapture walks_of_the_real_engine

Each row of walks.jsonl: game (its folder), reset, admissible, steps [{action, observation, admissible, won}].
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import zipfile

# This file has the package's name, and Python looks in its folder first.
sys.path = [folder for folder in sys.path if pathlib.Path(folder).resolve() != pathlib.Path(__file__).parent.resolve()]

VERSIONS = {"put": "0.3.3", "move": "0.4.2"}
TEXTS = ("alfred.pddl", "alfred.twl2")
# Verbs that a uniform walk among thirty `go to` hardly ever draws.
RARE = ("take", "put", "move", "open", "close", "clean", "heat", "cool", "use", "slice", "examine", "look", "inventory")
ODD = ("", "   ", "go to", "GO TO FRIDGE 1", "take everything", "look ", "\tinventory\x1f", "examine nothing 1", "öffne", "help me")


def fetch_texts(out):
    for dialect, version in VERSIONS.items():
        folder = out / dialect
        folder.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        subprocess.run([*download, f"alfworld=={version}"], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in TEXTS:
                (folder / name).write_bytes(archive.read(f"alfworld/data/{name}"))


def engine():
    """TextWorld's PDDL environment with ALFWorld's names for things, made as alfworld.agents.environment makes it."""
    from alfworld.agents.utils.misc import Demangler
    from textworld import EnvInfos
    from textworld.core import Wrapper
    from textworld.envs.pddl import PddlEnv

    class Names(Wrapper):
        def load(self, *args, **kwargs):
            super().load(*args, **kwargs)
            demangler = Demangler(game_infos=self._entity_infos)
            for info in self._entity_infos.values():
                info.name = demangler.demangle_alfred_name(info.id)

    return Names(PddlEnv(EnvInfos(won=True, admissible_commands=True)))


def walk(env, game, steps):
    """A random walk of `steps` steps; where there is a plan of the expert's, that plan with a tenth of odd steps."""
    rng = random.Random(game.parent.name)
    plan = game.parent / "plan.json"
    plan = json.loads(plan.read_text()) if plan.exists() else None
    env.load(str(game))
    state = env.reset()
    row = {"game": str(game.parent.resolve()), "reset": state.feedback, "admissible": state.admissible_commands, "steps": []}
    for _ in range(steps):
        if plan and rng.random() < 0.9:
            action = plan.pop(0)
        elif plan:
            action = rng.choice(["look", "inventory", "help", *ODD])
        else:
            action = draw(rng, state.admissible_commands)
        state, _, done = env.step(action)
        step = {"action": action, "observation": state.feedback, "admissible": state.admissible_commands, "won": state.won}
        row["steps"].append(step)
        if done:
            break
    return row


def draw(rng, commands):
    kind = rng.random()
    if kind < 0.03:
        return rng.choice(ODD)
    verbs = sorted({command.split()[0] for command in commands} & set(RARE))
    if kind < 0.6 and verbs:
        verb = rng.choice(verbs)
        return rng.choice([command for command in commands if command.split()[0] == verb])
    return rng.choice(commands)


def play(out, steps, part, parts):
    games = sorted((out / "games").glob("*/game.tw-pddl"))[part::parts]
    env = engine()
    with open(out / ("walks.jsonl" if parts == 1 else f"walks-{part}.jsonl"), "w") as file:
        # The real engine parses each game's grammar anew at every step: minutes for them all.
        for count, game in enumerate(games, 1):
            file.write(json.dumps(walk(env, game, steps)) + "\n")
            file.flush()
            if count % 20 == 0 or count == len(games):
                print(f"{count} of {len(games)} games", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=["texts", "play"])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--part", type=int, default=0, help="of --parts, for several processes side by side")
    parser.add_argument("--parts", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.job == "texts":
        fetch_texts(arguments.out)
    else:
        play(arguments.out, arguments.steps, arguments.part, arguments.parts)
