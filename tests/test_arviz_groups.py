"""Groups for functions of ArviZ: every family, every path, the fit left as it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import pytensor
import pytest
import xarray as xr
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.arviz_groups import GROUPS
from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.collapsed_gaussian import collapsed_model

DRAWS = 60


def fitted(model, data, draws=5):
    """Return the model with draws of its prior in place of a posterior."""
    prior = model.sample_prior_predictive(data, draws=draws, random_seed=1)["prior"].to_dataset()
    spec, design = model.specification, model._design(data)
    observed = spec.observed(design)
    if observed is None:
        rows, value = design.rows, next(iter(design.outcome.values()))
        observed = xr.Dataset({"outcome": (rows.name, value)}, {rows.name: list(rows.labels)})
    tree = {"posterior": prior, "observed_data": observed}
    model.result_ = Fit(spec, design, xr.DataTree.from_dict(tree))
    return model


def clubs(formula: str, family: Any) -> Callable[..., Any]:
    def make(draws=5):
        rng = np.random.default_rng(2)
        data = {
            "match": np.repeat(np.arange(12), 2),
            "club": rng.permutation(24) % 5,
            "x": np.repeat(rng.standard_normal(12), 2),
            "y": np.repeat(rng.standard_normal(12), 2),
            "won": np.repeat(np.arange(12) % 2, 2),
            "goals": np.repeat(rng.poisson(2, 12), 2),
            "shots": np.repeat(np.full(12, 20), 2),
            "time": np.repeat(rng.exponential(3, 12), 2),
        }
        terms = mlm.mm("club", "match")
        return fitted(mlm.MultipleMembershipModel(formula, terms, family=family), data, draws)

    return make


def schools(draws=5, **kwargs):
    data = mlm.datasets.nested_schools(regions=3, schools=6, classes=12, pupils=48)
    args = {"levels": ["region", "school"], **kwargs}
    return fitted(mlm.NestedVaryingEffects("score ~ 1 + prior", **args), data, draws)


def trial(draws=5, **kwargs):
    data = mlm.datasets.teaching_trial(schools=12, pupils=4)
    data["reading"] = data["reading"].astype(float)
    data.loc[data.index[:3], "reading"] = np.nan
    outcomes = ["math", "reading"]
    model = mlm.MultivariateLogitTrial(outcomes, arm="method", control="traditional", **kwargs)
    return fitted(model, data, draws)


LINEAR = {
    "gaussian": clubs("y ~ 1 + x", "gaussian"),
    "student_t": clubs("y ~ 1 + x", "student_t"),
    "bernoulli": clubs("won ~ 1 + x", "bernoulli"),
    "binomial": clubs("goals ~ 1 + x", mlm.Binomial("shots")),
    "poisson": clubs("goals ~ 1 + x", "poisson"),
    "negative_binomial": clubs("goals ~ 1 + x", "negative_binomial"),
    "weibull": clubs("Surv(time, won) ~ 1 + x", "weibull"),
    "nested": schools,
}
TRIALS = {
    "direct": trial,
    "clusters": lambda draws=5: trial(draws, cluster="school"),
    "slopes of clusters": lambda draws=5: trial(draws, cluster="school", random="1 + arm"),
    "bmco's clusters": lambda draws=5: trial(
        draws, cluster="school", cluster_prior="inverse_wishart"
    ),
    "independent": lambda draws=5: trial(draws, dependence="independent"),
}
ALL = LINEAR | TRIALS
each = pytest.mark.parametrize("name", ALL)
each_linear = pytest.mark.parametrize("name", LINEAR)


@cache
def model_of(name):
    return ALL[name](DRAWS)


@cache
def tree_of(name):
    """Return all groups of a model, which stays as it is."""
    model = model_of(name)
    before = model.idata.copy(deep=True)
    tree = model.extend(prior_draws=20, random_seed=1)
    xr.testing.assert_identical(model.idata, before)
    return tree


def rows_by_pymc(model, name="outcome", **kwargs):
    tree = xr.DataTree.from_dict({"posterior": model.result_.posterior})
    return pm.compute_log_likelihood(
        tree, model=model.result_.model, extend_inferencedata=False, progressbar=False, **kwargs
    )[name]


@each_linear
def test_log_likelihood_is_that_of_the_model_with_all_effects(name):
    want = rows_by_pymc(model_of(name), compile_kwargs={"mode": uncompiled()})
    xr.testing.assert_allclose(tree_of(name)["log_likelihood"]["outcome"], want, rtol=1e-8)


@pytest.mark.slow
@each_linear
def test_log_likelihood_is_that_of_pymc_in_its_default_mode(name):
    # At a mean of 1e-11 the rounding of PyMC's negative binomial differs between modes.
    want = rows_by_pymc(model_of(name))
    xr.testing.assert_allclose(tree_of(name)["log_likelihood"]["outcome"], want, rtol=1e-6)


@pytest.mark.parametrize("name", TRIALS)
def test_persons_of_a_trial_add_up_to_the_likelihood_in_one_term(name):
    fit = model_of(name).result_
    built = fit.spec.build_fused(fit.design)
    names = [rv.name for rv in built.free_RVs]
    total = pytensor.function([built[n] for n in names], built["loglik"], mode=uncompiled())
    want = [total(**{n: fit.posterior[n].values[0, d] for n in names}) for d in range(DRAWS)]
    found = tree_of(name)["log_likelihood"]["outcomes"].sum("row")
    np.testing.assert_allclose(found.values[0], want)


@pytest.mark.parametrize("name", TRIALS)
def test_log_likelihood_of_a_trial_by_pymc_is_that_of_extend(name):
    found = rows_by_pymc(model_of(name), "outcomes", compile_kwargs={"mode": uncompiled()})
    mine = tree_of(name)["log_likelihood"]["outcomes"]
    xr.testing.assert_allclose(mine, found, rtol=1e-8)


@pytest.mark.parametrize("name", TRIALS)
def test_both_models_of_a_trial_have_one_density_in_the_same_coordinates(name):
    fit = model_of(name).result_
    plain, fused = fit.model, fit.spec.build_fused(fit.design)
    start, rng = plain.initial_point(), np.random.default_rng(1)
    assert set(fused.initial_point()) == set(start)
    densities = [model.compile_logp(mode=uncompiled()) for model in (plain, fused)]
    for _ in range(3):
        point = {n: v + 0.4 * rng.normal(size=np.shape(v)) for n, v in start.items()}
        one, other = (density(point) for density in densities)
        assert one == pytest.approx(other, rel=1e-10)


def test_a_person_whose_answer_is_improbable_has_a_finite_log_likelihood():
    model = trial(dependence="independent")
    fit = model.result_
    far = fit.posterior.assign(beta=fit.posterior["beta"] * 0 + 60.0)
    model.result_ = replace(fit, idata=xr.DataTree.from_dict({"posterior": far}))
    found = model.extend("log_likelihood")["log_likelihood"]["outcomes"]
    assert found.min() < -100
    assert np.isfinite(found).all()


@pytest.mark.parametrize("varying", ["1", "1 + prior"])
def test_marginal_log_likelihood_of_a_leaf_is_its_multivariate_normal_density(varying):
    model = schools(varying=varying)
    found = model.extend("log_likelihood", likelihood="marginal")["log_likelihood"]["outcome"]
    fit = model.result_
    nested, draws, at = fit.design.nested, fit.posterior, {"chain": 0, "draw": 3}
    Z, leaf = nested.Z, nested.nesting.leaf
    school = draws["school_effect"].isel(at).values
    eta = model.predict(kind="eta").isel(at).values - (Z * school[leaf]).sum(axis=1)
    sd = draws["school_sd"].isel(at).values
    correlation = np.eye(len(sd))
    if len(sd) == 2:
        correlation[0, 1] = correlation[1, 0] = draws["school_partial"].isel(at).item()
    covariance = Z @ (sd[:, None] * correlation * sd) @ Z.T
    covariance += np.eye(len(Z)) * draws["sigma"].isel(at).item() ** 2
    y = fit.design.outcome["value"]
    for unit in range(6):
        mine = leaf == unit
        density = stats.multivariate_normal(eta[mine], covariance[np.ix_(mine, mine)])
        assert found.isel(at).values[unit] == pytest.approx(density.logpdf(y[mine]))
    assert list(found["school"].values) == list(draws["school"].values)


def test_leaves_of_one_level_add_up_to_the_collapsed_likelihood():
    model = schools(levels=["school"])
    fit = model.result_
    built = collapsed_model(fit.spec, fit.design)
    names = [rv.name for rv in built.free_RVs]
    (likelihood,) = built.potentials
    total = pytensor.function([built[n] for n in names], likelihood, mode=uncompiled())
    want = [total(**{n: fit.posterior[n].values[0, d] for n in names}) for d in range(5)]
    found = model.extend("log_likelihood", likelihood="marginal")["log_likelihood"]["outcome"]
    np.testing.assert_allclose(found.sum("school").values[0], want)


@each
def test_log_prior_has_top_level_parameters_and_no_effects_of_units(name):
    names = set(tree_of(name)["log_prior"].data_vars)
    assert names & {"Intercept", "beta", "cell_probability"}
    assert not [n for n in names if n.endswith(("_effect", "_z"))]
    spread = [n for n in model_of(name).result_.names("sd") if not n.endswith("_correlation")]
    assert {*spread} <= names


def test_log_prior_needs_no_draws_of_offsets_that_were_integrated_out():
    model = schools()
    whole = model.extend("log_prior")["log_prior"].to_dataset()
    fit = model.result_
    offsets = [rv.name for rv in fit.model.free_RVs if rv.name not in whole]
    assert offsets
    kept = fit.posterior.drop_vars(offsets)
    model.result_ = Fit(fit.spec, fit.design, xr.DataTree.from_dict({"posterior": kept}))
    xr.testing.assert_allclose(model.extend("log_prior")["log_prior"].to_dataset(), whole)


@each
def test_predictive_groups_have_the_variable_dims_and_labels_of_the_observed_data(name):
    observed = model_of(name).idata["observed_data"].to_dataset()
    for group, draws in (("posterior_predictive", DRAWS), ("prior_predictive", 20)):
        found = tree_of(name)[group].to_dataset()
        assert found.sizes == {"chain": 1, "draw": draws, **observed.sizes}
        one = found.isel(chain=0, draw=0, drop=True)
        xr.testing.assert_equal(xr.ones_like(one), xr.ones_like(observed))


@each
def test_the_copy_has_every_group_and_the_same_posterior(name):
    before = model_of(name).idata
    tree = tree_of(name)
    assert {*GROUPS, *before.children} <= {*tree.children}
    xr.testing.assert_identical(tree["posterior"].to_dataset(), before["posterior"].to_dataset())


def test_only_the_groups_that_were_named_are_added():
    model = model_of("poisson")
    assert {*model.extend("prior").children} == {*model.idata.children, "prior"}


def test_the_same_seed_gives_the_same_groups():
    one, two = (trial(cluster="school").extend(random_seed=4, prior_draws=3) for _ in range(2))
    xr.testing.assert_equal(one, two)


def test_many_draws_are_thinned_alike_in_all_groups():
    tree = trial(draws=50).extend(most_draws=10, random_seed=1)
    groups = ("posterior", "log_likelihood", "log_prior", "posterior_predictive")
    assert {tree[g].sizes["draw"] for g in groups} == {10}
    xr.testing.assert_equal(tree["posterior"]["draw"], tree["log_likelihood"]["draw"])


def test_durations_have_their_events_where_arviz_looks_for_them():
    event = model_of("weibull").result_.design.outcome["event"]
    np.testing.assert_array_equal(tree_of("weibull")["constant_data"]["outcome"], event)
    assert "constant_data" not in tree_of("poisson").children


@dataclass(frozen=True)
class Refused:
    make: Callable[..., Any]
    groups: tuple[str, ...]
    kwargs: dict[str, Any]
    text: str


@pytest.mark.parametrize(
    "case",
    [
        Refused(schools, ("loglikelihood",), {}, "no group 'loglikelihood'; it has 'log_lik"),
        Refused(schools, (), {"likelihood": "leaf"}, "'conditional' or 'marginal', not 'leaf'"),
        Refused(schools, (), {"most_draws": 0}, "most_draws is 0; it is a whole number above 0"),
        Refused(schools, (), {"prior_draws": 2.5}, "prior_draws is 2.5"),
        Refused(trial, (), {"likelihood": "marginal"}, "has no nested levels"),
        Refused(LINEAR["gaussian"], (), {"likelihood": "marginal"}, "has no nested levels"),
        Refused(
            lambda: schools(family="student_t"),
            (),
            {"likelihood": "marginal"},
            "not for Nested with StudentT",
        ),
    ],
    ids=lambda case: case.text,
)
def test_what_cannot_be_added_is_refused(case):
    with pytest.raises(mlm.SpecificationError, match=case.text):
        case.make().extend(*case.groups, **case.kwargs)


@each
@pytest.mark.filterwarnings("ignore")  # draws of a prior are no sample of a posterior
def test_functions_of_arviz_take_every_fit_as_it_is(name):
    tree = tree_of(name)
    loo = az.loo(tree, pointwise=True)
    assert np.isfinite(loo.elpd)
    assert len(az.compare({"one": tree, "two": tree})) == 2
    assert len(az.psense_summary(tree, var_names=[*tree["log_prior"].data_vars]))
    az.plot_khat(loo)
    az.plot_ppc_dist(tree)
    az.plot_ppc_dist(tree, group="prior_predictive")


@each_linear
@pytest.mark.filterwarnings("ignore")
def test_every_row_has_a_probability_integral_transform_with_itself_left_out(name):
    found = az.loo_pit(tree_of(name))["outcome"]
    assert found.shape == tree_of(name)["observed_data"]["outcome"].shape
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.filterwarnings("ignore")
def test_answers_of_a_trial_have_transforms_with_their_person_left_out():
    tree = tree_of("clusters").copy()
    observed = tree["observed_data"].to_dataset()
    tree["log_likelihood"] = tree["log_likelihood"].to_dataset().broadcast_like(observed)
    found = az.loo_pit(tree)["outcomes"]
    assert found.shape == observed["outcomes"].shape


@pytest.mark.filterwarnings("ignore")
def test_survival_curves_of_a_weibull_model_are_drawn():
    az.plot_ppc_censored(tree_of("weibull"), num_samples=20)
