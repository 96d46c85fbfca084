"""Members with several effects are sampled in coordinates that the data inform."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.model.information import own_terms
from pymc_mlm.model.member_coordinates import informed_members
from pymc_mlm.ops.base import uncompiled

RNG = np.random.default_rng(4)
MEMBERS, TIMES, TIMES_EACH = 12, 5, 6


def along_time():
    k = np.repeat(range(MEMBERS), TIMES * TIMES_EACH)
    t = np.tile(np.repeat(range(TIMES), TIMES_EACH), MEMBERS)
    u = RNG.normal(size=(MEMBERS, TIMES)).cumsum(axis=1)
    y = 5.0 + u[k, t] + RNG.normal(size=len(k))
    return pd.DataFrame({"k": k, "t": t, "g": range(len(k)), "y": y, "x": RNG.normal(size=len(k))})


def with_slopes():
    groups = 400
    g, k = np.repeat(range(groups), 2), RNG.integers(0, MEMBERS, 2 * groups)
    x = RNG.normal(size=2 * groups)
    a, b = RNG.normal(size=MEMBERS), RNG.normal(size=MEMBERS)
    y = 5.0 + np.bincount(g, 0.5 * (a[k] + b[k] * x)) + RNG.normal(size=groups)
    return pd.DataFrame({"g": g, "k": k, "x": x, "y": y[g]})


TABLES = {
    "ar1": (along_time(), {"dynamics": "ar1", "time": "t"}),
    "walk": (along_time(), {"dynamics": "random_walk", "time": "g"}),
    "slopes": (with_slopes(), {"varying": "1 + x"}),
    "one slope": (with_slopes(), {"varying": "0 + x"}),
}


def model(name, family="gaussian"):
    table, options = TABLES[name]
    return mlm.MultipleMembershipModel("y ~ 1", mlm.mm("k", "g", **options), family=family), table


@pytest.mark.parametrize("name", TABLES)
def test_coordinates_have_their_zero_where_the_data_put_the_effects(name):
    made, table = model(name)
    built = made.build(table)
    start = built.initial_point()
    effect = built.rvs_to_values[built["k_effect"]].name
    start[effect] = np.zeros_like(start[effect])
    node = built["outcome"].owner
    eta = built.replace_rvs_by_values([node.op.dist_params(node)[0]])[0]
    found = eta.eval(
        {v: start[v.name] for v in built.value_vars}, on_unused_input="ignore", mode=uncompiled()
    )
    y = table.groupby("g").y.first().to_numpy()
    # The truth leaves a residual of one.
    assert np.std(y - found) < 1.15
    assert np.std(y) > 1.3


def test_the_information_of_separate_members_is_that_of_their_rows():
    table = TABLES["ar1"][0]
    made = mlm.MultipleMembershipModel("y ~ 1 + x", mlm.mm("k", "g", dynamics="ar1", time="t"))
    spec = made.specification
    design = spec.read(table)
    known = informed_members(spec, design, own_terms(design))[0]
    J = known.precision / known.precision[0]
    np.testing.assert_allclose(J, np.ones(MEMBERS * TIMES), rtol=1e-6)
    # The slope at given intercept and coefficient is the sum of residuals per variance.
    g = np.array([4.0, 0.3])
    slope = known.score - known.cross @ g
    residual = table.y - g[0] - g[1] * table.x
    wanted = residual.groupby([table.k, table.t]).mean().to_numpy()
    np.testing.assert_allclose(slope / known.precision, wanted, rtol=1e-3, atol=1e-3)


def test_units_of_a_column_change_the_information_as_they_should():
    table = TABLES["slopes"][0]
    found = []
    for factor in (1.0, 1e4):
        spec = model("slopes")[0].specification
        design = spec.read(table.assign(x=factor * table.x))
        found.append(informed_members(spec, design, own_terms(design))[0])
    by = np.array([1.0, 1e4])
    np.testing.assert_allclose(found[1].precision, found[0].precision * by[:, None] * by, rtol=1e-5)
    np.testing.assert_allclose(found[1].score, found[0].score * by, rtol=1e-2, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ar1", "slopes"])
def test_every_parameter_has_enough_effective_draws(name):
    made, table = model(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        made.fit(table, random_seed=1, progressbar=False, path="sampled")
    frame = made.summary().frame
    assert frame["ess_bulk"].min() >= 400
    assert frame["r_hat"].max() <= 1.01
