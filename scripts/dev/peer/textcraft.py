"""TextCraft against CPython itself: `python3 scripts/dev/peer/textcraft.py AFFINE [AGENTGYM]`.

The commands that a task shows come out of Python's sets and `random`. Here they are drawn by a real Python, under several
PYTHONHASHSEEDs, from the rules of the game written anew over the same table of recipes; with a clone of AgentGym as second
argument by AgentGym's own code (needs gymnasium and numpy). All 544 openings and some thousand random actions must be
equal, byte for byte, to what `affine env serve textcraft` answers.
"""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

from serving import Serving

TABLE = Path(__file__).parents[3] / "src/engine/env/textcraft/recipes.txt"
HASH_SEEDS = [0, 1, 42, 4294967295]
GOALS = 544
PLAYED = 40


class Recipe:
    def __init__(self, line):
        made, inputs = line.split(" = ")
        count, output, *group = made.split(" ")
        self.count, self.output = int(count), output
        self.group = group[0][1:-1] if group else None
        # [name, is a tag, count]
        self.inputs = [[x.lstrip("#"), x[0] == "#", int(n)] for n, x in (p.split(" ") for p in inputs.split(" + "))]

    def command(self):
        inputs = ", ".join(f"{n} {spoken(name)}" for name, _, n in self.inputs)
        return f"craft {self.count} {spoken(self.output)} using {inputs}"


def spoken(name):
    return name.replace("_", " ")


class Book:
    def __init__(self):
        self.items, self.tags, self.tag_of = set(), set(), {}
        self.by_item, self.by_tag, below = {}, {}, {}
        for line in TABLE.read_text().splitlines():
            if line.startswith("#"):
                continue
            recipe = Recipe(line)
            for name, is_tag, _ in recipe.inputs:
                (self.tags if is_tag else self.items).add(name)
            output, group = recipe.output, recipe.group
            self.items.add(output)
            names = [name for name, _, _ in recipe.inputs]
            if len(names) == 1 and names[0].endswith("_block"):
                continue
            if group and group != output:
                self.tags.add(group)
                self.tag_of[output] = group
            mine = below.setdefault(output, set())
            if any(output in below.get(name, ()) for name in names):
                continue
            for name in names:
                mine |= {name} | below.get(name, set())
            self.by_item.setdefault(output, []).append(recipe)
            if group:
                self.by_tag.setdefault(group, []).append(recipe)
        made = {tag for item, tag in self.tag_of.items() if item in self.by_item}
        everything = [recipe for recipes in self.by_item.values() for recipe in recipes]
        for part in (part for recipe in everything for part in recipe.inputs):
            if part[1] and part[0] not in made:
                part[1] = False
                self.items.add(part[0])
                self.tags.discard(part[0])
        self.uses = {}
        for shelf in (self.by_item, self.by_tag):
            for recipe in (recipe for recipes in shelf.values() for recipe in recipes):
                for name, _, _ in recipe.inputs:
                    self.uses.setdefault(name, []).append(recipe)
        self.depths = {}
        self.goals = sorted(self.by_item, key=self.depth)

    def makers(self, name):
        return self.by_item.get(name) or self.by_tag.get(name) or []

    def depth(self, name):
        if name not in self.depths:
            ways = [1 + max(self.depth(part[0]) for part in recipe.inputs) for recipe in self.makers(name)]
            self.depths[name] = min(ways, default=0)
        return self.depths[name]

    def walk(self, name, above=()):
        if name in above:
            return []
        found = list(self.makers(name))
        for recipe in self.makers(name):
            for part in recipe.inputs:
                found += self.walk(part[0], (*above, name))
        return found


class Game:
    """One player's game over a book."""

    def __init__(self, book):
        self.book = book

    def reset(self, index):
        random.seed(42)
        self.goal, self.carried = self.book.goals[index % len(self.book.goals)], {}
        tree, others = self.book.walk(self.goal), []
        for recipe in tree:
            for name, _, _ in recipe.inputs:
                uses = self.book.uses.get(name, [])
                others += random.sample(uses, min(len(uses), 10)) if uses else []
        # Added one by one: the order of a set depends on its history.
        needed, extra = set(), set()
        for recipe in tree:
            needed.add(recipe.command())
        for recipe in others:
            if recipe.command() not in needed:
                extra.add(recipe.command())
        shown = list(needed) + random.sample(list(extra), min(len(extra), 10))
        random.shuffle(shown)
        return "Crafting commands:\n" + "\n".join(shown) + f"\n\nGoal: craft {spoken(self.goal)}."

    def step(self, action):
        """Observation, reward, done."""
        if found := re.match(r"craft (.*) using (.*)", action):
            return self.craft(*found.groups())
        if found := re.match(r"get ([0-9]+) (.*)", action):
            return self.get(int(found[1]), found[2]), 0, False
        if action.startswith("inventory"):
            carried = "".join(f"[{spoken(name)}] ({n}) " for name, n in self.carried.items())
            return "Inventory: " + (carried or "You are not carrying anything."), 0, False
        return f"Could not execute {action}", 0, False

    def get(self, count, name):
        item = name.replace(" ", "_")
        if self.book.makers(item) or item in self.book.tags or item not in self.book.items:
            return f"Could not find {name}"
        self.carried[item] = self.carried.get(item, 0) + count
        return f"Got {count} {name}"

    def craft(self, output, inputs):
        count, output = split(output) or (1, output.replace(" ", "_"))
        parts = []
        for part in inputs.split(","):
            if not split(part.strip()):
                return f"Wrong item format: {part.strip()}", 0, False
            parts.append(split(part.strip()))
        tag = output in self.book.tags
        if any(name in self.book.tags or self.carried.get(name, -1) < n for n, name in parts):
            return f"Could not find enough items to craft {None if tag else 'minecraft:' + output}", 0, False
        recipes = [] if tag else self.book.by_item.get(output, [])
        recipe = next((recipe for recipe in recipes if self.takes(recipe, list(parts))), None)
        if not recipe:
            name = f"minecraft:{output}"
            what = f"tag={name!r}, item_id=None" if tag else f"tag=None, item_id={name!r}"
            item = f"ItemTagWithCount(item_tag=ItemTag({what}), count={count})"
            return f"Could not find a valid recipe for {item}", 0, False
        for n, name in parts:
            self.carried[name] -= n
            if not self.carried[name]:
                del self.carried[name]
        self.carried[recipe.output] = self.carried.get(recipe.output, 0) + recipe.count
        done = recipe.output == self.goal
        return f"Crafted {recipe.count} minecraft:{recipe.output}", int(done), done

    def takes(self, recipe, parts):
        for name, is_tag, count in recipe.inputs:
            fits = (part for part in parts if (self.book.tag_of.get(part[1]) if is_tag else part[1]) == name)
            part = next(fits, None)
            if not part or part[0] != count:
                return False
            parts.remove(part)
        return not parts


def split(text):
    found = re.match(r"([0-9]+) (.*)", text)
    return found and (int(found[1]), found[2].replace(" ", "_"))


class Original:
    """AgentGym's own environment, its recipe files in ascending order."""

    def __init__(self, clone):
        sys.path.insert(0, f"{clone}/agentenv-textcraft")
        package = type(sys)("agentenv_textcraft")  # not its __init__, which would start the server
        package.__path__ = [f"{clone}/agentenv-textcraft/agentenv_textcraft"]
        sys.modules["agentenv_textcraft"] = package
        unsorted = os.listdir
        os.listdir = lambda path: sorted(unsorted(path))
        from agentenv_textcraft.crafting_tree import CraftingTree
        from agentenv_textcraft.environment import TextCraftEnv

        self.env = TextCraftEnv(CraftingTree(package.__path__[0]), None, None)

    def reset(self, index):
        return self.env.reset(data_idx=index)[0]

    def step(self, action):
        return self.env.step(action)[:3]


def some_action(dice, shown):
    """An action that may work, or a spoilt one."""
    command = dice.choice(shown)
    made, inputs = command.split(" using ")
    parts = inputs.split(", ")
    dice.shuffle(parts)
    return dice.choice(
        [
            command,
            f"{made} using {', '.join(parts)}",
            f"get {dice.choice(parts)}",
            f"get {dice.choice(parts)}",
            f"get {dice.choice([0, 7, 10**30])} {parts[0].split(' ', 1)[1]}",
            f"{made} using {', '.join(parts).replace(' planks', ' oak planks')}",
            f"{made} using {parts[0].split(' ', 1)[1]}",
            f"{made}s using {parts[0]}",
            "craft 4 planks using " + parts[0],
            "inventory",
            "look",
        ]
    )


def record(game):
    """What a game says: openings, and plays as [action, observation, reward, done]."""
    dice = random.Random(7)
    openings, plays = [], []
    for index in range(GOALS):
        openings.append(game.reset(index))
    for index in dice.sample(range(GOALS), PLAYED):
        shown = game.reset(index).split("\n\nGoal")[0].splitlines()[1:]
        steps = []
        for _ in range(60):
            action = some_action(dice, shown)
            steps.append([action, *game.step(action)])
        plays.append([index, steps])
    print(json.dumps([openings, plays]))


def compare(affine, seed, recorded):
    openings, plays = recorded
    count = 0
    with Serving(affine, "textcraft", "--set", f"hash_seed={seed}") as server:
        server.call("POST", "/create", {})
        for index, opening in enumerate(openings):
            reply = server.call("POST", "/reset", {"id": 0, "data_idx": index})
            expected = {"id": 0, "observation": opening, "done": False, "reward": 0}
            assert reply == (200, expected), f"hash seed {seed}, task {index}: {reply}, expected {expected}"
        for index, steps in plays:
            server.call("POST", "/reset", {"id": 0, "data_idx": index})
            for action, observation, reward, done in steps:
                reply = server.call("POST", "/step", {"id": 0, "action": action})
                expected = {"observation": observation, "reward": reward, "done": done}
                assert reply == (200, expected), f"task {index}, {action!r}: {reply}, expected {expected}"
                count += 1
    print(f"hash seed {seed}: {len(openings)} openings and {count} actions are equal")


def main():
    if sys.argv[1] == "--record":
        import contextlib
        import io

        game = Original(sys.argv[2]) if len(sys.argv) > 2 else Game(Book())
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            record(game)
        # AgentGym's code prints remarks of its own.
        print(said.getvalue().splitlines()[-1])
        return
    affine, *clone = sys.argv[1:]
    for seed in HASH_SEEDS:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, __file__, "--record", *clone]
        recorded = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        compare(affine, seed, json.loads(recorded))


if __name__ == "__main__":
    main()
