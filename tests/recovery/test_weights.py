"""Weights are recovered in three designs: a softmax, a logistic step, and a power of the size.

``python tests/recovery/test_weights.py 40`` prints the table of docs/weights.md.
"""

import sys

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

GROUPS, MEMBERS, SD, BETA, SIGMA = 400, 60, 0.8, 1.0, 0.5
# Text, whether normalised, truth, and the raw weight of x in (0, 1) and the group's size n.
DESIGNS = {
    "softmax": ("exp(b * x)", True, {"b": 2.0}, lambda x, n: np.exp(2.0 * x)),
    "logistic": (
        "ilogit(b0 + b1 * (x - mean(x)))", True, {"b0": -1.0, "b1": 1.5},
        lambda x, n: 1 / (1 + np.exp(1.0 - 1.5 * x)),
    ),
    "power of the size": (
        "1 / n ** exp(b)", False, {"b": -0.5}, lambda x, n: 1 / n ** np.exp(-0.5),
    ),
}  # fmt: skip


def simulated(name, seed):
    """Groups of two to six of 60 members; a covariate and effects are weighted alike."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 7, GROUPS)
    g = np.repeat(np.arange(GROUPS), size)
    m = np.concatenate([rng.choice(MEMBERS, k, replace=False) for k in size])
    x, z, u = rng.normal(size=len(g)), rng.normal(size=len(g)), SD * rng.normal(size=MEMBERS)
    _, normalize, _, raw = DESIGNS[name]
    centred = x - (np.bincount(g, x) / size)[g]
    w = raw(centred if name == "logistic" else x, size[g])
    if normalize:
        w /= np.bincount(g, w)[g]
    y = np.bincount(g, w * (BETA * z + u[m])) + SIGMA * rng.normal(size=GROUPS)
    return {"g": g, "m": m, "x": x, "z": z, "y": y[g]}


def recovered(name, seed):
    """Return (truth - mean) / sd of each weight parameter, and whether 80% and 95% hold it."""
    text, normalize, truth, _ = DESIGNS[name]
    term = mlm.mm("m", "g", covariates="z", weight=text, normalize=normalize)
    model = mlm.MultipleMembershipModel("y ~ 1", term)
    model.fit(simulated(name, seed), draws=500, tune=500, chains=2, path="collapsed",
              random_seed=seed, progressbar=False)  # fmt: skip
    rows = []
    for b, value in truth.items():
        draws = model.result_.posterior[f"m_weight_{b}"].values.ravel()
        low, near, far, high = np.quantile(draws, [0.025, 0.1, 0.9, 0.975])
        rows.append({
            "design": name, "parameter": b, "truth": value, "mean": draws.mean(),
            "sd": draws.std(), "z": (value - draws.mean()) / draws.std(),
            "in_80": near < value < far, "in_95": low < value < high,
        })  # fmt: skip
    return rows


def study(seeds):
    rows = [row for name in DESIGNS for seed in seeds for row in recovered(name, seed)]
    by_parameter = pd.DataFrame(rows).groupby(["design", "parameter"], sort=False)
    return by_parameter[["truth", "mean", "sd", "z", "in_80", "in_95"]].mean()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_weights_of_three_designs_are_recovered_and_covered():
    found = study(range(20))
    print(f"\n{found.round(3).to_string()}")
    # Four standard errors of a mean of 20 standard normal numbers; 80 intervals.
    assert (found["z"].abs() < 4 / np.sqrt(20)).all()
    assert 0.68 < found["in_80"].mean() < 0.92


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    print(study(range(int(sys.argv[1]))).round(3).to_string())
