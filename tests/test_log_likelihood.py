"""Log likelihoods and log priors that functions of ArviZ can use, on every path."""

import arviz as az
import numpy as np
import pytensor
import pytest
import xarray as xr
from pymc.stats import compute_log_likelihood

import pymc_mlm as mlm
from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled


def fitted(model, data, drop=()):
    """Return the model with draws of its prior in place of a posterior."""
    prior = model.sample_prior_predictive(data, draws=5, random_seed=1)["prior"].to_dataset()
    spec, design = model.specification, model._design(data)
    kept = prior.drop_vars([n for n in prior.data_vars if str(n).endswith(drop)] if drop else [])
    model.result_ = Fit(spec, design, xr.DataTree.from_dict({"posterior": kept}))
    return model


def coalitions():
    data = mlm.datasets.coalitions(governments=40, countries=4)
    formula = "Surv(weeks, ended) ~ 1 + majority"
    terms = mlm.mm("party", "government"), mlm.hm("country")
    return fitted(mlm.MultipleMembershipModel(formula, *terms, family="weibull"), data)


def schools():
    data = mlm.datasets.nested_schools(regions=3, schools=6, classes=12, pupils=48)
    model = mlm.NestedVaryingEffects("score ~ 1 + prior", levels=["region", "school"])
    return fitted(model, data)


@pytest.mark.parametrize("make", [coalitions, schools])
def test_log_likelihood_is_that_of_the_model_with_all_effects(make):
    model = make()
    found = model.log_likelihood()["log_likelihood"]["outcome"]
    want = compute_log_likelihood(
        model.idata, model=model.result_.model, extend_inferencedata=False, progressbar=False,
        compile_kwargs={"mode": uncompiled()},
    )["outcome"]  # fmt: skip
    np.testing.assert_allclose(found.values, want.values, rtol=1e-8)


@pytest.mark.parametrize("make", [coalitions, schools])
def test_log_prior_has_no_effects_of_units(make):
    model = make()
    names = list(model.log_prior()["log_prior"].data_vars)
    assert "beta" in names
    assert any(n.endswith("_sd") for n in names)
    assert not [n for n in names if n.endswith(("_effect", "_z"))]


def test_log_prior_needs_no_draws_of_offsets_that_were_integrated_out():
    model = schools()
    whole = model.log_prior()["log_prior"].to_dataset()
    free = {rv.name for rv in model.result_.model.free_RVs}
    offsets = [n for n in free if n not in whole]
    fit = model.result_
    kept = fit.posterior.drop_vars(offsets)
    model.result_ = Fit(fit.spec, fit.design, xr.DataTree.from_dict({"posterior": kept}))
    assert offsets
    xr.testing.assert_allclose(model.log_prior()["log_prior"].to_dataset(), whole)


@pytest.mark.filterwarnings("ignore:The effect of Potentials")
def test_rows_of_a_clustered_trial_add_up_to_the_likelihood_of_its_model():
    data = mlm.datasets.teaching_trial(schools=12, pupils=4)
    data.loc[data.index[:3], "reading"] = np.nan
    model = mlm.MultivariateLogitTrial(
        ["math", "reading"], arm="method", control="traditional", cluster="school"
    )
    fitted(model, data).log_likelihood()
    built, posterior = model.result_.model, model.result_.posterior
    names = [rv.name for rv in built.free_RVs]
    total = pytensor.function([built[n] for n in names], built["loglik"], mode=uncompiled())
    want = [total(**{n: posterior[n].values[0, d] for n in names}) for d in range(5)]
    found = model.idata["log_likelihood"]["outcome"].sum("row").values[0]
    np.testing.assert_allclose(found, want)
    priors = list(model.log_prior()["log_prior"].data_vars)
    assert "beta" in priors and "cluster_z" not in priors


def test_trial_drawn_directly_has_loo_and_log_prior():
    data = mlm.datasets.teaching_trial(schools=10, pupils=12)
    model = mlm.MultivariateLogitTrial(["math", "reading"], arm="method", control="traditional")
    model.fit(data, draws=3000, random_seed=1, progressbar=False)
    model.log_likelihood()
    model.log_prior()
    fit = model.result_
    phi = fit.posterior["cell_probability"].values[0]
    seen = fit.design.trial.compatible[fit.design.trial.pattern]
    arm = fit.design.trial.arm.codes
    want = [np.log(phi[:, a] @ s) for a, s in zip(arm, seen, strict=True)]
    found = model.idata["log_likelihood"]["outcome"].values[0].T
    np.testing.assert_allclose(found, want)
    assert np.isfinite(az.loo(model.idata).elpd)
    assert list(model.idata["log_prior"].data_vars) == ["cell_probability"]
