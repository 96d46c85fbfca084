"""One small fitted model, shared by the tests that ask it questions."""

import pytest

import pymc_mlm as mlm


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
