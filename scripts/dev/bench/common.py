"""What the peers' scripts share: the job, the model as a peer loads it, clocks, memory, the result.

A job is a JSON file that both sides read, so that they do the same work. The threads are the environment's
(OMP_NUM_THREADS), which the driver sets alike for both; OMP_WAIT_POLICY=passive, because on a machine that does other
things too, threads that spin at a barrier stall for whole scheduler slices.
"""

import argparse
import json
import os
import time

THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1"))
# Read when libgomp is loaded, so before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch  # noqa: E402
import transformers  # noqa: E402

torch.set_num_threads(THREADS)
transformers.logging.set_verbosity_error()

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def megabytes(name):
    """`VmHWM`, the most memory that the process has used at once, or `VmRSS`, what it uses now."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name + ":")) / 1024


def job(doc, impls):
    """The job that the command line names, with `impl` and the options of that peer."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("job", help="the job's JSON file")
    ap.add_argument("--impl", choices=impls, default=impls[0])
    ap.add_argument("--amp", action="store_true", help="bf16 autocast")
    ap.add_argument("--packing", action="store_true", help="sequences end to end in one row")
    a = ap.parse_args()
    a.__dict__.update(json.load(open(a.job)))
    a.idle_mb = megabytes("VmRSS")
    return a


def dtype(a):
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[a.dtype]


def load(a, cls=None, **kw):
    cls = cls or transformers.AutoModelForCausalLM
    return cls.from_pretrained(a.model, dtype=dtype(a), attn_implementation="sdpa", **kw)


def with_adapter(a, model):
    """The adapter that the job's other side begins with too."""
    from peft import PeftModel
    return PeftModel.from_pretrained(model, a.adapter, is_trainable=True)


def lora_config(a, task):
    from peft import LoraConfig
    return LoraConfig(r=a.rank, lora_alpha=2 * a.rank, lora_dropout=0.0, bias="none", target_modules=LINEARS, task_type=task)


def records(a):
    rows = [json.loads(line) for line in open(a.data)]
    return [{"input_ids": r["ids"], "labels": r.get("labels")} for r in rows]


def now():
    """Wall seconds, and CPU seconds of all threads of this process."""
    return time.perf_counter(), time.process_time()


def since(start):
    return tuple(b - a for a, b in zip(start, now()))


class Clock:
    """Wall and CPU seconds by phase."""

    def __init__(self):
        self.seconds = {}

    def run(self, name, function, *args, **kw):
        start = now()
        try:
            return function(*args, **kw)
        finally:
            spent, so_far = since(start), self.seconds.get(name, (0.0, 0.0))
            self.seconds[name] = tuple(a + b for a, b in zip(so_far, spent))


def emit(a, times, **numbers):
    """The result as the last line: `times` are (wall, CPU) seconds of each repetition."""
    wall, cpu = zip(*times)
    versions = {p: __import__(p).__version__ for p in ("torch", "transformers", "peft")}
    print(json.dumps({"impl": a.impl, "wall_s": wall, "cpu_s": cpu, **numbers, "threads": torch.get_num_threads(),
                      "idle_mb": round(a.idle_mb), "peak_mb": round(megabytes("VmHWM")), "versions": versions}),
          flush=True)
