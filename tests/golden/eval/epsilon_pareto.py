"""Made epsilon_pareto.jsonl beside this file: random tables through the validators' own code.

Run in this folder: python epsilon_pareto.py sampling.py
where sampling.py is `affine/sampling.py` of AffineFoundation/affine-cortex at 2ca3b18, which needs Python's own library alone.
`results` are as `get_weights()` of `affine/validator.py` there makes them, with every miner queryable and nothing burned. Tables in
which two miners share a first block are left out: upstream's choice among them depends on Python's hash seed.
"""

import importlib.util
import itertools
import json
import random
import sys

spec = importlib.util.spec_from_file_location("sampling", sys.argv[1])
sampling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sampling)

ENVS = ["sat", "abd", "ded", "webshop", "alfworld"]
rng = random.Random(20261130)


def table(case):
    envs = tuple(ENVS[: rng.randint(1, 5)])
    hotkeys = [f"hk{letter}" for letter in "ABCDEF"[: rng.randint(1, 6)]]
    blocks = rng.sample(range(1, 10_000), len(hotkeys))
    level = {e: rng.random() for e in envs}
    spread = rng.choice([0.0, 0.01, 0.03, 0.1, 0.5])
    cnt, succ = {}, {}
    for hk in hotkeys:
        cnt[hk], succ[hk] = {}, {}
        for e in envs:
            n = rng.choice([rng.randint(100, 400), rng.randint(1000, 4000), rng.randint(0, 150)] if case % 3 == 0
                           else [rng.randint(200, 1500)])
            mean = min(1.0, max(0.0, level[e] + rng.uniform(-spread, spread)))
            total = round(mean * n) if e != "webshop" else round(mean * n * 8) / 8
            cnt[hk][e], succ[hk][e] = n, float(total)
    return envs, hotkeys, dict(zip(hotkeys, blocks)), cnt, succ


def row(case):
    envs, hotkeys, first_block, cnt, succ = table(case)
    sampler, orchestrator = sampling.MinerSampler(), sampling.SamplingOrchestrator()
    acc = orchestrator.calculate_accuracies(cnt, succ, hotkeys, envs)
    eligible, required = sampler.calculate_eligibility(cnt, hotkeys, set(hotkeys), envs)
    pool = eligible if eligible else set(hotkeys)
    dominance = sampler.compute_dominance_counts(pool, envs, acc, cnt, first_block)
    scores, layers, winners = sampler.calculate_combinatoric_scores(envs, pool, acc, cnt, first_block, 1)
    if eligible:
        weights, _ = orchestrator.calculate_weights(eligible, scores, 0.0, hotkeys[0])
    else:
        weights = {hotkeys[0]: 1.0}
    pairwise = {}
    for e in envs:
        for a, b in itertools.permutations(hotkeys, 2):
            pairwise[f"{e}|{a}|{b}"] = sampler.dominates_on(a, b, (e,), acc, cnt, first_block)
    subsets = {}
    for size in range(1, len(envs) + 1):
        for subset in itertools.combinations(envs, size):
            subsets["+".join(subset)] = sampler.find_subset_winner(subset, pool, acc, cnt, first_block)
    return {
        "id": f"eps{case:03}", "commit": "2ca3b18", "envs": envs, "uid_order": hotkeys,
        "miners": {hk: {e: {"sum": succ[hk][e], "n": cnt[hk][e], "first_block": first_block[hk]} for e in envs}
                   for hk in hotkeys},
        "required": required, "eligible": sorted(eligible), "fallback_uid0": not eligible,
        "dominance": {hk: dominance[hk] for hk in hotkeys}, "pairwise": pairwise, "subsets": subsets,
        "env_winners": winners, "total": {hk: scores[hk] for hk in hotkeys},
        "layer_points": {hk: {str(s): p for s, p in layers[hk].items()} for hk in hotkeys},
        "weights": {hk: weights.get(hk, 0.0) for hk in hotkeys},
    }


def thresholds():
    sampler, rows = sampling.MinerSampler(), []
    for _ in range(200):
        ai, aj = rng.choice([0.0, 1.0, rng.random(), rng.uniform(-0.2, 1.2)]), rng.random()
        ni, nj = rng.choice([0, 1, rng.randint(1, 3000)]), rng.randint(1, 3000)
        not_worse = sampler.threshold_not_worse(ai, ni, aj, nj)
        rows.append([ai, ni, aj, nj, not_worse, sampler.threshold_better(ai, ni, aj, nj, not_worse)])
    return rows


with open("epsilon_pareto.jsonl", "w") as file:
    for case in range(60):
        file.write(json.dumps(row(case)) + "\n")
    file.write(json.dumps({"thresholds": thresholds()}) + "\n")
