#!/usr/bin/env python3
"""The machine's ceiling for a dtype: the fastest matmul and the fastest reading of weights that libtorch's kernels give.

    ceiling.py DTYPE [--seconds 0.5]

`gflops`: 1024 × 512 → 1536 and 256 × 1024 → 3072 by F.linear, by oneDNN where F.linear is not (float32), with prepacked weights
(bfloat16); `gbs`: one row by weights that no cache holds. Medians of CPU time; one thread unless OMP_NUM_THREADS says more.
"""

import argparse
import json
import statistics
import time

from common import torch
import torch.nn.functional as F


def kernels(dtype, rows, weight):
    """Functions of x by name."""
    yield "linear", lambda x, w=weight: F.linear(x, w)
    pointwise = torch.ops.mkldnn._linear_pointwise
    if dtype == torch.float32:
        yield "oneDNN", lambda x, w=weight: pointwise(x, w, None, "none", [], "")
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    yield "prepacked", lambda x, w=packed: pointwise(x, w, None, "none", [], "")


def seconds(body, budget):
    body()
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < budget or len(times) < 5:
        begun = time.process_time()
        body()
        times.append(time.process_time() - begun)
    return statistics.median(times)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dtype", choices=("float32", "bfloat16"))
    ap.add_argument("--seconds", type=float, default=0.5, help="for each of the shapes and kernels")
    a = ap.parse_args()
    dtype = getattr(torch, a.dtype)
    gflops, gbs = {}, {}
    with torch.inference_mode():
        for rows, k, n in ((1024, 512, 1536), (256, 1024, 3072)):
            x, weight = torch.randn(rows, k).to(dtype), torch.randn(n, k).to(dtype)
            for name, kernel in kernels(dtype, rows, weight):
                rate = 2e-9 * rows * k * n / seconds(lambda: kernel(x), a.seconds)
                gflops[name] = max(gflops.get(name, 0), rate)
        # 64 matrices: 400 MB in bfloat16, more than any cache.
        k, n, count = 1024, 3072, 64
        x, weights = torch.randn(1, k).to(dtype), [torch.randn(n, k).to(dtype) for _ in range(count)]
        for made in zip(*(list(kernels(dtype, 1, w)) for w in weights)):
            spent = seconds(lambda: [kernel(x) for _, kernel in made], a.seconds)
            gbs[made[0][0]] = 1e-9 * count * k * n * weights[0].element_size() / spent
    rounded = lambda rates: {name: round(rate, 1) for name, rate in rates.items()}
    print(json.dumps({"gflops": rounded(gflops), "gbs": rounded(gbs), "capability": torch.backends.cpu.get_cpu_capability()}))


if __name__ == "__main__":
    main()
