"""Where the search for the mode of the hyperparameters starts, and in which coordinates."""

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.paths.conditional import conditional
from pymc_mlm.paths.without_effects import start_without_effects

FAMILIES = {"yes": "bernoulli", "count": "poisson", "y": "gaussian"}


@pytest.fixture
def table(rng):
    groups = np.repeat(np.arange(150), 2)
    x, member = rng.normal(3.0, 2.0, 150)[groups], rng.integers(0, 20, 300)
    eta = -1.0 + 0.3 * x
    of_row = {"group": groups, "member": member, "x": x, "z": rng.normal(size=300)}
    found = pd.DataFrame(of_row | {"y": eta + rng.normal(size=300)})
    found["count"], found["yes"] = rng.poisson(np.exp(eta)), 1 * (rng.random(300) < 0.4)
    outcomes = ["y", "count", "yes"]
    found[outcomes] = found.groupby("group")[outcomes].transform("first")
    return found


def model(outcome):
    member = mlm.mm("member", "group", covariates="z")
    return mlm.MultipleMembershipModel(f"{outcome} ~ 1 + x", member, family=FAMILIES[outcome])


@pytest.mark.parametrize("outcome", FAMILIES)
def test_coefficients_start_at_their_maximum_without_effects(table, outcome):
    spec = model(outcome).specification
    split = conditional(spec, spec.read(table))
    start, root = start_without_effects(split)
    moved = np.flatnonzero(start != split.start)
    assert len(moved) == 3  # the intercept and two slopes

    def log_density(step):
        point = start.copy()
        point[moved] += step
        pieces = split.pieces(point)
        return float(split.rows.log_density(pieces.offset, pieces.parameters))

    ends = [root[np.ix_(moved, moved)] @ s for s in (*np.eye(3), *-np.eye(3))]
    lost = log_density(np.zeros(3)) - np.array([log_density(end) for end in ends])
    assert np.allclose(lost, 0.5, atol=0.15)  # one standard deviation, in each direction


def test_the_coordinates_of_a_sampler_are_not_computed(table, monkeypatch):
    def dear(*arguments):
        raise AssertionError("the effects are integrated out")

    for name in ("effect_information", "nested_information", "informed_members"):
        monkeypatch.setattr(f"pymc_mlm.model.build.{name}", dear)
    spec = model("yes").specification
    assert len(conditional(spec, spec.read(table)).start) == 4
