"""Recovery of members' slopes beside estimated weights, under effects."""

import numpy as np
import pytest

import pymc_mlm as mlm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

DATASETS, MEMBERS, GROUPS = 20, 40, 500
TRUTH = {"sd": np.array([1.0, 0.6]), "correlation": 0.5, "b": 2.0}


def simulated(seed):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), 3)
    member = np.concatenate([rng.choice(MEMBERS, 3, replace=False) for _ in range(GROUPS)])
    x, s = rng.normal(size=len(group)), rng.random(len(group))
    R = np.array([[1.0, TRUTH["correlation"]], [TRUTH["correlation"], 1.0]])
    u = rng.multivariate_normal(np.zeros(2), R * np.outer(TRUTH["sd"], TRUTH["sd"]), MEMBERS)
    raw = np.exp(TRUTH["b"] * s)
    w = raw / np.bincount(group, raw)[group]
    eta = np.bincount(group, w * (u[member, 0] + u[member, 1] * x))
    y = eta + 0.5 * rng.normal(size=GROUPS)
    return {"g": group, "m": member, "x": x, "s": s, "y": y[group]}


def test_slopes_correlation_and_weights_are_recovered():
    z, covered = [], []
    for seed in range(DATASETS):
        term = mlm.mm("m", "g", varying="1 + x", weight="exp(b * s)")
        model = mlm.MultipleMembershipModel("y ~ 1", term)
        model.fit(simulated(seed), draws=500, chains=2, random_seed=seed, path="collapsed")
        posterior = model.result_.posterior
        found = [*np.moveaxis(posterior["m_sd"].values, -1, 0), posterior["m_correlation"].values,
                 posterior["m_weight_b"].values]  # fmt: skip
        for draws, truth in zip(
            found, [*TRUTH["sd"], TRUTH["correlation"], TRUTH["b"]], strict=True
        ):
            z.append((truth - draws.mean()) / draws.std())
            low, high = np.quantile(draws, [0.1, 0.9])
            covered.append(low <= truth <= high)
    z = np.array(z).reshape(DATASETS, -1)
    print(f"\nmean z {z.mean(0).round(2)}, sd {z.std(0).round(2)}, 80%: {np.mean(covered):.2f}")
    assert (np.abs(z.mean(axis=0)) < 4 / np.sqrt(DATASETS)).all()
    assert np.abs(z).max() < 4.5
    assert 0.66 < np.mean(covered) < 0.92
