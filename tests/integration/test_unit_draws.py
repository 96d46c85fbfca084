"""Draws chosen unit by unit: the same marginal and posterior as joint ones, by lighter weights."""

import numpy as np
import pytest

from pymc_mlm.integration.factor import factor
from pymc_mlm.integration.laplace import laplace
from pymc_mlm.integration.rows import Rows
from pymc_mlm.integration.unit_draws import draw_by_unit


@pytest.fixture(params=["alone", "with others"])
def found(request, rng):
    """Binary rows of fifty units with two effects each, alone or within three others."""
    unit, x = rng.integers(0, 50, 400), rng.normal(size=400)
    columns = [2 * unit, 2 * unit + 1]
    entries = [1.5 * np.ones(400), 1.2 * x]
    if request.param == "with others":
        columns.append(100 + unit % 3)
        entries.append(np.ones(400))
    width = len(columns)
    y = {"value": 1.0 * (rng.random(400) < 0.4)}
    size = 103 if width == 3 else 100
    rows = Rows(
        "bernoulli", y, width * np.arange(401), np.stack(columns, axis=1).ravel(), size, (50, 2)
    )
    return laplace(rows, np.stack(entries, axis=1).ravel(), np.zeros(400), np.zeros(0))


def mean_of(u, log_ratio):
    weight = np.exp(log_ratio - log_ratio.max())
    return u @ weight / weight.sum()


def test_marginal_and_posterior_are_those_of_joint_draws(found, rng):
    u, joint = found.draw(40_000, rng)
    v, by_unit = draw_by_unit(found, found.root, 5000, rng)
    marginals = [np.log(np.exp(r - found.value).mean()) for r in (joint, by_unit)]
    assert marginals[0] == pytest.approx(marginals[1], abs=0.1)
    assert by_unit.var() < 0.4 * joint.var()  # an eighth, but for what all units share
    for power in (1, 2):
        ours, theirs = mean_of(v**power, by_unit), mean_of(u**power, joint)
        assert np.abs(ours - theirs).max() < 0.15
        assert np.abs(ours - theirs).mean() < 0.03


def test_sums_over_units_are_those_of_the_rows(found, rng):
    eta = rng.normal(size=(400, 3))
    rows = found.rows
    values = rows.density.value({"value": rows.outcome["value"][:, None]}, eta, np.zeros(0))
    expected = np.zeros((50, 3))
    np.add.at(expected, rows.links.unit, values)
    assert np.allclose(rows.log_density_by_unit(eta, np.zeros(0)), expected)
    assert np.allclose(rows.log_density(eta, np.zeros(0)), values.sum(axis=0))


def test_many_units_are_drawn_so(found, rng, monkeypatch):
    before = found.draw(2000, rng)[1].var()
    monkeypatch.setattr("pymc_mlm.integration.laplace.MANY_UNITS", 10)
    assert found.draw(2000, rng)[1].var() < 0.5 * before
    assert isinstance(found.root, type(factor(found.rows, found.entries, np.ones(400))))
