#!/usr/bin/env python3
"""How fast transformers + PEFT train and decode: the work of train.lua and bench.lua, at the settings that are fastest for them.

Prints affine's JSON lines with one key more, `peer`: which way of doing it. What fails, for want of memory or else, is a line
too, with its `problem`. The first line is what the device can do at best: a large product of matrices and a large copy.
"""

import argparse
import gc
import json
import os
import statistics
import time
import traceback

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import torch._dynamo

PROMPT, NEW = 128, 33
ROUNDS = 5
STEPS, WARM_UP = 7, 2
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def emit(**line):
    print(json.dumps(line), flush=True)


def seconds(device, work):
    """Wall seconds of `work`, to the end of what it left the GPU to do."""
    begun = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure(device, names, work):
    """Emits `names` with what `work` returns, or its problem, and the most memory that tensors held meanwhile."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        result = work()
    except Exception as problem:  # Whatever a peer cannot do is a result; the traceback says whether it is ours.
        traceback.print_exc()
        result = {"problem": f"{type(problem).__name__}: {problem}".strip().splitlines()[0][:200]}
    if device == "cuda":
        result["peak_bytes"] = torch.cuda.max_memory_allocated()
    emit(**names, **result)


def load(folder, device):
    import transformers
    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    return model.to(device)


def ids(model, rows, length):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, min(model.config.vocab_size, 8000), (rows, length), generator=generator)


# Ceilings ------------------------------------------------------------------------------------------------------------


def ceiling(device):
    """FLOP/s of a bfloat16 product, and bytes per second of a copy, read and written: the best of some."""
    side, size = (8192, 4 << 30) if device == "cuda" else (1024, 256 << 20)
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.zeros(size, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    product = min(seconds(device, lambda: torch.mm(a, b)) for _ in range(20))
    copy = min(seconds(device, lambda: target.copy_(source)) for _ in range(20))
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    emit(device=name, matmul_flops_per_second=2 * side**3 / product, copy_bytes_per_second=2 * size / copy)


# Decoding ------------------------------------------------------------------------------------------------------------


def decode(folder, device):
    from transformers import CompileConfig, GenerationConfig
    model = load(folder, device).eval()
    # Else generate() takes the model's own end ids where the call names none, and rows end early.
    model.generation_config = GenerationConfig(pad_token_id=0)
    ways = {
        "dynamic cache": {},
        "static cache": {"cache_implementation": "static", "disable_compile": True},
    }
    if device == "cuda":
        # generate() compiles on a GPU alone. Shapes are fixed, so that no batch size is compiled for all.
        ways["static cache, compiled"] = {"cache_implementation": "static", "compile_config": CompileConfig(dynamic=False)}

    def rate(prompts, options):
        torch.compiler.reset()
        compiled = torch._dynamo.utils.counters
        compiled.clear()

        def generate(count):
            config = GenerationConfig(max_new_tokens=count, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, pad_token_id=0,
                                      **options)
            with torch.inference_mode():
                made = model.generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=config)
            assert made.shape[1] == PROMPT + count, f"{made.shape[1] - PROMPT} tokens instead of {count}"

        # Twice all that follows: compiles, captures, and fixes how long a static cache is.
        generate(NEW)
        generate(NEW)
        steps = []
        for _ in range(ROUNDS):
            many = seconds(device, lambda: generate(NEW))
            steps.append((many - seconds(device, lambda: generate(1))) / (NEW - 1))
        step = statistics.median(steps)
        if "compile_config" in options and not compiled["stats"]["unique_graphs"]:
            raise RuntimeError("generate() compiled nothing")
        return {"step_ms": 1e3 * step, "tokens_per_second": len(prompts) / step}

    for rows in 1, 32, 128:
        prompts = ids(model, rows, PROMPT).to(device)
        for peer, options in ways.items():
            measure(device, {"decode_batch": rows, "peer": peer}, lambda: rate(prompts, options))


# Training ------------------------------------------------------------------------------------------------------------


def train(folder, device, lengths):
    import peft
    model = load(folder, device)
    # Its matrices stay float32 (PEFT's autocast_adapter_dtype), as ours do.
    model = peft.get_peft_model(
        model, peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, bias="none", target_modules=LINEARS, task_type="CAUSAL_LM"))
    model.train()
    params = [p for p in model.parameters() if p.requires_grad]

    def rate(length, autocast):
        rows = max(1, min(8, 8192 // length))
        data = ids(model, rows, length)
        tokens = rows * (length - 1)  # Of a row's first token there is no loss.
        denominator = torch.tensor(tokens, device=device)
        optimizer = torch.optim.AdamW(params, lr=2e-5, weight_decay=0.0, fused=True)
        at_once = rows

        def gradient():
            for batch in data.split(at_once):
                batch = batch.to(device)
                with torch.autocast(device, torch.bfloat16, enabled=autocast):
                    loss = model(input_ids=batch, labels=batch, num_items_in_batch=denominator, use_cache=False).loss
                loss.backward()

        def step():
            nonlocal at_once
            while True:
                optimizer.zero_grad(set_to_none=True)
                try:
                    gradient()
                    break
                except torch.OutOfMemoryError:
                    if at_once == 1:
                        raise
                # As affine splits a step's batch that finds no memory. Outside of `except`, whose traceback holds tensors.
                at_once //= 2
                gc.collect()
                torch.cuda.empty_cache()
            torch.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()

        rates = [tokens / seconds(device, step) for _ in range(STEPS)]
        return {"tokens_per_second": statistics.median(rates[WARM_UP:]), "tokens_per_step": tokens, "rows_at_once": at_once}

    for length in lengths:
        for checkpointing in True, False:
            if checkpointing:
                model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            else:
                model.gradient_checkpointing_disable()
            for peer, autocast in ("PEFT", False), ("PEFT, autocast", True):
                names = {"train_length": length, "gradient_checkpointing": checkpointing, "peer": peer}
                measure(device, names, lambda: rate(length, autocast))
                model.zero_grad(set_to_none=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("part", choices=("decode", "train"))
    ap.add_argument("model", help="the folder that affine reads")
    ap.add_argument("device", nargs="?", default="cuda", choices=("cuda", "cpu"))
    ap.add_argument("lengths", nargs="?", default="2048,16384", help="tokens of a row in training")
    a = ap.parse_args()
    ceiling(a.device)
    if a.part == "decode":
        decode(a.model, a.device)
    else:
        train(a.model, a.device, [int(length) for length in a.lengths.split(",")])


if __name__ == "__main__":
    main()
