"""How the cost of a gradient grows with rows, groups and members; writes a table and a picture.

One dimension varies at a time, the others stay at the middle of their range. The model is that
of ``gradient.py``: multiple-membership Weibull with estimated weights.

Usage: ``python benchmarks/scaling.py``; the picture is ``benchmarks/scaling.png``.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
MIDDLE = {"rows": 100_000, "groups": 25_000, "members": 10_000}
RANGES = {
    "rows": (25_000, 50_000, 100_000, 200_000, 400_000, 800_000),
    "groups": (1_000, 5_000, 25_000, 50_000, 100_000),
    "members": (100, 1_000, 10_000, 100_000),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    evaluate = compiled()
    results: dict[str, list[tuple[int, float]]] = {}
    print(f"{'varied':>8}  {'value':>8}  {'ms/gradient':>12}  {'ns/row':>7}")
    for what, values in RANGES.items():
        for value in values:
            sizes = MIDDLE | {what: value}
            seconds = timed(evaluate, **sizes)
            results.setdefault(what, []).append((value, seconds))
            per_row = 1e9 * seconds / sizes["rows"]
            print(f"{what:>8}  {value:>8}  {1e3 * seconds:12.3f}  {per_row:7.1f}", flush=True)
    draw(results)


def compiled():
    """Compile once; every size is served by the same code."""
    import pytensor
    import pytensor.tensor as pt

    from pymc_mlm import ops

    s, z = pt.dvector("s"), pt.dvector("z")
    seats, cohesion, x, t, event = (pt.dvector() for _ in range(5))
    group, member, indptr = (pt.lvector() for _ in range(3))
    values = pt.exp(s[4]) * z, s[2] * cohesion
    eta = s[0] + s[1] * x
    eta = eta + ops.group_mean(s[3] * seats, *values, member, group, indptr)
    logp = ops.censored_weibull_logp(eta, pt.exp(s[5]), t, event).sum()
    inputs = [s, z, seats, cohesion, x, t, event, group, member, indptr]
    return pytensor.function(inputs, [logp, *pt.grad(logp, [s, z])], mode="NUMBA")


def timed(evaluate, rows: int, groups: int, members: int) -> float:
    rng = np.random.default_rng(1)
    group = np.sort(np.concatenate([np.arange(groups), rng.integers(0, groups, rows - groups)]))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    arguments = [
        np.array([0.1, 0.2, -0.3, 0.7, -0.5, 0.1]), rng.normal(size=members), rng.random(rows),
        rng.normal(size=rows), rng.normal(size=groups), rng.exponential(size=groups) + 0.1,
        np.ones(groups), group, rng.integers(0, members, rows), indptr,
    ]  # fmt: skip
    repeats = max(3, int(2e6 / rows))
    best = math.inf
    evaluate(*arguments)
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            evaluate(*arguments)
        best = min(best, (time.perf_counter() - start) / repeats)
    return best


def draw(results: dict[str, list[tuple[int, float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, panels = plt.subplots(1, 3, figsize=(11, 3.5), sharey=True)
    for axes, (what, points) in zip(panels, results.items(), strict=True):
        sizes, seconds = zip(*points, strict=True)
        axes.loglog(sizes, [1e3 * s for s in seconds], "o-")
        axes.set_xlabel(what)
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("ms per gradient")
    rest = ", ".join(f"{v:,} {k}" for k, v in MIDDLE.items())
    figure.suptitle(f"Cost of one log density and gradient (others fixed: {rest})", fontsize=10)
    figure.tight_layout()
    figure.savefig(HERE / "scaling.png", dpi=120)


if __name__ == "__main__":
    main()
