"""One posterior, whether effects are integrated out or sampled, in whatever coordinates."""

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

pytestmark = pytest.mark.agreement

LEVELS = ["region", "school"]


@pytest.fixture(scope="module")
def table():
    # Standard deviations far from zero, at which centred coordinates would have their funnel.
    rng = np.random.default_rng(7)
    school = np.repeat(np.arange(48), rng.integers(6, 14, 48))
    region, x = school % 16, rng.normal(size=len(school))
    root = np.linalg.cholesky([[1.0, 0.4], [0.4, 1.0]])
    total = rng.normal(size=(16, 2))[region] @ root.T * [1.2, 0.8]
    total += rng.normal(size=(48, 2))[school] @ root.T * [0.9, 0.6]
    y = 2.0 + total[:, 0] + (1.0 + total[:, 1]) * x + rng.normal(size=len(school))
    return pd.DataFrame({"region": region, "school": school, "x": x, "y": y})


def fit(table, path="auto", **kwargs):
    model = mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS, **kwargs)
    engine = mlm.Nutpie(target_accept=0.95)
    return model.fit(table, chains=2, random_seed=1, path=path, progressbar=False, sampler=engine)


@pytest.fixture(scope="module")
def collapsed(table):
    return fit(table)


def error_of_means(one, other):
    """Return the Monte Carlo errors of the difference of two summaries' means."""
    return np.hypot(one["sd"] / one["ess_bulk"] ** 0.5, other["sd"] / other["ess_bulk"] ** 0.5)


@pytest.mark.parametrize("way", ["centered", "noncentered", "auto"])
def test_sampled_effects_have_the_posterior_of_exact_draws(way, table, collapsed):
    sampled = fit(table, path="sampled", parameterization=way)
    for kinds in (("coefficient", "sd", "family"), ("effect",)):
        one, other = collapsed.summary(kinds).frame, sampled.summary(kinds).frame
        assert list(one.index) == list(other.index)
        z = (one["mean"] - other["mean"]) / error_of_means(one, other)
        # Up to 128 means at once, not independent.
        assert abs(z).max() < 4.5, z[abs(z) > 4.5]
        np.testing.assert_allclose(other["sd"], one["sd"], rtol=0.2)
    # An effect and the population's coefficient trade off against each other.
    pairs = [joint_correlations(model) for model in (collapsed, sampled)]
    np.testing.assert_allclose(*pairs, atol=0.15)


def joint_correlations(model):
    """Return correlations of the intercept with the effects of regions and of schools' totals."""
    posterior = model.idata["posterior"]
    intercept = posterior["Intercept"].values.ravel()
    regions = posterior["region_effect"].values[..., 0].reshape(len(intercept), -1)
    totals = model.coefficient_draws("school").values[..., 0].reshape(len(intercept), -1)
    return [np.corrcoef(intercept, x)[0, 1] for x in np.hstack([regions, totals]).T]
