"""Proportional hazards: intervals of a known truth cover as often as they say.

``python tests/recovery/test_cox.py 60`` prints the coverage of docs/models/cox.md.
"""

import sys
import warnings

import numpy as np
import pytest

import pymc_mlm as mlm

BETA, SD, UNITS, ROWS = 0.6, 0.5, 25, 300


def table(seed):
    """Hazard .5, .1 and 1 in turn, units with effects, late entry, about a third censored."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=ROWS), rng.integers(0, UNITS, ROWS)
    effect = SD * rng.normal(size=UNITS)
    reached = rng.exponential(size=ROWS) / np.exp(BETA * x + effect[u])
    time = np.where(
        reached < 0.5, reached / 0.5,
        np.where(reached < 0.7, 1 + (reached - 0.5) / 0.1, 3 + reached - 0.7),
    )  # fmt: skip
    limit = rng.uniform(0.5, 6.0, ROWS)
    start = np.where(rng.random(ROWS) < 0.3, rng.uniform(0, 0.5, ROWS), 0.0)
    stop, seen = np.minimum(time, limit), (time <= limit).astype(int)
    watched = stop > start
    return {n: v[watched] for n, v in
            {"start": start, "stop": stop, "seen": seen, "x": x, "u": u}.items()}  # fmt: skip


def covered(seeds, probability=0.8):
    """Share of tables whose interval holds the truth, by parameter."""
    tails = [(1 - probability) / 2, (1 + probability) / 2]
    found = {"beta": [], "u_sd": []}
    for seed in seeds:
        model = mlm.MultipleMembershipModel(
            "Surv(start, stop, seen) ~ x", mlm.hm("u"), family="cox"
        )
        model.fit(table(seed), draws=500, tune=500, chains=2, random_seed=seed, progressbar=False)
        for name, truth in (("beta", BETA), ("u_sd", SD)):
            low, high = np.quantile(model.result_.posterior[name].values, tails)
            found[name].append(low < truth < high)
    return {name: float(np.mean(inside)) for name, inside in found.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_intervals_of_80_percent_cover_about_as_often():
    for share in covered(range(40)).values():
        assert 0.65 <= share <= 0.95  # 2.5 standard errors of 40 tables


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(covered(range(int(sys.argv[1]))))
