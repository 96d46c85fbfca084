"""Where Laplace's method is known to be weak, there is no certificate, or the draws are right."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_expit, logsumexp
from scipy.stats import halfnorm, norm

import pymc_mlm as mlm
from tests.mocked import PriorDraws

RUN = {"draws": 200, "chains": 2, "random_seed": 1, "progressbar": False}

# Units, rows of each, sd of their effects, intercept.
WEAK = {
    "one row a unit": (150, 1, 1.5, 0.0),
    "two rows of very different units": (100, 2, 3.0, 0.0),
    "rare events of very different units": (200, 2, 2.5, -4.0),
    "separated units": (30, 4, np.inf, 0.0),
}
PRIOR_SD = 2.5  # of the intercept, and of the half-normal sd


def simulated(units, each, sd, intercept, seed):
    rng = np.random.default_rng(seed)
    unit, z = np.repeat(np.arange(units), each), rng.normal(size=units)
    with np.errstate(over="ignore", invalid="ignore"):
        chance = 1 / (1 + np.exp(-intercept - sd * z[unit]))
    return pd.DataFrame({"unit": unit, "y": 1.0 * (rng.random(len(unit)) < chance)})


def model():
    return mlm.MultipleMembershipModel("y ~ 1", mlm.hm("unit"), family="bernoulli")


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning", "ignore::pymc_mlm.DataWarning")
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("case", WEAK)
def test_there_is_no_certificate(case, seed):
    table = simulated(*WEAK[case], seed)
    found = model().fit(table, path="certified", sampler=PriorDraws(), **RUN)
    assert found.result_.path == "sampled"
    assert found.result_.posterior.attrs["refused"]
    assert "have no certificate" in str(found.summary())


def moments_by_quadrature(table):
    """Mean and sd of the sd's logarithm by a grid, effects integrated out of each unit."""
    by_unit = table.groupby("unit")["y"].agg(["sum", "size"])
    kinds = by_unit.value_counts()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    log_sd, b = np.linspace(-9, 3, 241), np.linspace(-3, 3, 121)
    eta = b[:, None, None] + np.exp(log_sd)[:, None] * nodes
    log_density = np.zeros((len(b), len(log_sd)))
    for (events, size), count in kinds.items():
        rows = events * log_expit(eta) + (size - events) * log_expit(-eta)
        log_density += count * logsumexp(rows, axis=-1, b=weights / weights.sum())
    log_density += norm(0, PRIOR_SD).logpdf(b)[:, None]
    log_density += halfnorm(0, PRIOR_SD).logpdf(np.exp(log_sd)) + log_sd
    chance = np.exp(log_density - logsumexp(log_density)).sum(axis=0)
    sd = np.exp(log_sd)
    mean = chance @ sd
    return mean, np.sqrt(chance @ (sd - mean) ** 2)


@pytest.mark.filterwarnings("ignore::pymc_mlm.DataWarning")
@pytest.mark.parametrize("units, each", [(3, 4), (40, 5), (20, 10)])
def test_of_units_without_effects_certified_draws_are_right(units, each):
    table = simulated(units, each, 0.0, 0.0, 1)
    found = model().fit(table, path="certified", sampler=PriorDraws(), **RUN).result_
    assert found.path == "certified"
    mean, spread = moments_by_quadrature(table)
    sd = found.posterior["unit_sd"]
    assert abs(float(sd.mean()) - mean) < 0.15 * spread
    assert float(sd.std()) == pytest.approx(spread, rel=0.2)
