"""Utilities of response patterns: laws, and the decision by them."""

import numpy as np
import pytest
import xarray as xr

from pymc_mlm import rules
from pymc_mlm.decisions import decide, difference, success_probability, utility_gain, weighted
from pymc_mlm.errors import SpecificationError

CELLS = ["11", "10", "01", "00"]
HARM = {"11": 0.2, "10": 1.0, "01": -0.5, "00": 0.0}


@pytest.fixture
def phi(rng):
    draws = np.stack(
        [rng.dirichlet([10, 20, 30, 40], (2, 3000)), rng.dirichlet([20, 45, 15, 20], (2, 3000))],
        axis=2,
    )
    coords = {"arm": ["old", "new"], "cell": CELLS}
    return xr.DataArray(draws, dims=("chain", "draw", "arm", "cell"), coords=coords)


def test_utilities_that_add_up_are_weights(phi):
    added = {"11": 0.3, "10": 0.7, "01": -0.4, "00": 0.0}
    effect = difference(success_probability(phi, ["a", "b"]), "new", "old")
    gain = utility_gain(phi, added, "new", "old")
    np.testing.assert_allclose(
        gain.sel(outcome="utility"), 0.7 * effect[..., 0] - 0.4 * effect[..., 1], atol=1e-12
    )
    share = weighted(effect, (0.5, 0.5))
    half = {"11": 1.0, "10": 0.5, "01": 0.5, "00": 0.0}
    same = utility_gain(phi, half, "new", "old").isel(outcome=0)
    np.testing.assert_allclose(same, share, atol=1e-12)


def test_the_same_constant_for_all_patterns_changes_nothing_and_a_cost_does(phi):
    gain = utility_gain(phi, HARM, "new", "old")
    moved = utility_gain(phi, {cell: u + 3 for cell, u in HARM.items()}, "new", "old")
    np.testing.assert_allclose(moved, gain, atol=1e-12)
    np.testing.assert_allclose(utility_gain(phi, HARM, "new", "old", cost=0.1), gain - 0.1)
    np.testing.assert_allclose(utility_gain(phi, HARM, "old", "new"), -gain)


def test_a_gain_is_decided_by_the_evidence_for_it(phi):
    gain = utility_gain(phi, HARM, "new", "old")
    # By the means of the two Dirichlet distributions; four standard errors of 6,000 draws.
    expected = (0.2 * 0.2 + 0.45 - 0.5 * 0.15) - (0.2 * 0.1 + 0.2 - 0.5 * 0.3)
    assert float(gain.mean()) == pytest.approx(expected, abs=4 * float(gain.std()) / 77)
    assert decide(rules.Single("utility"), gain).conclusion == "superior"
    dear = utility_gain(phi, HARM, "new", "old", cost=expected)
    assert decide(rules.Single("utility"), dear).conclusion != "superior"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"utility": {"11": 1.0}}, "lacks the response patterns 10, 01, 00"),
        ({"utility": {**HARM, "1": 2}}, "names '1' others"),
        ({"utility": {**HARM, "11": np.nan}}, "utility nan of '11' must be a finite number"),
        ({"utility": (1, 2)}, "no mapping of response patterns"),
        ({"cost": "much"}, "cost='much' must be a finite number"),
        ({"treatment": "third"}, "'third' is no arm"),
    ],
)
def test_wrong_utilities_are_named(phi, change, words):
    given = {"utility": HARM, "treatment": "new", "control": "old"} | change
    with pytest.raises(SpecificationError, match=words):
        utility_gain(phi, **given)
