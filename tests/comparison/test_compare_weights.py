"""Models compared: the table, its notes, what is refused, and leaving out by refitting."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import logsumexp

import pymc_mlm as mlm
from pymc_mlm.comparison.left_out import left_out
from tests.mocked import PriorDraws

WEIGHTS = {"mean": "1 / n", "max": mlm.weights.largest("x"), "estimated": "exp(b * x)"}


def memberships(b=2.0, groups=80, members=25, seed=3):
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 5, groups)
    g = np.repeat(np.arange(groups), size)
    m = np.concatenate([rng.choice(members, k, replace=False) for k in size])
    x, z = rng.normal(size=len(g)), rng.normal(size=len(g))
    w = np.exp(b * x)
    w /= np.bincount(g, w)[g]
    u = rng.normal(size=members)
    y = np.bincount(g, w * (z + u[m])) + 0.5 * rng.normal(size=groups)
    return pd.DataFrame({"g": g, "m": m, "x": x, "z": z, "y": y[g], "country": g % 8})


def model_of(weight):
    term = mlm.mm("m", "g", covariates="z", weight=weight)
    return mlm.MultipleMembershipModel("y ~ 1", term, mlm.hm("country"))


def drawn(model, table, seed=1):
    return model.fit(table, draws=500, path="collapsed", random_seed=seed, progressbar=False)


@pytest.fixture(scope="module")
def models():
    table = memberships()
    return {name: drawn(model_of(w), table) for name, w in WEIGHTS.items()}


@pytest.mark.parametrize("by", ["row", "country", "m"])
def test_the_weights_that_made_the_data_predict_best(models, by):
    found = mlm.compare_weights(models, by)
    assert found.frame.index[0] == "estimated"
    assert found.frame.loc["mean", "elpd_diff"] < -3 * found.frame.loc["mean", "dse"]
    assert found.frame["weight"].sum() == pytest.approx(1.0)
    assert found.frame["weight"].iloc[0] > 0.8
    assert found.title == f"Leaving out one {by} of {dict(row=80, country=8, m=25)[by]} at a time"
    assert found.notes[0] == "Of the effects: all effects are integrated out, exactly."


def test_leaving_a_country_out_is_what_a_refit_without_it_predicts():
    def mean(log_densities):
        values = np.concatenate(log_densities)
        return logsumexp(values, axis=0) - np.log(len(values))

    # Each fit has some 200 effective points, and a country's density by one an error of 0.1.
    table, free = memberships(), "exp(b * x)"
    whole = [drawn(model_of(free), table, seed).result_ for seed in range(1, 6)]
    densities = [left_out(fit, "country")[0]["outcome"].values.reshape(-1, 8) for fit in whole]
    # 1 / E[1 / p]: importance sampling without smoothing, which eight countries do not need.
    found, seen = -mean([-each for each in densities]), mean(densities)
    for country in (0, 5):
        rest, refitted = table[table["country"] != country], []
        for seed, fit in enumerate(whole[:3], 1):
            part, own = drawn(model_of(free), rest, seed).result_.posterior, fit.posterior
            same = {n: (own[n].dims, part[n].values) for n in own if part[n].shape == own[n].shape}
            tree = xr.DataTree.from_dict({"posterior": own.assign(same)})
            at = left_out(replace(fit, idata=tree), "country")[0]["outcome"].values
            refitted.append(at.reshape(-1, 8)[:, country])
        expected = mean(refitted)
        # The default priors have the scale of the table, and the table changes.
        assert found[country] == pytest.approx(expected, abs=0.15)
        assert seen[country] > expected + 0.25


def test_fits_serve_as_well_as_models_and_the_order_does_not_matter(models):
    found = mlm.compare_weights(models).frame
    fits = {n: models[n].result_ for n in reversed(models)}
    pd.testing.assert_frame_equal(mlm.compare_weights(fits).frame, found, rtol=1e-6, atol=1e-6)


def test_models_that_are_alike_are_said_to_be(models):
    two = {"a": models["mean"], "b": models["mean"]}
    assert "differ by less than two standard errors" in mlm.compare_weights(two).notes[-1]


def prior_draws(model, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, draws=50, chains=2, sampler=PriorDraws(), path="sampled")


def test_unreliable_densities_are_counted(models):
    found = mlm.compare_weights(models)
    assert found.frame["k_above"].max() > 0
    assert f"in up to {found.frame['k_above'].max()} of 80 cases" in found.notes[1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning:arviz_stats")
def test_draws_of_a_prior_are_refused():
    table = memberships(groups=12, members=6)
    fits = {n: prior_draws(model_of(WEIGHTS[n]), table) for n in ("mean", "max")}
    with pytest.raises(
        mlm.SpecificationError, match=r"too much between draws .*draws of the prior"
    ):
        mlm.compare_weights(fits)


def with_draws(fit, **groups):
    return replace(fit, idata=xr.DataTree.from_dict(groups))


def test_a_model_without_draws_of_a_posterior_is_refused(models):
    fit = models["mean"].result_
    posterior = fit.posterior
    cases = {
        "has no posterior draws": with_draws(fit, prior=posterior),
        "no posterior draws, and 25": with_draws(fit, posterior=posterior.isel(draw=slice(0))),
        "has 12 posterior draws": with_draws(fit, posterior=posterior.isel(draw=slice(3))),
    }
    for text, other in cases.items():
        with pytest.raises(mlm.SpecificationError, match=f"The model 'other' {text}|{text}"):
            mlm.compare_weights({"mean": fit, "other": other})


@pytest.mark.parametrize("sigma", [np.nan, 1e-200])
def test_draws_that_cannot_have_given_the_outcomes_are_refused(models, sigma):
    fit = models["mean"].result_
    posterior = fit.posterior.copy(deep=True)
    posterior["sigma"][0, :7] = sigma
    if not np.isnan(sigma):
        posterior["m_sd"][0, :7] = posterior["country_sd"][0, :7] = sigma
    other = with_draws(fit, posterior=posterior.isel(draw=slice(100)))
    with pytest.raises(mlm.SpecificationError, match="'other': at 7 of 400 draws an outcome"):
        mlm.compare_weights({"mean": fit, "other": other})


def test_draws_of_a_prior_far_from_the_outcomes_are_refused(models):
    table = memberships(groups=12, members=6)
    fits = {}
    for name in ("mean", "max"):
        fit = prior_draws(model_of(WEIGHTS[name]), table).result_
        small = fit.posterior.assign({n: fit.posterior[n] * 1e-4 for n in ("sigma", "m_sd")})
        fits[name] = with_draws(fit, posterior=small.assign(country_sd=small["country_sd"] * 1e-4))
    with pytest.raises(
        mlm.SpecificationError, match=r"on average, at best\. These are not draws of a post"
    ):
        mlm.compare_weights(fits)


@pytest.mark.parametrize("by", ["row", "m"])
def test_a_residual_sd_of_nearly_zero_is_refused(models, by):
    fit = models["mean"].result_
    posterior = fit.posterior.assign(sigma=fit.posterior["sigma"] * 1e-12)
    other = with_draws(fit, posterior=posterior)
    with pytest.raises(mlm.SpecificationError, match=r"standard deviation near \d.\de-1\d is too"):
        mlm.compare_weights({"mean": fit, "other": other}, by)


def test_large_matrices_of_effects_are_sparse_and_give_the_same(models, monkeypatch):
    fit, crossed = models["estimated"].result_, drawn(model_of("1 / n"), memberships(groups=20))
    few = with_draws(fit, posterior=fit.posterior.isel(draw=slice(5)))
    more_effects_than_rows = with_draws(
        crossed.result_, posterior=crossed.result_.posterior.isel(draw=slice(5))
    )
    for own in (few, more_effects_than_rows):
        for by in ("row", "m", "country"):
            dense = left_out(own, by)[0]["outcome"].values
            with monkeypatch.context() as patch:
                patch.setattr("pymc_mlm.comparison.gaussian.MOST_DENSE", 0)
                sparse = left_out(own, by)[0]["outcome"].values
            # Rounding alone: sums in another order.
            np.testing.assert_allclose(sparse, dense, rtol=1e-9)


def test_terms_alone_are_written_once_for_each_model(models, monkeypatch):
    fits = {name: replace(model.result_) for name, model in models.items()}
    monkeypatch.setattr("pymc.sample_posterior_predictive", None)
    mlm.compare_weights(fits)
    # The likelihood, and what only a sampler needs, cost most of the time.
    assert not any("model" in vars(fit) for fit in fits.values())


def test_what_cannot_be_compared_is_refused(models):
    with pytest.raises(mlm.SpecificationError, match="two models or more by name"):
        mlm.compare_weights({"mean": models["mean"]})
    with pytest.raises(mlm.SpecificationError, match="two models or more by name"):
        mlm.compare_weights([models["mean"], models["max"]])
    with pytest.raises(mlm.NotFittedError, match="The model 'new' is not fitted"):
        mlm.compare_weights({"mean": models["mean"], "new": model_of("1 / n")})
    fewer = drawn(model_of("1 / n"), memberships(groups=40))
    with pytest.raises(mlm.SpecificationError, match=r"fitted to other rows \(80 and 40\)"):
        mlm.compare_weights({"mean": models["mean"], "fewer": fewer})
    other = drawn(model_of("1 / n"), memberships().assign(y=lambda t: 2 * t["y"]))
    with pytest.raises(mlm.SpecificationError, match="have other outcomes"):
        mlm.compare_weights({"mean": models["mean"], "other": other})


def test_a_trial_is_refused(models):
    table = mlm.datasets.teaching_trial(schools=10, pupils=12)
    trial = mlm.MultivariateLogitTrial(["math", "reading"], arm="method", control="traditional")
    trial.fit(table, draws=200, random_seed=1)
    with pytest.raises(mlm.SpecificationError, match="'trial' has several outcomes"):
        mlm.compare_weights({"mean": models["mean"], "trial": trial})
