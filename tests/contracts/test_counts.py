"""On the way to a fit a table is opened once and a formula is read once."""

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.data import formula, frame
from tests.mocked import PriorDraws

RNG = np.random.default_rng(1)


def table():
    unit = np.repeat(range(8), 5)
    return {
        "y": RNG.normal(size=40), "x": RNG.normal(size=40), "u": unit, "g": range(40),
        "m": RNG.integers(0, 6, 40), "a": RNG.integers(0, 2, 40), "arm": np.arange(40) % 2,
    }  # fmt: skip


MODELS = {
    "membership": lambda f: mlm.MultipleMembershipModel(f"y ~ {f}", mlm.mm("m", "g"), mlm.hm("u")),
    "nested": lambda f: mlm.NestedVaryingEffects(f"y ~ {f}", ["u"], varying="1 + x"),
    "trial": lambda f: mlm.MultivariateLogitTrial("a", "arm", covariates=f.removeprefix("1 + ")),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_table_is_opened_once_and_a_formula_read_once(name, monkeypatch):
    opened, read = [], []
    names, tokenize = frame.column_names, formula.tokenize

    def counted_names(data):
        opened.append(data)
        return names(data)

    def counted_tokens(text):
        read.append(text)
        return tokenize(text)

    monkeypatch.setattr(frame, "column_names", counted_names)
    monkeypatch.setattr(formula, "tokenize", counted_tokens)
    right = f"1 + x + I(x ** {len(name)})"  # read in no other test
    model, data = MODELS[name](right), table()
    with pytest.warns(UserWarning):
        model.fit(data, draws=20, chains=2, random_seed=1, sampler=PriorDraws(), path="sampled")
    assert sum(one is data for one in opened) == 1
    assert sum("**" in text and text.strip().endswith(")") for text in read) == 1
