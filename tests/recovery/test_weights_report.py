"""The report of weights fires where weights have no meaning, and is quiet where they have.

``python tests/recovery/test_weights_report.py 200`` prints the table of docs/weights.md.
"""

import sys

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

GROUPS, MEMBERS, B = 120, 60, 1.0
TERMS = {
    "covariate": {"covariates": "z", "effect": None}, "effects": {}, "both": {"covariates": "z"},
}  # fmt: skip
# Term, coefficient, sd of members' effects.
NULL = [("covariate", 0.0, 0.0), ("effects", 0.0, 0.0), ("both", 0.0, 0.0)]
TRUE = [("covariate", 1.0, 0.0), ("both", 1.0, 1.0)]


def table(seed, beta, sd):
    """Groups of two to five of 60 members, weights exp(x), residual 1."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 6, GROUPS)
    g = np.repeat(np.arange(GROUPS), size)
    m = np.concatenate([rng.choice(MEMBERS, k, replace=False) for k in size])
    x, z, u = rng.normal(size=len(g)), rng.normal(size=len(g)), sd * rng.normal(size=MEMBERS)
    w = np.exp(B * x)
    w /= np.bincount(g, w)[g]
    y = np.bincount(g, w * (beta * z + u[m])) + rng.normal(size=GROUPS)
    return pd.DataFrame({"g": g, "m": m, "x": x, "z": z, "y": y[g]})


def verdict(seed, term, beta, sd):
    model = mlm.MultipleMembershipModel(
        "y ~ 1", mlm.mm("m", "g", weight="exp(b * x)", **TERMS[term])
    )
    model.fit(table(seed, beta, sd), draws=500, tune=500, chains=2, random_seed=seed,
              progressbar=False)  # fmt: skip
    return model.weights_report().frame["verdict"].iloc[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("case", "fires"), [(c, True) for c in NULL] + [(c, False) for c in TRUE])
def test_the_verdict_is_right_in_nearly_all_tables(case, fires):
    right = [(verdict(seed, *case) != "identified") == fires for seed in range(20)]
    # docs/weights.md has the shares of larger studies.
    assert sum(right) >= 16


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    for case in [*NULL, ("effects", 0.0, 1.0), *TRUE]:
        found = pd.Series([verdict(seed, *case) for seed in range(int(sys.argv[1]))])
        print(case, found.value_counts().to_dict(), flush=True)
