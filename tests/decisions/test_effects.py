"""Laws of effects computed from cell probabilities."""

import numpy as np
import pytest
import xarray as xr

from pymc_mlm.decisions import (
    difference,
    odds_ratio,
    outcome_correlation,
    ratio,
    rope_probability,
    success_probability,
    summarize,
    weighted,
)
from pymc_mlm.errors import SpecificationError

CELLS = ["11", "10", "01", "00"]


@pytest.fixture
def phi(rng):
    return xr.DataArray(
        rng.dirichlet(np.full(4, 2.0), size=(2, 300, 2)),
        dims=("chain", "draw", "arm", "cell"),
        coords={"arm": ["placebo", "drug"], "cell": CELLS},
    )


def test_success_probabilities_sum_the_cells(phi):
    theta = success_probability(phi, ["math", "reading"])
    values = phi.values
    assert theta.dims == ("chain", "draw", "arm", "outcome")
    np.testing.assert_allclose(theta.sel(outcome="math"), values[..., 0] + values[..., 1])
    np.testing.assert_allclose(theta.sel(outcome="reading"), values[..., 0] + values[..., 2])


def test_the_order_of_the_cells_does_not_matter(phi):
    theta = success_probability(phi.isel(cell=[3, 1, 0, 2]))
    np.testing.assert_allclose(theta, success_probability(phi))


def test_effects_compare_the_treatment_with_the_control(phi):
    theta = success_probability(phi)
    control, treated = theta.values[:, :, 0], theta.values[:, :, 1]
    np.testing.assert_allclose(difference(theta, "drug", "placebo"), treated - control)
    np.testing.assert_allclose(ratio(theta, "drug", "placebo"), treated / control)
    np.testing.assert_allclose(
        odds_ratio(theta, "drug", "placebo"),
        (treated / (1 - treated)) / (control / (1 - control)),
    )
    with pytest.raises(SpecificationError, match=r"'sugar' is no arm.*'placebo', 'drug'"):
        difference(theta, "sugar", "placebo")


def test_correlation_is_that_of_the_outcomes(phi, rng):
    one = phi.isel(chain=0, draw=0, arm=0)
    cell = rng.choice(4, p=one.values, size=200_000)
    outcomes = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])[cell]
    rho = outcome_correlation(phi).isel(chain=0, draw=0, arm=0)
    np.testing.assert_allclose(np.diag(rho), 1.0)
    # Four standard errors of a correlation.
    assert abs(rho.values[0, 1] - np.corrcoef(outcomes.T)[0, 1]) < 4 / np.sqrt(200_000)


def test_independent_outcomes_are_uncorrelated():
    p, q = 0.3, 0.6
    cells = [p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)]
    phi = xr.DataArray(cells, dims="cell", coords={"cell": CELLS})
    assert abs(outcome_correlation(phi).values[0, 1]) < 1e-12


def test_a_weighted_effect_is_the_weighted_sum(phi):
    effect = difference(success_probability(phi, ["a", "b"]), "drug", "placebo")
    np.testing.assert_allclose(weighted(effect, (0.7, 0.3)), effect.values @ [0.7, 0.3])
    np.testing.assert_allclose(weighted(effect, {"b": 2.0}), 2 * effect.values[..., 1])


def test_the_summary_gives_the_sd_of_the_posterior(rng):
    effect = xr.DataArray(
        rng.normal([0.1, 0.3], [0.05, 0.2], size=(4, 5000, 2)),
        dims=("chain", "draw", "outcome"),
        coords={"outcome": ["a", "b"]},
    )
    table = summarize(effect, ci_prob=0.9)
    # Four standard errors of 20,000 independent draws.
    np.testing.assert_allclose(table["sd"], [0.05, 0.2], rtol=4 / np.sqrt(40_000))
    np.testing.assert_allclose(table["mc_error"], table["sd"] / np.sqrt(20_000), rtol=0.25)
    flat = effect.values.reshape(-1, 2)
    np.testing.assert_allclose(table["lower"], np.quantile(flat, 0.05, axis=0))
    np.testing.assert_allclose(table["probability_above"], (flat > 0).mean(axis=0))
    assert table["mean"].coords["outcome"].values.tolist() == ["a", "b"]


def test_rope_probability_counts_draws_inside():
    effect = np.array([[-0.2, 0.0], [0.0, 0.01], [0.2, 0.02], [0.3, 0.2]])
    np.testing.assert_array_equal(rope_probability(effect, -0.05, 0.05), [0.25, 0.75])


def test_bad_arguments_are_named(phi):
    with pytest.raises(SpecificationError, match="is empty"):
        rope_probability(np.zeros((4, 1)), 0.1, -0.1)
    with pytest.raises(SpecificationError, match="ci_prob=95"):
        summarize(np.zeros((4, 1)), ci_prob=95)
    with pytest.raises(SpecificationError, match="needs labels"):
        success_probability(phi.drop_vars("cell"))
    with pytest.raises(SpecificationError, match="one digit"):
        success_probability(phi, ["a", "b", "c"])
