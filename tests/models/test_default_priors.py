"""Default priors follow what is left to explain (STATISTICS 27, 30).

Shifting and scaling the outcome, the covariates, the exposure or the fixed part changes the
posterior as algebra says: log densities of both models differ by one number at matching points.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pymc.model.transform.conditioning import remove_value_transforms

import pymc_mlm as mlm
from pymc_mlm.errors import DataError
from pymc_mlm.ops.base import uncompiled

GROUPS, UNITS = 30, 5
FAMILIES = {
    "gaussian": "gaussian",
    "student_t": "student_t",
    "bernoulli": "bernoulli",
    "binomial": mlm.Binomial("trials"),
    "poisson": "poisson",
    "negative_binomial": "negative_binomial",
    "weibull": "weibull",
}


def table(seed=5):
    """Two members a group, groups in units; outcomes of each family and a fixed part."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), 2)
    d = pd.DataFrame({"group": group, "member": rng.permutation(2 * GROUPS) % 12})
    per_group = pd.DataFrame({
        "unit": np.arange(GROUPS) % UNITS,
        "x": rng.normal(3, 2, GROUPS),
        "f": rng.permutation(np.resize(list("abc"), GROUPS)),
        "b": rng.normal(1, 0.5, GROUPS),
        "gaussian": rng.normal(7, 3, GROUPS),
        "student_t": rng.standard_t(3, GROUPS),
        "bernoulli": rng.permutation(np.resize([0, 0, 1], GROUPS)),
        "trials": rng.integers(3, 9, GROUPS),
        "poisson": rng.poisson(40, GROUPS),
        "negative_binomial": rng.poisson(30, GROUPS),
        "time": rng.weibull(1.3, GROUPS) * 20,
        "event": rng.permutation(np.resize([0, 1], GROUPS)),
    })  # fmt: skip
    per_group["binomial"] = rng.binomial(per_group["trials"], 0.3)
    return d.join(per_group, on="group").assign(z=rng.normal(2, 1.5, 2 * GROUPS))


def left(family, data):
    return "Surv(time, event)" if family == "weibull" else family


def membership(family, data, right):
    terms = mlm.mm("member", "group", covariates="z"), mlm.hm("unit")
    return mlm.MultipleMembershipModel(
        f"{left(family, data)} ~ {right}", *terms, family=FAMILIES[family]
    )


def nested(family, data, right):
    return mlm.NestedVaryingEffects(
        f"{left(family, data)} ~ {right}", levels=["unit"], varying="1",
        family=FAMILIES[family],
    )  # fmt: skip


def density(model, data):
    """Return the log density as a function of parameters in their own units, and where to start."""
    built = remove_value_transforms(model._build(model._design(data), "sampled"))
    names = [v.name for v in built.free_RVs]
    f = pm.pytensorf.compile(built.value_vars, built.logp(), mode=uncompiled())
    order = [v.name for v in built.value_vars]
    shapes = {n: built.initial_point()[n].shape for n in order}
    return (lambda point: float(f(*[np.asarray(point[n]) for n in order]))), names, shapes


def points(names, shapes, count=4):
    rng = np.random.default_rng(1)
    positive = ("sd", "sigma", "nu", "shape", "alpha")
    draw = {True: lambda s: rng.gamma(4, 0.5, s), False: lambda s: rng.normal(0, 0.7, s)}
    return [{n: draw[n.split("_")[-1] in positive](shapes[n]) for n in names} for _ in range(count)]


def assert_same(first, second, move):
    """The densities differ by one number at matching points."""
    f, names, shapes = first
    g, _, _ = second
    gap = np.array([f(p) - g(move(dict(p))) for p in points(names, shapes)])
    level = np.abs([f(p) for p in points(names, shapes)]).max()
    np.testing.assert_allclose(gap, gap[0], atol=1e-7 * max(1.0, level))


def shift_x(c):
    def move(p):
        p["Intercept"] = p["Intercept"] - c * p["beta"][0]
        return p

    return (lambda d: d.assign(x=d.x + c)), move


def scale_x(a):
    def move(p):
        p["beta"] = p["beta"] / a
        return p

    return (lambda d: d.assign(x=d.x * a)), move


# Compiling a density takes seconds: a few here, the priors of all families further down.
@pytest.mark.parametrize("model", [membership])
@pytest.mark.parametrize("family", ["weibull"])
@pytest.mark.parametrize(
    "change", [shift_x(1e3), scale_x(1e6), scale_x(-1e-3)], ids=["x+1e3", "x*1e6", "-x/1e3"]
)
def test_units_and_zero_of_a_covariate_are_no_matter(model, family, change):
    data, (changed, move) = table(), change
    one = density(model(family, data, "1 + x"), data)
    assert_same(one, density(model(family, data, "1 + x"), changed(data)), move)


def test_units_and_zero_of_a_members_covariate_are_no_matter():
    data, family = table(), "poisson"

    def move(p):
        p["member_beta"] = p["member_beta"] / 50.0
        p["Intercept"] = p["Intercept"] - 700.0 * p["member_beta"][0]
        return p

    model = membership(family, data, "1 + x")
    assert_same(density(model, data), density(model, data.assign(z=data.z * 50 + 700)), move)


# Outcome and fixed part together: how the location and the spreads change.
CHANGES = {
    "y + c": (lambda d: d.assign(gaussian=d.gaussian + 2000), lambda m: m + 2000, 1.0),
    "a * y": (lambda d: d.assign(gaussian=d.gaussian * 1e4, b=d.b * 1e4), lambda m: m * 1e4, 1e4),
    "t + c": (lambda d: d.assign(student_t=d.student_t - 300), lambda m: m - 300, 1.0),
    "a * t": (
        lambda d: d.assign(student_t=d.student_t * 0.01, b=d.b * 0.01), lambda m: m * 0.01, 0.01
    ),
    "weeks in days": (lambda d: d.assign(time=d.time * 7), lambda m: m + np.log(7), 1.0),
    "0/1 swapped": (lambda d: d.assign(bernoulli=1 - d.bernoulli, b=-d.b), lambda m: -m, 1.0),
    "failures": (lambda d: d.assign(binomial=d.trials - d.binomial, b=-d.b), lambda m: -m, 1.0),
    "fix + c": (lambda d: d.assign(b=d.b + 9), lambda m: m - 9, 1.0),
}  # fmt: skip
FAMILY_CHANGES = [
    ("gaussian", "y + c"), ("gaussian", "a * y"), ("student_t", "t + c"), ("student_t", "a * t"),
    ("weibull", "weeks in days"), ("bernoulli", "0/1 swapped"), ("binomial", "failures"),
    *((family, "fix + c") for family in FAMILIES),
]  # fmt: skip
PRIOR_CASES = [(m, f, c) for m in (membership, nested) for f, c in FAMILY_CHANGES]


@pytest.mark.parametrize(("model", "family", "case"), PRIOR_CASES)
def test_priors_follow_units_and_zero_of_outcome_and_fixed_part(model, family, case):
    """The location moves by c and all spreads by a factor: as the parameters do."""
    changed, location, factor = CHANGES[case]
    data = table()
    built = model(family, data, "1 + x + fix(b, 1)")
    before, after = priors(built, data), priors(built, changed(data))
    for name, prior in before.items():
        new = after[name].parameters
        for key, value in prior.parameters.items():
            follows = name not in ("nu", "alpha", "shape") and key in ("mu", "sigma", "scale")
            expected = np.asarray(value) * (factor if follows else 1.0)
            if name == "Intercept" and key == "mu":
                expected = location(value)
            np.testing.assert_allclose(new[key], expected, rtol=1e-5, atol=1e-5)


def test_a_change_score_is_the_outcome_less_its_fixed_part():
    data = table().assign(b=lambda d: d.b * 20 + 500)
    plus = data.assign(gaussian=data.gaussian + data.b)
    one = density(membership("gaussian", data, "1 + x"), data)
    two = density(membership("gaussian", plus, "1 + x + fix(b, 1)"), plus)
    assert_same(one, two, lambda p: p)


def priors(model, data):
    return model.specification.priors_used(model._design(data))


@pytest.mark.parametrize("model", [membership, nested])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("factor", "shift"), [(1.0, 1e9), (1e6, 0.0), (-1e-3, 50.0)])
def test_priors_follow_units_and_zero_of_a_covariate(model, family, factor, shift):
    data = table()
    built = model(family, data, "1 + x")
    before, after = (priors(built, d) for d in (data, data.assign(x=data.x * factor + shift)))
    sigma = before["beta"].parameters["sigma"] / abs(factor)
    np.testing.assert_allclose(after["beta"].parameters["sigma"], sigma, rtol=1e-5)
    assert {n: p for n, p in before.items() if n != "beta"} == {
        n: p for n, p in after.items() if n != "beta"
    }


def beta_of(model, right, data, family="gaussian"):
    prior = priors(model(family, data, right), data)["beta"].parameters
    return np.asarray(prior["mu"]), np.asarray(prior["sigma"])


def dummies(d):
    return d.assign(**{f"d{k}": (d.f == k).astype(float) for k in "abc"})


@pytest.mark.parametrize("model", [membership, nested])
@pytest.mark.parametrize(
    ("right", "level"),
    [
        ("0 + f", [1, 1, 1]),
        ("0 + da + db + dc", [1, 1, 1]),
        ("0 + f + x", [1, 1, 1, 0]),
        ("0 + x + da + db + dc", [0, 1, 1, 1]),
        ("0 + f:h", [1] * 6),
        ("0 + f + f:x", [1, 1, 1, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("far", [0.0, 2e3, 1e9])
def test_columns_that_span_the_intercept_carry_the_level(model, right, level, far):
    h = np.where(np.arange(2 * GROUPS) // 2 % 4 < 2, "u", "v")
    data = dummies(table()).assign(h=h, x=lambda d: d.x + far)
    data["gaussian"] += 2000.0
    mu, sigma = beta_of(model, right, data)
    mean, sd = (f(data.gaussian[::2]) for f in (np.mean, np.std))
    np.testing.assert_allclose(mu, mean * np.array(level), rtol=1e-6)
    # The cells themselves, at the mean of x, are within 2.5 sds of the outcome.
    assert (sigma[np.array(level) == 1] >= 2.5 * sd).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_cell_means_have_the_location_of_the_intercept(family):
    data = table()
    intercept = priors(membership(family, data, "f"), data)["Intercept"].parameters["mu"]
    mu, _ = beta_of(membership, "0 + f", data, family)
    np.testing.assert_allclose(mu, intercept)


def test_a_regression_through_the_origin_is_measured_from_zero():
    data = table().assign(x=lambda d: 100 + d.x / 10, gaussian=lambda d: 2e4 + d.gaussian)
    mu, sigma = beta_of(nested, "0 + x", data)
    assert mu == 0.0
    assert sigma[0] == pytest.approx(2.5 * 200, rel=0.05)
    assert priors(nested("gaussian", data, "0 + x"), data)["unit_sd"].parameters["sigma"] > 2e4


@pytest.mark.parametrize("right", ["f * x", "x + I(x^2)", "x * q", "f * x + q"])
@pytest.mark.parametrize("far", [2e3, 1e5])
def test_the_highest_term_of_products_and_powers_does_not_depend_on_zero(right, far):
    data = table().assign(q=lambda d: d.z.groupby(d.group).transform("mean"))
    _, near = beta_of(membership, right, data)
    _, away = beta_of(membership, right, data.assign(x=data.x + far))
    names = membership("gaussian", data, right)._design(data).population.names
    highest = [i for i, n in enumerate(names) if ":" in n or "^" in n or "**" in n]
    assert highest
    np.testing.assert_allclose(away[highest], near[highest], rtol=1e-3)


def scale_of(family, outcome, offset=0.0):
    return mlm.families.as_family(family).scale(outcome, offset)


def test_censored_times_are_no_events():
    rng = np.random.default_rng(3)
    time = 18_000 * rng.weibull(1.0, 20_000)
    seen = {"time": np.minimum(time, 365.0), "event": (time < 365).astype(float)}
    scale = scale_of("weibull", seen)
    assert scale.location == pytest.approx(np.log(18_000), abs=0.5)
    assert scale.spread == pytest.approx(np.pi / 6**0.5, rel=0.2)


@pytest.mark.parametrize("count", [1, 2, 500])
def test_few_and_equal_events_have_a_scale(count):
    time = np.r_[np.full(count, 365.0), np.full(50, 365.0)]
    event = np.r_[np.ones(count), np.zeros(50)]
    scale = scale_of("weibull", {"time": time, "event": event})
    assert np.isfinite(scale.location) and 0.05 < scale.spread < 30


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_a_rate_is_total_count_over_total_exposure(family):
    y, exposure = np.array([0.0, 1.0, 0.0, 5.0]), np.array([10.0, 200.0, 40.0, 750.0])
    assert scale_of(family, {"value": y}, np.log(exposure)).location == pytest.approx(
        np.log(6 / 1000)
    )
    differ = scale_of(family, {"value": np.array([1.0, 0, 0, 0, 900.0])}).spread
    assert 1.0 < differ < 3.0


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_ties_do_not_collapse_the_scale_of_a_student_t(share):
    y = np.random.default_rng(1).normal(5, 2, 200)
    y[: int(share * 200)] = 0.0
    assert 1.5 < scale_of("student_t", {"value": y}).spread < 6


@pytest.mark.parametrize("model", [membership, nested])
def test_more_than_half_ties_are_named(model):
    data = table()
    data.loc[data.group < 18, "student_t"] = 4.0
    with pytest.raises(DataError, match=r"of (30|60) outcomes tie at 4"):
        model("student_t", data, "1")._design(data)


def test_a_fixed_part_that_leaves_nothing_is_refused():
    data = table().assign(gaussian=lambda d: d.b + 3)
    with pytest.raises(DataError, match="nothing is left"):
        nested("gaussian", data, "1 + fix(b, 1)")._design(data)
