#!/usr/bin/env python3
"""Writes what suites need: model folders, initial adapters, records, prompts, and a job file per case that both sides read.

    prepare.py FOLDER SUITE...

What is there already stays. The numbers are seeded, so that everybody measures on the same tokens.
"""

import json
import os
import random
import subprocess
import sys

from cases import SUITES
from make_model import PRESETS

HERE = os.path.dirname(os.path.abspath(__file__))
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def model(folder, preset, dtype):
    out = os.path.join(folder, "models", f"{preset}-{dtype}")
    if not os.path.exists(os.path.join(out, "config.json")):
        short = {"float32": "fp32", "bfloat16": "bf16"}[dtype]
        subprocess.run([sys.executable, os.path.join(HERE, "make_model.py"), "--preset", preset, "--dtype", short, "--out", out],
                       check=True, stdout=subprocess.DEVNULL)
    return out


def ending(plain, every):
    """The same weights with other end ids, and no tokenizer, whose end ids would count: one id in `every`, or none."""
    out = f"{plain}-ends-{every}" if every else f"{plain}-endless"
    os.makedirs(out, exist_ok=True)
    config = json.load(open(os.path.join(plain, "config.json")))
    config["eos_token_id"] = list(range(0, config["vocab_size"], every)) if every else None
    json.dump(config, open(os.path.join(out, "config.json"), "w"), indent=1)
    for name in os.listdir(plain):
        if name.endswith((".safetensors", ".index.json")) and not os.path.lexists(os.path.join(out, name)):
            os.symlink(os.path.join("..", os.path.basename(plain), name), os.path.join(out, name))
    return out


def adapter(plain, rank):
    out = f"{plain}-adapter-{rank}"
    if not os.path.exists(os.path.join(out, "adapter_model.safetensors")):
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM
        torch.manual_seed(0)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules=LINEARS, task_type="CAUSAL_LM")
        get_peft_model(AutoModelForCausalLM.from_pretrained(plain, dtype="auto"), config).save_pretrained(out)
    return out


def sft_records(case, vocab, draw):
    for _ in range(case["batch"]):
        length = draw.randint(case["shortest"], case["seq"]) if "shortest" in case else case["seq"]
        ids = [draw.randrange(vocab) for _ in range(length)]
        prompt = int(length * case["prompt_share"])
        yield {"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]}


def ppo_records(case, plain, draw):
    """Prompts as a text, which an environment gives, and as the ids that the chat template makes of it: of one length."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(plain, "tokenizer.json"))
    words = [w for w in (tokenizer.decode([i]) for i in range(300, 2000)) if w.strip().isalpha() and w.isascii()]
    found = 0
    while found < case["batch"]:
        text = "".join(draw.choice(words) for _ in range(draw.randint(8, case["prompt"]))).strip()
        ids = tokenizer.encode(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False).ids
        if len(ids) == case["prompt"]:
            found += 1
            yield {"input_ids": ids, "text": text}


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def job_path(folder, suite, index):
    return os.path.join(folder, "jobs", f"{suite}-{index + 1}.json")


def prepare(folder, suite):
    for index, case in enumerate(SUITES[suite]):
        path = job_path(folder, suite, index)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        plain, vocab, draw = model(folder, case["model"], case["dtype"]), PRESETS[case["model"]][6], random.Random(index)
        keys = ("dtype", "rank", "learning_rate", "warmup", "steps", "epochs", "minibatch_size", "new", "ends", "greedy",
                "padding_free")
        job = {"model": plain, "adapter": None, **{key: case[key] for key in keys if key in case}}
        if case["kind"] == "generate":
            job["model"] = ending(plain, case["ends"])
            job["batch_size"] = case.get("batch_size", case["batch"])
            prompts = [[draw.randrange(1, vocab) for _ in range(case["prompt"])] for _ in range(case["batch"])]
            job["prompts"] = write(path.replace(".json", "-prompts.json"), json.dumps(prompts))
        else:
            rows = sft_records(case, vocab, draw) if case["kind"] == "sft" else ppo_records(case, plain, draw)
            job["batch_size"] = case["batch"]
            job["data"] = write(path.replace(".json", "-records.jsonl"), "".join(json.dumps(row) + "\n" for row in rows))
        if case["kind"] != "generate" or case["lora"]:
            job["adapter"] = adapter(plain, case["rank"])
        job["output_dir"] = os.path.join(folder, "out", f"{suite}-{index + 1}")
        write(path, json.dumps(job, indent=1))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        prepare(os.path.abspath(sys.argv[1]), name)
