"""The recipe of docs/limitations.md for a model of one's own, and outcomes of two families."""

import re
from pathlib import Path

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph import clone_replace

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from tests.contracts.test_combinations import refuse_wrong_gradient
from tests.models.test_row_weights import some_values

RNG = np.random.default_rng(2)
GROUPS, MEMBERS = 30, 5
TABLE = {"group": np.repeat(range(GROUPS), 3), "member": RNG.integers(0, MEMBERS, 3 * GROUPS)}


def test_members_have_correlated_effects_on_categories_and_weights_that_categories_share(rng):
    page = (Path(__file__).parents[2] / "docs" / "limitations.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    model, table, x, choice = (names[n] for n in ("model", "table", "x", "choice"))
    values = some_values(model)
    seats = names["long"]["seats"][::2]
    raw = np.exp(values["member_weight_w"] * seats)
    weights = raw / np.bincount(table["group"], raw)[table["group"]]
    eta = np.zeros((200, 3))
    for k in range(2):
        effects = values["member_effect"][table["member"], k]
        eta[:, k + 1] = np.bincount(table["group"], weights * effects)
        eta[:, k + 1] += values["intercept"][k] + values["slope"][k] * x
    wanted = (eta[range(200), choice] - np.logaddexp.reduce(eta, axis=1)).sum()
    observed = model["choice"]
    density = pt.sum(pm.logp(observed, model.rvs_to_values[observed]))
    given = {rv: pt.as_tensor(values[rv.name]) for rv in model.free_RVs}
    assert clone_replace([density], given)[0].eval(mode=uncompiled()) == pytest.approx(wanted)
    assert "member_partial" in model.named_vars
    refuse_wrong_gradient(model, rng)


def test_outcomes_of_two_families_have_correlated_effects_of_members(rng):
    long = {name: np.repeat(values, 2) for name, values in TABLE.items()}
    first = np.tile([1.0, 0.0], 3 * GROUPS)
    long |= {"first": first, "second": 1.0 - first, "row": 2 * long["group"] + np.tile([0, 1], 90)}
    y, counts = RNG.normal(size=GROUPS), RNG.poisson(2, GROUPS)
    term = mlm.mm("member", "row", varying="0 + first + second")
    with pm.Model() as model:
        eta = term.effect(term.resolve(long)).reshape((GROUPS, 2))
        pm.Normal("y", eta[:, 0], 1.0, observed=y)
        pm.Poisson("count", pt.exp(eta[:, 1]), observed=counts)
    values = some_values(model)
    found = clone_replace([eta], {rv: pt.as_tensor(values[rv.name]) for rv in model.free_RVs})
    expected = [
        np.bincount(TABLE["group"], values["member_effect"][TABLE["member"], k] / 3)
        for k in range(2)
    ]
    np.testing.assert_allclose(found[0].eval(mode=uncompiled()).T, expected)
    assert {"member_sd", "member_partial"} <= {rv.name for rv in model.free_RVs}
    refuse_wrong_gradient(model, rng)
