"""Features of groups: against NumPy group by group, limits, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pymc_mlm as mlm
from pymc_mlm import aggregations as a

RNG = np.random.default_rng(3)
TABLE = pd.DataFrame({
    "g": RNG.permutation(np.repeat(list("abcd"), [1, 3, 4, 2])), "x": RNG.gamma(2, size=10),
    "z": RNG.normal(size=10), "seats": RNG.integers(1, 9, 10),
})  # fmt: skip


def by_hand(function):
    parts = {g: function(t, t["seats"] / t["seats"].sum()) for g, t in TABLE.groupby("g")}
    return TABLE["g"].map(parts).values


def average(w, x):
    return (w * x).sum()


CASES = {
    "mean": (a.Mean("x"), lambda t, w: average(w, t.x)),
    "variance": (a.Variance("x"), lambda t, w: average(w, (t.x - average(w, t.x)) ** 2)),
    "third moment": (a.Variance("x", 3), lambda t, w: average(w, (t.x - average(w, t.x)) ** 3)),
    "covariance": (a.Covariance("x", "z"), lambda t, w: average(w, t.x * t.z) - average(
        w, t.x) * average(w, t.z)),
    "concentration": (a.Concentration(), lambda t, w: (w**2).sum()),
    "effective number": (a.EffectiveNumber(), lambda t, w: 1 / (w**2).sum()),
    "entropy": (a.Entropy(), lambda t, w: -(w * np.log(w)).sum()),
    "smooth maximum": (a.SmoothMaximum("x", 3.0), lambda t, w: np.log(
        average(w, np.exp(3 * t.x))) / 3),
    "smooth minimum": (a.SmoothMaximum("x", -3.0), lambda t, w: -np.log(
        average(w, np.exp(-3 * t.x))) / 3),
    "power mean": (a.PowerMean("x", -1.0), lambda t, w: 1 / average(w, 1 / t.x)),
    "geometric mean": (a.PowerMean("x", 0), lambda t, w: np.exp(average(w, np.log(t.x)))),
    "threshold": (a.Threshold("x", 1.5, 4.0), lambda t, w: average(
        w, 1 / (1 + np.exp(-4 * (t.x - 1.5))))),
    "share above": (a.Threshold("x", 1.5), lambda t, w: average(w, t.x > 1.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_feature_is_that_of_its_group(name):
    feature, expected = CASES[name]
    found = mlm.aggregate(TABLE, "g", {"new": feature}, weight="seats")
    np.testing.assert_allclose(found["new"], by_hand(expected), rtol=1e-12, atol=1e-12)
    pd.testing.assert_frame_equal(found.drop(columns="new"), TABLE)


def test_every_aggregation_has_a_case():
    assert {type(f) for f, _ in CASES.values()} == set(a.AbstractAggregation.__subclasses__())


def test_a_sharp_smooth_maximum_is_the_maximum_and_does_not_overflow():
    far = TABLE.assign(x=TABLE["x"] + 1e4 * (TABLE["g"] == "c"))
    far.loc[far["g"] == "c", "x"] *= 10.0  # of another range, and another level
    for sharpness, extreme in ((500.0, "max"), (-500.0, "min")):
        found = mlm.aggregate(far, "g", {"new": a.SmoothMaximum("x", sharpness)})["new"]
        np.testing.assert_allclose(found, far.groupby("g")["x"].transform(extreme), atol=0.01)


def test_polars_tables_stay_theirs_and_a_model_takes_the_column():
    table = pl.from_pandas(TABLE)
    found = mlm.aggregate(table, "g", {"spread": a.Variance("x"), "n_eff": a.EffectiveNumber()})
    assert isinstance(found, pl.DataFrame)
    counts = TABLE.groupby("g")["x"].transform("size")
    np.testing.assert_allclose(found["n_eff"].to_numpy(), counts)
    y = dict(zip("abcd", [0.1, -0.4, 1.0, 0.3], strict=True))
    model = mlm.MultipleMembershipModel(
        "y ~ 1 + spread", mlm.mm("m", "g", effect=None, covariates="x")
    )
    made = found.to_pandas().assign(y=TABLE["g"].map(y), m=np.arange(10) % 4)
    assert np.isfinite(model.build(made).point_logps()["outcome"])


@pytest.mark.parametrize(("features", "weight", "error", "message"), [
    ({"x": a.Concentration()}, "1 / n", mlm.SpecificationError, "has a column 'x' already"),
    ({}, "1 / n", mlm.SpecificationError, "maps names to aggregations"),
    ({"v": "variance"}, "1 / n", mlm.SpecificationError, "'variance', which is no aggregation"),
    ({"v": a.Variance("x")}, "exp(b * x)", mlm.SpecificationError, "free parameters b, and a col"),
    ({"v": a.Variance("q")}, "1 / n", mlm.DataError, "q"),
    ({"v": a.PowerMean("z", 2)}, "1 / n", mlm.DataError, "is of positive values; found -"),
    ({"v": a.Variance("x")}, "z", mlm.DataError, "negative or sum to zero in 'g'="),
])  # fmt: skip
def test_what_cannot_be_aggregated_is_refused(features, weight, error, message):
    with pytest.raises(error, match=message):
        mlm.aggregate(TABLE, "g", features, weight)


@pytest.mark.parametrize("make", [
    lambda: a.Variance("x", 1), lambda: a.SmoothMaximum("x", 0), lambda: a.PowerMean("x", np.nan),
    lambda: a.Threshold("x", np.inf), lambda: a.Threshold("x", 0, sharpness=0),
])  # fmt: skip
def test_parameters_without_a_meaning_are_refused(make):
    with pytest.raises(mlm.SpecificationError, match=r"moment|sharpness|power|cut"):
        make()
