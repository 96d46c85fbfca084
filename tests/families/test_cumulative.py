"""Laws of ordered categories: definition, two categories, order, units, and bad input."""

import warnings

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy.special import expit

import pymc_mlm as mlm
from pymc_mlm.distributions.cutpoints import OrderedAround, cutpoints, ordered_logistic
from pymc_mlm.ops.base import uncompiled
from tests.mocked import PriorDraws

CUTS = np.array([-1.2, 0.1, 1.9])


@pytest.fixture
def table(rng):
    x = rng.normal(size=80)
    y = np.searchsorted(CUTS, 0.8 * x + rng.logistic(size=80))
    return {"x": x, "y": y, "two": (y > 1) * 1, "back": 3 - y, "unit": rng.integers(0, 8, 80)}


def built(table, formula="y ~ x", **kwargs):
    terms = kwargs.pop("terms", ())
    kwargs.setdefault("family", "cumulative")
    return mlm.MultipleMembershipModel(formula, *terms, **kwargs).build(table)


def at(model, values):
    """The log likelihood at values of the variables."""
    given = {model[n]: np.asarray(v, dtype=float) for n, v in values.items()}
    (value,) = (model.rvs_to_values[rv] for rv in model.observed_RVs)
    return float(
        pm.logp(model["outcome"], value)
        .sum()
        .eval(given, on_unused_input="ignore", mode=uncompiled())
    )


def density(model, shift=0.1):
    point = {k: np.asarray(v) + shift for k, v in model.initial_point().items()}
    return float(model.compile_fn(model.logp(), inputs=model.value_vars, mode=uncompiled())(point))


def test_a_row_has_the_difference_of_two_chances(table):
    model = built(table)
    up_to = expit(CUTS - 0.7 * table["x"][:, None])
    whole = np.column_stack([np.zeros(80), up_to, np.ones(80)])
    p = np.diff(whole, axis=1)[range(80), table["y"]]
    ours = at(model, {"beta": [0.7], "cutpoint": CUTS})
    assert ours == pytest.approx(np.log(p).sum())


def test_it_is_pymc_s_ordered_logistic(rng):
    eta, y = rng.normal(size=50), rng.integers(0, 4, 50)
    with pm.Model(coords={"row": range(50)}) as model:
        ordered_logistic("outcome", eta, CUTS, observed=y.astype(float), dims="row")
    (value,) = (model.rvs_to_values[rv] for rv in model.observed_RVs)
    ours = pm.logp(model["outcome"], value).eval(mode=uncompiled())
    theirs = pm.logp(pm.OrderedLogistic.dist(eta=eta, cutpoints=CUTS), y).eval(mode=uncompiled())
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_far_from_the_cut_points_the_log_density_is_finite():
    eta, y = np.array([800.0, -800.0, 800.0]), np.array([0.0, 3.0, 1.0])
    with pm.Model(coords={"row": range(3)}) as model:
        ordered_logistic("outcome", eta, CUTS, observed=y, dims="row")
    (value,) = (model.rvs_to_values[rv] for rv in model.observed_RVs)
    found = pm.logp(model["outcome"], value).eval(mode=uncompiled())
    inner = (CUTS[1] - 800) + np.log1p(-np.exp(CUTS[0] - CUTS[1]))
    np.testing.assert_allclose(found, [CUTS[0] - 800, -800 - CUTS[2], inner], rtol=1e-9)


def test_two_categories_are_the_logistic_model(table):
    ordered = at(built(table, "two ~ x"), {"beta": [0.7], "cutpoint": [0.4]})
    logistic = built(table, "two ~ x", family="bernoulli")
    assert ordered == pytest.approx(at(logistic, {"beta": [0.7], "Intercept": -0.4}))


def test_the_order_of_categories_may_be_reversed(table):
    terms = (mlm.hm("unit"),)
    forth = at(
        built(table, terms=terms),
        {"beta": [0.7], "cutpoint": CUTS, "unit_sd": 0.5, "unit_effect": np.arange(8) / 8},
    )
    back = at(
        built(table, "back ~ x", terms=terms),
        {"beta": [-0.7], "cutpoint": -CUTS[::-1], "unit_sd": 0.5, "unit_effect": -np.arange(8) / 8},
    )
    assert forth == pytest.approx(back)


def test_the_prior_of_the_cut_points_is_at_the_mean_of_the_covariates(table):
    terms = (mlm.hm("unit"),)
    one, far = (built(t, terms=terms) for t in (table, table | {"x": table["x"] + 1000.0}))
    assert density(one) == pytest.approx(density(far), abs=1e-4)


def test_coordinates_and_cut_points_lead_to_each_other():
    inputs = [None, pt.as_tensor(0.3), pt.as_tensor(np.array([-1.0, 0.0, 2.0]))]
    transform, c = OrderedAround(), pt.as_tensor(CUTS)
    v = transform.forward(c, *inputs)
    np.testing.assert_allclose(transform.backward(v, *inputs).eval(mode=uncompiled()), CUTS)
    point = pt.dvector("v")
    jacobian = pt.jacobian(transform.backward(point, *inputs), point)
    log_det = transform.log_jac_det(point, *inputs).sum()
    at_v = v.eval(mode=uncompiled())
    expected = np.linalg.slogdet(jacobian.eval({point: at_v}, mode=uncompiled()))[1]
    assert log_det.eval({point: at_v}, mode=uncompiled()) == pytest.approx(expected)


def test_draws_of_the_prior_are_ordered():
    with pm.Model(coords={"cut": range(3)}):
        wide = {"mu": 0.0, "sigma": 2.5}
        c = cutpoints("c", pm.Normal, wide, 0.0, np.array([-1.0, 0.0, 1.0]), "cut")
    drawn = pm.draw(c, draws=200, random_seed=1, mode=uncompiled())
    assert (np.diff(drawn, axis=1) > 0).all()
    assert drawn.mean() == pytest.approx(0.0, abs=0.3)
    assert drawn.std() == pytest.approx(2.5, rel=0.15)


def test_without_covariates_the_start_is_the_observed_distribution(table):
    model = built(table, "y ~ 1")
    start = model.initial_point()
    assert [rv.name for rv in model.free_RVs] == ["cutpoint"]
    np.testing.assert_allclose(start["cutpoint_ordered__"], np.zeros(3), atol=1e-12)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(5)
    data = {"x": rng.normal(size=60), "unit": rng.integers(0, 8, 60), "y": rng.integers(0, 4, 60)}
    model = mlm.MultipleMembershipModel("y ~ x", mlm.hm("unit"), family="cumulative")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(data, draws=30, chains=2, sampler=PriorDraws(), path="sampled")
    return model, data


def test_the_mean_is_the_expected_code(fitted):
    model, _ = fitted
    new = {"x": [0.5], "unit": [3]}
    eta = model.predict(new, "eta").values
    cuts = model.result_.posterior["cutpoint"].values
    expected = expit(eta - cuts).sum(axis=-1)
    np.testing.assert_allclose(model.predict(new).values[..., 0], expected)
    many = {"x": [0.5] * 4000, "unit": [3] * 4000}
    drawn = model.predict(many, "outcome", random_seed=1).values
    assert set(np.unique(drawn)) <= {0.0, 1.0, 2.0, 3.0}
    np.testing.assert_allclose(drawn.mean(axis=-1), expected, atol=0.12)


def test_reports_name_the_cut_points(fitted):
    model, _ = fitted
    assert "1|2 [cutpoint]" in model.summary().frame.index
    assert "each cut [cutpoint]" in set(model.priors().frame["meaning"])
    assert any("take the place of the intercept" in note for note in model.summary().notes)
    tree = model.extend()
    assert tree["log_likelihood"]["outcome"].shape == (2, 30, 60)
    assert "cutpoint" in tree["log_prior"]
    assert (np.diff(tree["prior"]["cutpoint"].values, axis=-1) > 0).all()
    with pytest.raises(mlm.SpecificationError, match="no baseline hazard"):
        model.baseline_hazard()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([0, 1, 3], "No row has 'y' = 2, and categories up to 3"),
        ([1, 2, 3], "No row has 'y' = 0"),
        ([0, 1, -1], "coded 0, 1, 2, ...; found -1"),
        ([0, 1, 0.5], "found 0.5"),
        ([0, 0, 0], "one category only"),
    ],
)
def test_outcomes_that_are_no_codes_are_refused(values, match):
    with pytest.raises(mlm.DataError, match=match):
        mlm.Cumulative().outcome("y", {"value": np.array(values)})


def test_no_formula_leaves_the_cut_points_out(table):
    with pytest.raises(mlm.SpecificationError, match="baseline in its place"):
        built(table, "y ~ 0 + x")
