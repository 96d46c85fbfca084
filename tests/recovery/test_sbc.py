"""Calibration of every path: parameters drawn from the prior have uniform ranks in the posterior.

Simulation-based calibration (Talts et al. 2018, https://arxiv.org/abs/1804.06788).
Draws that are not certified give way to the sampler, so that every set counts.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

import pymc_mlm as mlm

SETS = 200
RUN = {"draws": 500, "chains": 2, "progressbar": False}
NORMAL, SD = mlm.Prior("Normal", mu=0, sigma=1), mlm.Prior("HalfNormal", sigma=0.7)


def memberships(rng):
    """60 groups of three out of 12 members."""
    member = np.array([rng.choice(12, 3, replace=False) for _ in range(60)])
    rows = {"group": np.repeat(np.arange(60), 3), "member": member.ravel()}
    rows |= {"x": np.repeat(rng.normal(size=60), 3), "s": rng.normal(size=180)}
    return pd.DataFrame(rows | {"unit": np.repeat(np.arange(60) % 8, 3)})


def units(rng):
    """160 rows of 16 units in four regions."""
    unit = np.arange(160) % 16
    return pd.DataFrame({"unit": unit, "region": unit % 4, "x": rng.normal(size=160)})


def softmax(family):
    term = mlm.mm(
        "member", "group", weight=mlm.weights.softmax("s"), priors={"sd": SD, "b": NORMAL}
    )
    return mlm.MultipleMembershipModel("y ~ 1 + x", term, family=family, priors=priors(family))


def crossed(family):
    terms = mlm.mm("member", "group", priors={"sd": SD}), mlm.hm("unit", priors={"sd": SD})
    return mlm.MultipleMembershipModel("y ~ 1 + x", *terms, family=family, priors=priors(family))


def nested(family):
    return mlm.NestedVaryingEffects(
        "y ~ 1 + x", levels=["region", "unit"], varying={"region": "1", "unit": "1 + x"},
        family=family, priors=priors(family) | {"region_sd": SD, "unit_sd": SD},
    )  # fmt: skip


def priors(family):
    own = {"sigma": SD} if family == "gaussian" else {}
    return own | {"Intercept": NORMAL, "beta": NORMAL}


CASES = {
    "cross products": (crossed("gaussian"), memberships, "collapsed"),
    "estimated weights": (softmax("gaussian"), memberships, "collapsed"),
    "nested, NUTS over parameters": (nested("gaussian"), units, "collapsed"),
    "Laplace, binary, estimated weights": (softmax("bernoulli"), memberships, "certified"),
    "Laplace, counts": (crossed("poisson"), memberships, "certified"),
    "Laplace, slopes": (nested("bernoulli"), units, "certified"),
    "sampled": (softmax("bernoulli"), memberships, "sampled"),
}


def ranks(name, sets, seed=1):
    """Return shares of draws below the truth, (set, parameter), names, and the paths taken."""
    model, simulate, path = CASES[name]
    rng = np.random.default_rng(seed)
    table = simulate(rng)
    key = "group" if "group" in table else None
    first = table.groupby(key).cumcount() == 0 if key else np.ones(len(table), bool)
    table["y"] = 1.0 * (np.cumsum(first) % 2)
    drawn = model.sample_prior_predictive(table, draws=sets, random_seed=seed)
    prior, outcome = drawn["prior"], drawn["prior_predictive"]["outcome"].values[0]
    found, paths = [], []
    for k in range(sets):
        y = outcome[k]
        table["y"] = y[np.cumsum(first) - 1] if key else y
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = model.fit(table, path=path, random_seed=k, **RUN).result_
        paths.append(fit.path)
        shares, names = [], []
        for variable in (v for v in fit.posterior if v in prior):
            truth = prior[variable].values[0, k].ravel()[:3]
            draws = fit.posterior[variable].values.reshape(1000, -1)[:, : len(truth)]
            below = (draws < truth).mean(axis=0)
            shares += list((1000 * below + rng.random(len(truth))) / 1001)
            names += [f"{variable}[{i}]" for i in range(len(truth))]
        found.append(shares)
    return np.array(found), names, paths


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_ranks_are_uniform(name):
    shares, names, paths = ranks(name, SETS)
    # Sets that the weights refuse are sampled; they are few.
    assert CASES[name][2] == "sampled" or np.mean([p != "sampled" for p in paths]) > 0.7
    limit = 0.001 / len(names)
    tests = {n: kstest(x, "uniform").pvalue for n, x in zip(names, shares.T, strict=True)}
    assert min(tests.values()) > limit, tests
