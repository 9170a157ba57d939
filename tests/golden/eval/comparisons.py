"""Made bootstrap.jsonl, bootstrap_own.jsonl, mcnemar.jsonl, wilcoxon.jsonl, holm.jsonl and needed.jsonl beside this file.

bootstrap: `resampled` is SciPy's own bootstrap distribution of the mean of the strata's means (of one stratum where paired: the
differences), `lower` and `upper` its BCa interval. bootstrap_own: intervals alone. wilcoxon: `how` SciPy computed `p`. needed:
`connor` is the formula; the exact test has the power from `exact` tasks on, and keeps it from `steady` on.

Python 3.11, numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0. Run in this folder: python comparisons.py [file, as bootstrap.jsonl …]
"""

import json
import sys
import warnings

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower, normal_sample_size_one_tail

warnings.simplefilter("ignore")


def sample(kind, n):
    if kind == "binary":
        return (rng.random(n) < rng.choice([0.1, 0.5, 0.9])).astype(float)
    if kind == "tenths":
        return np.round(rng.integers(0, 11, n) / 10, 1)
    if kind == "skewed":
        return np.round(rng.beta(0.3, 2, n), 4)
    return np.round(rng.random(n), 4)


def mean(*samples, axis):
    # Rounded, so that equal means summed in another order tie.
    return np.round(sum(s.mean(axis=axis) for s in samples) / len(samples), 12)


def bootstrap_rows():
    rows = []
    for case in range(120):
        kind = ["binary", "tenths", "skewed", "real"][case % 4]
        n = int(rng.choice([2, 3, 5, 12, 30, 60]))
        strata = int(rng.choice([1, 1, 1, 2, 3]))
        paired = case % 3 == 0
        level = float(rng.choice([0.5, 0.8, 0.9, 0.95, 0.99]))
        if paired:
            a, b = sample(kind, n), sample(kind, n)
            data = [np.round(a - b, 12)]
            run = lambda: stats.bootstrap(
                (a, b), lambda x, y, axis: np.round((x - y).mean(axis=axis), 12), paired=True, vectorized=True,
                n_resamples=199, confidence_level=level, method="BCa", rng=rng)
        else:
            data = [sample(kind, n + 2 * i) for i in range(strata)]
            run = lambda: stats.bootstrap(
                data, mean, vectorized=True, n_resamples=199, confidence_level=level, method="BCa", rng=rng)
        if any(np.ptp(d) == 0 for d in data):
            continue
        result = run()
        ends = result.confidence_interval
        if not np.isfinite([ends.low, ends.high]).all():
            continue
        rows.append({
            "id": f"boot{case:03}", "paired": bool(paired), "level": level, "strata": [d.tolist() for d in data],
            "resampled": result.bootstrap_distribution.tolist(), "lower": float(ends.low), "upper": float(ends.high),
        })
    return rows


def bootstrap_own_rows():
    """The whole interval with 200,000 resamples: what another generator's 10,000 come near to."""
    rows = []
    for case in range(24):
        kind = ["binary", "tenths", "skewed", "real"][case % 4]
        n = int(rng.choice([8, 20, 50, 200]))
        a, b = sample(kind, n), sample(kind, n)
        if np.ptp(a - b) == 0 or np.ptp(a) == 0:
            continue
        level = float(rng.choice([0.8, 0.95]))
        options = dict(vectorized=True, n_resamples=200_000, batch=2000, confidence_level=level, method="BCa", rng=rng)
        paired = stats.bootstrap((a, b), lambda x, y, axis: np.round((x - y).mean(axis=axis), 12), paired=True, **options)
        single = stats.bootstrap((a,), mean, **options)
        rows.append({
            "id": f"own{case:03}", "level": level, "a": a.tolist(), "b": b.tolist(),
            "difference": list(map(float, paired.confidence_interval)),
            "difference_error": float(paired.standard_error),
            "score": list(map(float, single.confidence_interval)), "score_error": float(single.standard_error),
        })
    return rows


def mcnemar_rows():
    pairs = [(b, c) for b in range(13) for c in range(13)]
    pairs += [tuple(map(int, rng.integers(0, 10 ** int(rng.integers(1, 6)), 2))) for _ in range(200)]
    rows = []
    for b, c in pairs:
        exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue if b + c else 1.0
        coin = stats.binom(b + c, 0.5)
        low, point = min(b, c), coin.pmf(min(b, c))
        if b + c == 0:
            mid = 1.0
        elif b == c:
            mid = 1 - point / 2
        else:
            mid = 2 * coin.cdf(low - 1) + point
        rows.append({"only_candidate": b, "only_baseline": c, "p": float(exact), "mid_p": float(mid)})
    return rows


def wilcoxon_rows():
    rows = []
    for case in range(400):
        kind = ["real", "tenths", "binary", "zeros", "halves"][case % 5]
        n = int(rng.choice([1, 2, 3, 4, 5, 6, 8, 10, 12, 13, 14, 16, 25, 40, 50, 51, 60, 120, 400]))
        if kind == "real":
            d = rng.normal(rng.choice([0, 0.3]), 1, n)
        elif kind == "zeros":
            d = rng.normal(0.2, 1, n) * (rng.random(n) < 0.7)
        elif kind == "binary":
            d = sample("binary", n) - sample("binary", n)
        elif kind == "halves":
            d = rng.integers(-2, 3, n) / 2
        else:
            d = sample("tenths", n) - sample("tenths", n)
        d = np.round(d, 12)
        kept = d[d != 0]
        ties = len(np.unique(np.abs(kept))) < len(kept)
        if len(kept) == 0:
            continue
        if len(kept) > 50:
            how, p = "asymptotic", stats.wilcoxon(d, correction=True, method="asymptotic").pvalue
        elif not ties:
            how, p = "exact", stats.wilcoxon(kept, method="exact").pvalue
        elif len(kept) <= 16:
            every = stats.PermutationMethod(n_resamples=np.inf, batch=1000)
            how, p = "permutation", stats.wilcoxon(kept, method=every).pvalue
        else:
            continue
        statistic = stats.wilcoxon(d, method="asymptotic").statistic
        rows.append({"id": f"wil{case:03}", "how": how, "differences": d.tolist(), "n": len(kept),
                     "statistic": float(statistic), "p": float(p)})
    return rows


def holm_rows():
    rows = []
    for case in range(200):
        p = rng.random(int(rng.integers(1, 13))) ** rng.choice([1, 3, 6])
        if case % 4 == 0:
            p = np.round(p, 1)
        rows.append({"p": p.tolist(), "adjusted": multipletests(p, method="holm")[1].tolist()})
    return rows


def powers_of_mcnemar(most, p10, p01, alpha):
    """The exact test's power with 0, 1, ... `most` tasks, by every number of discordant ones and every outcome of them."""
    given = np.zeros(most + 1)
    for m in range(1, most + 1):
        counts = np.arange(m + 1)
        p = np.minimum(1, 2 * np.minimum(stats.binom.cdf(counts, m, 0.5), stats.binom.sf(counts - 1, m, 0.5)))
        given[m] = stats.binom.pmf(counts, m, p10 / (p10 + p01))[p <= alpha].sum()
    return np.array([stats.binom.pmf(np.arange(n + 1), n, p10 + p01) @ given[: n + 1] for n in range(most + 1)])


def needed_rows():
    rows = []
    for case in range(60):
        level, power = float(rng.choice([0.8, 0.9, 0.95, 0.99])), float(rng.choice([0.7, 0.8, 0.9]))
        difference, sd = float(np.round(rng.choice([-1, 1]) * rng.uniform(0.01, 0.3), 4)), float(np.round(rng.uniform(0.05, 0.6), 4))
        effect = abs(difference) / sd
        # One-sided at alpha/2: every formula leaves out the tail on the other side.
        z = normal_sample_size_one_tail(abs(difference), power, (1 - level) / 2, std_null=sd)
        missing = lambda n: TTestPower().power(effect, n, (1 - level) / 2, alternative="larger") - power
        t = brentq(missing, 1.5, 3 * z + 20)
        rows.append({"kind": "scores", "difference": difference, "sd": sd, "level": level, "power": power,
                     "normal": float(z), "t_test": float(t)})
    for case in range(60):
        level, power = float(rng.choice([0.8, 0.9, 0.95])), float(rng.choice([0.8, 0.9]))
        n = int(rng.choice([50, 100, 200]))
        b, c = (int(x) for x in rng.integers(1, max(4, n // 4), 2))
        if abs(b - c) < max(2, (b + c) // 5):
            c = max(0, b // 3)
        p10, p01 = b / n, c / n
        psi, delta = p10 + p01, abs(p10 - p01)
        za, zb = stats.norm.ppf((1 + level) / 2), stats.norm.ppf(power)
        connor = (za * np.sqrt(psi) + zb * np.sqrt(psi - delta ** 2)) ** 2 / delta ** 2
        if connor > 700:
            continue
        powers = powers_of_mcnemar(int(2 * connor) + 60, p10, p01, 1 - level)
        exact = int(np.argmax(powers >= power))
        # From here on the power stays above.
        steady = int(len(powers) - np.argmax(powers[::-1] < power))
        rows.append({"kind": "successes", "only_candidate": b, "only_baseline": c, "n": n, "level": level,
                     "power": power, "connor": float(connor), "exact": exact, "steady": steady,
                     "power_at_exact": float(powers[exact])})
    return rows


MAKERS = {
    "bootstrap.jsonl": bootstrap_rows,
    "bootstrap_own.jsonl": bootstrap_own_rows,
    "mcnemar.jsonl": mcnemar_rows,
    "wilcoxon.jsonl": wilcoxon_rows,
    "holm.jsonl": holm_rows,
    "needed.jsonl": needed_rows,
}

for name in sys.argv[1:] or MAKERS:
    rng = np.random.default_rng(20261130)
    with open(name, "w") as file:
        for row in MAKERS[name]():
            file.write(json.dumps(row) + "\n")
