"""Laws of the trial model: likelihood, questions, reports, and every bad input by its text."""

from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.data.cells import outcome_contrasts
from pymc_mlm.data.trial_matrix import trial_matrix
from pymc_mlm.terms.cluster_effects import Z, as_cluster_prior
from pymc_mlm.trial.draws import population_cells, trial_draws
from pymc_mlm.trial.target import Target
from tests.models.trial_tables import COVARIATES, as_posterior, logp, trial_table

# ---------------------------------------------------------------------- likelihood


def test_one_outcome_is_logistic_regression():
    table = trial_table()
    trial = mlm.MultivariateLogitTrial(
        "y1", "group", control="old", covariates=["age"], interactions=False,
        priors={"beta": mlm.Prior("Normal", mu=0, sigma=2)},
    )  # fmt: skip
    beta = np.array([0.3, -0.4, 0.02])
    X = np.column_stack([np.ones(len(table)), table["group"] == "new", table["age"]])
    success = 1 / (1 + np.exp(-(X @ beta.T).astype(float)))
    expected = stats.bernoulli.logpmf(table["y1"], success).sum()
    expected += stats.norm.logpdf(beta, 0, 2).sum()
    np.testing.assert_allclose(logp(trial, table, beta=beta[None]), expected, rtol=1e-9)


def test_pairwise_equals_saturated_for_two_outcomes():
    table = trial_table()
    priors = {"beta": mlm.Prior("Normal", mu=0, sigma=1000)}
    saturated = mlm.MultivariateLogitTrial(**COVARIATES, priors=priors)
    pairwise = mlm.MultivariateLogitTrial(**COVARIATES, priors=priors, dependence="pairwise")
    eta = np.array([[0.2, 0.1, 0.01, 0.0], [0.1, -0.2, 0.0, 0.02], [0.5, 0.3, -0.01, 0.01]])
    psi = np.array([eta[0] + eta[1] + eta[2], eta[0], eta[1]])  # 11, 10, 01
    # The prior is flat to 1e-6 here, so equal densities mean equal likelihoods.
    np.testing.assert_allclose(
        logp(saturated, table, beta=psi), logp(pairwise, table, beta=eta), rtol=1e-6
    )


def test_the_default_prior_is_that_of_imaginary_persons_and_of_normal_slopes():
    table = trial_table()
    trial = mlm.MultivariateLogitTrial(**COVARIATES)
    design = trial._design(table)
    # 11, 10, 01; levels of the arms at the mean age, then their slopes.
    own = np.array([[0.3, -0.2, 0.5, 0.1], [0.1, 0.4, -0.3, 0.2], [-0.6, 0.2, 0.1, 0.3]])
    beta = own @ design.matrix.by_arm.T
    flat = mlm.MultivariateLogitTrial(
        **COVARIATES, priors={"beta": mlm.Prior("Normal", mu=0, sigma=1.0)}
    )
    loglik = logp(flat, table, beta=beta) - stats.norm.logpdf(beta).sum()
    prior = -3 * np.linalg.slogdet(design.matrix.by_arm)[1]
    for arm in (0, 1):
        phi = np.exp(np.append(own[:, arm], 0.0))
        phi /= phi.sum()
        prior += stats.dirichlet.logpdf(phi[:-1], [0.5] * 4) + np.log(phi).sum()
        # Log odds of y1 and y2, averaged over the other, and the log odds ratio.
        both, first, second = own[:, 2 + arm]
        gamma = [(both - second + first) / 2, (both - first + second) / 2, both - first - second]
        prior += stats.norm.logpdf(gamma, 0, 2.5).sum()
    np.testing.assert_allclose(logp(trial, table, beta=beta), loglik + prior, rtol=1e-9)


def test_the_default_is_scaled_by_its_two_parts():
    table = trial_table()
    given = {"cell_probability": mlm.Prior("Dirichlet", a=[1, 2, 3, 4])}
    given["slope"] = mlm.Prior("Normal", mu=0, sigma=0.5)
    trial = mlm.MultivariateLogitTrial(**COVARIATES, priors=given)
    frame = trial.priors(table).frame
    assert frame.index.tolist() == ["cell_probability", "slope"]
    assert frame.loc["cell_probability", "prior"] == "Dirichlet(1, 2, 3, 4) per arm"
    assert frame.loc["slope", "prior"] == "Normal(mu=0, sigma=0.5)"
    beta = pm.draw(
        trial._build(trial._design(table))["beta"], 200, random_seed=1, mode="FAST_COMPILE"
    )
    own = beta @ np.linalg.inv(trial._design(table).matrix.by_arm).T
    log_odds_ratio = own[:, 0, 2:] - own[:, 1, 2:] - own[:, 2, 2:]
    np.testing.assert_allclose(log_odds_ratio.std(), 0.5, rtol=0.13)
    share = np.exp(own[:, 0, :2]) / (1 + np.exp(own[:, :, :2]).sum(axis=1))
    np.testing.assert_allclose(share.mean(), 0.1, atol=0.02)


def test_prior_draws_have_the_spread_of_the_users_prior():
    prior = mlm.Prior("Normal", mu=0, sigma=2.5)
    trial = mlm.MultivariateLogitTrial(**COVARIATES, priors={"beta": prior})
    design = trial._design(trial_table())
    beta = pm.draw(trial._build(design)["beta"], 150, random_seed=1, mode="FAST_COMPILE")
    # 450 draws per column: 3.3% error of an sd.
    np.testing.assert_allclose(beta.std(axis=(0, 1)), 2.5, rtol=0.13)


def test_full_rows_equal_partial_rows_when_nothing_is_missing():
    table = trial_table()
    partial = table.assign(y1=table["y1"].astype(float))
    beta = np.full((3, 4), 0.01)
    trial = mlm.MultivariateLogitTrial(**COVARIATES)
    assert logp(trial, table, beta=beta) == logp(trial, partial, beta=beta)
    partial.loc[0, "y1"] = np.nan
    assert logp(trial, partial, beta=beta) > logp(trial, table, beta=beta)


def test_standardised_columns_give_the_same_linear_predictor(rng):
    x = rng.normal(5, 3, size=(30, 2))
    arm = rng.integers(0, 3, size=30)
    matrix = trial_matrix("arm", ["a", "b", "c"], x, ["u", "v"], True, None)
    standard = trial_matrix("arm", ["a", "b", "c"], x, ["u", "v"], True, None)
    scaled = standard.rows(arm, (x - x.mean(0)) / x.std(0))
    np.testing.assert_allclose(matrix.rows(arm, x) @ matrix.to_original, scaled, atol=1e-12)


@pytest.mark.parametrize("prior", ["lkj", "inverse_wishart"])
def test_roots_of_the_draws_are_the_roots_of_the_graph(rng, prior):
    slopes, contrasts, cluster_prior = 2, outcome_contrasts(2), as_cluster_prior(prior)
    coords = {
        "predictor": range(3),
        "contrast": range(3),
        "slope": range(2),
        "id": range(4),
        "cluster_dimension": range(6),
    }
    with pm.Model(coords=coords) as model:
        effects = cluster_prior.effects("id", slopes, contrasts)
    names = [rv.name for rv in model.free_RVs]
    *values, u = pm.draw([*model.free_RVs, effects], random_seed=rng, mode="FAST_COMPILE")
    drawn = dict(zip(names, values, strict=True))
    posterior = as_posterior({name: value[None] for name, value in drawn.items()})
    root = cluster_prior.roots(posterior, slopes, contrasts)[0]
    np.testing.assert_allclose(drawn[Z] @ root.T, u, rtol=1e-10)


def test_inverse_wishart_draws_have_its_moments():
    cluster_prior = mlm.InverseWishart(df=9, scale=2.0)
    coords = {"predictor": [0], "slope": range(2), "id": [0], "cluster_dimension": range(2)}
    with pm.Model(coords=coords) as model:
        cluster_prior.effects("id", 2, np.eye(1))
        drawn = pm.draw(model.free_RVs, draws=20_000, random_seed=1, mode="FAST_COMPILE")
    named = dict(zip([rv.name for rv in model.free_RVs], drawn, strict=True))
    root = cluster_prior.roots(as_posterior(named), 2, np.eye(1))
    covariance = (root @ np.swapaxes(root, 1, 2)).mean(axis=0)
    # Mean scale / (df - dim - 1) on the diagonal; Monte Carlo error below 1%.
    np.testing.assert_allclose(covariance, np.eye(2) * 2.0 / 6.0, atol=0.01)


# ---------------------------------------------------------------------- questions


def test_the_direct_path_is_dirichlet(direct):
    table = trial_table()
    theta = direct.success_probability()
    new = table[table["group"] == "new"]
    expected = stats.beta(1 + new["y1"].sum(), 1 + (1 - new["y1"]).sum())
    draws = theta.sel(arm="new", outcome="y1").values.ravel()
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-3
    assert "sample_stats" not in direct.idata


def test_predictions_of_the_direct_path_sum_its_cells():
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "group", control="old")
    trial.fit(trial_table(), draws=20, random_seed=1)
    found, cells = trial.predict(), trial.predict(kind="cell")
    assert found.dims == ("chain", "draw", "row", "outcome")
    assert found.coords["row"].equals(cells.coords["row"])
    expected = mlm.decisions.success_probability(cells, ["y1", "y2"])
    assert np.array_equal(found, expected)


def test_linear_predictors_of_the_direct_path_are_logits_against_no_success():
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "group", control="old")
    trial.fit(trial_table(), draws=20, random_seed=1)
    eta, cells = trial.predict(kind="eta"), trial.predict(kind="cell").values
    assert eta.coords["predictor"].values.tolist() == ["11", "10", "01"]
    np.testing.assert_allclose(np.exp(eta.values), cells[..., :-1] / cells[..., -1:])


def test_linear_predictors_of_persons_give_their_cells(clustered):
    eta = clustered.predict(kind="eta")
    assert eta.dims == ("chain", "draw", "row", "predictor")
    odds = np.exp(eta.values @ clustered.result_.design.trial.basis.T)
    free = odds / (1.0 + odds.sum(axis=-1, keepdims=True))
    cells = clustered.predict(kind="cell")
    np.testing.assert_allclose(cells.values[..., :-1], free, rtol=1e-9)


def test_effects_of_clusters_are_a_table_of_their_draws(clustered):
    draws, table = clustered.effect_draws(), clustered.effects(ci_prob=0.5)
    assert table.index.names == [*draws.dims[2:]]
    row = draws.isel(id=2, slope=0, predictor=1).values
    label = (draws["id"].values[2], draws["slope"].values[0], draws["predictor"].values[1])
    assert table.loc[label, "mean"] == pytest.approx(row.mean())
    assert table.loc[label, "eti50_ub"] == pytest.approx(np.quantile(row, 0.75))
    with pytest.raises(mlm.SpecificationError, match="the model has: id"):
        clustered.effects("hospital")


def test_every_draw_of_every_chain_answers(clustered):
    effect = clustered.treatment_effect()
    assert effect.dims == ("chain", "draw", "outcome")
    assert effect.shape == (2, 150, 2)
    assert np.isfinite(effect.values).all()


def test_observed_clusters_equal_a_loop_over_persons(clustered):
    design, posterior = clustered.result_.design, clustered.result_.posterior
    u = clustered.effect_draws().values[0, 3]  # (cluster, slope, predictor)
    beta = posterior["beta"].values[0, 3]
    theta = []
    for arm in (0, 1):
        X = design.matrix.rows(np.full(len(design.X), arm), design.covariates.X)
        slopes = design.matrix.random_rows(X)
        psi = X @ beta.T + np.einsum("ir,irm->im", slopes, u[design.cluster_codes])
        phi = np.exp(np.column_stack([psi, np.zeros(len(psi))]))
        phi /= phi.sum(axis=1, keepdims=True)
        theta.append([(phi[:, 0] + phi[:, 1]).mean(), (phi[:, 0] + phi[:, 2]).mean()])
    got = clustered.treatment_effect(estimand="observed_clusters").values[0, 3]
    np.testing.assert_allclose(got, np.subtract(theta[1], theta[0]), rtol=1e-10)


def test_rows_by_arm_average_each_arm_over_its_own(covariate):
    fitted = covariate.predict().values  # (chain, draw, row, outcome)
    arm = covariate.result_.design.trial.arm.codes
    expected = fitted[:, :, arm == 1].mean(axis=2) - fitted[:, :, arm == 0].mean(axis=2)
    np.testing.assert_allclose(
        covariate.treatment_effect(covariate_rows="arm").values, expected, rtol=1e-9
    )


def test_without_spread_between_clusters_the_estimands_agree(clustered):
    prior = as_cluster_prior("lkj")
    posterior = clustered.result_.posterior.copy()
    posterior["cluster_sd"] = posterior["cluster_sd"] * 0.0
    draws = trial_draws(clustered.result_.design, posterior, prior)
    typical, observed, new = (
        population_cells(draws, Target(estimand=e))
        for e in ("typical_cluster", "observed_clusters", "new_cluster")
    )
    np.testing.assert_allclose(observed, typical, rtol=1e-9)
    np.testing.assert_allclose(new, typical, rtol=1e-9)


def test_a_table_of_the_sample_is_the_sample(covariate):
    got = covariate.treatment_effect(population=trial_table()[["age", "sex"]])
    np.testing.assert_allclose(got.values, covariate.treatment_effect().values, rtol=1e-9)


def test_the_bootstrap_adds_uncertainty_and_keeps_the_mean(covariate):
    plain = covariate.success_probability()
    boot = covariate.success_probability(weights="bayesian_bootstrap")
    assert np.abs(plain.mean(("chain", "draw")) - boot.mean(("chain", "draw"))).max() < 0.01
    assert (boot.values != plain.values).all()


def test_a_curve_at_a_value_is_the_effect_at_that_value(covariate):
    curve = covariate.treatment_effect_curve("age", [40.0, 60.0])
    at_60 = covariate.treatment_effect(population=mlm.populations.Value(age=60.0))
    np.testing.assert_allclose(curve.sel(age=60.0).values, at_60.values, rtol=1e-12)
    assert covariate.treatment_effect_curve("sex")["sex"].values.tolist() == ["f", "m"]


def test_measures_agree_with_the_success_probabilities(covariate):
    theta = covariate.success_probability()
    ratio = theta.sel(arm="new", drop=True) / theta.sel(arm="old", drop=True)
    np.testing.assert_allclose(covariate.treatment_effect(measure="ratio").values, ratio.values)
    odds = covariate.treatment_effect(measure="odds_ratio")
    assert ((odds.values > 1) == (ratio.values > 1)).all()


def test_a_decision_reports_both_kinds_of_evidence(clustered):
    decision = clustered.probability(mlm.rules.Compensatory((0.7, 0.3)), alternative="two-sided")
    assert decision.evidence[0].threshold == 0.975
    assert "Joint posterior probability" in str(decision)


def test_new_clusters_are_shared_by_their_rows(clustered):
    new = pd.DataFrame({"id": ["x", "x", "c00"], "group": ["new"] * 3, "age": [50.0] * 3})
    draws = clustered.predict(new, random_seed=1)
    np.testing.assert_array_equal(draws.values[:, :, 0], draws.values[:, :, 1])
    known = trial_table().query("id == 'c00'").head(1)
    np.testing.assert_allclose(
        clustered.predict(known).values[:, :, 0],
        clustered.predict(known, random_seed=9).values[:, :, 0],
    )
    assert set(np.unique(clustered.predict(new, kind="outcome", random_seed=1))) <= {0, 1}


def test_the_observed_outcomes_are_kept(clustered):
    assert clustered.idata["observed_data"]["outcomes"].shape == (120, 2)


def test_a_copy_has_the_same_arguments(clustered):
    copy = clustered.__sklearn_clone__()
    assert copy.get_params() == clustered.get_params()
    assert not hasattr(copy, "result_")


# ---------------------------------------------------------------------- what just works


@pytest.mark.parametrize(
    "change",
    [
        {"group": lambda t: (t["group"] == "new").astype(int)},
        {"group": lambda t: t["group"] == "new"},
        {"y1": lambda t: t["y1"] == 1},
    ],
)
def test_codings_that_bmco_refuses_just_work(change):
    table = trial_table().assign(**change)
    control = None if "group" in change else "old"
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "group", control=control)
    assert trial.fit(table, draws=100).treatment_effect().sizes["outcome"] == 2


def test_three_outcomes_and_three_arms():
    table = trial_table()
    table.loc[::3, "group"] = "third"
    trial = mlm.MultivariateLogitTrial(["y1", "y2", "y3"], "group", control="old")
    trial.fit(table, draws=500, random_seed=1)
    with pytest.raises(mlm.SpecificationError, match="treatment='new'"):
        trial.treatment_effect()
    assert trial.treatment_effect(treatment="third").sizes["outcome"] == 3


RANDOM_TERMS = {
    "1 + site": ("Intercept", "site[T.b]", "site[T.c]"),
    "age + arm": ("Intercept", "arm[1]", "age"),
    "0 + age:arm": ("arm[1]:age",),
    "1 + site:age": ("Intercept", "site[T.b]:age", "site[T.c]:age"),
    "C(site, 'b')": None,
    "1 + age:site:arm": None,
    "fix(age, 1)": None,
    "1 + `": None,
}


@pytest.mark.parametrize("random", RANDOM_TERMS)
def test_terms_that_vary_are_terms_and_not_parts_of_labels(random, rng):
    n = 120
    table = pd.DataFrame(
        {
            "y": rng.integers(0, 2, n),
            "arm": np.tile([0, 1], n // 2),
            "site": np.tile(list("aabbcc"), n // 6),
            "age": rng.normal(size=n),
            "clinic": np.repeat(np.arange(20), 6),
        }
    )
    trial = partial(mlm.MultivariateLogitTrial, "y", "arm", covariates="site * age")
    if (wanted := RANDOM_TERMS[random]) is None:
        with pytest.raises(mlm.SpecificationError, match=r"random=|cannot be read"):
            trial(cluster="clinic", random=random)._design(table)
    else:
        found = trial(cluster="clinic", random=random)._design(table)
        assert found.matrix.random_names == wanted
