#!/usr/bin/env python3
"""LoRA SFT steps of transformers + PEFT on a job's records, all of them in every step.

--impl loop: a plain loop (model(labels=...), backward, clip, AdamW).
--impl trl:  TRL's SFTTrainer with the same settings.
--packing:   the loop puts the records end to end into one row with restarting positions, TRL is given padding_free.
"""

import tempfile

from common import *


def padded(records):
    longest = max(len(r["input_ids"]) for r in records)
    row = lambda key, fill: torch.tensor([r[key] + [fill] * (longest - len(r[key])) for r in records])
    mask = [[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in records]
    batch = {"input_ids": row("input_ids", 0), "labels": row("labels", -100)}
    # Without padding the mask says nothing, and SDPA is faster without it.
    return batch if all(map(all, mask)) else {**batch, "attention_mask": torch.tensor(mask)}


def one_row(records):
    ids = [i for r in records for i in r["input_ids"]]
    labels = [l for r in records for l in [-100] + r["labels"][1:]]
    positions = [p for r in records for p in range(len(r["input_ids"]))]
    return {k: torch.tensor([v]) for k, v in (("input_ids", ids), ("labels", labels), ("position_ids", positions))}


def run_loop(a, data):
    model = with_adapter(a, load(a)).train()
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=a.learning_rate, weight_decay=0.0)
    trained = torch.tensor(sum(l != -100 for r in data for l in r["labels"][1:]))
    times, losses, clock = [], [], Clock()
    for step in range(a.warmup + a.steps):
        if step == a.warmup:
            clock.seconds.clear()
        start = now()
        batch = one_row(data) if a.packing else padded(data)
        with torch.autocast("cpu", torch.bfloat16, enabled=a.amp):
            loss = clock.run("forward", lambda: model(**batch, num_items_in_batch=trained, use_cache=False).loss)
        clock.run("backward", loss.backward)

        def update():
            torch.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        clock.run("optimizer", update)
        losses.append(float(loss.detach()))
        times.append(since(start))
    return times, losses, {name: round(cpu / a.steps, 4) for name, (_, cpu) in clock.seconds.items()}


def run_trl(a, data):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer
    ends = []

    class Ends(transformers.TrainerCallback):
        def on_train_begin(self, *args, **kw):
            ends.append(now())

        def on_step_end(self, *args, **kw):
            ends.append(now())

    steps = a.warmup + a.steps
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=len(data), max_steps=steps, learning_rate=a.learning_rate,
            weight_decay=0.0, max_grad_norm=1.0, bf16=a.amp, max_length=None,
            padding_free=a.packing, train_sampling_strategy="sequential", lr_scheduler_type="constant",
            logging_steps=1, report_to="none", save_strategy="no", use_cpu=True, disable_tqdm=True, optim="adamw_torch",
            dataloader_num_workers=0, dataloader_pin_memory=False)
        trainer = SFTTrainer(
            model=with_adapter(a, load(a)), args=config, train_dataset=Dataset.from_list(data * steps),
            processing_class=transformers.AutoTokenizer.from_pretrained(a.model), callbacks=[Ends()])
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    # From one step's end to the next: what a user waits for, the loading of data included.
    return [tuple(y - x for x, y in zip(*pair)) for pair in zip(ends, ends[1:])], losses, {}


def main():
    a = job(__doc__, ("loop", "trl"))
    data = records(a)
    times, losses, phases = (run_loop if a.impl == "loop" else run_trl)(a, data)
    emit(a, times[a.warmup:], loss=losses, phases=phases, tokens=sum(len(r["input_ids"]) for r in data))


if __name__ == "__main__":
    main()
