"""Historical controls: closed forms, integration by brute force, conflict, and bad input."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats
from scipy.special import betainc, gammaln, logsumexp

import pymc_mlm as mlm
from pymc_mlm.borrowing import HistoricalControls, power_prior, robust_map
from pymc_mlm.borrowing.map_prior import map_components
from pymc_mlm.priors.control_prior import BetaMixture
from tests.mocked import PriorDraws

NAMES = ("y1", "y2")
STUDIES = HistoricalControls(
    NAMES, {"A": (10, 14, 6, 10), "B": (14, 16, 10, 16), "C": (9, 8, 3, 12), "D": (30, 20, 22, 28)}
)
ROBUST = robust_map(STUDIES)


def table(rows=160, control=0.5, seed=4, drop=0.0):
    rng = np.random.default_rng(seed)
    arm = np.where(np.arange(rows) % 2, "new", "old")
    y = (rng.random((rows, 2)) < np.where(arm == "new", 0.6, control)[:, None]).astype(float)
    y[rng.random(rows) < drop, 0] = np.nan
    return pd.DataFrame({"arm": arm, "y1": y[:, 0], "y2": y[:, 1]})


def fitted(prior, data, draws=60_000):
    model = mlm.MultivariateLogitTrial(
        list(NAMES), "arm", control="old", priors={"cell_probability": prior}
    )
    return model.fit(data, draws=draws, random_seed=1)


def counts_of(data, arm="old"):
    own = data.loc[data["arm"] == arm, list(NAMES)].to_numpy()
    return np.bincount((3 - 2 * own[:, 0] - own[:, 1]).astype(int), minlength=4)


def closed_weights(prior, counts):
    """Posterior weights of a mixture of Dirichlet distributions."""
    a = np.array(prior.components)
    after = a + counts
    log_w = np.log(prior.weights) + gammaln(after).sum(1) - gammaln(after.sum(1))
    log_w += gammaln(a.sum(1)) - gammaln(a).sum(1)
    return np.exp(log_w - logsumexp(log_w))


# ---------------------------------------------------------------------- power prior


@pytest.mark.parametrize("a0", [0.0, 0.35, 1.0])
def test_the_power_prior_adds_so_much_of_each_historical_person(a0):
    prior, data = power_prior(STUDIES, a0), table()
    alpha = 0.5 + a0 * STUDIES.table.sum(axis=0) + counts_of(data)
    phi = fitted(prior, data).result_.posterior["cell_probability"].sel(arm="old").values[0]
    np.testing.assert_allclose(phi.mean(axis=0), alpha / alpha.sum(), atol=1e-3)
    np.testing.assert_allclose(phi.std(axis=0), stats.dirichlet(alpha).var() ** 0.5, rtol=0.02)
    new = fitted(prior, data).result_.posterior["cell_probability"].sel(arm="new").values[0]
    plain = 0.5 + counts_of(data, "new")
    np.testing.assert_allclose(new.mean(axis=0), plain / plain.sum(), atol=1e-3)


def test_powers_by_study_and_what_they_are_worth():
    powers = dict.fromkeys(STUDIES.counts, 0.0) | {"C": 0.5}
    prior = power_prior(STUDIES, powers)
    assert prior.components[0] == (5.0, 4.5, 2.0, 6.5)
    for method in ("elir", "moment"):
        size = prior.effective_sample_size(method)
        assert size == pytest.approx({"y1": 18.0, "y2": 18.0}, rel=1e-6)


# ---------------------------------------------------------------------- MAP


def test_the_map_prior_agrees_with_integration_on_a_grid():
    """One outcome: the mean and the sd between studies on a fine grid."""
    counts = np.array([[24.0, 16.0], [30.0, 26.0], [17.0, 15.0]])
    k, m = np.meshgrid(np.linspace(1e-3, 6, 1200), np.linspace(0.002, 0.998, 399), indexing="ij")
    tau = 4 / k**2
    log_p = -0.5 * k**2
    for a, b in counts:
        log_p += gammaln(tau) - gammaln(tau + a + b) + gammaln(tau * m + a) - gammaln(tau * m)
        log_p += gammaln(tau * (1 - m) + b) - gammaln(tau * (1 - m))
    w = np.exp(log_p - log_p.max())
    w /= w.sum()
    weights, components = map_components(counts, np.ones(2), 1.0)
    found = BetaMixture(weights, components[:, 0], components[:, 1])
    mean = (w * m).sum()
    assert found.mean() == pytest.approx(mean, abs=1e-3)
    variance = (w * (m**2 + m * (1 - m) / (tau + 1))).sum() - mean**2
    assert found.variance() == pytest.approx(variance, rel=0.01)
    for x in (0.2, 0.35, 0.5, 0.55, 0.6, 0.75):
        exact = (w * betainc(tau * m, tau * (1 - m), x)).sum()
        assert weights @ betainc(found.a, found.b, x) == pytest.approx(exact, abs=0.006)


def test_studies_that_do_not_differ_are_pooled():
    weights, components = map_components(STUDIES.table, np.full(4, 0.5), 1e-3)
    pooled = 0.5 + STUDIES.table.sum(axis=0)
    np.testing.assert_allclose(weights @ components, pooled, rtol=0.01)


def test_studies_that_differ_more_are_worth_less():
    alike = HistoricalControls(("y",), {"A": (20, 20), "B": (21, 19), "C": (19, 21)})
    apart = HistoricalControls(("y",), {"A": (10, 30), "B": (31, 9), "C": (19, 21)})
    one = HistoricalControls(("y",), {"A": (60, 60)})
    sizes = [robust_map(h, 0.0).effective_sample_size()["y"] for h in (alike, one, apart)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert robust_map(alike, 0.5).effective_sample_size()["y"] < sizes[0]
    assert robust_map(alike, 0.2).weights[-1] == pytest.approx(0.2)
    assert robust_map(alike, 0.2).is_robust and not robust_map(alike, 0.0).is_robust


def test_three_outcomes_have_margins_of_their_own():
    counts = {"A": (10, 14, 6, 10, 1, 3, 1, 8), "B": (14, 16, 10, 16, 2, 1, 2, 9)}
    prior = robust_map(HistoricalControls(("a", "b", "c"), counts), 0.0)
    shares = np.sum(list(counts.values()), axis=0) / np.sum(list(counts.values()))
    patterns = np.array([[int(d) for d in f"{7 - i:03b}"] for i in range(8)])
    for k, name in enumerate("abc"):
        assert prior.success(name).mean() == pytest.approx(shares @ patterns[:, k], abs=0.03)


# ---------------------------------------------------------------------- effective sample size


def test_the_effective_sample_size_is_predictively_consistent():
    """N more persons are worth N more, on average over the prior (Neuenschwander et al. 2020)."""
    prior = BetaMixture(np.array([0.7, 0.3]), np.array([24.0, 2.0]), np.array([17.0, 3.0]))
    n, total = 15, 0.0
    for y in range(n + 1):
        log_m = [stats.betabinom(n, a, b).logpmf(y) for a, b in zip(prior.a, prior.b, strict=True)]
        joint = prior.weights * np.exp(log_m)
        after = BetaMixture(joint / joint.sum(), prior.a + y, prior.b + n - y)
        total += joint.sum() * after.elir()
    assert total == pytest.approx(prior.elir() + n, rel=1e-4)


def test_prior_predictive_probability_by_enumeration():
    prior = ROBUST.success("y1")
    pmf = sum(
        w * stats.betabinom(40, a, b).pmf(np.arange(41))
        for w, a, b in zip(prior.weights, prior.a, prior.b, strict=True)
    )
    for y in (0, 12, 22, 39):
        assert prior.predictive_p(y, 40) == pytest.approx(pmf[pmf <= pmf[y] * (1 + 1e-9)].sum())
    low, high = prior.interval(0.9)
    inside = prior.weights @ (betainc(prior.a, prior.b, high) - betainc(prior.a, prior.b, low))
    assert inside == pytest.approx(0.9)


# ---------------------------------------------------------------------- posterior


def test_the_posterior_is_the_mixture_of_updated_components():
    data = table(control=0.35)
    counts = counts_of(data)
    w, after = closed_weights(ROBUST, counts), np.array(ROBUST.components) + counts
    trial = fitted(ROBUST, data)
    phi = trial.result_.posterior["cell_probability"].sel(arm="old").values[0]
    mean = w @ (after / after.sum(1, keepdims=True))
    np.testing.assert_allclose(phi.mean(axis=0), mean, atol=1.5e-3)
    size = after.sum(1, keepdims=True)
    second = w @ (after * (after + 1) / (size * (size + 1)))
    np.testing.assert_allclose(phi.var(axis=0), second - mean**2, rtol=0.04)
    found = trial.borrowing().components["posterior weight"]
    np.testing.assert_allclose(found, w, atol=5e-3)


def test_missing_outcomes_and_a_mixture_agree_with_weighted_prior_draws(rng):
    data = table(rows=60, control=0.3, drop=0.4)
    trial = fitted(ROBUST, data)
    component = rng.choice(len(ROBUST.weights), 400_000, p=ROBUST.weights)
    gamma = rng.standard_gamma(np.array(ROBUST.components)[component])
    phi = gamma / gamma.sum(axis=1, keepdims=True)
    own = data.loc[data["arm"] == "old", list(NAMES)].to_numpy()
    full = own[~np.isnan(own[:, 0])]
    log_w = np.log(phi) @ np.bincount((3 - 2 * full[:, 0] - full[:, 1]).astype(int), minlength=4)
    partial = own[np.isnan(own[:, 0]), 1]
    success = phi[:, 0] + phi[:, 2]
    log_w += np.log(success) * partial.sum() + np.log1p(-success) * (1 - partial).sum()
    w = np.exp(log_w - log_w.max())
    assert w.sum() ** 2 / (w**2).sum() > 4000
    exact = w @ phi / w.sum()
    found = trial.result_.posterior["cell_probability"].sel(arm="old").mean(("chain", "draw"))
    np.testing.assert_allclose(found, exact, atol=0.004)
    share = trial.borrowing().components["posterior weight"].iloc[-1]
    assert share == pytest.approx(w[component == 5].sum() / w.sum(), abs=0.02)


def test_the_cell_model_has_the_density_of_the_mixture():
    model = mlm.MultivariateLogitTrial(
        list(NAMES), "arm", control="old", priors={"cell_probability": ROBUST}
    )
    built = model.build(table())
    phi = np.array([[0.3, 0.2, 0.1, 0.4], [0.25, 0.25, 0.3, 0.2]])
    [log_p] = pm.logp(built["cell_probability"], phi).eval(mode="FAST_COMPILE")[None]
    each = [stats.dirichlet(a).logpdf(phi[0]) for a in ROBUST.components]
    assert log_p[0] == pytest.approx(logsumexp(each, b=ROBUST.weights))
    assert log_p[1] == pytest.approx(stats.dirichlet(ROBUST.vague).logpdf(phi[1]))


def logit_density(prior, beta, dependence="pairwise"):
    model = mlm.MultivariateLogitTrial(
        list(NAMES), "arm", control="old", dependence=dependence,
        priors={"cell_probability": prior},
    ).build(table())  # fmt: skip
    rv = model["beta"]
    with model:
        return float(pm.logp(rv, beta).eval(mode="FAST_COMPILE"))


@pytest.mark.parametrize("dependence", ["pairwise", "independent"])
def test_coefficients_have_the_density_of_the_mixture(rng, dependence):
    """Against that of one component, whose density another test holds."""
    first = replace(ROBUST, weights=(1.0,), components=ROBUST.components[:1])
    beta = rng.normal(size=(3 if dependence == "pairwise" else 2, 2))
    ratio = logit_density(ROBUST, beta, dependence) - logit_density(first, beta, dependence)
    main = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
    basis = np.column_stack([main, main.prod(axis=1)])[:, : len(beta)]
    psi = basis @ beta[:, 0]
    phi = np.exp(psi) / np.exp(psi).sum()
    if dependence == "pairwise":
        log_f = np.array([stats.dirichlet(a).logpdf(phi) for a in ROBUST.components])
    else:
        theta, log_f = phi @ main, []
        for a in np.array(ROBUST.components):
            ones = a @ main
            log_f.append(stats.beta(ones, a.sum() - ones).logpdf(theta).sum())
    log_f = np.array(log_f)
    assert ratio == pytest.approx(logsumexp(log_f, b=ROBUST.weights) - log_f[0], abs=1e-8)


def test_posterior_weights_of_coefficients_are_those_of_the_patterns():
    data = table(control=0.3)
    direct = fitted(ROBUST, data, draws=20_000)
    phi = direct.result_.posterior["cell_probability"].values
    psi = np.log(phi[..., :-1] / phi[..., -1:])
    eta = np.stack([psi[..., 1], psi[..., 2], psi[..., 0] - psi[..., 1] - psi[..., 2]], axis=-1)
    beta = np.stack([eta[:, :, 0], eta[:, :, 1] - eta[:, :, 0]], axis=-1)
    other = mlm.MultivariateLogitTrial(
        list(NAMES), "arm", control="old", dependence="pairwise",
        priors={"cell_probability": ROBUST},
    )  # fmt: skip
    design = other._design(data)
    draws = xr.DataArray(beta, dims=("chain", "draw", "predictor", "covariate"))
    tree = xr.DataTree.from_dict({"posterior": draws.to_dataset(name="beta")})
    other.result_ = replace(direct.result_, spec=other.specification, design=design, idata=tree)
    one, two = direct.borrowing(), other.borrowing()
    np.testing.assert_allclose(
        one.components["posterior weight"], two.components["posterior weight"], atol=1e-9
    )
    np.testing.assert_allclose(one.outcomes, two.outcomes)


def test_a_mixture_with_covariates_is_sampled_and_reported():
    data = table().assign(age=np.linspace(20, 60, 160))
    model = mlm.MultivariateLogitTrial(
        list(NAMES), "arm", control="old", covariates=["age"],
        priors={"cell_probability": ROBUST},
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(data, draws=300, chains=2, random_seed=1, sampler=PriorDraws())
    found = model.borrowing()
    # Draws from the prior: the weights are those of the prior.
    np.testing.assert_allclose(found.components["posterior weight"], ROBUST.weights, atol=0.05)
    rows = {row["variable"]: row for row in model.report().sections["Priors"][
        "Priors and their reasons"]}  # fmt: skip
    assert "robust MAP" in rows["cell_probability"]["prior"]


# ---------------------------------------------------------------------- conflict


def test_agreement_and_conflict_are_told_apart():
    near, far = fitted(ROBUST, table(control=0.5)), fitted(ROBUST, table(control=0.05))
    assert near.borrowing().conflicts() == []
    assert "No sign of a conflict" in str(near.borrowing())
    found = far.borrowing()
    assert found.components["posterior weight"].iloc[-1] > 0.9
    assert (found.outcomes["prior predictive p"] < 0.05).all()
    assert len(found.conflicts()) == 3 and "disagree on 'y1'" in found.conflicts()[0]
    # The vague component takes over: the posterior mean is near the data's share.
    assert found.outcomes["posterior mean"].to_numpy() == pytest.approx(
        found.outcomes["share"].to_numpy(), abs=0.02
    )
    report = far.report()
    assert set(found.conflicts()) <= set(report.sections["Cautions"]["Read before the results"])
    assert report.sections["Priors"]["Historical controls"] == ROBUST.label


def test_a_prior_that_borrows_is_saved_with_the_fit(tmp_path):
    trial = fitted(ROBUST, table())
    loaded = mlm.MultivariateLogitTrial.load(trial.save(tmp_path / "fit.nc"))
    assert loaded.specification.priors["cell_probability"] == ROBUST
    assert str(loaded.borrowing()) == str(trial.borrowing())
    assert type(trial)(**trial.get_params()).specification == trial.specification


def test_the_prior_is_a_variable_of_ones_own_model():
    with pm.Model() as model:
        ROBUST.create_variable("phi")
    drawn = pm.draw(model["phi"], 2000, random_seed=1, mode="FAST_COMPILE")
    assert drawn.shape == (2000, 4)
    mean = np.array(ROBUST.weights) @ [np.array(a) / sum(a) for a in ROBUST.components]
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.02)
