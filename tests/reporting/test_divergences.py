"""Divergent transitions are counted and reported, with what they mean and a remedy."""

import numpy as np
import pytest
import xarray as xr

from pymc_mlm.fit import Fit
from pymc_mlm.reporting.diagnostics import diagnose
from pymc_mlm.terms.role import Role


class Specification:
    """Stands for a model: roles and a title."""

    def __init__(self, roles):
        self.known = roles

    def roles(self, design):
        return self.known

    def title(self, design):
        return "Long labels"


def fit_with(divergences, rng):
    values = rng.normal(size=(4, 500))
    dims, coords = ("chain", "draw"), {"chain": range(4), "draw": range(500)}
    diverging = np.zeros(2000, dtype=bool)
    diverging[:divergences] = True
    tree = xr.DataTree.from_dict({
        "posterior": xr.Dataset({"sigma": (dims, values)}, coords=coords),
        "sample_stats": xr.Dataset({"diverging": (dims, diverging.reshape(4, 500))}, coords=coords),
    })  # fmt: skip
    return Fit(Specification({"sigma": Role("family", "sigma")}), None, tree)


@pytest.mark.parametrize("count", [1, 40])
def test_every_divergence_is_reported(count, rng):
    (sentence,) = diagnose(fit_with(count, rng)).problems()
    assert sentence.startswith(f"{count} of 2000 transitions diverged")
    assert "spreads may be too small even where R-hat looks clean" in sentence
    assert "Nutpie(target_accept=0.99)" in sentence


def test_no_divergence_is_no_sentence(rng):
    assert diagnose(fit_with(0, rng)).problems() == []
