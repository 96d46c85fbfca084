"""Recovery of effects along time: intervals of their parameters, and the effects themselves."""

import numpy as np
import pytest

import pymc_mlm as mlm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

DATASETS = 20
MEMBERS, GROUPS = 20, 150
SD, RHO = 1.0, 0.8


def simulated(seed):
    rng = np.random.default_rng(seed)
    group, when = np.repeat(np.arange(GROUPS), 3), rng.uniform(0, 30, GROUPS)
    member = np.concatenate([rng.choice(MEMBERS, 3, replace=False) for _ in range(GROUPS)])
    time = when[group]
    lag = np.abs(time[:, None] - time)
    covariance = (member[:, None] == member) * SD**2 * RHO**lag
    effect = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(time))) @ rng.normal(size=len(time))
    y = np.bincount(group, effect) / 3 + 0.3 * rng.normal(size=GROUPS)
    return {"g": group, "m": member, "t": time, "y": y[group]}, effect


def test_effects_and_their_parameters_are_recovered():
    z, covered, correlation = [], [], []
    for seed in range(DATASETS):
        table, effect = simulated(seed)
        model = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", dynamics=mlm.AR1("t")))
        model.fit(table, draws=500, chains=2, random_seed=seed, path="collapsed")
        posterior = model.result_.posterior
        for name, truth in (("m_sd", SD), ("m_rho", RHO)):
            draws = posterior[name].values.ravel()
            z.append((truth - draws.mean()) / draws.std())
            low, high = np.quantile(draws, [0.1, 0.9])
            covered.append(low <= truth <= high)
        mean = posterior["m_effect"].mean(("chain", "draw")).to_series()
        at = [f"{m}, {t:.15g}" for m, t in zip(table["m"], table["t"], strict=True)]
        correlation.append(np.corrcoef(mean[at], effect)[0, 1])
    print(f"\nz {np.mean(z):.2f}, {np.std(z):.2f}; 80%: {np.mean(covered):.2f}; "
          f"correlation {np.mean(correlation):.2f}")  # fmt: skip
    assert abs(np.mean(z)) < 0.7
    assert np.abs(z).max() < 4.5
    assert 0.62 < np.mean(covered) < 0.95
    assert np.mean(correlation) > 0.6
