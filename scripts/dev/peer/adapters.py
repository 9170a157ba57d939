"""Adapters against PEFT itself: `python3 scripts/dev/peer/adapters.py AFFINE` (needs torch, transformers and peft).

Each kind of adapter goes both ways: PEFT loads what affine wrote, affine loads what PEFT wrote, and in float32 the
log-probabilities of the two agree within 1e-5. Without the packages it says so and checks nothing.
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from model import affine, logprobs_of_affine, logprobs_of_transformers
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    sys.exit(print(f"adapters: skipped, {missing}"))

KINDS = {
    "plain": {},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "patterns": {"rank_pattern": {"q_proj": 3}, "alpha_pattern": {"layers.1.self_attn.v_proj": 7.0}},
    "regex": {"target_modules": r"model\.layers\.1\..*\.(q|up)_proj", "use_dora": True},
    "ends": {"target_modules": ["layers.0.self_attn.k_proj", "down_proj"]},
}

MAKE = """
local affine, json = require "affine", require "affine.json"
local folder = arg[1]
local texts = {}
for i = 1, 40 do texts[i] = "red blue green one two three" end
local m = affine.model.create { preset = "tiny", tokenizer = affine.tokenizer.train(texts, { vocab_size = 290 }), seed = 3 }
m:save(folder .. "/base")
for name, options in pairs(json.decode(arg[2])) do
  local m <close> = affine.model.load(folder .. "/base", { device = "cpu" })
  options.lora_r, options.lora_alpha = 4, 8
  m:add_lora(options)
  local data = { { messages = { { role = "user", content = "red" }, { role = "assistant", content = "blue" } } } }
  affine.trainer.sft(m, { data = data, output_dir = folder .. "/sft_" .. name, max_steps = 3, learning_rate = 0.05 }):run()
  m:save_adapter(folder .. "/affine_" .. name)
end
"""

READ = """
local affine, json = require "affine", require "affine.json"
local m <close> = affine.model.load(arg[1], { device = "cpu" })
m:load_adapter(arg[2])
io.write("\\n", json.encode(m:logprobs(json.decode(arg[3]))), "\\n")
"""


def base(folder):
    return AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)


def from_peft(folder, name, options):
    """Saves a PEFT adapter whose numbers are all random, and returns its log-probs."""
    torch.manual_seed(0)
    seven = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    settings = {"target_modules": seven, **options}
    model = get_peft_model(base(folder), LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter.normal_(std=0.2)
            if "magnitude" in key:
                parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
    model.save_pretrained(folder / f"peft_{name}")
    return logprobs_of_transformers(model)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        affine(folder, MAKE, folder, json.dumps(KINDS))
        worst = 0.0
        plain = logprobs_of_transformers(base(folder))
        for kind, options in KINDS.items():
            ours = folder / f"affine_{kind}"
            peft = logprobs_of_transformers(PeftModel.from_pretrained(base(folder), ours))
            theirs = from_peft(folder, kind, options)
            pairs = [(logprobs_of_affine(folder, READ, folder / "base", ours), peft), (logprobs_of_affine(folder, READ, folder / "base", folder / f"peft_{kind}"), theirs)]
            for one, (got, wanted) in zip(["to PEFT", "from PEFT"], pairs):
                apart = (got - wanted).abs().max().item()
                if (wanted - plain).abs().max().item() < 1e-3:
                    sys.exit(f"adapters: {kind} {one}: the adapter changes nothing, so this proves nothing")
                if not apart <= 1e-5:
                    sys.exit(f"adapters: {kind} {one}: {apart} apart")
                worst = max(worst, apart)
        print(f"adapters: {len(KINDS)} kinds both ways, at most {worst:.1e} apart")


main()
