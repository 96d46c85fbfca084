"""Unordered categories with members whose effects are correlated, and estimated weights.

``python tests/recovery/test_categorical.py`` prints what docs/models/multiple_membership.md quotes.
"""

import numpy as np
import pytest

import pymc_mlm as mlm

pytestmark = pytest.mark.slow

INTERCEPT, SLOPE, SD, CORRELATION, WEIGHT = (0.4, -0.5), (0.7, -0.4), (1.2, 0.9), 0.6, 0.8
TRUTH = {
    "Intercept b": 0.4, "Intercept c": -0.5, "b:x": 0.7, "c:x": -0.4, "weight w [mm m]": WEIGHT,
    "sd b [mm m]": 1.2, "sd c [mm m]": 0.9, "cor(b, c) [mm m]": CORRELATION,
}  # fmt: skip


def simulated(groups=800, members=40, seed=11):
    """Simulate groups of three members that choose one of three categories."""
    rng = np.random.default_rng(seed)
    gid = np.repeat(np.arange(groups), 3)
    m, seats = rng.integers(0, members, 3 * groups), rng.normal(size=3 * groups)
    x = rng.normal(size=groups)
    R = np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    u = rng.multivariate_normal([0, 0], np.diag(SD) @ R @ np.diag(SD), members)
    w = np.exp(WEIGHT * seats)
    w /= np.bincount(gid, w)[gid]
    eta = np.zeros((groups, 3))
    for k in range(2):
        eta[:, k + 1] = INTERCEPT[k] + SLOPE[k] * x + np.bincount(gid, w * u[m, k])
    vote = np.array(["a", "b", "c"], dtype=object)[np.argmax(eta + rng.gumbel(size=eta.shape), 1)]
    return {"gid": gid, "m": m, "seats": seats, "x": x[gid], "vote": vote[gid]}


def fitted():
    model = mlm.MultipleMembershipModel(
        "vote ~ 1 + x",
        mlm.mm("m", "gid", weight="exp(w * seats)", parameters=["w"]),
        family="categorical",
    )
    return model.fit(simulated(), draws=500, tune=500, random_seed=1, progressbar=False)


def test_coefficients_weights_and_correlations_are_recovered():
    found = fitted().summary().frame
    for name, truth in TRUTH.items():
        row = found.loc[name]
        assert abs(row["mean"] - truth) < 3.0 * row["sd"], name
        assert row["ess_bulk"] > 400


if __name__ == "__main__":
    print(fitted().summary())
