"""Summaries and pictures of a trial, and what they count."""

import warnings

import arviz_stats
import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.intervals import interval_names
from pymc_mlm.reporting.trial_plots import _on_one_scale
from tests.models.trial_tables import COVARIATES, trial_table


def test_the_summary_says_everything(clustered):
    text = str(clustered.summary())
    for part in (
        "Success probabilities", "posterior probability of the rule", "Rule Any", "Coefficients",
        "Cluster effects", "min ESS", "new_cluster", "Prior of cluster_sd",
        "group[new]:age", "12 of 12 clusters",
    ):  # fmt: skip
        assert part in text
    assert "<table" in clustered.summary()._repr_html_()


def test_the_table_of_clusters_holds_means_with_their_diagnostics(clustered):
    table, sd = clustered.summary().clusters, clustered.idata.posterior["cluster_sd"]
    every = ("chain", "draw")
    np.testing.assert_allclose(table["sd"], sd.mean(every).values.ravel())
    np.testing.assert_allclose(table["sd_of_sd"], sd.std(every, ddof=1).values.ravel())
    np.testing.assert_allclose(table["variance"], (sd**2).mean(every).values.ravel())
    # Both rank the draws, which the root of a square moves in the last digit.
    np.testing.assert_allclose(table["r_hat"], arviz_stats.rhat(sd).values.ravel(), rtol=2e-3)
    ess = arviz_stats.ess(sd, method="bulk").values.ravel()
    np.testing.assert_allclose(table["ess_bulk"], ess, rtol=0.02)
    assert "posterior means of sd, variance and correlations" in str(clustered.summary())


def test_ratios_in_the_summary_are_called_what_they_are(covariate):
    table, bounds = covariate.summary().relative, interval_names()
    for measure, name in (("ratio", "ratio"), ("odds_ratio", "odds ratio")):
        draws = covariate.treatment_effect(measure=measure)
        low, middle, high = draws.quantile([0.025, 0.5, 0.975], ("chain", "draw")).values
        np.testing.assert_allclose(table[name], middle)
        np.testing.assert_allclose(table[f"{name} {bounds[0]}"], low)
        np.testing.assert_allclose(table[f"{name} {bounds[1]}"], high)
    assert table["number needed to treat"].str.startswith("NNT").all()


def test_draws_are_named_by_what_they_are(covariate):
    asked = ("cell_probability", "success_probability", "correlation", "treatment_effect")
    assert [getattr(covariate, name)().name for name in asked] == list(asked)


def test_the_summary_of_the_direct_path_has_no_coefficients(direct):
    text = str(direct.summary())
    assert "Coefficients" not in text
    assert "40000 independent draws" in text


@pytest.mark.parametrize(
    "kind", ["treatment_effects", "joint", "curve", "effects", "forest", "trace"]
)
def test_every_plot_is_drawn(clustered, kind):
    import matplotlib.pyplot as plt

    extra = {"rule": mlm.rules.Any()} if kind == "joint" else {}
    extra |= {"grid": [40.0, 50.0]} if kind == "curve" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert clustered.plot(kind, **extra) is not None
    plt.close("all")


def test_priors_are_listed(clustered):
    frame = clustered.priors().frame
    names = ["cell_probability", "slope", "cluster_sd", "cluster_partial"]
    assert frame.index.tolist() == names
    assert frame.loc["cell_probability", "prior"] == "Dirichlet(0.25) per arm"
    assert frame.loc["slope", "prior"] == "Normal(mu=0, sigma=2.5)"


def test_plots_take_the_questions_of_effects(covariate):
    import matplotlib.pyplot as plt

    figure = covariate.plot("treatment_effects", measure="ratio", weights="bayesian_bootstrap")
    null = figure.axes[0].lines[-1].get_xdata()[0]
    plt.close("all")
    assert null == 1.0


def test_pictures_of_coefficients_are_per_sd_of_centred_covariates(covariate):
    drawn = _on_one_scale(covariate.result_)["beta per sd"]
    beta = covariate.result_.posterior["beta"]
    X = covariate.result_.design.X
    age = beta.sel(covariate="age")
    assert np.allclose(drawn.sel(covariate="age"), age * X[:, 2].std())
    # The same linear predictor.
    standard = X @ covariate.result_.design.matrix.to_original
    assert np.allclose(
        drawn.isel(chain=0, draw=0).values @ standard.T, beta.isel(chain=0, draw=0).values @ X.T
    )


def test_missing_covariates_and_outcomes_are_counted():
    table = trial_table()
    table["y1"] = table["y1"].astype(float)
    table.loc[[0, 1], "age"] = np.nan
    table.loc[2, "y1"] = np.nan
    trial = mlm.MultivariateLogitTrial(**COVARIATES, missing="drop")
    notes = " ".join(trial.specification.notes(trial._design(table)))
    assert "2 rows left out: 'age' is missing" in notes
    assert "1 rows lack some outcomes" in notes


def test_single_rows_and_one_arm_clusters_are_reported():
    table = trial_table()
    table.loc[0, "id"] = "alone"
    trial = mlm.MultivariateLogitTrial(**COVARIATES, cluster="id")
    notes = " ".join(trial.specification.notes(trial._design(table)))
    assert "1 of 13 clusters ('id') have one row" in notes
    assert "lie in one arm only" in notes
    # With both arms on the same rows the observed clusters do carry their sampling.
    assert "each arm over its own observed clusters (covariate_rows='arm', as bmco)" in notes
