"""Records nf4.json from bitsandbytes 0.50.2 on a CPU: `python3 record.py > nf4.json` (needs torch and bitsandbytes)."""

import json

import torch
from bitsandbytes import functional as bnb


def weights(rows, columns):
    """Numbers that are the same in every language: a linear congruence over 2^31, of another size in every block."""
    numbers = [((i * 1103515245 + 12345) % 2**31 / 2**31 - 0.5) * (1 + i // 64 % 7) for i in range(rows * columns)]
    return torch.tensor(numbers, dtype=torch.float64).float().view(rows, columns)


def case(rows, columns, double):
    packed, state = bnb.quantize_4bit(weights(rows, columns), quant_type="nf4", blocksize=64, compress_statistics=double)
    back = bnb.dequantize_4bit(packed, state).flatten()
    out = {"rows": rows, "columns": columns, "double": double, "codes": packed.flatten().numpy().tobytes().hex()}
    if double:
        out["scales"] = state.absmax.numpy().tobytes().hex()
        out["nested"] = state.state2.absmax.tolist()
        out["offset"] = state.offset.item()
    else:
        out["scales"] = state.absmax.tolist()
    return out | {"first": back[:16].tolist(), "last": back[-16:].tolist(), "sum": back.double().sum().item()}


print(json.dumps([case(24, 40, False), case(7, 30, False), case(300, 64, True), case(7, 30, True)]))
