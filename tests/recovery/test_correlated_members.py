"""Recovery of effects of neighbours and of relatives, most of all of members without rows."""

import numpy as np
import pytest

import pymc_mlm as mlm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

DATASETS, SIDE, GROUPS, SD = 20, 6, 200, 1.0
MEMBERS = SIDE * SIDE
PLACE = np.array([(i, j) for i in range(SIDE) for j in range(SIDE)])
DISTANCE = np.abs(PLACE[:, None] - PLACE).sum(axis=2)
GRID = {k: np.flatnonzero(DISTANCE[k] == 1).tolist() for k in range(MEMBERS)}
KERNEL = np.exp(-DISTANCE / 2.0)
KNOWN = {k: dict(enumerate(row.tolist())) for k, row in enumerate(KERNEL)}
# Every sixth member is in no group.
SEEN = np.array([k for k in range(MEMBERS) if k % 6])
RHO = 0.8


def distribution(kind):
    """The distribution, and the covariance that is simulated from."""
    if kind == "known":
        return mlm.KnownCovariance(KNOWN), KERNEL
    root = mlm.BYM2(GRID).root()
    smooth = root.F * root.spectrum @ root.F.T
    return mlm.BYM2(GRID), (1 - RHO) * np.eye(MEMBERS) + RHO * smooth


@pytest.mark.parametrize("kind", ["known", "bym2"])
def test_effects_are_recovered(kind):
    effects, covariance = distribution(kind)
    z, covered, unseen, truths = [], [], [], []
    for seed in range(DATASETS):
        rng = np.random.default_rng(seed)
        u = SD * rng.multivariate_normal(np.zeros(MEMBERS), covariance)
        group = np.repeat(np.arange(GROUPS), 3)
        member = np.concatenate([rng.choice(SEEN, 3, replace=False) for _ in range(GROUPS)])
        y = np.bincount(group, u[member]) / 3 + 0.3 * rng.normal(size=GROUPS)
        model = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", covariance=effects))
        table = {"g": group, "m": member, "y": y[group]}
        model.fit(table, draws=500, chains=2, random_seed=seed, path="collapsed")
        posterior = model.result_.posterior
        sd = posterior["m_sd"].values.ravel()
        z.append((SD - sd.mean()) / sd.std())
        total = posterior["m_effect"].values + posterior["Intercept"].values[..., None]
        flat = total.reshape(-1, MEMBERS)[:, ::6]
        low, high = np.quantile(flat, [0.1, 0.9], axis=0)
        covered.append((low <= u[::6]) & (u[::6] <= high))
        unseen.append(flat.mean(axis=0))
        truths.append(u[::6])
    correlation = np.corrcoef(np.ravel(unseen), np.ravel(truths))[0, 1]
    print(f"\n{kind}: sd z {np.mean(z):.2f}, {np.std(z):.2f}; without rows: 80% "
          f"{np.mean(covered):.2f}, correlation {correlation:.2f}")  # fmt: skip
    assert abs(np.mean(z)) < 0.9
    assert np.abs(z).max() < 4.5
    assert 0.66 < np.mean(covered) < 0.92
    assert correlation > 0.3
