#!/usr/bin/env python3
"""Sampling with transformers' generate() from a job's prompts, at temperature 1 over the whole vocabulary.

A job without end ids makes max_new_tokens in every row; `prefill` is then the time of making a single token, so that the
rest is decoding. A job with end ids (the model folder's) ends rows at different lengths; prompts go in batches of batch_size.
"""

from common import *
from transformers import GenerationConfig


def main():
    a = job(__doc__, ("generate",))
    model = load(a)
    if a.adapter:
        model = with_adapter(a, model)
    model.eval()
    ends = set(model.config.eos_token_id or []) if a.ends else set()
    prompts = json.load(open(a.prompts))

    def once(new, prompts=prompts, **how):
        config = GenerationConfig(max_new_tokens=new, pad_token_id=0, eos_token_id=sorted(ends) or None, use_cache=True,
                                  **(how or {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}))
        made, start = [], now()
        for first in range(0, len(prompts), a.batch_size):
            batch = prompts[first:first + a.batch_size]
            longest = max(map(len, batch))
            ids = torch.tensor([[0] * (longest - len(p)) + p for p in batch])
            mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in batch])
            with torch.inference_mode():
                out = model.generate(ids, attention_mask=mask, generation_config=config)
            made += out[:, longest:].tolist()
        # What follows a row's end is padding.
        cut = [next((i + 1 for i, t in enumerate(row) if t in ends), len(row)) for row in made]
        return since(start), [row[:n] for row, n in zip(made, cut)]

    greedy = once(a.greedy, prompts[:a.batch_size], do_sample=False)[1]
    torch.manual_seed(1)
    once(a.new)
    prefill, times, tokens = [], [], []
    for _ in range(a.steps):
        if not a.ends:
            prefill.append(once(1)[0])
        spent, rows = once(a.new)
        times.append(spent)
        tokens.append(sum(map(len, rows)))
    emit(a, times, tokens=tokens, greedy=greedy, prefill_wall_s=[w for w, _ in prefill], prefill_cpu_s=[c for _, c in prefill])


if __name__ == "__main__":
    main()
