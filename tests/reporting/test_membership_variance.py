"""Variance of members in their groups: weights are squared draw by draw."""

import numpy as np
import pytest

import pymc_mlm as mlm

GROUP = np.array([0, 0, 1, 1, 1])


def membership_variance(sd, weights, member=range(5)):
    term = mlm.mm("m", "g")
    design = term.resolve({"m": np.array(member), "g": GROUP})
    return term.effects.variance(design, {"m_sd": sd}, weights, {})


def test_the_mean_squared_weight_is_not_the_squared_mean_weight(rng):
    sd = rng.uniform(0.5, 2.0, 400)
    first, rest = rng.beta(0.5, 0.5, 400), rng.dirichlet(np.ones(3), 400)
    weights = np.column_stack([first, 1 - first, rest])
    by_hand = [
        np.mean([s**2 * np.sum(w[GROUP == g] ** 2) for g in (0, 1)])
        for s, w in zip(sd, weights, strict=True)
    ]
    found = membership_variance(sd, weights)
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    plugged_in = (sd**2).mean() * np.sum(weights.mean(axis=0) ** 2) / 2
    assert found.mean() > 1.15 * plugged_in


def test_it_is_the_variance_of_simulated_contributions(rng):
    w = np.array([[0.2, 0.8, 0.5, 0.3, 0.2]])
    u = rng.normal(0, 1.5, size=(200_000, 5))
    sums = np.stack([(w[0, GROUP == g] * u[:, GROUP == g]).sum(axis=1) for g in (0, 1)], axis=1)
    expected = sums.var(axis=0).mean()
    assert membership_variance(np.array([1.5]), w)[0] == pytest.approx(expected, rel=0.02)


def test_the_weights_of_a_member_listed_twice_add_up():
    w = np.array([[0.2, 0.8, 0.5, 0.3, 0.2]])
    found = membership_variance(np.array([2.0]), w, [0, 1, 2, 2, 3])
    expected = 4.0 * (0.2**2 + 0.8**2 + (0.5 + 0.3) ** 2 + 0.2**2) / 2
    assert found[0] == pytest.approx(expected)
