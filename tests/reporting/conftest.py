"""Fits of trials, shared by the tests of their reports."""

import numpy as np
import pytest

import pymc_mlm as mlm
from tests.reporting.reports import fitted, table


@pytest.fixture(scope="session")
def direct():
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old")
    return trial.fit(table(), draws=2000, random_seed=7)


@pytest.fixture(scope="session")
def sampled():
    data = table()
    data.loc[[3, 8], "y1"] = np.nan
    model = mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", control="old", covariates=["age"], cluster="site",
        priors={"slope": mlm.Prior("Normal", mu=0, sigma=1)},
    )  # fmt: skip
    return fitted(model, data)
