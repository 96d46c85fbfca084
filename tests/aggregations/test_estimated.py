"""Aggregations with free parameters, as docs/weights.md writes them, are those that are given."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm import aggregations

PAGE = (Path(__file__).parents[2] / "docs" / "weights.md").read_text()
SHARE = "exp(b * s) / sum(exp(b * s))"
CUT, LOG_SHARPNESS, POWER = 0.8, 0.3, 0.6
GIVEN = {
    "variance": (aggregations.Variance("x"), {}),
    "concentration": (aggregations.Concentration(), {}),
    "effective number": (aggregations.EffectiveNumber(), {}),
    "entropy": (aggregations.Entropy(), {}),
    "smooth maximum": (
        aggregations.SmoothMaximum("x", np.exp(LOG_SHARPNESS)), {"b1": LOG_SHARPNESS}),
    "power mean": (aggregations.PowerMean("x", np.exp(POWER)), {"b1": POWER}),
    "threshold": (
        aggregations.Threshold("x", CUT, np.exp(LOG_SHARPNESS)),
        {"b1": CUT, "b2": LOG_SHARPNESS},
    ),
}  # fmt: skip


def text_of(name):
    """Return the weight of the page, the share in the place of w."""
    found = re.search(rf"^\| {name}\b[^|]*\| `([^`]+)` \|$", PAGE.split("**Estimated.**")[1], re.M)
    return re.sub(r"\bw\b", SHARE, found[1])


@pytest.mark.parametrize("name", GIVEN)
def test_an_estimated_aggregation_is_the_given_one_at_its_values(name, rng):
    size = rng.integers(1, 5, 12)
    table = pd.DataFrame({
        "g": np.repeat(range(12), size),
        "m": np.concatenate([rng.choice(9, k, replace=False) for k in size]),
    })  # fmt: skip
    table = table.assign(x=rng.gamma(2.0, size=len(table)), s=rng.random(len(table)), one=1.0)
    aggregation, parameters = GIVEN[name]
    term = mlm.mm("m", "g", covariates="one", weight=text_of(name), normalize=False, effect=None)
    design = term.resolve(table)
    values = {k: np.array([v]) for k, v in {"b": 1.3, **parameters}.items()}
    found = np.bincount(design.membership.group, term.weights(design, values)[0])
    weighted = table.assign(w=np.exp(1.3 * table["s"]))
    wanted = mlm.aggregate(weighted, "g", {"f": aggregation}, weight="w")
    assert np.allclose(found, wanted.groupby("g")["f"].first(), atol=1e-12)


def test_a_feature_that_starts_constant_but_for_rounding_has_a_prior_of_the_outcome_s_scale(rng):
    """Concentrations of groups of one size are equal where weights start, up to rounding."""
    table = pd.DataFrame({
        "g": np.repeat(range(20), 3), "m": np.tile(range(3), 20), "s": rng.random(60), "one": 1.0,
        "y": np.repeat(rng.normal(size=20), 3),
    })  # fmt: skip
    weight = text_of("concentration")
    term = mlm.mm("m", "g", covariates="one", weight=weight, normalize=False, effect=None)
    model = mlm.MultipleMembershipModel("y ~ 1", term)
    design = model.specification.read(table)
    sigma = model.specification.priors_used(design)["m_beta"].parameters["sigma"]
    assert np.ravel(sigma) == pytest.approx(2.5 * design.scale.spread)
