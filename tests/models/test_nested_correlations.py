"""Correlations of nested effects are those of L L', in reports and in new units."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.terms.nested_draws import correlations, total_deviations

PARTIAL = np.array([0.8, -0.5, 0.6])
SD = np.array([2.0, 0.5, 1.5])


def by_recursion():
    """Return the correlations that belong to the partial ones (Lewandowski et al. 2009)."""
    r10, r20, z21 = PARTIAL
    r21 = z21 * np.sqrt((1 - r10**2) * (1 - r20**2)) + r10 * r20
    return np.array([[1, r10, r20], [r10, 1, r21], [r20, r21, 1]])


@pytest.fixture
def design(rng):
    table = pd.DataFrame({
        "school": np.repeat(np.arange(5), 6), "x": rng.normal(size=30), "z": rng.normal(size=30),
        "y": rng.normal(size=30),
    })  # fmt: skip
    model = mlm.NestedVaryingEffects("y ~ 1 + x + z", levels=["school"])
    fitted = model._design(table)
    new = table.assign(school=99).drop(columns="y")
    return fitted.nested, model._design(new, known=fitted).nested


def posterior(draws):
    def repeat(values):
        return np.broadcast_to(values, (1, draws, *np.shape(values)))

    return xr.Dataset({
        "school_partial": (("chain", "draw", "pair"), repeat(PARTIAL)),
        "school_sd": (("chain", "draw", "coef"), repeat(SD)),
        "school_effect": (("chain", "draw", "school", "coef"), repeat(np.zeros((5, 3)))),
    })  # fmt: skip


def test_reported_correlations_belong_to_the_partial_ones(design):
    found = correlations(posterior(2), design[0])["school_correlation"]
    expected = by_recursion()[np.tril_indices(3, -1)]
    np.testing.assert_allclose(found.values[0, 0], expected, rtol=1e-12)
    assert found["school_pair"].values.tolist() == ["Intercept, x", "Intercept, z", "x, z"]


def test_new_units_have_the_covariance_of_the_level(design):
    draws = 40_000
    arrays = {n: v.values for n, v in posterior(draws).items()}
    total = total_deviations(arrays, design[1], np.random.default_rng(1))[0][0, :, -1]
    covariance = by_recursion() * np.outer(SD, SD)
    # Standard errors of covariances of normals: sqrt((v_ii v_jj + v_ij^2) / n).
    error = np.sqrt((np.outer(SD**2, SD**2) + covariance**2) / draws)
    assert (np.abs(np.cov(total.T) - covariance) < 5 * error).all()
