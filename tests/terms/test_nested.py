"""Laws of nested varying coefficients: one density, whatever the coordinates of the sampler."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.approximation import unit_information
from pymc_mlm.distributions.partial_correlation import PartialCorrelation
from pymc_mlm.model.information import nested_information
from pymc_mlm.ops.correlation import partials_to_cholesky

COLUMNS = {"region": "1 + x + w", "school": "1 + w"}
WAYS = ["centered", "noncentered", "auto", {"region": "auto", "school": "noncentered"}]
FAST = "FAST_COMPILE"
# A derivative by central differences at 1e-5 has some eight digits.
BY_DIFFERENCES = 1e-6


@pytest.fixture
def table(rng):
    school = rng.integers(0, 7, 60)
    return pd.DataFrame(
        {
            "region": np.array(["A", "B", "C"])[school % 3],
            "school": school,
            "x": rng.normal(size=60),
            "w": rng.normal(size=60),
        }
    )


def write(term, table):
    """Return the model of a term, and a function from coordinates to all its values."""
    design = term.resolve(table)
    said = information(design, np.sin(np.arange(60.0)), variance=0.8)
    with pm.Model() as model:
        alpha = pm.Normal("alpha", 0, 1)
        eta = alpha + term.effect(design, 1.0, {"Intercept": alpha}, said)
        pm.Deterministic("eta", eta)
    values = model.compile_fn(model.unobserved_value_vars, mode=FAST)
    names = [v.name for v in model.unobserved_value_vars]
    return design, model, lambda point: dict(zip(names, values(point), strict=True))


def information(design, y, variance):
    """Return what normal rows with an intercept say about the units."""

    def likelihood(eta, population):
        return (y - eta) / variance, np.full(len(y), 1.0 / variance)

    X, prior = np.ones((len(y), 1)), np.full(1, unit_information.RIDGE)
    offset = np.zeros(len(y))
    told = unit_information.nested_information(design, likelihood, X, offset, 1.0, prior)
    return told.levels


def some_point(model, rng):
    start = model.initial_point()
    return {name: 0.5 * rng.normal(size=np.shape(value)) for name, value in start.items()}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_effects_have_the_density_of_correlated_normals_in_all_coordinates(way, table, rng):
    term = mlm.nested(["region", "school"], COLUMNS, parameterization=way)
    _, model, values = write(term, table)
    point = some_point(model, rng)
    at = values(point)
    names = ("alpha", "region_effect", "school_effect")
    logp = model.compile_fn(
        model.logp(vars=[model[n] for n in names], jacobian=False), inputs=model.value_vars,
        mode=FAST,
    )(point)  # fmt: skip
    dense = stats.norm.logpdf(at["alpha"])
    for level, p in (("region", 3), ("school", 2)):
        factor = at[f"{level}_sd"][:, None] * partials_to_cholesky(at[f"{level}_partial"], p)
        normal = stats.multivariate_normal(np.zeros(p), factor @ factor.T)
        dense += normal.logpdf(at[f"{level}_effect"]).sum()
    assert logp == pytest.approx(dense, rel=1e-10)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_jacobian_of_the_coordinates_is_the_derivative_of_the_effects(way, table, rng):
    term = mlm.nested(["region", "school"], COLUMNS, parameterization=way)
    _, model, values = write(term, table)
    point = some_point(model, rng)
    names = [n for n in point if "effect" in n]

    def effects(flat):
        parts = np.split(flat, np.cumsum([point[n].size for n in names])[:-1])
        moved = {n: v.reshape(point[n].shape) for n, v in zip(names, parts, strict=True)}
        at = values(point | moved)
        return np.concatenate([at["region_effect"].ravel(), at["school_effect"].ravel()])

    at, step = np.concatenate([point[n].ravel() for n in names]), 1e-5
    steps = step * np.eye(len(at))
    columns = [(effects(at + e) - effects(at - e)) / (2 * step) for e in steps]
    two = [model["region_effect"], model["school_effect"]]
    difference = model.logp(vars=two, jacobian=True) - model.logp(vars=two, jacobian=False)
    log_jacobian = model.compile_fn(
        difference, inputs=model.value_vars, mode=FAST, on_unused_input="ignore"
    )(point)
    assert log_jacobian == pytest.approx(np.linalg.slogdet(columns)[1], abs=BY_DIFFERENCES)


OUTERMOST_LEAST = {"region": "1", "school": "1 + x + w"}


@pytest.mark.parametrize("columns", [COLUMNS, OUTERMOST_LEAST], ids=["most", "least"])
@pytest.mark.parametrize("way", ["centered", "noncentered", "auto"])
def test_the_leaf_total_enters_the_predictor_once(way, columns, table, rng):
    term = mlm.nested(["region", "school"], columns, parameterization=way)
    design, model, values = write(term, table)
    at = values(some_point(model, rng))
    total = np.zeros((7, 3))
    parent = design.nesting.parents[1]
    total[:, design.varies[0]] += at["region_effect"][parent]
    total[:, design.varies[1]] += at["school_effect"]
    expected = at["alpha"] + (design.Z * total[design.nesting.leaf]).sum(axis=1)
    np.testing.assert_allclose(at["eta"], expected, rtol=1e-12)


def test_coefficients_are_totals_by_level_and_column(table):
    term = mlm.nested(["region", "school"], OUTERMOST_LEAST)
    design = term.resolve(table)
    with pm.Model() as model:
        region, school = term.coefficients(design)
    assert [len(region), len(school)] == [3, 3]
    effects = [model["region_effect"], model["school_effect"]]
    *totals, of_region, of_school = pm.draw([*region, *school, *effects], random_seed=1, mode=FAST)
    np.testing.assert_allclose(totals[0], of_region[:, 0], rtol=1e-12)
    assert not totals[1].any() and not totals[2].any()
    expected = of_school + np.array(totals[:3]).T[design.nesting.parents[1]]
    np.testing.assert_allclose(np.array(totals[3:]).T, expected, rtol=1e-12)


def test_one_level_with_an_intercept_is_an_hm_term(table, rng):
    sd = mlm.Prior("HalfNormal", sigma=1.0)
    nested = mlm.nested("school", priors={"school_sd": sd}, parameterization="noncentered")
    hm = mlm.hm("school", priors={"sd": sd})
    z, log_sd = rng.normal(size=7), 0.3
    # Both walk in standardised coordinates: the same z is the same effect.
    assert density_and_eta(nested, table, z[:, None], [log_sd]) == pytest.approx(
        density_and_eta(hm, table, z, log_sd)
    )


def density_and_eta(term, table, z, log_sd):
    """Return log density and predictor of an intercept-only term at a point."""
    with pm.Model() as model:
        eta = pm.Deterministic("eta", term.effect(term.resolve(table)))
    names = {v: model.rvs_to_values[model[v]].name for v in ("school_effect", "school_sd")}
    point = {names["school_effect"]: z, names["school_sd"]: np.array(log_sd)}
    [at] = model.replace_rvs_by_values([eta])
    both = model.compile_fn([model.logp(), at], inputs=model.value_vars, mode=FAST)(point)
    return [float(both[0]), *both[1]]


def test_new_units_get_effects_of_their_own_and_fitted_ones_keep_theirs(table):
    term = mlm.nested(["region", "school"], "1 + x")
    known = term.resolve(table)
    new = pd.DataFrame({"region": ["A", "Z"], "school": [99, 100], "x": [0.0, 1.0]})
    design = term.resolve(new, known=known)
    with pm.Model() as model:
        term.effect(design)
    assert model["region_effect"].eval(mode=FAST).shape == (3, 2)
    assert model["region_effect_new"].eval(mode=FAST).shape == (1, 2)
    assert tuple(model.coords["school_new"]) == (99, 100)


def test_the_prior_of_the_correlations_is_lkj():
    draws = pm.draw(PartialCorrelation.dist(2.0, shape=4000), random_seed=1, mode=FAST)
    # Of two variables under LKJ(2) the correlation is 2 Beta(2, 2) - 1, with variance 1/5.
    assert draws.var() == pytest.approx(0.2, abs=0.02)
    assert np.abs(draws).max() < 1


def test_units_with_more_rows_are_more_centred():
    table = {"school": np.repeat([1, 2, 3], [2, 20, 200])}
    design = mlm.nested("school").resolve(table)
    (said,) = information(design, np.cos(np.arange(222.0)), variance=2.0)
    ratio = np.array([2, 20, 200]) * said.sd**2 / 2.0
    # n tau^2 / (n tau^2 + v)
    np.testing.assert_allclose(said.centeredness()[:, 0], ratio / (1 + ratio), rtol=1e-10)


def test_rough_standard_deviations_are_those_of_the_units(rng):
    school = np.repeat(np.arange(200), 20)
    region = school % 20
    effect = 0.8 * rng.normal(size=20)[region] + 0.4 * rng.normal(size=200)[school]
    design = mlm.nested(["region", "school"]).resolve({"region": region, "school": school})
    said = information(design, 3.0 + effect + rng.normal(size=4000), variance=1.0)
    # The sampling error of an sd of 20 units is 16%.
    assert said[0].sd[0] == pytest.approx(0.8, rel=0.4)
    assert said[1].sd[0] == pytest.approx(0.4, rel=0.15)


def test_informed_coordinates_are_standard_normals_given_normal_data(table, rng):
    """The leaves' coordinates enter no other term: their density is that of N(0, I)."""
    y, variance = rng.normal(size=60), 0.7
    term = mlm.nested(["region", "school"], COLUMNS)
    design = term.resolve(table)
    with pm.Model() as model:
        alpha = pm.Normal("alpha", 0, 1)
        said = information(design, y, variance)
        eta = alpha + term.effect(design, 1.0, {"Intercept": alpha}, said)
        pm.Normal("y", eta, np.sqrt(variance), observed=y)
    logp = model.compile_logp(mode=FAST)
    here, there = some_point(model, rng), some_point(model, rng)
    (name,) = (n for n in here if n.startswith("school_effect"))
    moved = here | {name: there[name]}
    expected = 0.5 * (np.sum(here[name] ** 2) - np.sum(there[name] ** 2))
    assert logp(moved) - logp(here) == pytest.approx(expected, rel=1e-8)


def test_without_information_auto_is_noncentered(table):
    assert mlm.nested("school").coordinates(0) == "noncentered"


def test_steps_that_lead_nowhere_leave_auto_noncentered(table):
    design = mlm.nested(["school"]).resolve(table)
    nowhere = lambda eta, _: (np.full(len(eta), np.nan), np.ones(len(eta)))  # noqa: E731
    rows = len(design.nesting.leaf)
    X, prior = np.ones((rows, 1)), np.full(1, unit_information.RIDGE)
    told = unit_information.nested_information(design, nowhere, X, np.zeros(rows), 1.0, prior)
    assert told is None


BAD = {
    "no levels": (lambda: mlm.nested([]), "levels is empty"),
    "strange level": (
        lambda: mlm.nested(["a"], {"b": "1"}),
        "varying names the level 'b', which is not one of levels=\\['a'\\]",
    ),
    "strange way": (
        lambda: mlm.nested(["a"], parameterization="centred"),
        "parameterization of 'a' is 'centred'; use 'auto', 'centered' or 'noncentered'",
    ),
    "eta": (lambda: mlm.nested(["a"], eta=0.0), "must be positive"),
    "offset": (lambda: mlm.nested(["a"], "1 + fix(x, 1)"), "a varying coefficient is not fixed"),
    "prior": (lambda: mlm.nested(["a"], priors={"a_sd": 1.0}), "the prior of 'a_sd' is 1.0"),
}


@pytest.mark.parametrize(("make", "text"), BAD.values(), ids=BAD.keys())
def test_a_wrong_specification_is_refused_with_a_remedy(make, text):
    with pytest.raises(mlm.SpecificationError, match=text):
        make()


def test_a_slope_cannot_vary_where_its_covariate_does_not(table):
    table["income"] = table["school"] * 1.5
    with pytest.raises(mlm.DataError, match="'income' has one value in every 'school'"):
        mlm.nested(["region", "school"], "1 + income").resolve(table)


@pytest.mark.parametrize("eta", ["2", 0, -1.0, True, float("nan")])
def test_eta_that_is_no_positive_number_is_refused(eta):
    with pytest.raises(mlm.SpecificationError, match=r"eta of 'g' is .*must be positive"):
        mlm.nested(["g"], "1 + x", eta=eta)


def test_sd_prior_on_the_whole_line_is_refused():
    table = pd.DataFrame({"g": [0, 0, 1, 1, 2, 2], "y": [0, 1, 1, 0, 1, 0]})
    model = mlm.NestedVaryingEffects(
        "y ~ 1", levels=["g"], family="bernoulli",
        priors={"g_sd": mlm.Prior("Normal", mu=0.0, sigma=1.0)},
    )  # fmt: skip
    with pytest.raises(mlm.SpecificationError, match="allows negative values"):
        model.build(table)


def curvature(model, at):
    """Negative second derivatives of the log density in the sampler's coordinates, numerically."""
    gradient = model.compile_dlogp(mode="FAST_COMPILE")
    sizes = {name: np.size(value) for name, value in at.items()}
    ends = np.cumsum(list(sizes.values()))
    start = np.concatenate([np.ravel(value) for value in at.values()])

    def along(moved):
        parts = np.split(moved, ends[:-1])
        return gradient({n: v.reshape(np.shape(at[n])) for n, v in zip(at, parts, strict=True)})

    steps = 1e-4 * np.eye(len(start))
    return -np.array([(along(start + h) - along(start - h)) / 2e-4 for h in steps])


def test_units_with_much_data_do_not_tie_a_covariate_that_is_far_from_zero(rng):
    unit = np.repeat(np.arange(12), 400)
    x = rng.normal(50.0, 12.0, 4800)
    y = 0.025 * x + rng.normal(0.0, 0.5, 12)[unit] + rng.normal(size=4800)
    formula, table = "y ~ x", {"g": unit, "x": x, "y": y}
    model = mlm.NestedVaryingEffects(formula, ["g"], varying="1").build(table, "sampled")
    true_sds = {"g_sd_log__": np.log([0.5]), "sigma_log__": np.array(0.0)}
    matrix = curvature(model, model.initial_point() | true_sds)
    scale = 1.0 / np.sqrt(np.diag(matrix))
    # The sampler adapts to scales, not to correlations. Centred units have 74.
    assert np.linalg.cond(matrix * np.outer(scale, scale)) < 12.0


def test_units_follow_crossed_effects(rng):
    unit, other = np.repeat(np.arange(12), 20), np.tile(np.arange(5), 48)
    y = 3.0 + rng.normal(size=12)[unit] + rng.normal(size=5)[other] + rng.normal(size=240)
    table = {"g": unit, "b": other, "y": y}
    model = mlm.NestedVaryingEffects("y ~ 1", ["g"], terms=[mlm.hm("b")])
    (said,) = nested_information(model.specification, model._design(table)).levels
    assert said.cross.shape == (12, 1, 6)
    # The rows of a unit have four rows of each crossed unit, at one variance.
    np.testing.assert_allclose(
        said.cross[:, 0, 1:], np.tile(said.precision[:, 0] / 5, 5), rtol=1e-8
    )
    np.testing.assert_allclose(said.cross[:, 0, 0], said.precision[:, 0, 0], rtol=1e-8)
    assert model.specification.nested.coordinates(0, [said]) == "informed"


@pytest.mark.parametrize("kind", ["one of many", "few and many", "fixed too"])
def test_crossed_effects_of_many_units_follow_their_sd_and_the_intercept(rng, monkeypatch, kind):
    monkeypatch.setattr("pymc_mlm.model.nested_information.FEW", 4)
    unit, other, few = (rng.integers(0, n, 3000) for n in (8, 9, 3))
    x = rng.normal(50.0, 12.0, 3000)
    y = 0.025 * x + sum(rng.normal(0.0, 0.5, n)[c] for n, c in ((8, unit), (9, other), (3, few)))
    table = {"g": unit, "b": other, "f": few, "x": x, "y": y + rng.normal(size=3000)}
    terms = {
        "one of many": [mlm.hm("b")], "few and many": [mlm.hm("b"), mlm.hm("f")],
        "fixed too": [mlm.hm("f", effect="fixed"), mlm.hm("b")],
    }[kind]  # fmt: skip
    model = mlm.NestedVaryingEffects("y ~ x", ["g"], varying="1", terms=terms).build(table)
    start = model.initial_point()
    start |= {n: np.full_like(v, np.log(0.5)) for n, v in start.items() if n.endswith("_sd_log__")}
    start["sigma_log__"] = np.array(0.0)
    matrix = curvature(model, start)
    scale = 1.0 / np.sqrt(np.diag(matrix))
    tied = np.abs(matrix * np.outer(scale, scale))
    names = [name for name, value in start.items() for _ in range(np.size(value))]
    sd = names.index("b_sd_log__")
    effects = [i for i, name in enumerate(names) if name.startswith("b_effect")]
    # Effects that do not follow their sd have 35 here: a ridge, no normal density.
    assert tied[sd, effects].max() < 0.1
    assert tied[names.index("beta_located__"), effects].max() < 0.1
    # Without the mean of the crossed effects in what units follow: 370.
    assert kind == "fixed too" or np.linalg.cond(matrix * np.outer(scale, scale)) < 80.0
