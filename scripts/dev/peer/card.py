"""Model cards against Python's own reader: `python3 scripts/dev/peer/card.py AFFINE [SEED]` (needs huggingface_hub).

affine writes cards whose values are everything that YAML could take for something else. `ModelCard.load` has to give back
every field and every evaluation as it was meant. Half of the cards are then saved by `ModelCard`, and what was measured is
replaced in all of them: those keep their front matter, the others get the new one.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from huggingface_hub import ModelCard

WRITE = """
local fs, json = require "affine.fs", require "affine.json"
local native = require "affine.native.card"
for index, about in ipairs(json.decode(fs.read(arg[1] .. "/cards.json"))) do
  local text, warnings = native.text(about)
  assert(#warnings == 0)
  fs.write(("%s/%d.md"):format(arg[1], index - 1), text)
end
"""

# The cards that are there, with what was measured now.
UPDATE = """
local fs, json = require "affine.fs", require "affine.json"
local native = require "affine.native.card"
for index, about in ipairs(json.decode(fs.read(arg[1] .. "/cards.json"))) do
  local path = ("%s/%d.md"):format(arg[1], index - 1)
  fs.write(path, (native.text(about, path)))
end
"""

AWKWARD = [
    *("", " ", "no", "No", "yes", "on", "OFF", "y", "n", "true", "null", "~", "Null", "1", "1.0", "1e3", "-1", "+.5", ".5", "0x1F"),
    *("0b1", "0o7", "017", "1_000", "12:30", "190:20:30", "1:2", ".inf", "-.INF", ".nan", "=", "<<", "2026-01-01"),
    *("2001-12-14t21:59:43.10-05:00", "a: b", "a:", ":a", "a #b", "#a", "@a", "*a", "&a", "!a", "%a", "- a", "-", "---", "..."),
    *("? a", "'q'", '"d"', "it's", "a\nb", "\n", "a\n", " a", "a ", "\ttab", "é∨☃", "😀", "\x7f", "\x85", "\u2028", "\ufeff"),
    *("\x1b[0m", "\x00", "|", "> a", "{a}", "[a]", "a,b", "`a`", "sat(m=10, n=4)", "http://x:8/", "C:\\x", "a\\", "\ud7ff", "\ue000"),
    *("x" * 200 + " " + "y" * 200, "a\r\nb", "\r", "<!-- affine:measured -->", "\ufffe", "a" * 5000, "--- a", "é: no"),
]


def texts(draw):
    """An awkward text, or several of them in one."""
    return "".join(draw.choice(AWKWARD) for _ in range(draw.choice([1, 1, 1, 2, 3])))


def numbers(draw):
    return draw.choice([0.0, 1.0, 0.5, 1e-7, 1e20, 1 / 3, 5e-324, 1.7976931348623157e308, draw.random(), -draw.random()])


def about(draw):
    """What a card is to say."""
    names = list(dict.fromkeys(texts(draw) for _ in range(draw.randint(1, 4))))
    results = [
        {
            "task": {"type": texts(draw)},
            "dataset": {"type": texts(draw), "name": name},
            "metrics": [
                {"type": texts(draw), "name": texts(draw), "value": numbers(draw), "args": {"n": 7, texts(draw)[:100]: numbers(draw)}}
            ],
        }
        for name in names
    ]
    return {
        "front_matter": {
            "license": texts(draw),
            "language": ["en", texts(draw)],
            "base_model": texts(draw),
            "base_model_relation": draw.choice(["adapter", "finetune", "merge", "quantized"]),
            "library_name": texts(draw),
            "pipeline_tag": "text-generation",
            "tags": list(dict.fromkeys(texts(draw) for _ in range(3))),
            "datasets": [texts(draw)],
            "model_index": [{"name": texts(draw), "results": results}],
        },
        "opening": "# A model\n\nIn one sentence.",
        "measured": f"## Measured\n\n{draw.random()}",
    }


def affine(program, code, folder):
    subprocess.run([program, "-e", code, folder], check=True)


def check(card, wanted, where):
    """Every field, and every evaluation, as it was meant."""
    front = dict(wanted["front_matter"])
    (model,) = front.pop("model_index")
    for key, value in front.items():
        assert getattr(card.data, key) == value, f"{where}: {key}: {getattr(card.data, key)!r}, not {value!r}"
    assert card.data.model_name == model["name"], where
    assert len(card.data.eval_results) == len(model["results"]), where
    for found, result in zip(card.data.eval_results, model["results"]):
        (metric,) = result["metrics"]
        told = {
            "task_type": result["task"]["type"],
            "dataset_type": result["dataset"]["type"],
            "dataset_name": result["dataset"]["name"],
            "metric_type": metric["type"],
            "metric_name": metric["name"],
            "metric_value": metric["value"],
            "metric_args": metric["args"],
        }
        for key, value in told.items():
            assert getattr(found, key) == value, f"{where}: {key}: {getattr(found, key)!r}, not {value!r}"
    assert wanted["opening"] in card.text and wanted["measured"] in card.text, where


def main(program, seed):
    draw = random.Random(seed)
    cards = [about(draw) for _ in range(400)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.md" for index in range(len(cards))]
        (Path(folder) / "cards.json").write_text(json.dumps(cards), encoding="utf-8")
        affine(program, WRITE, folder)
        for path, wanted in zip(paths, cards):
            card = ModelCard.load(path)
            check(card, wanted, path.name)
            text = path.read_text(encoding="utf-8")
            front = {key.replace("model_index", "model-index"): value for key, value in wanted["front_matter"].items()}
            assert yaml.safe_load(text[4 : text.index("\n---\n\n# A model")]) == front, path.name

        # Half of them are saved by Python, which writes the front matter in its own way: it is an author's then.
        for path in paths[::2]:
            card = ModelCard.load(path)
            card.data.thumbnail = "mine.png"
            card.save(path)
        for wanted in cards:
            wanted["measured"] = f"## Measured\n\n{draw.random()}"
            wanted["front_matter"]["license"] = "mit" if wanted["front_matter"]["license"] != "mit" else "apache-2.0"
        before = [path.read_text(encoding="utf-8").split("<!-- affine:measured front")[0] for path in paths]
        (Path(folder) / "cards.json").write_text(json.dumps(cards), encoding="utf-8")
        affine(program, UPDATE, folder)
        for index, (path, wanted) in enumerate(zip(paths, cards)):
            text = path.read_text(encoding="utf-8")
            if index % 2 == 0:
                assert text.startswith(before[index]) and wanted["measured"] in text, path.name
            else:
                check(ModelCard.load(path), wanted, path.name)
    print(f"card: {len(cards)} cards and as many new ones over them read as meant (seed {seed})")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6))
