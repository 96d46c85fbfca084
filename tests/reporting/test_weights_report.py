"""The report of weights: figures by hand, and verdicts at draws that are known."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.reporting.weights_report import weights_report
from tests.mocked import PriorDraws

DRAWS = 4000


def fit_prior(model, data, draws):
    """Draws of the prior in the place of a posterior; whatever they lack is beside the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        model.fit(data, draws=draws, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(4)
    group = np.repeat(range(30), 3)
    data = {
        "g": group, "m": rng.integers(0, 12, 90), "x": rng.normal(size=90),
        "z": rng.normal(size=90), "y": rng.normal(size=30)[group],
    }  # fmt: skip
    fitted = mlm.MultipleMembershipModel(
        "y ~ 1", mlm.mm("m", "g", covariates="z", weight="exp(b * x)")
    )
    fit_prior(fitted, data, DRAWS // 2)
    return fitted


def reported(model, **draws):
    """The report with some draws replaced: mean, sd, of normals."""
    rng, posterior = np.random.default_rng(1), model.result_.posterior
    new = {
        n: (posterior[n].dims, rng.normal(*v, size=posterior[n].shape)) for n, v in draws.items()
    }
    tree = xr.DataTree.from_dict({"posterior": posterior.assign(new)})
    return weights_report(replace(model.result_, idata=tree))


def test_a_posterior_that_is_the_prior_is_not_identified(model):
    report = model.weights_report()
    assert set(report.frame["verdict"]) == {"not identified"}
    assert np.abs(report.frame["contraction"]).max() < 0.1
    assert report.notes[0].startswith("Not identified: weight b [mm m], the weights. What the")
    assert "weights_report(equal=that_model)" in report.notes[-1]


def test_contraction_is_one_less_the_ratio_of_variances(model):
    report = reported(model, m_weight_b=(1.0, 0.3), m_beta=(1.0, 0.1), m_sd=(1.0, 0.1))
    row = report.frame.loc["weight b [mm m]"]
    assert row["prior_sd"] == pytest.approx(1.0, rel=0.03)
    assert row["contraction"] == pytest.approx(1 - 0.3**2, abs=0.01)
    assert row["verdict"] == "identified"
    assert report.notes[0].startswith("Identified: weight b [mm m], the weights. The posterior")


def test_the_spread_of_weights_is_that_of_each_row(model):
    report = reported(model, m_weight_b=(1.0, 0.3), m_beta=(1.0, 0.1), m_sd=(1.0, 0.1))
    design, draws = (
        model.result_.design.terms[0][1],
        np.random.default_rng(5).normal(1, 0.3, 20_000),
    )
    x, g = design.weight_columns["x"], design.membership.group
    raw = np.exp(draws[:, None] * x)
    w = raw / np.stack([np.bincount(g, r) for r in raw])[:, g]
    expected = np.sqrt(w.var(axis=0).mean())
    assert report.frame.loc["the weights", "sd"] == pytest.approx(expected, rel=0.15)


def test_a_clear_effect_with_hardly_any_contraction_is_weak(model):
    report = reported(model, m_weight_b=(0.0, 0.9), m_beta=(1.0, 0.1), m_sd=(1.0, 0.1))
    assert report.frame["verdict"].iloc[0] == "weak"
    assert report.notes[0].startswith("Weak: ")


def test_a_wide_prior_does_not_make_weights_identified(model):
    """Contraction of b is large, and the weights are as unknown as before."""
    wide = mlm.mm("m", "g", covariates="z", weight="exp(b * x)",
                  priors={"b": mlm.Prior("Normal", mu=0, sigma=1000)})  # fmt: skip
    other = mlm.MultipleMembershipModel("y ~ 1", wide)
    fit_prior(other, model.result_.table, 200)
    report = reported(other, m_weight_b=(0.0, 100.0), m_beta=(1.0, 0.1), m_sd=(1.0, 0.1))
    assert report.frame["contraction"].iloc[0] > 0.9
    assert report.frame.loc["the weights", "verdict"] == "weak"


def test_parameters_that_move_together_are_named(model):
    posterior = model.result_.posterior
    b = np.random.default_rng(1).normal(1, 0.3, size=posterior["m_weight_b"].shape)
    new = {"m_weight_b": (posterior["m_weight_b"].dims, b),
           "m_beta": (posterior["m_beta"].dims, (3 - b)[..., None])}  # fmt: skip
    tree = xr.DataTree.from_dict({"posterior": posterior.assign(new)})
    report = weights_report(replace(model.result_, idata=tree))
    assert report.frame["corr z [mm m]"].iloc[0] == pytest.approx(-1.0)
    assert any("hardly separable from z [mm m]" in note for note in report.notes)


def test_the_elpd_is_that_of_arviz(model):
    import arviz as az

    pair = []
    for weight in ("exp(b * x)", "1 / n"):
        pair.append(mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", weight=weight)))
        fit_prior(pair[-1], model.result_.table, 500)
    text = pair[0].weights_report(equal=pair[1]).notes[-1]
    trees = [m.extend("log_likelihood") for m in pair]
    one, two = (az.loo(tree, pointwise=True, reff=1.0).elpd_i.values for tree in trees)
    error = np.sqrt(30) * (one - two).std(ddof=1)
    assert f"(PSIS-LOO): {(one - two).sum():.1f}, standard error {error:.1f}" in text


def test_models_of_other_tables_are_not_compared(model):
    part = {n: v[:60] for n, v in
            {c: np.asarray(model.result_.table.parts[c]) for c in "gmzy"}.items()}  # fmt: skip
    other = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", covariates="z"))
    fit_prior(other, part, 50)
    with pytest.raises(mlm.SpecificationError, match=r"fitted to 20 rows or groups and this .* 30"):
        model.weights_report(equal=other)


def test_known_weights_have_no_report(model):
    equal = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g"))
    fit_prior(equal, model.result_.table, 50)
    with pytest.raises(mlm.SpecificationError, match="No term with estimated weights"):
        equal.weights_report()
    with pytest.raises(mlm.SpecificationError, match=r"No term 'k' .* has: m"):
        model.weights_report("k")
