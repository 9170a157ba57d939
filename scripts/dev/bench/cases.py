"""What is compared: cases by suite. A case is a job that both sides read, the peers that do it, and what it counts as useful work."""

LOOP = {"loop": ["--impl", "loop"]}
TRL = {"TRL": ["--impl", "trl"]}
AMP = {"loop": ["--impl", "loop"], "loop, autocast": ["--impl", "loop", "--amp"], "TRL, autocast": ["--impl", "trl", "--amp"]}

# Hidden size, intermediate size, layers, heads, key/value heads, head dimension, vocabulary, as in make_model.py.
SFT = {"kind": "sft", "rank": 8, "learning_rate": 1e-4, "warmup": 2, "steps": 5, "prompt_share": 0.5}
DECODE = {"kind": "generate", "prompt": 64, "greedy": 8, "ends": 0, "lora": False, "steps": 3}
PPO = {"kind": "ppo", "rank": 8, "learning_rate": 1e-5, "warmup": 1, "steps": 3, "batch": 8, "minibatch_size": 4,
       "epochs": 2, "prompt": 32, "new": 32}

SUITES = {
    "sft-tiny": [
        {**SFT, "name": "tiny fp32, 4 × 64", "model": "tiny", "dtype": "float32", "batch": 4, "seq": 64, "steps": 20,
         "peers": {**LOOP, **TRL}},
    ],
    "sft-small": [
        {**SFT, "name": "small fp32, 4 × 256", "model": "small", "dtype": "float32", "batch": 4, "seq": 256,
         "peers": {**LOOP, **TRL}, "target": 1.5},
        {**SFT, "name": "small bf16, 4 × 256", "model": "small", "dtype": "bfloat16", "batch": 4, "seq": 256,
         "peers": AMP, "target": 1.3},
    ],
    "sft-mid": [
        {**SFT, "name": "mid bf16, 2 × 128", "model": "mid", "dtype": "bfloat16", "batch": 2, "seq": 128, "warmup": 1,
         "steps": 3, "peers": AMP, "target": 1.3, "memory_target": 0.7},
    ],
    "decode-small": [
        {**DECODE, "name": "small fp32, batch 8", "model": "small", "dtype": "float32", "batch": 8, "new": 64},
        {**DECODE, "name": "small bf16, batch 8", "model": "small", "dtype": "bfloat16", "batch": 8, "new": 64},
    ],
    "decode-mid": [
        {**DECODE, "name": "mid bf16, batch 1", "model": "mid", "dtype": "bfloat16", "batch": 1, "new": 17, "target": 1.8},
        {**DECODE, "name": "mid bf16, batch 8", "model": "mid", "dtype": "bfloat16", "batch": 8, "new": 17, "target": 1.8},
        {**DECODE, "name": "mid bf16, batch 8, adapter", "model": "mid", "dtype": "bfloat16", "batch": 8, "new": 17,
         "lora": True, "rank": 8},
    ],
    # `ends`: every so many ids one ends a row.
    "mixed": [
        {**DECODE, "name": "mid bf16, 24 replies of 16 tokens on average, batch 8", "model": "mid", "dtype": "bfloat16",
         "batch": 24, "batch_size": 8, "prompt": 32, "new": 64, "ends": 16, "greedy": 1, "steps": 1, "target": 2.0},
        {**SFT, "name": "small bf16, 8 of 64 to 256 tokens", "model": "small", "dtype": "bfloat16", "batch": 8, "seq": 256,
         "shortest": 64, "padding_free": True, "target": 2.0,
         "peers": {**AMP, "loop, one row": ["--impl", "loop", "--packing"],
                   "TRL, one row": ["--impl", "trl", "--amp", "--packing"]}},
    ],
    "ppo-small": [
        {**PPO, "name": "small fp32, 8 episodes, 32 + 32 tokens", "model": "small", "dtype": "float32",
         "peers": {**LOOP, "TRL (two backbones)": ["--impl", "trl"]}},
    ],
    "ppo-mid": [
        {**PPO, "name": "mid bf16, 4 episodes, 32 + 16 tokens", "model": "mid", "dtype": "bfloat16", "batch": 4,
         "minibatch_size": 2, "epochs": 1, "new": 16, "steps": 1,
         "peers": {"loop": ["--impl", "loop"], "loop, autocast": ["--impl", "loop", "--amp"]}},
    ],
}
# Peers whose work is more than ours: shown, never the one that a ratio is taken against.
UNEQUAL = {"TRL (two backbones)"}


def weights(shape):
    """Parameters of the seven linear maps of all layers, and of the head."""
    hidden, inner, layers, heads, kv, d, vocab = shape
    return layers * (2 * hidden * heads * d + 2 * hidden * kv * d + 3 * hidden * inner), vocab * hidden


def useful_flops(case, shape, tokens):
    """Of one step or iteration, attention left out: 2 per weight and token forward, 2 more for the gradient of the inputs
    (the base is frozen); the head on the tokens that are scored alone."""
    linear, head = weights(shape)
    if case["kind"] == "sft":
        return tokens * 4 * (linear + (1 - case["prompt_share"]) * head)
    if case["kind"] == "ppo":
        rows, prompt, new = case["batch"], case["prompt"], case["new"]
        rollout = 2 * linear * (prompt + new) + 2 * head * new
        scored = 2 * (2 * linear * (prompt + new) + 2 * head * new)
        update = case["epochs"] * 4 * (linear * (prompt + new) + head * new)
        return rows * (rollout + scored + update)
    return None


def bytes_per_decode_step(case, shape):
    linear, head = weights(shape)
    return (linear + head) * {"float32": 4, "bfloat16": 2}[case["dtype"]]
