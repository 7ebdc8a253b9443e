"""Cases for `gauntlet stats`, with what SciPy and scikit-learn say of them, as one JSON array.

Each has the command's arguments, the lines it reads, and for each key of the answer the expected number and how far off it may be.
"""

import json
import math

import numpy as np
from scipy import stats
from sklearn.metrics import cohen_kappa_score

EXACTLY = 1e-9
rng = np.random.default_rng(20260401)
cases = []


def add(args, first, second, expected):
    lines = "".join(f"{a} {b}\n" for a, b in zip(first, second))
    told = {}
    for key, (value, off) in expected.items():
        value = float(value)
        if not math.isfinite(value):
            return
        told[key] = [value, off]
    cases.append({"args": args, "lines": lines, "expected": told})


def exactly(**values):
    # A p-value of 1e-30 has digits too: it is compared by its own size.
    return {key: (value, max(EXACTLY * abs(float(value)), 1e-300) if key == "p_value" else EXACTLY)
            for key, value in values.items()}


def columns(n, kind):
    """Scores without ties, with ties, with many zero differences, and of 0 and 1."""
    first = rng.random(n)
    second = first + rng.normal(0.03, 0.2, n)
    if kind == "ties":
        first, second = np.round(first * 8) / 8, np.round(second * 8) / 8
    if kind == "zeros":
        second = np.where(rng.random(n) < 0.6, first, second)
    if kind == "binary":
        first, second = (first > 0.4).astype(float), (second > 0.4).astype(float)
    return [float(x) for x in first], [float(x) for x in second]


KINDS = ["plain", "ties", "zeros", "binary"]
ALTERNATIVES = ["two-sided", "less", "greater"]
ZEROS = ["wilcox", "pratt", "zsplit"]


def wilcoxon(first, second, alternative, zeros, method, continuity):
    if all(a == b for a, b in zip(first, second)):
        return  # SciPy has no answer
    args = ["wilcoxon", "--alternative", alternative, "--zeros", zeros, "--method", method]
    args += ["--continuity"] if continuity else []
    found = stats.wilcoxon(second, first, alternative=alternative, zero_method=zeros, correction=continuity,
                           method={"approx": "asymptotic"}.get(method, method))
    add(args, first, second, exactly(n=len(first), statistic=found.statistic, p_value=found.pvalue,
                                     mean_difference=np.mean(np.subtract(second, first))))


turn = 0
for n in [1, 2, 3, 5, 8, 13, 14, 25, 50, 51, 100, 200]:
    for kind in KINDS:
        first, second = columns(n, kind)
        # Every combination comes up as the loops turn, without 18 runs for each shape.
        for _ in range(2):
            wilcoxon(first, second, ALTERNATIVES[turn % 3], ZEROS[(turn // 3) % 3], "auto", turn % 2 == 1)
            turn += 1
        if kind == "plain":
            wilcoxon(first, second, ALTERNATIVES[n % 3], "wilcox", "exact", False)
        if n >= 5:
            wilcoxon(first, second, ALTERNATIVES[n % 3], ZEROS[n % 2], "approx", n % 2 == 0)

def kendall(first, second):
    """SciPy's own choice goes by more than the number of pairs; ours is exact up to 50 without ties."""
    is_plain = len(set(first)) == len(set(second)) == len(first)
    return stats.kendalltau(first, second, method="exact" if is_plain and len(first) <= 50 else "asymptotic")


for n in [3, 4, 6, 9, 20, 50, 60, 200]:
    for kind in KINDS[:3]:
        first, second = columns(n, kind)
        for name, key, found in [
            ("spearman", "rho", stats.spearmanr(first, second)),
            ("pearson", "r", stats.pearsonr(first, second)),
            ("kendall", "tau", kendall(first, second)),
        ]:
            # Where a column is the same throughout there is no answer; at ±1 the p-value is that of a rounding error.
            if abs(found[0]) < 1 - 1e-9:
                add([name], first, second, exactly(n=n, **{key: found[0], "p_value": found[1]}))
        if n >= 4 and kind == "plain":
            interval = stats.pearsonr(first, second).confidence_interval(0.9)
            add(["pearson", "--confidence", "0.9"], first, second,
                exactly(ci_low=interval.low, ci_high=interval.high))
        if n <= 6 and kind == "plain":
            found = stats.permutation_test((first,), lambda x: stats.spearmanr(x, second)[0],
                                           permutation_type="pairings", n_resamples=np.inf)
            observed = stats.spearmanr(first, second)[0]
            share = np.mean(np.abs(found.null_distribution) >= abs(observed) - 1e-9)
            add(["spearman", "--method", "exact"], first, second, exactly(rho=observed, p_value=share))

for n in [1, 5, 20, 60, 200]:
    first, second = columns(n, "binary")
    lost = sum(a > b for a, b in zip(first, second))
    won = sum(a < b for a, b in zip(first, second))
    p_value = stats.binomtest(min(lost, won), lost + won).pvalue if lost + won else 1.0
    add(["mcnemar"], first, second, exactly(n=n, statistic=min(lost, won), p_value=p_value))
    if lost + won:
        statistic = (abs(lost - won) - 1) ** 2 / (lost + won)
        add(["mcnemar", "--method", "chi-square"], first, second,
            exactly(statistic=statistic, p_value=stats.chi2.sf(statistic, 1)))

for n in [5, 30, 200]:
    for labels in [[0, 1], [1, 2, 3, 4, 5], [-3, 2, 10], ["bad", "fair", "good"]]:
        first = [labels[i] for i in rng.integers(len(labels), size=n)]
        second = [a if rng.random() < 0.6 else labels[rng.integers(len(labels))] for a in first]
        for weights in ["none", "linear", "quadratic"]:
            # Words have no distance in scikit-learn but that of their places, as here.
            kappa = cohen_kappa_score(first, second, weights=None if weights == "none" else weights)
            add(["kappa", "--weights", weights], first, second, exactly(n=n, kappa=kappa))

for n in [2, 10, 40, 200]:
    first, second = columns(n, "plain")
    found = stats.ttest_rel(second, first).confidence_interval(0.9)
    difference = np.subtract(second, first)
    add(["bootstrap", "--method", "t", "--confidence", "0.9"], first, second,
        exactly(n=n, mean_difference=np.mean(difference), ci_low=found.low, ci_high=found.high))
    if n < 10:
        continue
    for method in ["percentile", "BCa"]:
        found = stats.bootstrap((difference,), np.mean, method=method, n_resamples=9999,
                                rng=np.random.default_rng(1)).confidence_interval
        # Both draw; the ends of two draws of 9,999 differ by about a fiftieth of the width.
        off = 0.06 * (found.high - found.low)
        add(["bootstrap", "--method", method.lower()], first, second,
            {"ci_low": (found.low, off), "ci_high": (found.high, off),
             "mean_difference": (np.mean(difference), EXACTLY)})

# Published: Student's sleep data (1908) and Darwin's maize (1876), crossed against self-fertilized.
SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
MAIZE = ([17.375, 20.375, 20, 20, 18.375, 18.625, 18.625, 15.25, 16.5, 18, 16.25, 18, 12.75, 15.5, 18],
         [23.5, 12, 21, 22, 19.125, 21.5, 22.125, 20.375, 18.25, 21.625, 23.25, 21, 22.125, 23, 12])
for first, second in [SLEEP, MAIZE]:
    for zeros in ZEROS:
        for alternative in ALTERNATIVES:
            wilcoxon(first, second, alternative, zeros, "auto", False)
    found = stats.ttest_rel(second, first).confidence_interval()
    add(["bootstrap", "--method", "t"], first, second, exactly(ci_low=found.low, ci_high=found.high))
    found = stats.spearmanr(first, second)
    add(["spearman"], first, second, exactly(rho=found[0], p_value=found[1]))

print(json.dumps(cases))
