"""Small fitted models and tables, shared by the tests that ask them questions."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.models.trial_tables import COVARIATES, trial_table


@pytest.fixture(scope="session")
def table():
    """Simulated coalitions, small enough to sample in seconds."""
    return mlm.datasets.coalitions(governments=150, countries=6, seed=5)


@pytest.fixture(scope="session")
def specification():
    """The flagship model, unfitted."""
    return mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight=mlm.weights.softmax("seats")),
        mlm.hm("country"),
        family="weibull",
    )


@pytest.fixture(scope="session")
def fitted(table, specification):
    """The flagship model after a short real fit."""
    return specification.fit(table, draws=500, tune=500, chains=2, random_seed=1, progressbar=False,
                             sampler=mlm.Nutpie(target_accept=0.95))  # fmt: skip


@pytest.fixture(scope="session")
def clustered():
    """One short fit with clusters and covariates."""
    trial = mlm.MultivariateLogitTrial(**COVARIATES, cluster="id", random="1 + arm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return trial.fit(
            trial_table(), draws=150, tune=200, chains=2, random_seed=1, progressbar=False
        )


@pytest.fixture(scope="session")
def covariate():
    """One short fit with covariates."""
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "group", control="old", covariates="age + sex")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return trial.fit(
            trial_table(), draws=200, tune=200, chains=2, random_seed=1, progressbar=False
        )


@pytest.fixture(scope="session")
def direct():
    return mlm.MultivariateLogitTrial(["y1", "y2"], "group", control="old").fit(
        trial_table(), draws=40_000, random_seed=1
    )


@pytest.fixture(scope="session")
def pupils():
    """Six schools in three regions, unbalanced, with a school-level covariate."""
    rng = np.random.default_rng(4)
    school = rng.integers(0, 6, 72)
    region = np.array(["A", "B", "C"])[school % 3]
    x, z = rng.normal(size=72), rng.normal(size=72)
    a, b = rng.normal(size=6), rng.normal(size=6)
    y = 3 + a[school] + (1 + b[school]) * x + rng.normal(size=72)
    return pd.DataFrame(
        {"region": region, "school": school, "x": x, "z": z, "y": y, "income": 1.0 * (school % 4),
         "wealth": 1.0 * (school % 3), "yes": 1.0 * (y > 3), "count": np.round(np.exp(y / 4)),
         "wins": np.minimum(4.0, np.round(np.exp(y / 4))), "games": 5}
    )  # fmt: skip
