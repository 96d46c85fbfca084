"""Five million memberships fit into the memory of a laptop."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np, pandas as pd, pymc_mlm as mlm
from pymc.blocking import DictToArrayBijection
rng = np.random.default_rng(0)
rows, groups, members = 5_000_000, 1_000_000, 200_000
group = np.concatenate([np.arange(groups), rng.integers(0, groups, rows - groups)])
y = rng.normal(size=groups)
table = pd.DataFrame({"g": group, "m": rng.integers(0, members, rows), "y": y[group],
                      "z": rng.normal(size=rows), "s": rng.random(rows)})
model = mlm.MultipleMembershipModel(
    "y ~ 1", mlm.mm("m", "g", covariates="z", weight=mlm.weights.softmax("s"))).build(table)
f = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
value, gradient = f(DictToArrayBijection.map(model.initial_point()))
assert np.isfinite(value) and np.isfinite(gradient).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
def test_five_million_memberships_evaluate_in_less_than_four_gigabytes():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=600
    )
    peak = float(done.stdout)
    print(f"peak memory {peak:.2f} GB")
    assert peak < 4.0
