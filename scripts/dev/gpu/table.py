#!/usr/bin/env python3
"""Tables of what bench.lua, train.lua and peer.py printed: `table.py MODEL FILE...`. Plain Python.

MODEL is the folder that was measured: its config.json says how much work a token is. FILEs hold JSON lines, in any order; a
line without `peer` is affine's, and lines of one measurement are its rounds. Ends with 1 where the sides did not do the same work.
"""

import json
import os
import sys
from collections import defaultdict
from statistics import median

PROMPT, NEW, RANK = 128, 33, 16  # As in bench.lua, train.lua and peer.py.
BYTES = 2  # of a bfloat16 number

# What was aimed at, on an H200. Shares are of the measured ceiling.
CARD = "H200"
GOALS = [
    (("train", 2048, False), "share", 0.55),
    (("train", 2048, True), "share", 0.55),
    (("train", 2048, False), "tokens/s", 21000),
    (("train", 2048, True), "tokens/s", 15000),
    (("decode", 128), "tokens/s", 11000),
]


class Work:
    """What a model costs at least: scripts/dev/bench/README.md has the formulas and where they are from."""

    def __init__(self, config):
        hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
        queries = config["num_attention_heads"] * config["head_dim"]
        keys = config["num_key_value_heads"] * config["head_dim"]
        maps = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)] + 3 * [(hidden, inner)]
        self.body = layers * sum(a * b for a, b in maps)
        self.head = hidden * config["vocab_size"]
        self.adapter = layers * RANK * sum(a + b for a, b in maps)
        self.layers, self.queries, self.keys = layers, queries, keys

    def attention(self, context):
        """FLOPs of one token that sees `context` others: scores, and their sum over the values."""
        return 4 * context * self.queries * self.layers

    def training(self, length, checkpointing):
        """FLOPs per token: forward, back to the activations and, of the adapter alone, to the weights."""
        attention = self.attention(length / 2)
        again = 2 * self.body + 2 * self.adapter + attention if checkpointing else 0
        return 4 * (self.body + self.head) + 6 * self.adapter + 3 * attention + again

    def decoding(self, rows):
        """FLOPs, and bytes read, of a step. The steps between the first token and the last see so many tokens each."""
        context = PROMPT + NEW / 2
        flops = rows * (2 * (self.body + self.head) + self.attention(context))
        return flops, BYTES * (self.body + self.head + rows * context * 2 * self.keys * self.layers)


def key(line):
    if "decode_batch" in line:
        return "decode", line["decode_batch"]
    return "train", line["train_length"], line["gradient_checkpointing"]


def side(line):
    graph = {None: "", False: ", no CUDA graph", True: ", CUDA graph"}[line.get("cuda_graph")]
    return line.get("peer", "affine" + graph)


def is_peer(name):
    return not name.startswith("affine")


def read(files):
    """What the device can do, and lines by measurement and side."""
    ceilings, measured = [], defaultdict(lambda: defaultdict(list))
    for name in files:
        with open(name) as file:
            for line in map(json.loads, file):
                if "device" in line:
                    ceilings.append(line)
                else:
                    measured[key(line)][side(line)].append(line)
    cards = sorted({line["device"] for line in ceilings})
    if len(cards) > 1:
        raise SystemExit(f"the files are of several devices: {', '.join(cards)}")
    for name, sides in measured.items():
        tokens = {line["tokens_per_step"] for lines in sides.values() for line in lines if "tokens_per_step" in line}
        if len(tokens) > 1:
            raise SystemExit(f"{title(name)}: sides train {sorted(tokens)} tokens a step, which is not the same work")
    return ceilings, measured


def title(name):
    if name[0] == "decode":
        return f"decoding, batch {name[1]}"
    return f"training, {name[1]} tokens" + (", checkpointing" if name[2] else "")


def rates(lines):
    return [line["tokens_per_second"] for line in lines if "tokens_per_second" in line]


def best(sides):
    """Tokens per second of the fastest of these, or None where none came through."""
    return max((median(rates(lines)) for lines in sides if rates(lines)), default=None)


def share(name, rate, work, ceilings):
    """The part of the ceiling that `rate` tokens per second are."""
    flops = max(line["matmul_flops_per_second"] for line in ceilings)
    if name[0] == "train":
        return rate * work.training(*name[1:]) / flops
    step_flops, step_bytes = work.decoding(name[1])
    floor = max(step_flops / flops, step_bytes / max(line["copy_bytes_per_second"] for line in ceilings))
    return floor * rate / name[1]


def cell(lines):
    """The median, the least and the most where there are several rounds, and memory; or why there is no number."""
    numbers = rates(lines)
    if not numbers:
        return next((line["problem"].replace("|", "/") for line in lines), "")
    text = f"{median(numbers):.0f}"
    if len(numbers) > 1:
        text += f" ({min(numbers):.0f} to {max(numbers):.0f})"
    if len(numbers) < len(lines):
        text += f", {len(lines) - len(numbers)} of {len(lines)} failed"
    peaks = [line["peak_bytes"] for line in lines if "peak_bytes" in line]
    return text + (f", {max(peaks) / 1e9:.1f} GB" if peaks else "")


def row(name, sides, columns, work, ceilings):
    ours = best(lines for name, lines in sides.items() if not is_peer(name))
    theirs = best(lines for name, lines in sides.items() if is_peer(name))
    cells = [title(name), *(cell(sides.get(column, [])) for column in columns)]
    cells.append(f"{ours / theirs:.2f}" if ours and theirs else "")
    if ceilings:
        cells.append(", ".join(f"{share(name, rate, work, ceilings):.0%}" if rate else "-" for rate in (ours, theirs)))
    return cells


def table(measured, work, ceilings):
    """Columns are affine's ways first, then the peers', each in the order of the files."""
    columns = sorted(dict.fromkeys(column for sides in measured.values() for column in sides), key=is_peer)
    head = ["tokens/s, most memory", *columns, "affine / best peer"] + (["of the ceiling: affine, best peer"] if ceilings else [])
    rows = [row(name, sides, columns, work, ceilings) for name, sides in sorted(measured.items())]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def goals(measured, work, ceilings):
    for name, what, goal in GOALS:
        rate = best(lines for side, lines in measured.get(name, {}).items() if not is_peer(side))
        if rate is None:
            yield f"- {title(name)}: not measured"
        elif what == "share":
            got = share(name, rate, work, ceilings)
            yield f"- {title(name)}: {got:.0%} of the ceiling, the goal is {goal:.0%}: {'met' if got >= goal else 'MISSED'}"
        else:
            yield f"- {title(name)}: {rate:.0f} tokens/s, the goal is {goal}: {'met' if rate >= goal else 'MISSED'}"


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    with open(os.path.join(sys.argv[1], "config.json")) as file:
        work = Work(json.load(file))
    ceilings, measured = read(sys.argv[2:])
    for part in "train", "decode":
        chosen = {name: sides for name, sides in measured.items() if name[0] == part}
        if chosen:
            print(table(chosen, work, ceilings) + "\n")
    if ceilings:
        flops, copied = (max(line[k] for line in ceilings) for k in ("matmul_flops_per_second", "copy_bytes_per_second"))
        print(f"{ceilings[0]['device']}: a product of matrices reaches {flops / 1e12:.1f} TFLOP/s, a copy {copied / 1e9:.0f} GB/s.")
    if ceilings and CARD in ceilings[0]["device"]:
        print(f"\nGoals on an {CARD}:\n\n" + "\n".join(goals(measured, work, ceilings)))


if __name__ == "__main__":
    main()
