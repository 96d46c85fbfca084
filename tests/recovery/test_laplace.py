"""Draws by Laplace's method against NUTS on the same tables: all standard deviations agree."""

import warnings

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.reporting.diagnostics import ConvergenceWarning

RUN = {"chains": 2, "random_seed": 1, "progressbar": False}


def contests(rng):
    """Matches of two against two, players of equal weight and opposite signs."""
    player = np.array([rng.choice(60, 4, replace=False) for _ in range(400)])
    sign = np.tile([1.0, 1.0, -1.0, -1.0], (400, 1))
    eta = (sign * 0.6 * rng.normal(size=60)[player]).sum(axis=1)
    win = 1.0 * (rng.random(400) < 1 / (1 + np.exp(-eta)))
    table = {"match": np.repeat(np.arange(400), 4), "win": np.repeat(win, 4)}
    table |= {"player": player.ravel(), "sign": sign.ravel()}
    term = mlm.mm("player", "match", weight="sign", normalize=False)
    return table, mlm.MultipleMembershipModel("win ~ 1", term, family="bernoulli")


def crossed(rng):
    """Counts of two crossed factors and a covariate."""
    row = np.arange(600)
    person, item, x = row % 40, rng.integers(0, 15, 600), rng.normal(size=600)
    eta = 0.5 + 0.3 * x + 0.4 * rng.normal(size=40)[person] + 0.5 * rng.normal(size=15)[item]
    table = {"person": person, "item": item, "x": x, "count": rng.poisson(np.exp(eta))}
    terms = mlm.hm("person"), mlm.hm("item")
    return table, mlm.MultipleMembershipModel("count ~ 1 + x", *terms, family="poisson")


def slopes(rng):
    """Binary rows of schools with correlated intercepts and slopes."""
    school, x = np.arange(900) % 45, rng.normal(size=900)
    b = [0.3, 0.4] + rng.normal(size=(45, 2)) * [0.8, 0.4]
    eta = b[school, 0] + b[school, 1] * x
    table = {"school": school, "x": x, "y": 1.0 * (rng.random(900) < 1 / (1 + np.exp(-eta)))}
    return table, mlm.NestedVaryingEffects("y ~ 1 + x", levels=["school"], family="bernoulli")


@pytest.mark.parametrize(
    "simulate",
    [
        contests,
        pytest.param(crossed, marks=pytest.mark.slow),
        pytest.param(slopes, marks=pytest.mark.slow),
    ],
)
def test_standard_deviations_agree_with_nuts(simulate, rng):
    table, model = simulate(rng)
    over = ("chain", "draw")
    found = model.fit(table, draws=500, path="laplace", **RUN).result_
    assert not found.is_approximate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        nuts = model.fit(table, draws=1000, tune=500, path="sampled", **RUN).result_.posterior
    names = [n for n in nuts if str(n).endswith(("_sd", "Intercept", "beta"))]
    assert len(names) >= 2
    for name in names:
        away = abs(found.posterior[name].mean(over) - nuts[name].mean(over)) / nuts[name].std(over)
        # 0.15, and the Monte Carlo error of the few draws of a test.
        assert float(away.max()) < 0.25, name
        ratio = found.posterior[name].std(over) / nuts[name].std(over)
        assert 0.8 < float(ratio.min()) <= float(ratio.max()) < 1.25, name
