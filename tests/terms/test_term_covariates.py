"""Formulas and fixed coefficients among the covariates of terms: against columns made by hand."""

import warnings

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from tests.mocked import PriorDraws

RNG = np.random.default_rng(11)
GROUP = np.repeat(range(25), 3)
UNIT = (np.arange(25) % 6)[GROUP]
TABLE = {
    "g": GROUP, "m": RNG.integers(0, 10, 75), "u": UNIT, "y": RNG.normal(size=25)[GROUP],
    "a": RNG.normal(size=75), "b": RNG.normal(size=75), "s": RNG.random(75),
    "kind": RNG.choice(["left", "right", "other"], 75), "odd name (%)": RNG.normal(size=75),
    "flag": RNG.integers(0, 2, 75).astype(bool), "gdp": RNG.normal(size=6)[UNIT],
    "type": np.array(["x", "y", "y", "x", "y", "z"])[UNIT],
}  # fmt: skip
BY_HAND = TABLE | {
    "ab": TABLE["a"] * TABLE["b"], "aa": TABLE["a"] ** 2,
    "other": (TABLE["kind"] == "other") * 1.0, "right": (TABLE["kind"] == "right") * 1.0,
    "ty": (TABLE["type"] == "y") * 1.0, "tz": (TABLE["type"] == "z") * 1.0,
}  # fmt: skip


def model(*terms, formula="y ~ 1", **kwargs):
    return mlm.MultipleMembershipModel(formula, *terms, **kwargs)


def density(built, seed=0):
    """The log density at a random point, in the order of the variables."""
    rng = np.random.default_rng(seed)
    start = built.initial_point()
    point = {k: np.asarray(v) + 0.3 * rng.normal(size=np.shape(v)) for k, v in start.items()}
    return float(built.compile_fn(built.logp(), mode=uncompiled())(point))


def mm(covariates, **kwargs):
    return mlm.mm("m", "g", covariates=covariates, **kwargs)


CASES = {
    "interaction": ("a * b", ["a", "b", "ab"]),
    "power": (["a", "I(a ** 2)"], ["a", "aa"]),
    "categories": (["a", "kind"], ["a", "other", "right"]),
    "odd name": (["odd name (%)", "a:b"], ["odd name (%)", "ab"]),
}


@pytest.mark.parametrize("weight", ["1 / n", "exp(c * s)"])
@pytest.mark.parametrize("case", CASES)
def test_a_formula_has_the_density_of_columns_made_by_hand(case, weight):
    written, columns = CASES[case]
    free = {"parameters": ["c"]} if "c" in weight else {}
    one = model(mm(written, weight=weight, **free)).build(TABLE)
    two = model(mm(columns, weight=weight, **free)).build(BY_HAND)
    prior = {"beta": mlm.Prior("Normal", mu=0, sigma=1)}
    one, two = (
        model(mm(c, weight=weight, priors=prior, **free)).build(t)
        for c, t in ((written, TABLE), (columns, BY_HAND))
    )
    assert density(one) == pytest.approx(density(two))


def test_columns_are_labelled_as_in_formulas():
    design = mm(["a * b", "kind"]).resolve(TABLE)
    assert design.covariates == ("a", "b", "kind[T.other]", "kind[T.right]", "a:b")
    prior = {"m_beta[a:b]": mlm.Prior("Normal", mu=0.3, sigma=0.1)}
    used = model(mm("a * b"), priors=prior).priors(TABLE).frame
    assert "0.3" in used.loc["m_beta", "prior"]


def test_plain_columns_are_read_as_before():
    design = mm(["a", "flag"]).resolve(TABLE)
    assert design.covariates == ("a", "flag")
    assert design.coding is None
    known = design.membership.rows
    np.testing.assert_array_equal(design.X[:, 1], TABLE["flag"][known])


def test_covariates_of_units_are_formulas_too():
    one = model(mlm.hm("u", covariates=["gdp", "type"])).build(TABLE)
    two = model(mlm.hm("u", covariates=["gdp", "ty", "tz"])).build(BY_HAND)
    assert density(one) == pytest.approx(density(two))


def contribution(term, data, **values):
    """What a term adds to each group when its free variables have these values."""
    built = model(term).build(data)
    outcome = built["outcome"].owner.inputs[2]
    given = {built[n]: np.asarray(v, dtype=float) for n, v in values.items()}
    given |= {built["Intercept"]: 0.0}
    return outcome.eval(given, on_unused_input="ignore", mode=uncompiled())


def weights_of(c):
    raw = np.exp(c * TABLE["s"])
    return raw / np.bincount(GROUP, raw)[GROUP]


@pytest.mark.parametrize("normalize", [True, False])
def test_fixed_coefficients_are_weighed_with_estimated_weights(normalize):
    term = mm(["a", "fix(b, 0.7)"], weight="exp(c * s)", parameters=["c"], effect=None,
              normalize=normalize)  # fmt: skip
    eta = contribution(term, TABLE, m_beta=[0.4], m_weight_c=1.5)
    w = weights_of(1.5) if normalize else np.exp(1.5 * TABLE["s"])
    expected = np.bincount(GROUP, w * (0.4 * TABLE["a"] + 0.7 * TABLE["b"]))
    np.testing.assert_allclose(eta, expected)


def test_fixed_coefficients_alone_make_a_term():
    term = mm("fix(b, 0.7)", weight="exp(c * s)", parameters=["c"], effect=None)
    eta = contribution(term, TABLE, m_weight_c=-1.0)
    np.testing.assert_allclose(eta, np.bincount(GROUP, weights_of(-1.0) * 0.7 * TABLE["b"]))


def test_with_equal_weights_fix_is_that_of_the_formula():
    mean = np.bincount(GROUP, TABLE["b"]) / 3
    inside = model(mm(["a", "fix(b, 0.7)"])).build(TABLE)
    outside = model(mm("a"), formula="y ~ 1 + fix(mean, 0.7)").build(TABLE | {"mean": mean[GROUP]})
    assert density(inside) == pytest.approx(density(outside))
    unit = model(mlm.hm("u", covariates="fix(gdp, 2)")).build(TABLE)
    formula = model(mlm.hm("u"), formula="y ~ 1 + fix(gdp, 2)").build(TABLE)
    assert density(unit) == pytest.approx(density(formula))


def test_default_priors_are_scaled_to_what_is_left():
    far = TABLE | {"b": TABLE["b"] + 1000.0}
    spec = model(mm(["a", "fix(b, 5)"])).specification
    by_hand = np.bincount(GROUP, far["b"]) / 3
    left = spec.read(far).scale
    assert left.location == pytest.approx((TABLE["y"][::3] - 5 * by_hand).mean())


def test_predictions_take_the_coding_of_the_fitted_table():
    fitted = model(mm(["kind", "fix(b, 0.7)"]), mlm.hm("u", covariates="type"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        fitted.fit(TABLE, draws=20, chains=2, sampler=PriorDraws(), path="sampled")
    part = {k: v[:6] for k, v in TABLE.items()}
    np.testing.assert_allclose(
        fitted.predict(part, "eta"), fitted.predict(kind="eta").isel(g=slice(0, 2))
    )
    with pytest.raises(mlm.DataError, match="kind"):
        fitted.predict(part | {"kind": np.full(6, "new")})


def test_a_saved_fit_keeps_formulas_of_terms(tmp_path):
    fitted = model(mm(["a * b", "fix(s, 0.5)"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        fitted.fit(TABLE, draws=20, chains=2, sampler=PriorDraws(), path="sampled")
    again = mlm.MultipleMembershipModel.load(fitted.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.predict(kind="eta"), fitted.predict(kind="eta"))


def test_new_text_in_a_column_of_numbers_is_refused():
    term = mm("a")
    known = term.resolve(TABLE)
    with pytest.raises(mlm.DataError, match="'a'"):
        term.resolve(TABLE | {"a": TABLE["kind"]}, known)


@pytest.mark.parametrize(
    ("covariates", "error", "match"),
    [
        ("0 + a", mlm.SpecificationError, "no intercept of their own"),
        (["a", "fix(b)"], mlm.SpecificationError, r"write fix\(column, value\)"),
        ("a * nothing", mlm.DataError, "no column 'nothing'"),
        (["a", "a:a"], mlm.MlmError, "a"),
    ],
)
def test_what_is_no_covariate_is_refused(covariates, error, match):
    with pytest.raises(error, match=match):
        model(mm(covariates)).build(TABLE)


def test_a_null_among_rows_without_a_member_is_no_matter():
    members = TABLE["m"].astype(object)
    members[0] = None
    holed = TABLE | {"m": members, "a": np.where(np.arange(75) == 0, np.nan, TABLE["a"])}
    design = mm("a * b", missing="skip").resolve(holed)
    assert np.isfinite(design.X).all()
    with pytest.raises(mlm.DataError, match="'a'"):
        mm("a * b", missing="skip").resolve(TABLE | {"a": holed["a"]})
