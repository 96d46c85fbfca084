"""A scale, a shape or a number of degrees of freedom is positive in every model, by its prior."""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import pymc_mlm as mlm
from pymc_mlm.priors import Prior, create


class Foreign:
    """A prior of another package: it has a name, and writes what it likes."""

    def __init__(self, write):
        self.write = write

    def create_variable(self, name):
        return self.write(name)


def table():
    rng = np.random.default_rng(3)
    rows = np.arange(60)
    return pd.DataFrame(
        {
            "y": rng.normal(size=30).repeat(2),
            "k": rng.poisson(3, size=60),
            "t": rng.exponential(size=60),
            "y1": rng.integers(0, 2, size=60),
            "y2": rng.integers(0, 2, size=60),
            "arm": rows % 2,
            "g": rows // 2,
            "m": rows % 7,
            "u": rows // 12,
        }
    )


def membership(formula="y ~ 1", *terms, **options):
    return mlm.MultipleMembershipModel(formula, *terms, **options)


def family(formula, name, parameter):
    return lambda prior: membership(formula, mlm.hm("u"), family=name, priors={parameter: prior})


SCALES = {
    "trial, cluster_sd": lambda prior: mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", cluster="u", random="1 + arm", priors={"cluster_sd": prior}
    ),
    "trial, LKJ(sd)": lambda prior: mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", cluster="u", cluster_prior=mlm.LKJ(sd=prior)
    ),
    "mm": lambda prior: membership("y ~ 1", mlm.mm("m", "g", priors={"sd": prior})),
    "hm": lambda prior: membership("y ~ 1", mlm.hm("u", priors={"sd": prior})),
    "nested level": lambda prior: mlm.NestedVaryingEffects(
        "y ~ 1", ["u", "g"], priors={"u_sd": prior}
    ),
    "nested level, sampled": lambda prior: mlm.NestedVaryingEffects(
        "k ~ 1", ["u", "g"], priors={"u_sd": prior}, family="poisson"
    ),
    "nested term": lambda prior: mlm.NestedVaryingEffects(
        "y ~ 1", ["u"], terms=[mlm.hm("m", priors={"sd": prior})]
    ),
    "nested sigma, collapsed": lambda prior: mlm.NestedVaryingEffects(
        "y ~ 1", ["u"], priors={"sigma": prior}
    ),
    "sigma": family("y ~ 1", "gaussian", "sigma"),
    "Student-t sigma": family("y ~ 1", "student_t", "sigma"),
    "Student-t nu": family("y ~ 1", "student_t", "nu"),
    "alpha": family("k ~ 1", "negative_binomial", "alpha"),
    "shape": family("Surv(t, arm) ~ 1", "weibull", "shape"),
    "family object": lambda prior: membership(
        "y ~ 1", mlm.hm("u"), family=mlm.Gaussian(priors={"sigma": prior})
    ),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "prior",
    [Prior("Normal", mu=0, sigma=1), Foreign(lambda name: pm.Normal(name))],
    ids=["ours", "foreign"],
)
def test_no_scale_of_any_model_has_a_prior_on_the_whole_line(scale, prior):
    with pytest.raises(mlm.SpecificationError, match=r"allows negative values; .* is positive"):
        SCALES[scale](prior).build(table())


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_takes_a_normal_cut_at_zero(scale):
    cut = Prior("TruncatedNormal", mu=1.0, sigma=1.0, lower=0.0)
    assert isinstance(SCALES[scale](cut).build(table()), pm.Model)


def cut(lower):
    return pm.Truncated.dist(pm.Normal.dist(), lower=lower, shape=())


NEGATIVE = {
    "normal, far from zero": Prior("Normal", mu=5.0, sigma=0.5),
    "uniform": Prior("Uniform", lower=-1.0, upper=1.0),
    "a little below zero": Prior("Uniform", lower=-1e-3, upper=5.0),
    "far below zero": Prior("Uniform", lower=-1e6, upper=-1e5),
    "Student-t": Prior("StudentT", nu=3.0, mu=0.0, sigma=1.0),
    "von Mises": Prior("VonMises", mu=0.0, kappa=1.0),
    "triangular": Prior("Triangular", lower=-1.0, c=0.0, upper=1.0),
    "Flat": Prior("Flat"),
    "cut below zero": Prior("TruncatedNormal", mu=0.0, sigma=1.0, lower=-1.0),
    "Truncated, not at zero": Prior("Truncated", dist=pm.Normal.dist(), lower=-1.0),
    "without a bound": Prior("TruncatedNormal", mu=0.0, sigma=1.0, upper=9.0),
    "foreign mixture": Foreign(
        lambda name: pm.NormalMixture(name, w=[0.5, 0.5], mu=[1.0, 2.0], sigma=[1.0, 1.0])
    ),
    "foreign, derived": Foreign(lambda name: pm.Deterministic(name, pm.Normal("raw") + 0.1)),
    "foreign, with a parameter of its own": Foreign(
        lambda name: pm.Normal(name, 1.0, pm.HalfNormal("own_scale"))
    ),
}


@pytest.mark.parametrize("prior", NEGATIVE.values(), ids=NEGATIVE)
def test_a_distribution_that_reaches_below_zero_is_refused(prior):
    with pm.Model(), pytest.raises(mlm.SpecificationError, match=r"allows negative.*lower=0\)"):
        create(prior, "sd", positive=True)


@pytest.mark.filterwarnings("ignore:No safe default transform")
@pytest.mark.parametrize("name", ["MvNormal", "ZeroSumNormal"])
def test_a_vector_that_reaches_below_zero_is_refused(name):
    parameters = {"mu": np.zeros(3), "cov": np.eye(3)} if name == "MvNormal" else {"sigma": 1.0}
    with pm.Model(coords={"coef": range(3)}):
        with pytest.raises(mlm.SpecificationError, match="allows negative values"):
            create(Foreign(lambda n: getattr(pm, name)(n, dims="coef", **parameters)), "sd", "coef",
                   positive=True)  # fmt: skip


POSITIVE = {
    "HalfNormal": Prior("HalfNormal", sigma=1.0),
    "HalfStudentT": Prior("HalfStudentT", nu=3.0, sigma=1.0),
    "HalfFlat": Prior("HalfFlat"),
    "Uniform": Prior("Uniform", lower=0.0, upper=5.0),
    "Beta": Prior("Beta", alpha=2.0, beta=2.0),
    "Gamma, nearly improper": Prior("Gamma", alpha=0.001, beta=0.001),
    "Truncated": Prior("Truncated", dist=pm.Normal.dist(), lower=0.0),
    "foreign, derived": Foreign(lambda name: pm.Deterministic(name, pt.exp(pm.Normal("raw")))),
    "foreign, with a parameter of its own": Foreign(
        lambda name: pm.HalfNormal(name, pm.Gamma("own_scale", 2.0, 1.0))
    ),
    "foreign, no transform": Foreign(lambda name: pm.Gamma(name, 2.0, 1.0, default_transform=None)),
}


@pytest.mark.parametrize("prior", POSITIVE.values(), ids=POSITIVE)
def test_a_distribution_above_zero_is_taken(prior):
    with pm.Model() as model:
        assert create(prior, "sd", positive=True) is model["sd"]


def test_a_lump_at_zero_is_no_prior_of_a_scale():
    censored = Foreign(lambda name: pm.Censored(name, pm.Normal.dist(), lower=0.0, upper=None))
    with pm.Model(), pytest.raises(mlm.SpecificationError, match="zero a probability of its own"):
        create(censored, "sd", positive=True)


@pytest.mark.parametrize("positive", [True, False])
def test_a_discrete_prior_is_refused_for_every_parameter(positive):
    with pm.Model(), pytest.raises(mlm.SpecificationError, match=r"is discrete.*continuous"):
        create(Prior("Poisson", mu=2.0), "anything", positive=positive)


def test_a_foreign_prior_must_return_a_variable():
    with pm.Model(), pytest.raises(mlm.SpecificationError, match="returned float, not a variable"):
        create(Foreign(lambda name: 1.0), "sd", positive=True)


NO_DISTRIBUTION = {
    "negative sigma": (Prior("Normal", mu=0.0, sigma=-1.0), "sigma > 0"),
    "zero scale": (Prior("HalfNormal", sigma=0.0), "sigma > 0"),
    "bounds in the wrong order": (Prior("Uniform", lower=1.0, upper=0.0), "lower"),
    "no covariance": (Prior("MvNormal", mu=np.zeros(2), cov=-np.eye(2)), "posdef"),
    "missing mean": (Prior("Normal", mu=np.nan, sigma=1.0), "not a number"),
}  # fmt: skip


@pytest.mark.parametrize("prior, text", NO_DISTRIBUTION.values(), ids=NO_DISTRIBUTION)
@pytest.mark.parametrize(
    "construct",
    [
        lambda prior: membership(priors={"beta": prior}),
        lambda prior: mlm.mm("m", "g", priors={"sd": prior}),
        lambda prior: mlm.hm("u", priors={"sd": prior}),
        lambda prior: mlm.Gaussian(priors={"sigma": prior}),
        lambda prior: mlm.NestedVaryingEffects("y ~ 1", ["u"], priors={"sigma": prior}),
        lambda prior: mlm.MultivariateLogitTrial("y1", "arm", priors={"beta": prior}),
        lambda prior: mlm.LKJ(sd=prior),
    ],
    ids=["membership", "mm", "hm", "family", "nested", "trial", "LKJ"],
)
def test_parameters_without_a_distribution_are_refused_at_construction(construct, prior, text):
    with pytest.raises(mlm.SpecificationError, match=text):
        construct(prior)


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan, "1", None])
@pytest.mark.parametrize(
    "construct",
    [lambda v: mlm.InverseWishart(scale=v), lambda v: mlm.LKJ(eta=v)],
    ids=["InverseWishart(scale)", "LKJ(eta)"],
)
def test_priors_of_cluster_effects_take_positive_finite_numbers(construct, value):
    with pytest.raises(mlm.SpecificationError, match="must be a positive, finite number"):
        construct(value)


@pytest.mark.parametrize("eta", [0, -1.0, np.inf, np.nan, True])
def test_the_shape_of_correlations_of_a_nested_model_is_positive_and_finite(eta):
    with pytest.raises(mlm.SpecificationError, match="must be positive and finite"):
        mlm.NestedVaryingEffects("y ~ 1 + k", ["u"], eta=eta)
