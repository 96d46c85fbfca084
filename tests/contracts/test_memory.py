"""Millions of rows fit into the memory of a laptop."""

import subprocess
import sys

import pytest

MEMBERSHIP = """
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


NESTED = """
import resource
import numpy as np, pandas as pd, pymc_mlm as mlm
from pymc.blocking import DictToArrayBijection
rng = np.random.default_rng(0)
rows, schools = 10_000_000, 2_000
school, y = rng.integers(0, schools, rows), rng.normal(size=rows)
x = {name: rng.normal(size=rows) for name in ("a", "b", "c")}
for each in x.values():
    y += each
table = pd.DataFrame({"region": school % 50, "school": school, **x, "y": y}, copy=False)
del school, x, y, each
model = mlm.NestedVaryingEffects("y ~ 1 + a + b + c", ["region", "school"]).build(table)
f = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
value, gradient = f(DictToArrayBijection.map(model.initial_point()))
assert np.isfinite(value) and np.isfinite(gradient).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, table.memory_usage().sum() / 1e9)
"""


def run(script):
    """Return the numbers that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    return [float(number) for number in done.stdout.split()]


@pytest.mark.slow
def test_five_million_memberships_evaluate_in_less_than_four_gigabytes():
    (peak,) = run(MEMBERSHIP)
    print(f"peak memory {peak:.2f} GB")
    assert peak < 4.0


@pytest.mark.slow
def test_ten_million_nested_rows_with_three_slopes_need_one_gigabyte_beside_the_table():
    # Libraries and compiled code, some 0.25 GB, count too.
    peak, table = run(NESTED)
    print(f"peak memory {peak:.2f} GB, table {table:.2f} GB")
    assert peak < table + 1.0
