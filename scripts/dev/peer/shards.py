"""Models in shards against transformers itself: `python3 scripts/dev/peer/shards.py AFFINE` (needs torch and transformers).

Both ways, with tied and with own heads: transformers loads the shards that affine wrote, affine loads those of
transformers. In float32 the log-probabilities agree within 1e-5; of float16 and bfloat16 files every tensor is equal to
the last bit. Without the packages it says so and checks nothing.
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from model import affine, logprobs_of_affine, logprobs_of_transformers
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    sys.exit(print(f"shards: skipped, {missing}"))

INDEX = "model.safetensors.index.json"

MAKE = """
local affine = require "affine"
local texts = {}
for i = 1, 40 do texts[i] = "red blue green one two three" end
local tokenizer = affine.tokenizer.train(texts, { vocab_size = 290 })
for _, tied in ipairs { true, false } do
  local m <close> = affine.model.create { tokenizer = tokenizer, seed = 3, tie_word_embeddings = tied, rope_theta = 5e5 }
  m:save("affine_" .. tostring(tied), { max_shard_size = 200000 })
end
"""

READ = """
local affine, json = require "affine", require "affine.json"
local m <close> = affine.model.load(arg[1], { device = "cpu" })
io.write("\\n", json.encode(m:logprobs(json.decode(arg[2]))), "\\n")
m:save(arg[1] .. "_again", { max_shard_size = 150000 })
"""


def tensors(folder):
    shards = sorted(folder.glob("model-*.safetensors"))
    index = json.loads((folder / INDEX).read_text())
    if len(shards) < 2 or {shard.name for shard in shards} != set(index["weight_map"].values()):
        sys.exit(f"shards: {folder.name}: the index and the shards do not fit together")
    found = {}
    for shard in shards:
        found |= load_file(shard)
    if sum(tensor.numel() * tensor.element_size() for tensor in found.values()) != index["metadata"]["total_size"]:
        sys.exit(f"shards: {folder.name}: total_size is not the tensors' size")
    return found


def equal(one, other):
    a, b = tensors(one), tensors(other)
    if a.keys() != b.keys() or not all(a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a):
        sys.exit(f"shards: {one.name} and {other.name} differ")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        affine(folder, MAKE)
        worst = 0.0
        for tied in ["true", "false"]:
            ours = folder / f"affine_{tied}"
            tensors(ours)
            for dtype in [torch.float32, torch.bfloat16, torch.float16]:
                model, told = AutoModelForCausalLM.from_pretrained(ours, dtype=dtype, output_loading_info=True)
                if any(told[kind] for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]):
                    sys.exit(f"shards: transformers misses or does not know something: {told}")
                theirs = folder / f"{tied}_{dtype}"
                model.save_pretrained(theirs, max_shard_size=180_000)
                logprobs = logprobs_of_affine(folder, READ, theirs)
                equal(theirs, folder / f"{theirs.name}_again")
                if dtype == torch.float32:
                    wanted = logprobs_of_transformers(model)
                    for got in [logprobs, logprobs_of_affine(folder, READ, ours)]:
                        apart = (got - wanted).abs().max().item()
                        if not apart <= 1e-5:
                            sys.exit(f"shards: {theirs.name}: {apart} apart")
                        worst = max(worst, apart)
        print(f"shards: both ways, tied and own heads, three dtypes; at most {worst:.1e} apart")


main()
