"""Records BabyAI episodes of the real packages, for tests/babyai.rs to replay.

    python -m venv peer && peer/bin/pip install minigrid==3.2.0 numpy
    peer/bin/python scripts/dev/peer/babyai.py games.jsonl --seeds 1000:1025
    peer/bin/python scripts/dev/peer/babyai.py texts.jsonl --seeds 1000:1010 --agentgym AgentGym/agentenv-babyai
    peer/bin/python scripts/dev/peer/babyai.py bot.jsonl --seeds 0:10 --bot
    AFFINE_PEER_BABYAI=games.jsonl cargo test --release -- --ignored recorded_by_the_peer
    AFFINE_PEER_BABYAI_BOT=bot.jsonl cargo test --release -- --ignored --nocapture minigrids_on_most_tasks

Every level is played with every seed. A move is the bot's or random, so that objects are picked up, dropped and
toggled and missions succeed; a walk goes on after its end, as the packages allow. With `--agentgym` (a checkout of
AgentGym, which is no package; its unused imports are replaced by empty modules) the text actions are played instead.
With `--digest` a row keeps the actions and, of all that they led to, only a SHA-256: so game_walks.jsonl and
text_walks.jsonl under tests/golden/babyai were made (`--seeds 100:105 --digest`, and
`--seeds 200:203 --moves 15 --digest --agentgym FOLDER`).
"""

import argparse
import contextlib
import hashlib
import importlib.util
import io
import json
import random
import signal
import sys
import types
import warnings

warnings.filterwarnings("ignore")

import gymnasium  # noqa: E402
import minigrid  # noqa: E402, F401
from minigrid.utils.baby_ai_bot import BabyAIBot  # noqa: E402

LEVELS = """GoToRedBallGrey GoToRedBall GoToRedBallNoDists GoToObjS6 GoToLocalS8N7 GoToObjMazeS7 GoToImpUnlock GoToSeqS5R2
GoToRedBlueBall GoToDoor GoToObjDoor Open OpenRedDoor OpenDoorLoc OpenRedBlueDoorsDebug OpenDoorsOrderN4Debug Pickup
UnblockPickup PickupLoc PickupDistDebug PickupAbove PutNextLocalS6N4 PutNextS7N4Carrying Unlock UnlockLocalDist KeyInBox
UnlockPickupDist BlockedUnlockPickup UnlockToUnlock ActionObjDoor FindObjS7 KeyCorridorS6R3 OneRoomS20
MoveTwoAcrossS8N9 SynthS5R2 SynthLoc SynthSeq MiniBossLevel BossLevel BossLevelNoUnlock""".split()

NAMES = [f"BabyAI-{name}-v0" for name in LEVELS]


def register_withdrawn_level():
    """minigrid 3.2.0 no longer knows GoToObjS6-v0, which was registered with rooms of size 4."""
    if "BabyAI-GoToObjS6-v0" not in gymnasium.registry:
        gymnasium.register(
            id="BabyAI-GoToObjS6-v0", entry_point="minigrid.envs.babyai:GoToObj", kwargs={"room_size": 4}
        )


class TooLong(Exception):
    pass


@contextlib.contextmanager
def seconds(limit):
    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    # Again and again: an exception that is raised in a destructor is lost.
    signal.setitimer(signal.ITIMER_REAL, limit, limit)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)


def suggestion(bot, last):
    """The bot's next move, or None once it has given up: it fails on some tasks and runs for ever on others."""
    if bot is None:
        return None
    try:
        with seconds(2):
            return int(bot.replan(last))
    except Exception:
        return None


def numbers(cells):
    return [[[int(number) for number in cell] for cell in row] for row in cells]


def pose(world):
    return [int(world.agent_pos[0]), int(world.agent_pos[1]), int(world.agent_dir)]


def play_game(level, seed, draws, moves):
    env = gymnasium.make(NAMES[level])
    observation, _ = env.reset(seed=seed)
    world = env.unwrapped
    row = {
        "task_id": seed * 40 + level,
        "mission": world.mission,
        "grid": numbers(world.grid.encode().transpose(1, 0, 2)),
        "pose": pose(world),
        "max_steps": int(world.max_steps),
        "image": observation["image"].tobytes().hex(),
        "steps": [],
    }
    trust = draws.choice([0.0, 0.5, 0.8, 1.0])
    bot, last = BabyAIBot(env), None
    for _ in range(moves):
        wanted = suggestion(bot, last)
        if wanted is None:
            bot = None
        if wanted is not None and wanted < 6 and draws.random() < trust:
            last = wanted
        else:
            last = draws.choices(range(6), weights=[2, 2, 6, 3, 2, 3])[0]
        observation, reward, terminated, truncated, _ = env.step(last)
        image = observation["image"].tobytes().hex()
        row["steps"].append([last, pose(world), image, float(reward), bool(terminated), bool(truncated)])
    row["final_grid"] = numbers(world.grid.encode().transpose(1, 0, 2))
    row["carrying"] = [int(number) for number in world.carrying.encode()] if world.carrying else None
    return row


def play_bot(level, seed):
    """The bot alone, to the end."""
    env = gymnasium.make(NAMES[level])
    env.reset(seed=seed)
    row = {"task_id": seed * 40 + level, "bot": [], "solved": False, "problem": None}
    bot = BabyAIBot(env)
    last = None
    try:
        with seconds(20):
            for _ in range(int(env.unwrapped.max_steps)):
                last = int(bot.replan(last))
                if last == 6:
                    break
                row["bot"].append(last)
                _, reward, terminated, _, _ = env.step(last)
                if terminated:
                    row["solved"] = reward > 0
                    break
    except (Exception, TooLong) as problem:
        row["problem"] = type(problem).__name__
    return row


def flat(grid):
    return bytes(number for row in grid for cell in row for number in cell).hex()


def digest_of(row):
    """The row with a hash in place of what the packages answered."""
    if "reset" in row:
        kept = {"task_id": row["task_id"], "actions": [step[0] for step in row["steps"]]}
        lines = [row["reset"]]
        lines += [f"{text}|{reward!r}|{score!r}|{int(done)}" for _, text, reward, score, done in row["steps"]]
    else:
        kept = {"task_id": row["task_id"], "moves": "".join(str(step[0]) for step in row["steps"])}
        lines = [row["mission"], str(row["max_steps"]), str(row["pose"]), flat(row["grid"]), row["image"]]
        for _, place, image, reward, terminated, truncated in row["steps"]:
            lines.append(f"{place}|{image}|{reward!r}|{int(terminated)}|{int(truncated)}")
        lines.append(flat(row["final_grid"]))
    kept["sha256"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return kept


def agentgym(folder):
    for name in ("gym", "matplotlib", "matplotlib.pyplot", "PIL", "PIL.Image"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["gym"].Env = object
    sys.modules["PIL"].Image = sys.modules["PIL.Image"]
    place = f"{folder}/agentenv_babyai/environment.py"
    spec = importlib.util.spec_from_file_location("agentgym_babyai", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BabyAIEnv()


ODD = ["", "toggle", "drop", "pickup", "move forward", "go to goal", "check", "  Turn LEFT ", "go through red door 1"]


def play_text(server, level, seed, draws, turns):
    task = seed * 40 + level
    episode = server.create()["id"]
    first = server.reset(episode, task)
    row = {"task_id": task, "reset": first["observation"], "steps": []}
    wrapper = server.env[episode]
    bot, last = BabyAIBot(wrapper.env), None
    for _ in range(turns):
        actions = wrapper._get_action_space()
        kind, action = draws.random(), None
        if kind < 0.55:
            wanted = suggestion(bot, last)
            action = as_text(wrapper, wanted)
            if action is None:
                bot = None
            last = wanted
        else:
            # The bot does not see what happens now: begin with a new one, if it is asked again.
            bot, last = BabyAIBot(wrapper.env), None
        if action is None:
            if kind > 0.95:
                action = draws.choice(ODD)
            elif kind > 0.85 and wrapper.error_message:
                action = draws.choice(sorted(wrapper.error_message))
            else:
                macros = [a for a in actions if a.startswith(("toggle", "pickup", "go through", "drop"))]
                action = draws.choice(macros if macros and draws.random() < 0.4 else actions)
        reply = server.step(episode, action)
        answer = [reply["observation"], float(reply["reward"]), float(reply["score"]), reply["done"]]
        row["steps"].append([action, *answer])
        if reply["done"]:
            break
    row["over"] = "error" in server.step(episode, "check")
    server.close(episode)
    return row


def as_text(wrapper, move):
    """The text action that makes exactly this move."""
    for name, moves in wrapper.action_space.items():
        if move is not None and moves == [move]:
            return name
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--seeds", default="0:25", help="FROM:TO, the last not included")
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--agentgym", metavar="FOLDER", help="play text actions with the wrapper in this folder")
    parser.add_argument("--bot", action="store_true", help="let the bot play alone instead")
    parser.add_argument("--digest", action="store_true", help="keep only a hash of the answers")
    options = parser.parse_args()
    register_withdrawn_level()
    first, last = (int(number) for number in options.seeds.split(":"))
    server = None
    with open(options.file, "w") as file, contextlib.redirect_stdout(io.StringIO()):
        if options.agentgym:
            server = agentgym(options.agentgym)
        for seed in range(first, last):
            for level in range(len(NAMES)):
                draws = random.Random(seed * 40 + level)
                if options.bot:
                    row = play_bot(level, seed)
                elif server:
                    row = play_text(server, level, seed, draws, options.moves)
                else:
                    row = play_game(level, seed, draws, options.moves)
                if options.digest:
                    row = digest_of(row)
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
