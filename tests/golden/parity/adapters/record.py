"""Records adapters of `model-tiny` with PEFT 0.21.2, in float32: `python3 record.py` (needs torch, transformers and peft).

A folder per kind, as `save_pretrained` writes it, and in `logprobs.json` what each comes to on the same ids.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
KINDS = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {"rank_pattern": {"q_proj": 3}, "alpha_pattern": {"layers.1.self_attn.v_proj": 7.0}},
    "regex": {"target_modules": r"model\.layers\.1\..*\.(q|up)_proj", "use_dora": True, "use_rslora": True},
    "ends": {"target_modules": ["layers.0.self_attn.k_proj", "down_proj"]},
}
IDS = [(i * 37) % 400 for i in range(24)]


def logprobs(model):
    with torch.no_grad():
        logits = model.eval()(torch.tensor([IDS])).logits[0, :-1].float()
    return logits.log_softmax(-1).gather(-1, torch.tensor(IDS[1:])[:, None])[:, 0]


def main():
    recorded = {"ids": IDS, "logprobs": {}}
    for kind, options in KINDS.items():
        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_pretrained(HERE.parent / "model-tiny", dtype=torch.float32)
        settings = {"target_modules": SEVEN, **options}
        model = get_peft_model(base, LoraConfig(r=2, lora_alpha=4, task_type="CAUSAL_LM", **settings))
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_B" in key:
                    parameter.normal_(std=0.2)
                if "magnitude" in key:
                    parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
        model.base_model.model.config._name_or_path = model.peft_config["default"].base_model_name_or_path = "model-tiny"
        model.save_pretrained(HERE / kind)
        (HERE / kind / "README.md").unlink(missing_ok=True)
        recorded["logprobs"][kind] = logprobs(model).tolist()
    (HERE / "logprobs.json").write_text(json.dumps(recorded))


main()
