"""Variances and covariances of bml are features of the package, with the divisor n."""

import re

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.aggregations import Covariance, Variance

RNG = np.random.default_rng(4)
SIZE = np.array([1, 2, 3, 4, 6] * 4)
GROUP = np.repeat(np.arange(len(SIZE)), SIZE)
TABLE = pd.DataFrame({
    "gid": GROUP, "pid": RNG.integers(0, 9, len(GROUP)), "y": RNG.normal(size=len(SIZE))[GROUP],
    "x": RNG.normal(50, 3, len(GROUP)), "z": RNG.normal(size=len(GROUP)),
    "seats": RNG.integers(1, 9, len(GROUP)) * 1.0,
})  # fmt: skip


def translated(block, **kwargs):
    return mlm.from_bml(f"bml(y ~ 1 + {block}, data = d)", **kwargs)


@pytest.mark.parametrize(("block", "feature", "weight"), [
    ('mm(id(pid, gid), vars = vars(x), fn = fn("var"))', Variance("x"), "1 / n"),
    ('mm(id(pid, gid), vars(x), w = w(~ seats), fn = fn("var", moment = 2))', Variance("x"),
     "seats"),
    ('mm(id(pid, gid), vars = vars(x + z), w = w(~ seats^2), fn = fn("cov"))',
     Covariance("x", "z"), "seats ** 2"),
])  # fmt: skip
def test_the_feature_of_a_group_is_that_of_the_named_aggregation(block, feature, weight):
    model = translated(block).model
    ((_, part),) = model.specification.read(TABLE).terms
    expected = mlm.aggregate(TABLE, "gid", {"f": feature}, weight).drop_duplicates("gid")["f"]
    np.testing.assert_allclose(part.group_covariates[:, 0], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("block", "expected"), [
    ('w = w(~ seats), fn = fn("hhi")', lambda w, x: (w**2).sum()),
    ('fn = fn("effn")', lambda w, x: 1 / (w**2).sum()),
    ('w = w(~ seats), fn = fn("entropy")', lambda w, x: -(w * np.log(w)).sum()),
    ('vars(x), w = w(~ seats), fn = fn("var", moment = 3)',
     lambda w, x: (w * (x - (w * x).sum()) ** 3).sum()),
    ('vars(x), w = w(~ seats), fn = fn("threshold", c = 50.5, kappa = 2)',
     lambda w, x: (w / (1 + np.exp(-2 * (x - 50.5)))).sum()),
    ('vars(x), w = w(~ seats), fn = fn("smax", kappa = -0.5)',
     lambda w, x: np.log((w * np.exp(-0.5 * x)).sum()) / -0.5),
    ('vars(x), fn = fn("gmean", p = 2)', lambda w, x: (w * x**2).sum() ** 0.5),
])  # fmt: skip
def test_the_line_of_another_aggregation_has_its_value(block, expected):
    with pytest.raises(mlm.SpecificationError) as caught:
        translated(f"mm(id(pid, gid), {block})")
    line = re.search(r"is a column here: (table = .*\)), which", str(caught.value))[1]
    names = {"mlm": mlm, "table": TABLE}
    exec(line, names)
    (feature,) = {*names["table"].columns} - {*TABLE.columns}
    for g, own in TABLE.groupby("gid"):
        w = own["seats"] / own["seats"].sum() if "seats" in block else 1 / len(own)
        found = names["table"].loc[GROUP == g, feature].iloc[0]
        wanted = expected(w * np.ones(len(own)), own["x"])
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("block", [
    'w = w(~ exp(b * seats)), fn = fn("hhi")',
    'vars(x), fn = fn("threshold", c = est(), kappa = 2)',
    'vars(x), fn = fn("smax", kappa = est())', 'vars(x), fn = fn("threshold", c = 1)',
    'vars(x), w = w(~ seats, scale = FALSE), fn = fn("gmean", p = 1)', 'fn = fn(~ E(x^2))',
])  # fmt: skip
def test_an_aggregation_with_something_estimated_has_no_line(block):
    with pytest.raises(mlm.SpecificationError, match=r"docs/weights.md writes it as a weight"):
        translated(f"mm(id(pid, gid), {block})")


def test_the_divisor_of_equal_weights_is_n():
    model = translated('mm(id(pid, gid), vars = vars(x), fn = fn("var"))').model
    ((_, part),) = model.specification.read(TABLE).terms
    expected = [TABLE["x"][GROUP == g].var(ddof=0) for g in range(len(SIZE))]
    np.testing.assert_allclose(part.group_covariates[:, 0], expected, rtol=1e-9, atol=1e-10)


def test_estimated_weights_are_those_of_the_variance_at_every_value():
    block = 'mm(name = Vx, id(pid, gid), vars(x), w = w(~ exp(b1 * z)), fn = fn("var"))'
    call = translated(block)
    (term,) = call.model.specification.named
    design = term.resolve(TABLE)
    for b in (-0.7, 0.0, 1.3):
        weights = term.weights(design, {"b1": np.array([b])})[0]
        share = np.exp(b * TABLE["z"]).rename("share")
        new = mlm.aggregate(TABLE.assign(share=share), "gid", {"f": Variance("x")}, "share")
        found = np.bincount(design.membership.group, weights * design.X[:, 0])
        np.testing.assert_allclose(found, new.drop_duplicates("gid")["f"], rtol=1e-8, atol=1e-9)
    assert 'name="Vx"' in call.code


def test_a_prior_finds_the_coefficient_by_the_name_of_bml():
    text = """bml(y ~ 1 + mm(id(pid, gid), vars(x), fn = fn("var")) + mm(id(pid, gid), vars(x)),
        prior = prior(normal(0, 2), class = "b", coef = "V_x"))"""
    first, second = mlm.from_bml(text).model.specification.named
    assert first.base_name == "V_x" and repr(first.priors["beta"]) == "Normal(mu=0, sigma=2)"
    assert not second.priors
