"""A small model's log-probs, by affine and by transformers: what the checks of adapters and of shards share."""

import json
import subprocess
import sys
from pathlib import Path

import torch

IDS = [5, 17, 40, 99, 3, 120, 8]


def affine(folder, script, *args):
    """Runs a Lua script with the binary that the command line names, in `folder`, and gives what it prints."""
    path = folder / "script.lua"
    path.write_text(script)
    binary = Path(sys.argv[1]).resolve()
    done = subprocess.run([binary, path, *map(str, args)], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def logprobs_of_affine(folder, script, *args):
    """`script` prints them as its last line, as JSON; its last argument are the token ids."""
    return torch.tensor(json.loads(affine(folder, script, *args, json.dumps(IDS)).splitlines()[-1]))


def logprobs_of_transformers(model):
    with torch.no_grad():
        logits = model.eval()(torch.tensor([IDS])).logits[0, :-1].float()
    return logits.log_softmax(-1).gather(-1, torch.tensor(IDS[1:])[:, None])[:, 0]
