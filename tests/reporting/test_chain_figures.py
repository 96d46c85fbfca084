"""R-hat, effective sizes and Monte Carlo errors: those of ArviZ, of draws as arrays."""

import sys
import warnings

import arviz_stats
import numpy as np
import pytest
import xarray as xr

from pymc_mlm.reporting.chain_figures import chain_figures

NAMES = ("r_hat", "ess_bulk", "ess_tail", "ess_mean", "mcse_mean", "mcse_sd")


def autoregressive(rng, chains, length, slope):
    noise = rng.normal(size=(chains, length))
    draws = np.zeros_like(noise)
    for t in range(1, length):
        draws[:, t] = slope * draws[:, t - 1] + noise[:, t]
    return draws


def parameters(rng, chains, length):
    """Draws of many kinds, shape (chain, draw, parameter)."""
    slow, fast, swinging = (autoregressive(rng, chains, length, s) for s in (0.95, 0.0, -0.6))
    apart = fast + 3.0 * np.arange(chains)[:, None]
    infinite, unknown = np.array(fast), np.array(fast)
    infinite[0, 1], unknown[0, 1] = np.inf, np.nan
    tied, heavy, constant = np.round(slow), np.exp(3 * fast), np.ones_like(fast)
    kinds = slow, fast, swinging, apart, tied, heavy, constant, 1.0 * (fast > 1), infinite, unknown
    return np.stack(kinds, axis=2)


def of_arviz(draws):
    x = xr.DataArray(draws, dims=("chain", "draw", "parameter"))
    found = {
        "r_hat": arviz_stats.rhat(x),
        **{f"ess_{m}": arviz_stats.ess(x, method=m) for m in ("bulk", "tail", "mean")},
        **{f"mcse_{m}": arviz_stats.mcse(x, method=m) for m in ("mean", "sd")},
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


@pytest.mark.parametrize("chains", [1, 2, 4])
@pytest.mark.parametrize("length", [3, 4, 5, 6, 9, 101, 400])
def test_figures_are_those_of_arviz(chains, length):
    draws = parameters(np.random.default_rng(length), chains, length)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = of_arviz(draws)
    found = chain_figures(draws, *NAMES)
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("chains", [1, 2, 4])
@pytest.mark.parametrize("length", [3, 4, 5, 6, 9, 101, 400])
def test_figures_of_finite_draws_are_those_of_arviz_without_it(chains, length, monkeypatch):
    draws = parameters(np.random.default_rng(length), chains, length)
    # More than one block of elements.
    draws = np.tile(draws[..., np.isfinite(draws).all(axis=(0, 1))], 5)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = of_arviz(draws)
    monkeypatch.setitem(sys.modules, "arviz_stats", None)
    found = chain_figures(draws, "ess_bulk", "r_hat")
    assert list(found) == ["ess_bulk", "r_hat"]
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, err_msg=name)


def test_no_elements_have_no_figures():
    found = chain_figures(np.empty((2, 50, 0, 3)), "r_hat", "ess_bulk")
    assert [x.shape for x in found.values()] == [(0, 3), (0, 3)]


def test_elements_of_an_array_are_parameters():
    draws = parameters(np.random.default_rng(1), 2, 50)
    whole = chain_figures(draws, *NAMES)
    folded = chain_figures(draws.reshape(2, 50, 5, 2), *NAMES)
    for name in NAMES:
        assert folded[name].shape == (5, 2)
        np.testing.assert_array_equal(folded[name].ravel(), whole[name])
