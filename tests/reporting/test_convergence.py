"""The table of diagnostics: its figures, its order, its advice."""

import warnings

import arviz_stats
import numpy as np
import pytest
import xarray as xr

import pymc_mlm as mlm
from tests.mocked import PriorDraws

RNG = np.random.default_rng(3)
TABLE = {"y": RNG.normal(size=40), "x": RNG.normal(size=40), "u": np.tile(range(8), 5)}


@pytest.fixture(scope="module")
def model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = mlm.MultipleMembershipModel("y ~ x", mlm.hm("u"))
        return made.fit(TABLE, sampler=PriorDraws(), draws=400, chains=2, path="sampled")


def with_draws(model, name, values):
    """Return the posterior with other draws of a variable."""
    tree = model.result_.idata
    before = tree["posterior"].to_dataset()
    tree["posterior"] = before.assign({name: before[name].copy(data=values)})
    return before


def test_figures_are_those_of_arviz(model):
    table = model.diagnostics()
    draws = model.result_.posterior["sigma"]
    row = table.frame.loc["sigma"]
    assert row["r_hat"] == pytest.approx(float(arviz_stats.rhat(draws)))
    assert row["ess_tail"] == pytest.approx(float(arviz_stats.ess(draws, method="tail")))
    assert row["mcse_sd"] == pytest.approx(float(arviz_stats.mcse(draws, method="sd")))
    assert row["mcse_per_sd"] == pytest.approx(row["mcse_mean"] / float(draws.std(ddof=1)))
    assert table.frame["ess_bulk"].is_monotonic_increasing
    assert {"Intercept", "x", "sd [hm u]", "sigma"} == {*table.frame.index}
    assert "no divergence" in str(table)
    assert [*model.diagnostics(("sd",)).frame.index] == ["sd [hm u]"]
    with pytest.raises(mlm.SpecificationError, match="kinds"):
        model.diagnostics("sd")


def test_bad_draws_get_advice(model):
    shape = model.result_.posterior["sigma"].shape
    drifting = np.abs(np.cumsum(RNG.normal(size=shape), axis=1))
    drifting[1] += 50.0
    before = with_draws(model, "sigma", drifting)
    try:
        text = str(model.diagnostics())
    finally:
        model.result_.idata["posterior"] = before
    assert "R-hat is" in text
    assert "the mean of sigma" in text.lower()
    assert "no divergence" not in text


def test_a_picture_of_one_parameter_has_its_diagnostics(model):
    import matplotlib

    matplotlib.use("Agg")
    collection = model.plot("trace", var_names="sigma")
    axes = collection.get_target("sigma", {"column": "trace"})
    assert axes.get_title(loc="right").startswith("R-hat ")
    assert "MCSE" in axes.get_title(loc="right")


def test_a_trial_has_the_table_too():
    table = {"a": [0, 1, 1, 0, 1, 0], "b": [1, 1, 0, 0, 1, 0], "arm": [0, 1, 0, 1, 0, 1]}
    trial = mlm.MultivariateLogitTrial(["a", "b"], "arm").fit(table, random_seed=1)
    assert len(trial.diagnostics().frame) == 8


def test_weighted_draws_have_the_effective_size_of_their_weights():
    made = mlm.MultipleMembershipModel("y ~ x", mlm.hm("u"))
    made.fit({**TABLE, "y": TABLE["y"] + np.tile(RNG.normal(size=8), 5)}, path="collapsed",
             draws=100, chains=2, random_seed=1)  # fmt: skip
    table = made.diagnostics()
    size = made.result_.posterior.attrs["effective_size"]
    assert (table.frame["ess_bulk"] == size).all()
    assert "weighted to the posterior" in str(table)
    assert isinstance(made.result_.idata, xr.DataTree)
