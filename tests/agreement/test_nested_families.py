"""The uncollapsed nested model of every family, against the same model in plain PyMC.

The plain model has no coordinates of ours: its effects are `pm.MvNormal` rows and its
coefficients plain normals, so its log density is ours at the same values, less our Jacobians.
"""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph import clone_replace

import pymc_mlm as mlm
from pymc_mlm.distributions.located import Located
from pymc_mlm.ops.correlation import lkj_partial_alphas

FAST = "FAST_COMPILE"
LEVELS = ["region", "school"]
WAYS = ["auto", "centered", "noncentered"]


@pytest.fixture(scope="module")
def table():
    """Twenty schools in four regions, from one row to nine each."""
    rng = np.random.default_rng(21)
    school = np.repeat(np.arange(20), rng.integers(1, 10, 20))
    x = rng.normal(size=len(school))
    total = rng.normal(size=(4, 2))[school % 4] * 0.5 + rng.normal(size=(20, 2))[school] * [
        0.7,
        0.3,
    ]
    eta = 0.4 + total[:, 0] + (0.5 + total[:, 1]) * x
    games = rng.integers(1, 8, len(eta))
    time, end = rng.weibull(1.4, len(eta)) * np.exp(eta), rng.exponential(4.0, len(eta))
    return pd.DataFrame(
        {
            "region": school % 4, "school": school, "x": x,
            "y": eta + rng.standard_t(4, len(eta)),
            "yes": 1.0 * (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))),
            "games": games, "wins": rng.binomial(games, 1 / (1 + np.exp(-eta))),
            "count": rng.poisson(np.exp(eta)),
            "spread": rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta))),
            "weeks": np.minimum(time, end), "ended": 1.0 * (time <= end),
        }
    )  # fmt: skip


def student_t(table, eta, priors):
    sigma = pm.Exponential("sigma", scale=priors["sigma"]["scale"])
    nu = pm.Gamma("nu", **priors["nu"])
    pm.StudentT("outcome", nu=nu, mu=eta, sigma=sigma, observed=table["y"])


def bernoulli(table, eta, priors):
    pm.Bernoulli("outcome", p=pm.math.sigmoid(eta), observed=table["yes"])


def binomial(table, eta, priors):
    pm.Binomial("outcome", n=table["games"], p=pm.math.sigmoid(eta), observed=table["wins"])


def poisson(table, eta, priors):
    pm.Poisson("outcome", mu=pt.exp(eta), observed=table["count"])


def negative_binomial(table, eta, priors):
    alpha = pm.InverseGamma("alpha", **priors["alpha"])
    pm.NegativeBinomial("outcome", mu=pt.exp(eta), alpha=alpha, observed=table["spread"])


def weibull(table, eta, priors):
    shape = pm.LogNormal("shape", **priors["shape"])
    time, seen = table["weeks"].to_numpy(), table["ended"].to_numpy() == 1
    density = pm.logp(pm.Weibull.dist(alpha=shape, beta=pt.exp(eta)), time)
    survival = -((time / pt.exp(eta)) ** shape)
    pm.Potential("outcome", pt.where(seen, density, survival).sum())


FAMILIES = {
    "student_t": ("y", "student_t", student_t),
    "bernoulli": ("yes", "bernoulli", bernoulli),
    "binomial": ("wins", mlm.Binomial("games"), binomial),
    "poisson": ("count", "poisson", poisson),
    "negative_binomial": ("spread", "negative_binomial", negative_binomial),
    "weibull": ("Surv(weeks, ended)", "weibull", weibull),
}


def model_of(outcome, family, way="auto"):
    intercept = mlm.Prior("Normal", mu=0.3, sigma=1.5)
    return mlm.NestedVaryingEffects(
        f"{outcome} ~ 1 + x", LEVELS, "1 + x", family=family, parameterization=way,
        priors={"Intercept": intercept},
    )  # fmt: skip


def plain_model(table, likelihood, used):
    """Write the model by hand: partial correlations, covariances, multivariate normal rows."""
    priors = {name: prior.parameters for name, prior in used.items()}
    places = {level: table[level].to_numpy() for level in LEVELS}
    with pm.Model() as plain:
        alpha = pm.Normal("Intercept", 0.3, 1.5)
        beta = pm.Normal("beta", 0.0, priors["beta"]["sigma"], shape=1)
        total = 0.0
        for level, place in places.items():
            sd = pm.HalfNormal(f"{level}_sd", priors[f"{level}_sd"]["sigma"], shape=2)
            (a,) = lkj_partial_alphas(2, 2.0)
            half = pm.Beta(f"{level}_half", a, a)
            # Of two coefficients the partial correlation is the correlation.
            r = 2.0 * half - 1.0
            covariance = pt.stack(
                [[sd[0] ** 2, r * sd[0] * sd[1]], [r * sd[0] * sd[1], sd[1] ** 2]]
            )
            units = place.max() + 1
            effect = pm.MvNormal(f"{level}_effect", np.zeros(2), covariance, shape=(units, 2))
            total = total + effect[place]
        eta = alpha + total[:, 0] + (beta[0] + total[:, 1]) * table["x"].to_numpy()
        likelihood(table, eta, priors)
    return plain


def density_and_values(model):
    """Return a function from coordinates to the density, less our Jacobians, and to all values."""
    ours = [
        rv
        for rv, transform in model.rvs_to_transforms.items()
        if rv.name.endswith("_effect") or isinstance(transform, Located)
    ]
    jacobian = model.logp(ours, jacobian=True) - model.logp(ours, jacobian=False)
    outputs = [model.logp() - jacobian, *model.replace_rvs_by_values(model.free_RVs)]
    evaluate = model.compile_fn(outputs, inputs=model.value_vars, mode=FAST)
    names = [v.name for v in model.free_RVs]

    def at(point):
        logp, *values = evaluate(point)
        return logp, dict(zip(names, values, strict=True))

    return at


def density_of_plain(plain):
    """Return a function from values to the density, the standard transforms' Jacobians in it."""
    inputs, points = [], []
    for rv in plain.free_RVs:
        given, transform = rv.type(rv.name), plain.rvs_to_transforms[rv]
        inputs.append(given)
        points.append(transform.forward(given, *rv.owner.inputs) if transform else given)
    logp = clone_replace(plain.logp(), dict(zip(plain.value_vars, points, strict=True)))
    return plain.compile_fn(logp, inputs=inputs, mode=FAST)


@pytest.mark.parametrize("family", FAMILIES)
def test_log_density_equals_a_plain_model_in_all_coordinates(family, table, rng):
    outcome, named, likelihood = FAMILIES[family]
    design = model_of(outcome, named)._design(table)
    plain = plain_model(
        table, likelihood, model_of(outcome, named).specification.priors_used(design)
    )
    density = density_of_plain(plain)
    for way in WAYS:
        built = model_of(outcome, named, way)._build(design, "sampled")
        evaluate = density_and_values(built)
        for _ in range(3):
            start = built.initial_point()
            point = {k: v + 0.4 * rng.normal(size=np.shape(v)) for k, v in start.items()}
            ours, values = evaluate(point)
            # From (-1, 1) or from half of it, the logit and its Jacobian are the same.
            halves = {f"{n}_half": (values[f"{n}_partial"][0] + 1.0) / 2.0 for n in LEVELS}
            given = {rv.name: (values | halves)[rv.name] for rv in plain.free_RVs}
            assert ours == pytest.approx(float(density(given)), rel=1e-10, abs=1e-6), way


@pytest.mark.slow
@pytest.mark.agreement
@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_the_posterior_is_that_of_a_plain_model(family, table):
    outcome, named, likelihood = FAMILIES[family]
    model = model_of(outcome, named)
    plain = plain_model(table, likelihood, model.specification.priors_used(model._design(table)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = {"draws": 2000, "chains": 2, "random_seed": 3, "progressbar": False}
        ours = model.fit(table, path="sampled", **run).result_.idata["posterior"]
        sampled = pm.sample(
            **run, model=plain, nuts_sampler="nutpie", nuts={"target_accept": 0.95}
        )["posterior"]
    for name in ("Intercept", "beta", "region_sd", "school_sd", "school_effect"):
        difference = ours[name].mean(("chain", "draw")).values - sampled[name].mean(
            ("chain", "draw")
        )
        errors = [error_of_mean(x[name]) for x in (ours, sampled)]
        # Four errors, for each of some fifty means.
        assert (abs(difference) < 4 * np.hypot(*errors)).all(), name


def error_of_mean(draws):
    import arviz_stats

    return arviz_stats.mcse(draws.rename(None).to_dataset(name="x"))["x"].values
