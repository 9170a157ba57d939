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


class Words:
    """Texts of known ids: words that are one token each, wherever they stand, because each begins with a space."""

    def __init__(self, plain):
        from tokenizers import Tokenizer
        self.tokenizer = Tokenizer.from_file(os.path.join(plain, "tokenizer.json"))
        ids = range(256, self.tokenizer.get_vocab_size())
        text = {i: self.tokenizer.decode([i]) for i in ids}
        self.text = {i: w for i, w in text.items() if w.startswith(" ") and w[1:].isascii() and w[1:].isalpha()
                     and self.encode(w) == [i]}
        self.ids = list(self.text)

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def draw(self, draw, count):
        ids = [draw.choice(self.ids) for _ in range(count)]
        text = "".join(self.text[i] for i in ids)
        assert self.encode(text) == ids
        return text, ids

    def prompt(self, draw, count):
        """A user's message, and the `count` ids that the chat template makes of it up to the reply."""
        before, after = self.encode("<|im_start|>user\n"), self.encode("<|im_end|>\n<|im_start|>assistant\n")
        text, ids = self.draw(draw, count - len(before) - len(after))
        return text, before + ids + after


def sft_records(case, words, draw):
    """Conversations for us, and their ids and labels for the peers; the losses tell whether they are the same."""
    end = words.encode("<|im_end|>")
    for _ in range(case["batch"]):
        length = draw.randint(case["shortest"], case["seq"]) if "shortest" in case else case["seq"]
        question, prompt = words.prompt(draw, int(length * case["prompt_share"]))
        answer, reply = words.draw(draw, length - len(prompt) - len(end))
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        yield {"messages": messages, "ids": prompt + reply + end, "labels": [-100] * len(prompt) + reply + end}


def ppo_records(case, words, draw):
    for _ in range(case["batch"]):
        text, ids = words.prompt(draw, case["prompt"])
        yield {"text": text, "ids": ids}


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
            rows = (sft_records if case["kind"] == "sft" else ppo_records)(case, Words(plain), draw)
            job["batch_size"] = case["batch"]
            job["data"] = write(path.replace(".json", "-records.jsonl"), "".join(json.dumps(row) + "\n" for row in rows))
        if case["kind"] != "generate" or case["lora"]:
            job["adapter"] = adapter(plain, case["rank"])
        job["output_dir"] = os.path.join(folder, "out", f"{suite}-{index + 1}")
        write(path, json.dumps(job, indent=1))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        prepare(os.path.abspath(sys.argv[1]), name)
