"""Calls of the R package bmco: every argument is translated, explained, or refused by its name."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.terms.cluster_effects import Z
from pymc_mlm.trial.bmco import NOT_NEEDED

CALL = {
    "grp": "method",
    "grp_a": "traditional",
    "grp_b": "new_method",
    "id_var": "school_id",
    "x_var": "baseline_ability",
    "y_vars": ["math_pass", "reading_pass"],
}
X, ARM_X = "baseline_ability", "method_baseline_ability"
FIXED = ["method", X, ARM_X]


def bmco(**change):
    call = CALL | change
    return mlm.MultivariateLogitTrial.from_bmco(**{k: v for k, v in call.items() if v is not None})


def table(rows=120, seed=2):
    rng = np.random.default_rng(seed)
    school = np.arange(rows) % 12
    return pd.DataFrame(
        {
            "school_id": school,
            "method": np.where(school % 2, "new_method", "traditional"),
            X: rng.normal(50, 10, size=rows),
            "math_pass": rng.integers(0, 2, size=rows),
            "reading_pass": rng.integers(0, 2, size=rows),
        }
    )


def solve_diag(value, size=2):
    """R's solve(diag(value, size))."""
    return np.linalg.inv(np.eye(size) * value)


# The calls of bmco's vignette on multilevel models, argument by argument.
VIGNETTE = {
    "first example": {
        "x_method": "Empirical", "x_def": (-np.inf, np.inf), "fixed": FIXED,
        "random": ["Intercept"], "test": "right_sided", "rule": "All",
        "n_burn": 200, "n_it": 500, "n_thin": 1,
    },
    "weakly informative": {
        "b_mu0": np.zeros(2), "b_sigma0": solve_diag(10.0), "g_mu0": np.zeros(2),
        "g_sigma0": solve_diag(10.0), "nu0": 2, "tau0": np.eye(2) * 0.1,
    },
    "skeptical": {
        "b_mu0": np.zeros(2), "b_sigma0": solve_diag(1.0), "g_mu0": np.zeros(2),
        "g_sigma0": solve_diag(1.0), "nu0": 2 + 4, "tau0": np.eye(2) * 0.05,
    },
    "diagnostics": {
        "x_method": "Value", "x_def": 50, "n_burn": 200, "n_it": 500, "n_thin": 1,
        "start": (0.5, 1), "return_diagnostics": True,
    },
    "rule Any": {"rule": "Any"},
    "rule Comp without weights": {"rule": "Comp"},
    "long chains, kept samples": {
        "n_burn": 2e3, "n_it": 5e3, "n_thin": 10, "n_chain": 2, "return_thinned": True,
        "return_diagnostic_plots": True, "return_samples": True,
    },
    "subpopulation": {"x_method": "Analytical", "x_def": (40, 60)},
    "nothing is a sequence": {"fixed": FIXED, "random": "Intercept", "y_vars": "math_pass"},
}  # fmt: skip


@pytest.mark.parametrize("change", VIGNETTE.values(), ids=VIGNETTE)
def test_every_call_of_the_vignette_builds(change):
    call = bmco(**change, data=table())
    assert isinstance(call.trial.build(call.data), pm.Model)


def test_the_default_terms_are_those_of_bmco():
    call = bmco()
    assert call.trial.random == "1 + arm"
    assert call.trial.interactions
    assert call.notes == (
        "random is not given: as in bmco, Intercept and method vary by school_id.",
    )
    assert bmco(fixed=FIXED, random="Intercept").trial.random == "1"
    assert bmco(random=None, id_var=None).trial.cluster is None


def test_the_length_of_the_chains_is_kept():
    call = bmco(n_burn=1e4, n_it=500, n_chain=2)
    assert call.fit_arguments == {"tune": 10_000, "draws": 500, "chains": 2}
    direct = bmco(id_var=None, x_var=None, n_it=1e4, n_burn=5)
    assert direct.fit_arguments == {"draws": 10_000}
    assert direct.notes == ("n_burn is not needed: the posterior is drawn directly.",)


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_what_is_not_needed_is_said(name):
    (note,) = bmco(fixed=FIXED, random="Intercept", **{name: 1}).notes
    assert note.startswith(f"{name} is not needed: ")


def test_a_call_prints_its_notes():
    text = repr(bmco(start=(0.5, 1), n_it=500))
    assert "MultivariateLogitTrial" in text
    assert "fit: {'draws': 500}" in text
    assert "start is not needed: every chain finds a starting point" in text


def test_equal_weights_are_bmcos_default():
    call = bmco(rule="Comp")
    assert call.question["rule"] == mlm.rules.Compensatory((0.5, 0.5))
    assert "equal weights, 1/2 for every outcome, as in bmco" in call.notes[-1]


def test_a_call_with_data_decides():
    call = bmco(id_var=None, x_var=None, n_it=2_000, data=table())
    decision = call.decide(random_seed=1)
    assert call.trial.result_.posterior.sizes["draw"] == 2_000
    assert 0 < decision.joint_probability < 1
    with pytest.raises(mlm.SpecificationError, match="names no data"):
        bmco().decide()


def test_names_are_understood():
    trial, question = bmco(
        x_def=(-np.inf, 45), fixed=FIXED, random=["Intercept"], test="left_sided", rule="Comp",
        w=(0.7, 0.3),
    )  # fmt: skip
    assert trial.interactions
    assert trial.random == "1"
    assert trial.cluster_prior == mlm.InverseWishart(None, 0.1)
    np.testing.assert_allclose(trial.priors_given["beta"].parameters["sigma"], np.sqrt(10))
    assert question["population"] == mlm.populations.Range(X, -np.inf, 45)
    assert question["alternative"] == "less"
    assert question["estimand"] == "observed_clusters"


def test_each_arm_is_averaged_over_its_own_clusters_also_without_a_covariate():
    _, question = bmco(x_var=None)
    assert question["estimand"] == "observed_clusters"
    assert question["covariate_rows"] == "arm"


@pytest.mark.parametrize(
    "given",
    [
        {"priors": {"b_sigma0": 1.0, "g_sigma0": 0.25}},
        {"b_sigma0": [1.0, 1.0, 1.0], "g_sigma0": [[0.25]]},
    ],
    ids=["numbers in priors", "a vector and a matrix"],
)
def test_sigma0_is_a_precision(given):
    trial, _ = bmco(fixed=FIXED, random=["Intercept"], **given)
    assert trial.priors_given["beta"].parameters["sigma"].tolist() == [2.0, 1.0, 1.0, 1.0]


def test_vectors_follow_bmcos_order_of_the_terms():
    # fixed first, then random, each in the order of the call; columns: intercept, arm, x, arm:x.
    trial, _ = bmco(
        fixed=[ARM_X, X], random=["method", "Intercept"],
        b_mu0=[1.0, 2.0], g_mu0=[3.0, 4.0], b_sigma0=[1.0, 4.0], g_sigma0=[16.0, 0.25],
    )  # fmt: skip
    prior = trial.priors_given["beta"].parameters
    assert prior["mu"].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert prior["sigma"].tolist() == [2.0, 0.25, 0.5, 1.0]


def test_a_precision_matrix_is_a_correlated_normal_in_every_row(rng):
    precision = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 4.0]])
    call = bmco(
        fixed=FIXED, random="Intercept", b_mu0=[0.1, 0.2, 0.3], b_sigma0=precision, g_sigma0=0.5
    )
    model = call.trial.build(table())
    beta = rng.normal(size=(3, 4))
    full = np.zeros((4, 4))
    full[0, 0], full[1:, 1:] = 0.5, precision
    expected = stats.multivariate_normal([0.0, 0.1, 0.2, 0.3], np.linalg.inv(full)).logpdf(beta)
    with model:
        logp = pm.logp(model["beta"], beta).eval(mode="FAST_COMPILE")
    assert logp.sum() == pytest.approx(expected.sum(), rel=1e-9)


# ---------------------------------------------------------------------- clusters


def as_posterior(drawn):
    """Draws by name, shape (draw, ...), as a posterior of one chain."""
    return xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(v.ndim - 1))), v[None])
            for name, v in drawn.items()
        }
    )


def prior_covariances(trial, data, draws):
    """Prior draws of the covariance of a school's effects of the columns as they are."""
    design = trial._design(data)
    model = trial._build(design)
    variables = [model["cluster_variance"], model["cluster_chain"]]
    values = pm.draw(variables, draws=draws, random_seed=1, mode="FAST_COMPILE")
    posterior = as_posterior({v.name: x for v, x in zip(variables, values, strict=True)})
    slopes, predictors = len(design.matrix.random), len(design.trial.predictors)
    root = trial.specification.trial_priors.clusters(design.matrix).roots(
        posterior, slopes, design.contrasts
    )
    root = root.reshape(draws, slopes, predictors, slopes, predictors)[:, :, 1, :, 1]
    if not trial.cluster_prior.standardised:
        root = design.matrix.random_to_original() @ root
    return root @ np.swapaxes(root, 1, 2)


@pytest.mark.parametrize("random", [["Intercept", "method"], ["method", X, "Intercept"]])
def test_tau0_is_the_scale_of_the_covariance_of_the_columns_as_they_are(random):
    size = len(random)
    tau0 = np.eye(size) + 0.3 * (np.ones((size, size)) - np.eye(size))
    tau0[0] *= 0.5
    tau0[:, 0] *= 0.5
    fixed = [term for term in ("Intercept", *FIXED) if term not in random]
    trial, _ = bmco(fixed=fixed, random=random, nu0=12, tau0=tau0)
    data = table()
    data[X] = (data[X] - 45) / 10  # A covariate whose slope and intercept are of one size.
    found = prior_covariances(trial, data, 20_000).mean(axis=0)
    order = [random.index(term) for term in ("Intercept", "method", X) if term in random]
    expected = stats.invwishart(12, tau0).mean()[np.ix_(order, order)]
    # Monte Carlo error below 1% of the largest entry.
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())


def test_a_scale_matrix_gives_the_moments_of_scipy():
    scale = np.array([[1.0, 0.6, 0.2], [0.6, 2.0, -0.4], [0.2, -0.4, 0.5]])
    df = 24
    prior = mlm.InverseWishart(df=df, scale=scale)
    coords = {"predictor": [0], "slope": range(3), "id": [0], "cluster_dimension": range(3)}
    with pm.Model(coords=coords) as model:
        effects = prior.effects("id", 3, np.eye(1))
    drawn = pm.draw([*model.free_RVs, effects], draws=10_000, random_seed=1, mode="FAST_COMPILE")
    names = [rv.name for rv in model.free_RVs]
    posterior = as_posterior(dict(zip(names, drawn[:-1], strict=True)))
    root = prior.roots(posterior, 3, np.eye(1))
    np.testing.assert_allclose(np.einsum("sij,sj->si", root, posterior[Z].values[0, :, 0]),
                               drawn[-1][:, 0], atol=1e-10)  # fmt: skip
    covariance = root @ np.swapaxes(root, 1, 2)
    mean = stats.invwishart(df, scale).mean()
    np.testing.assert_allclose(covariance.mean(0), mean, atol=0.02 * mean.max())
    # Variance of an element, by Press (1982) with n = df - 4: (n + 2) S_ij^2 + n S_ii S_jj over
    # (n + 1) n^2 (n - 2) for dimension 3. Monte Carlo error about 2%.
    n, diagonal = df - 4, np.diag(scale)
    variance = (n + 2) * scale**2 + n * np.outer(diagonal, diagonal)
    expected = np.sqrt(variance / ((n + 1) * n**2 * (n - 2)))
    np.testing.assert_allclose(covariance.std(0), expected, rtol=0.08)


@pytest.mark.parametrize(
    "scale", [np.zeros((2, 2)), [[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.1], [0.2, 1.0]], [0.1, 0.1]]
)
def test_a_scale_matrix_is_positive_definite(scale):
    with pytest.raises(mlm.SpecificationError, match="symmetric, positive definite matrix"):
        mlm.InverseWishart(scale=scale)


def test_a_scale_matrix_has_a_row_for_every_varying_coefficient():
    trial = mlm.MultivariateLogitTrial(
        "math_pass", "method", control="traditional", cluster="school_id",
        cluster_prior=mlm.InverseWishart(scale=np.eye(2)),
    )  # fmt: skip
    with pytest.raises(mlm.SpecificationError, match="has 2 rows, and 1 coefficient"):
        trial.build(table())


# ---------------------------------------------------------------------- what is refused

REFUSED = {
    "rule": ({"rule": "Best"}, "'All', 'Any' and 'Comp'"),
    "weights of another length": ({"rule": "Comp", "w": (1, 1, 1)}, "one weight of zero or more"),
    "negative weights": ({"rule": "Comp", "w": (1, -1)}, "one weight of zero or more"),
    "test": ({"test": "up"}, "right_sided"),
    "method": ({"x_method": "Mean"}, "'Analytical'"),
    "value without one": ({"x_method": "Value"}, "'Value' takes one value"),
    "value of two": ({"x_method": "Value", "x_def": (40, 60)}, "'Value' takes one value"),
    "range of one": ({"x_def": 40}, "lower and an upper bound"),
    "range in the wrong order": ({"x_def": (60, 40)}, "low must be below high"),
    "range without covariate": (
        {"x_var": None, "id_var": None, "x_def": (1, 2)}, "need a covariate"),
    "unknown term": ({"fixed": ["z"]}, "'z' is no term of bmco"),
    "group left out, as by bmco's default": (
        {"random": "Intercept"}, "leave out method: bmco would fit a model without it"),
    "intercept left out": ({"fixed": FIXED[1:], "random": "method"}, "leave out Intercept"),
    "covariate left out": ({"fixed": [ARM_X]}, f"leave out {X}"),
    "a term that is fixed and random": (
        {"random": ["Intercept", "method", X]}, "named 2 times in fixed"),
    "a slope without the intercept": (
        {"fixed": ["Intercept", "method", ARM_X], "random": [X]}, "Name Intercept in random"),
    "an interaction without the group": (
        {"fixed": ["method", X], "random": ["Intercept", ARM_X]}, "Name method in random"),
    "nothing random": ({"random": []}, "Leave id_var out"),
    "random without clusters": ({"id_var": None, "random": "Intercept"}, "id_var is not given"),
    "terms without covariate": (
        {"id_var": None, "x_var": None, "fixed": ["method"]}, "belongs to bglmm"),
    "unknown prior": ({"priors": {"tau": 1}}, "bmco has no prior 'tau'"),
    "unknown argument": ({"n_iter": 1}, "bmco has no argument 'n_iter'.*n_it"),
    "a prior twice": ({"b_mu0": 0, "priors": {"b_mu0": 0}}, "given twice"),
    "a prior of another function": ({"prior_a": 1.0}, "a prior of bmvb, and this call is.*bglmm"),
    "a random prior without clusters": ({"id_var": None, "g_mu0": 0}, "prior of bglmm"),
    "a coefficient prior of bmvb": (
        {"id_var": None, "x_var": None, "b_mu0": 0}, "prior of bglm, bglmm"),
    "mean of another length": ({"b_mu0": np.zeros(3)}, "b_mu0=.* does not fit the fixed terms"),
    "precision of another size": ({"g_sigma0": np.eye(3)}, "does not fit the random terms"),
    "flat prior": ({"b_sigma0": 0.0}, "positive definite matrix"),
    "negative precision": ({"b_sigma0": [-1.0, 1.0]}, "positive definite matrix"),
    "fixed priors without fixed terms": (
        {"x_var": None, "b_mu0": 0.0}, r"fixed terms \(none\): it must be nothing"),
    "singular tau0": ({"tau0": np.zeros((2, 2))}, "tau0=.*positive definite matrix"),
    "tau0 of another size": ({"tau0": [[0.1]]}, "tau0=.*the random terms Intercept, method"),
    "nu0": ({"nu0": -1}, "df=-1"),
    "no draws": ({"n_it": 0}, "n_it must be a positive whole number"),
    "half a chain": ({"n_chain": 1.5}, "n_chain must be a positive whole number"),
    "prior_a": ({"id_var": None, "x_var": None, "prior_a": 0.0}, "prior_a=0.0 must be a positive"),
    "prior_b": (
        {"id_var": None, "x_var": None, "prior_b": [1, 1]}, "for each of the 4 response patterns"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "text"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_translation_is_refused_by_its_name(change, text):
    with pytest.raises(mlm.SpecificationError, match=text):
        bmco(**change)
