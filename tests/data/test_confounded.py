"""Random effects that a table cannot tell apart."""

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.data.confounded import confounded

N = 12
ROW, SITE = np.arange(N), np.arange(N) % 4
Y = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0])
TABLE = {"y": Y, "id": ROW, "site": SITE, "city": SITE + 10, "ward": ROW // 3, "arm": ROW % 2}
RESIDUAL = "the residual"


def test_crossed_units_of_several_rows_are_told_apart():
    assert confounded([("site", SITE), ("ward", TABLE["ward"])], "row", RESIDUAL) == []


def test_units_that_divide_the_rows_alike_are_named():
    (text,) = confounded([("site", SITE), ("city", 3 - SITE)], "row", RESIDUAL)
    assert "Every 'site' has exactly one 'city', and the reverse" in text


def test_a_unit_that_holds_another_is_told_apart():
    assert confounded([("half", SITE // 2), ("site", SITE)], "row", RESIDUAL) == []


@pytest.mark.parametrize("variation, count", [(RESIDUAL, 1), (None, 0)])
def test_a_unit_of_one_row_is_named_where_rows_vary(variation, count):
    assert len(confounded([("row", ROW)], "row", variation)) == count


def members_of_one_group():
    return {"y": np.repeat(Y, 2), "team": np.repeat(ROW, 2), "player": np.arange(2 * N)}


CASES = {
    "hm": (mlm.MultipleMembershipModel("y ~ 1", mlm.hm("id")), TABLE, "Every 'id' has one row"),
    "alike hm": (
        mlm.MultipleMembershipModel("y ~ 1", mlm.hm("site"), mlm.hm("city")), TABLE,
        "Every 'site' has exactly one 'city'",
    ),
    "mm": (
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("player", "team")), members_of_one_group(),
        "Every 'player' has one team",
    ),
    "nested and hm": (
        mlm.NestedVaryingEffects("y ~ 1", ["site"], terms=[mlm.hm("city")]), TABLE,
        "Every '(site|city)' has exactly one '(site|city)'",
    ),
    "nested": (
        mlm.NestedVaryingEffects("y ~ 1", ["site", "city"]), TABLE,
        "Every 'site' has exactly one 'city'",
    ),
    "trial": (
        mlm.MultivariateLogitTrial(["y"], "arm", cluster="id"), TABLE,
        "Every 'id' has one person",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_model_warns(case):
    model, table, text = CASES[case]
    with pytest.warns(mlm.DataWarning, match=text):
        model._design(table)


def test_fixed_effects_and_shared_members_give_no_warning():
    players = members_of_one_group() | {"player": np.arange(2 * N) % 7}
    mlm.MultipleMembershipModel("y ~ 1", mlm.mm("player", "team"))._design(players)
    fixed = mlm.hm("site", effect="fixed")
    mlm.MultipleMembershipModel("y ~ 1", fixed, mlm.hm("city"))._design(TABLE)
