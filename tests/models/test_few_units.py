"""Fewer than five units are noted in every model: their standard deviation rests on its prior."""

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm


def table(units):
    rng = np.random.default_rng(1)
    rows = np.arange(60)
    return pd.DataFrame({"y": rng.normal(size=60), "u": rows % units, "g": rows, "x": rows // 10})


MODELS = {
    "hm": (lambda **k: mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"), **k), "hm u"),
    "mm": (lambda **k: mlm.MultipleMembershipModel("y ~ 1", mlm.mm("u", "g"), **k), "mm u"),
    "nested": (lambda **k: mlm.NestedVaryingEffects("y ~ 1", ["u"], **k), "u"),
    "nested, sampled": (
        lambda **k: mlm.NestedVaryingEffects("y ~ 1", ["u"], family="student_t", **k), "u"),
    "crossed": (
        lambda **k: mlm.NestedVaryingEffects("y ~ 1", ["x"], terms=[mlm.hm("u")], **k),
        "hm u",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "label"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("units", [2, 4, 5, 20])
def test_few_units_are_noted(model, label, units):
    specified, data = model(), table(units)
    notes = [
        n for n in specified.specification.notes(specified._design(data)) if "fewer than 5" in n
    ]
    assert [n.startswith(f"[{label}] has {units} units") for n in notes] == [True] * (units < 5)


def test_units_without_random_effects_have_no_standard_deviation():
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u", effect="fixed"))
    assert "fewer than" not in "".join(model.specification.notes(model._design(table(3))))
