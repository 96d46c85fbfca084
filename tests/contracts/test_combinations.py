"""Every term in every model of every family: built, differentiated, fitted, predicted, split."""

import warnings

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.priors.prior import BY_NUMPY
from tests.mocked import PriorDraws
from tests.terms.test_own_term import Saturation

RNG = np.random.default_rng(5)
ROWS = 36
REGION = np.repeat(range(6), 6)
SCHOOL = np.repeat(range(18), 2)
X = RNG.normal(size=ROWS)
ETA = 0.3 + 0.4 * X
TABLE = {
    "x": X, "region": REGION, "school": SCHOOL, "group": np.arange(ROWS),
    "member": RNG.integers(0, 7, ROWS), "year": np.tile(range(4), 9), "share": RNG.random(ROWS),
    "y": ETA + RNG.normal(size=ROWS), "yes": RNG.integers(0, 2, ROWS),
    "wins": RNG.integers(0, 5, ROWS), "games": np.full(ROWS, 5),
    "count": RNG.poisson(np.exp(ETA)), "weeks": RNG.exponential(np.exp(ETA)) + 0.1,
    "ended": RNG.integers(0, 2, ROWS), "vote": np.tile(["a", "b", "c"], ROWS // 3),
}  # fmt: skip
# Members and their neighbours on both sides; one of them has no rows.
RING = {k: [(k - 1) % 8, (k + 1) % 8] for k in range(8)}
FAMILIES = {
    "gaussian": ("y", "gaussian"), "student_t": ("y", "student_t"),
    "bernoulli": ("yes", "bernoulli"), "binomial": ("wins", mlm.Binomial("games")),
    "poisson": ("count", "poisson"), "negative_binomial": ("count", "negative_binomial"),
    "weibull": ("Surv(weeks, ended)", "weibull"), "cox": ("Surv(weeks, ended)", mlm.Cox(4)),
    "exponential": ("Surv(weeks, ended)", "exponential"), "beta": ("share", "beta"),
    "cumulative": ("wins", "cumulative"), "categorical": ("vote", "categorical"),
    "lognormal": ("Surv(weeks, ended)", "lognormal"), "gamma": ("weeks", "gamma"),
    "loglogistic": ("Surv(weeks, ended)", "loglogistic"),
    "probit": ("yes", "probit"), "cloglog": ("yes", "cloglog"),
    "cumulative_probit": ("wins", "cumulative_probit"),
    "zero_inflated_poisson": ("count", "zero_inflated_poisson"),
    "zero_inflated_negative_binomial": ("count", "zero_inflated_negative_binomial"),
    "hurdle_poisson": ("count", "hurdle_poisson"),
    "hurdle_negative_binomial": ("count", "hurdle_negative_binomial"),
}  # fmt: skip
# Terms, the column of their units, and the rows of a variance decomposition that they give.
TERMS = {
    "mm": (lambda: mlm.mm("member", "group"), "member", ["mm member"]),
    "estimated weights": (
        lambda: mlm.mm("member", "group", weight="exp(b * share)", normalize=False),
        "member", ["mm member"],
    ),
    "walk": (
        lambda: mlm.mm("member", "group", dynamics="random_walk", time="group"),
        "member", ["mm member"],
    ),
    "slopes": (
        lambda: mlm.mm("member", "group", weight="exp(b * share)", varying="1 + x"),
        "member", ["mm member"],
    ),
    "bym2": (
        lambda: mlm.mm("member", "group", weight="exp(b * share)", covariance=mlm.BYM2(RING)),
        None, ["mm member"],
    ),
    "ar1": (
        lambda: mlm.mm("member", "group", weight="exp(b * share)", dynamics="ar1", time="year"),
        "member", ["mm member"],
    ),
    "hm": (lambda: mlm.hm("year"), "year", ["hm year"]),
    "fixed hm": (lambda: mlm.hm("year", effect="fixed"), None, []),
    "nested": (lambda: mlm.nested(["region"], "1"), "region", ["region"]),
    "two terms": (lambda: (mlm.hm("year"), mlm.mm("member", "group")), "year",
                  ["hm year", "mm member"]),
}  # fmt: skip


def membership(formula, family, *terms):
    return mlm.MultipleMembershipModel(formula, *terms, family=family)


def nested(formula, family, *terms):
    return mlm.NestedVaryingEffects(formula, ["school"], "1 + x", family=family, terms=terms)


MODELS = {"membership": membership, "nested": nested}
CASES = [
    (model, term, family) for model in MODELS for term in TERMS for family in FAMILIES
    if not (model == "nested" and term == "nested")
    # Time: what a term adds to the predictor does not depend on the family.
    if term in ("mm", "hm") or family in ("gaussian", "poisson", "weibull", "cox", "cumulative")
]  # fmt: skip


def model_of(model, term, family):
    outcome, named = FAMILIES[family]
    made = TERMS[term][0]()
    terms = made if isinstance(made, tuple) else (made,)
    return MODELS[model](f"{outcome} ~ 1 + x", named, *terms)


@pytest.mark.parametrize(("model", "term", "family"), CASES)
def test_the_gradient_is_that_of_finite_differences(model, term, family, rng):
    refuse_wrong_gradient(model_of(model, term, family).build(TABLE), rng)


def refuse_wrong_gradient(built, rng):
    start = built.initial_point()
    names = [v.name for v in built.continuous_value_vars]  # the order of `dlogp`
    # As it is written: rewriting the graph would cost more than evaluating it.
    evaluate = built.compile_fn(
        [built.logp(), built.dlogp()], inputs=built.value_vars, mode=BY_NUMPY
    )
    point = {n: start[n] + 0.1 * rng.normal(size=np.shape(start[n])) for n in names}
    step = {n: rng.normal(size=np.shape(start[n])) for n in names}
    value, gradient = evaluate(point)
    along = gradient @ np.concatenate([np.ravel(step[n]) for n in names])
    h = 1e-5
    ends = [evaluate({n: point[n] + s * h * step[n] for n in names})[0] for s in (1, -1)]
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert along == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("model", "term", "family"), CASES)
def test_fitted_new_and_unknown_units_are_predicted_and_the_variance_is_split(model, term, family):
    fitted = model_of(model, term, family)
    with pytest.warns(UserWarning):
        fitted.fit(TABLE, draws=10, chains=2, random_seed=1, sampler=PriorDraws(), path="sampled")
    assert fitted.predict(kind="eta", random_seed=1).shape[:3] == (2, 10, ROWS)
    _, column, rows = TERMS[term]
    new = {name: list(values[:3]) for name, values in TABLE.items()}
    if column is not None:
        new[column] = [TABLE[column][0], 99, None]
        new["group"] = [100, 101, 102]
    with warnings.catch_warnings():
        # Draws of the priors may lie far away.
        warnings.simplefilter("ignore", mlm.DataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        for kind in ("eta", "mean", "outcome"):
            drawn = fitted.predict(new, kind=kind, random_seed=1)
            # Unordered outcomes have a further dim, the category.
            assert drawn.shape[:3] == (2, 10, 3)
    eta = fitted.predict(new, kind="eta", random_seed=1)
    assert np.isfinite(eta).all()
    if not rows and model == "membership":
        with pytest.raises(mlm.SpecificationError, match="no random effects"):
            fitted.variance_decomposition()
        return
    found = [name.partition(", ")[0] for name in fitted.variance_decomposition().frame.index]
    assert set(rows) <= set(found)
    assert (model == "nested") == ("school" in found)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_all_groups_for_arviz(family):
    fitted = model_of("membership", "hm", family)
    with warnings.catch_warnings():
        # Draws of the priors may lie far away.
        warnings.simplefilter("ignore", UserWarning)
        fitted.fit(TABLE, draws=10, chains=2, random_seed=1, sampler=PriorDraws(), path="sampled")
        tree = fitted.extend(random_seed=1, prior_draws=5)
    assert tree["log_likelihood"]["outcome"].shape == (2, 10, ROWS)
    names = fitted.result_.names("coefficient", "sd", "partial", "family")
    of_priors = {n for n in names if not n.endswith("_correlation")}
    assert of_priors == set(tree["log_prior"])
    assert tree["prior_predictive"]["outcome"].shape == (1, 5, ROWS)
    assert tree["posterior_predictive"]["outcome"].shape == (2, 10, ROWS)


def test_terms_that_do_not_go_together_are_named():
    with pytest.raises(mlm.SpecificationError, match="share one group column"):
        membership("y ~ 1", "gaussian", mlm.mm("member", "group"), mlm.mm("member", "school"))
    with pytest.raises(
        mlm.SpecificationError, match=r"one nested\(\) term; found 2.*school.*region"
    ):
        nested("y ~ 1 + x", "gaussian", mlm.nested(["region"], "1"))
    for other in (mlm.hm("school", name="u"), mlm.hm("u")):
        with pytest.raises(mlm.SpecificationError, match="Two terms have the name 'u'"):
            membership("y ~ 1", "gaussian", mlm.hm("region", name="u"), other)
    with pytest.raises(mlm.SpecificationError, match="not a term"):
        membership("y ~ 1", "gaussian", "member")
    with pytest.raises(mlm.SpecificationError, match="not for durations"):
        membership("Surv(weeks, ended) ~ 1", "poisson", mlm.hm("year"))


@pytest.mark.filterwarnings("ignore:'x' =")
def test_counts_beyond_64_bits_are_cut_and_said():
    fitted = membership("count ~ 1 + x", "poisson", mlm.hm("year"))
    with pytest.warns(UserWarning):
        fitted.fit(TABLE, draws=10, chains=2, random_seed=1, sampler=PriorDraws())
    far = {name: values[:1] for name, values in TABLE.items()} | {"x": [1e6]}
    with pytest.warns(mlm.DataWarning, match="draws an expected outcome is above 1.6e\\+15"):
        drawn = fitted.predict(far, kind="outcome", random_seed=1)
    assert np.isfinite(drawn).all()
    assert drawn.max() > 1e15


ESTIMANDS = ("new_cluster", "observed_clusters", "typical_cluster")
TRIAL_TERMS = {
    "mm": lambda: [mlm.mm("member", "group")],
    "estimated weights": lambda: [mlm.mm("member", "group", weight="exp(b * share)")],
    "hm": lambda: [mlm.hm("year")],
    "nested": lambda: [mlm.nested(["region", "school"], {"region": "1 + share"})],
    "fixed covariates": lambda: [mlm.mm("member", "group", covariates="share", effect=None)],
    "own": lambda: [Saturation("weeks")],
    "own and members": lambda: [Saturation("weeks"), mlm.mm("member", "group")],
    "nested and members": lambda: [mlm.nested(["region"]), mlm.mm("member", "group")],
    "two terms": lambda: [mlm.hm("year"), mlm.mm("member", "group", weight="exp(b * share)")],
}


def trial_of(term, dependence, **arguments):
    terms = TRIAL_TERMS[term]()
    outcomes = ["yes", "ended"]
    return mlm.MultivariateLogitTrial(
        outcomes, "treated", covariates=["x"], dependence=dependence, terms=terms, **arguments
    )


TRIAL_CASES = [(term, "saturated", None) for term in TRIAL_TERMS]


@pytest.mark.filterwarnings("ignore:Arm .* has rows in 2 unit")
@pytest.mark.parametrize(
    ("term", "dependence", "cluster"), [*TRIAL_CASES, ("two terms", "independent", "region")]
)
def test_terms_in_a_trial(term, dependence, cluster, rng):
    table = TABLE | {"treated": np.tile([0, 1], ROWS // 2), "year": np.arange(ROWS) // 3}
    trial = trial_of(term, dependence, cluster=cluster)
    refuse_wrong_gradient(trial.build(table), rng)
    with pytest.warns(UserWarning):
        trial.fit(table, draws=5, chains=2, random_seed=1, sampler=PriorDraws())
    for estimand in ESTIMANDS if trial.result_.design.units else (None,):
        assert trial.treatment_effect(estimand=estimand).shape == (2, 5, 2)
    assert str(trial.summary())
    new = {name: list(values[:3]) for name, values in table.items()}
    new |= {"group": [100, 101, 102]}
    column = {"hm": "year", "nested": "school", "nested and members": "region"}.get(term, "member")
    if term not in ("own", "fixed covariates"):
        new |= {column: [table[column][0], 99, None]}
    if term == "nested":
        new |= {"region": [table["region"][0]] * 3}
    for kind in ("mean", "cell", "outcome"):
        drawn = trial.predict(new, kind=kind, random_seed=1)
        assert drawn.sizes[drawn.dims[2]] == 3
        assert np.isfinite(drawn).all()
