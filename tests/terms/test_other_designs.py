"""A term is given its own design; that of another term, or no design, is refused in words."""

import numpy as np
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.terms.each_predictor import OnEachPredictor
from pymc_mlm.terms.imputed import Imputed

RNG = np.random.default_rng(1)
TABLE = {
    "m": RNG.integers(0, 4, 20), "g": np.arange(20), "u": np.repeat(range(5), 4),
    "v": np.repeat(range(4), 5), "x": RNG.normal(size=20),
}  # fmt: skip
TERMS = {
    "hm": mlm.hm("u"), "another hm": mlm.hm("v"), "mm": mlm.mm("m", "g"),
    "another mm": mlm.mm("m", "g", name="other"), "nested": mlm.nested(["u"], varying="1"),
    "imputed": Imputed(("x",)), "each": OnEachPredictor(mlm.hm("u"), ("a", "b")),
}  # fmt: skip


def designs():
    """What is no design of a term: tables, nothing, and the designs of all others."""
    found = {name: TERMS[name].resolve(TABLE) for name in ("hm", "another hm", "mm", "another mm")}
    return found | {"nested": TERMS["nested"].resolve(TABLE), "table": TABLE, "nothing": None}


@pytest.mark.parametrize("name", TERMS)
def test_the_design_of_another_term_is_refused(name):
    term = TERMS[name]
    for other, design in designs().items():
        if other == name:
            continue
        with pm.Model(), pytest.raises(mlm.SpecificationError, match=r"Give effect\(\) the design"):
            term.effect(design)


@pytest.mark.parametrize("name", ["hm", "another hm", "mm", "another mm", "nested"])
def test_its_own_design_is_taken(name):
    with pm.Model():
        TERMS[name].effect(designs()[name])


def test_every_term_of_the_package_is_tried():
    final = {
        c.__name__ for c in AbstractTerm.__subclasses__() if c.__module__.startswith("pymc_mlm")
    }
    assert final - {"Population"} == {type(term).__name__ for term in TERMS.values()}
