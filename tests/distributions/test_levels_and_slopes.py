"""Laws of the default prior of trials: no arm, outcome or pattern is special, levels are vague."""

from itertools import product

import numpy as np
import pymc as pm
import pytest
from scipy import integrate, stats

import pymc_mlm as mlm
from pymc_mlm.data.cells import cells, logit_basis, outcome_contrasts
from pymc_mlm.data.trial_matrix import trial_matrix
from pymc_mlm.distributions import levels_and_slopes
from pymc_mlm.distributions.coefficients import linear_map
from pymc_mlm.distributions.levels_and_slopes import LevelsAndSlopes, draw_levels
from pymc_mlm.trial.graph import trial_model

DEPENDENCES = ("saturated", "pairwise", "independent")
OWN = pm.Normal
# Columns Intercept, arm[a1], age, arm[a1]:age: levels of both arms, slopes of both arms.
OWN_COLUMNS = [(2,), (3,), (1,), (0, 3), (0, 1), (2, 3), (0, 1, 2, 3)]
UNIFORM = [*product([1, 2, 3, 4, 5], ("saturated", "independent")), (3, "pairwise")]


def prior(outcomes, dependence="saturated", arms=2, interactions=True, a=None, own=()):
    """The default for one covariate with mean 5 and sd 3."""
    covariate = np.array([[2.0], [8.0]])
    labels = [f"a{i}" for i in range(arms)]
    matrix = trial_matrix("arm", labels, covariate, ["age"], interactions, None)
    num_predictors = logit_basis(outcomes, dependence).shape[1]
    return LevelsAndSlopes(
        np.full((arms, 2**outcomes), 2.0 ** (1 - outcomes)) if a is None else a,
        logit_basis(outcomes, dependence),
        outcome_contrasts(outcomes, dependence),
        matrix.by_arm,
        2.5,
        own={j: OWN.dist(mu=1.0, sigma=0.2, shape=(num_predictors,)) for j in own},
    )


def log_density(prior, *values):
    """Log prior density at matrices of coefficients."""
    shape = (len(prior.contrasts), len(prior.by_arm))
    with pm.Model() as model:
        root = linear_map("root", np.eye(shape[1]))
        prior.variable("beta", root, shape=shape)
        compiled = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    return np.array([float(compiled({"beta_preconditioned__": value})) for value in values])


def relabelled(outcomes, dependence, beta, order, flipped):
    """Coefficients of the same model after outcomes are reordered and some are inverted."""
    basis, table = logit_basis(outcomes, dependence), cells(outcomes)
    logits = np.vstack([basis @ beta, np.zeros(beta.shape[1])])
    to = table[:, list(order)] ^ np.asarray(flipped)
    where = {tuple(cell): i for i, cell in enumerate(table.tolist())}
    moved = logits[[where[tuple(cell)] for cell in to.tolist()]]
    return np.linalg.lstsq(basis, moved[:-1] - moved[-1], rcond=None)[0]


@pytest.mark.parametrize("dependence", DEPENDENCES)
@pytest.mark.parametrize("outcomes", [1, 2, 3, 4])
def test_no_outcome_and_no_value_of_an_outcome_is_special(rng, outcomes, dependence):
    default = prior(outcomes, dependence)
    beta = rng.normal(size=(len(default.contrasts), 4))
    orders = [rng.permutation(outcomes) for _ in range(3)]
    flips = [rng.integers(0, 2, size=outcomes) for _ in orders]
    others = [
        relabelled(outcomes, dependence, beta, order, flip)
        for order, flip in zip(orders, flips, strict=True)
    ]
    found = log_density(default, beta, *others)
    np.testing.assert_allclose(found[1:], found[0], rtol=1e-9)


@pytest.mark.parametrize("interactions", [True, False])
@pytest.mark.parametrize("arms", [2, 3])
def test_no_arm_is_special(rng, arms, interactions):
    default = prior(2, arms=arms, interactions=interactions)
    beta = rng.normal(size=(3, len(default.by_arm)))
    own = beta @ np.linalg.inv(default.by_arm).T
    order = np.arange(arms)[::-1]
    if interactions:
        order = np.concatenate([order, arms + order])
    else:
        order = np.concatenate([order, [arms]])
    exchanged = own[:, order] @ default.by_arm.T
    found = log_density(default, beta, exchanged)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)


def test_levels_and_slopes_are_those_of_the_arms(rng):
    x = rng.normal(5, 3, size=(40, 1))
    matrix = trial_matrix("arm", ["a", "b", "c"], x, ["age"], True, None)
    own = rng.normal(size=6)  # three levels, three slopes
    z = (x[:, 0] - x.mean()) / x.std()
    for arm in range(3):
        X = matrix.rows(np.full(40, arm), x)
        np.testing.assert_allclose(X @ matrix.by_arm @ own, own[arm] + z * own[3 + arm])


@pytest.mark.parametrize("outcomes", [1, 2, 3, 4])
def test_levels_have_the_density_of_a_dirichlet(rng, outcomes):
    a = rng.uniform(0.2, 2.0, size=(2, 2**outcomes))
    default = prior(outcomes, a=a)
    own = rng.normal(size=(2**outcomes - 1, 4))
    expected = stats.norm.logpdf(
        np.linalg.solve(default.contrasts, own[:, 2:]), 0.0, 2.5
    ).sum() - 2 * np.log(abs(np.linalg.det(default.contrasts)))
    for arm in (0, 1):
        phi = np.exp(np.append(own[:, arm], 0.0))
        phi /= phi.sum()
        expected += stats.dirichlet.logpdf(phi[:-1], a[arm]) + np.log(phi).sum()
    expected -= (2**outcomes - 1) * np.log(abs(np.linalg.det(default.by_arm)))
    found = log_density(default, own @ default.by_arm.T)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_density_of_an_independent_model_integrates_to_one():
    default = prior(1, "independent", a=np.array([[0.7, 1.6]] * 2))
    grid = np.linspace(-40.0, 25.0, 4_001)
    own = np.zeros((len(grid), 1, 4))
    own[:, 0, 0] = grid
    level = log_density(default, *(own @ default.by_arm.T))
    at_zero = stats.beta.logpdf(0.5, 0.7, 1.6) + np.log(0.25) + 2 * stats.norm.logpdf(0, 0, 2.5)
    jacobian = np.log(abs(np.linalg.det(default.by_arm)))
    total = integrate.trapezoid(np.exp(level - at_zero + jacobian), grid)
    np.testing.assert_allclose(total, 1.0, rtol=1e-3)


@pytest.mark.parametrize(("outcomes", "dependence"), UNIFORM)
def test_success_probabilities_are_about_uniform_a_priori(outcomes, dependence):
    rng = np.random.default_rng(4)
    basis, contrasts = logit_basis(outcomes, dependence), outcome_contrasts(outcomes, dependence)
    a = np.full(2**outcomes, 2.0 ** (1 - outcomes))
    exact = dependence != "pairwise"
    count = 1_500 if exact else 150
    logits = np.array([basis @ draw_levels(a, basis, contrasts, rng) for _ in range(count)])
    logits = np.column_stack([logits, np.zeros(count)])
    phi = np.exp(logits - logits.max(axis=1, keepdims=True))
    theta = (phi / phi.sum(axis=1, keepdims=True)) @ cells(outcomes)
    if exact:
        assert min(stats.kstest(theta[:, k], "uniform").pvalue for k in range(outcomes)) > 1e-3
        return
    # Between two models with uniform success probabilities: mean and spread, error 0.024, 6%.
    np.testing.assert_allclose(theta.mean(axis=0), 0.5, atol=0.1)
    np.testing.assert_allclose(theta.std(axis=0), np.sqrt(1 / 12), rtol=0.25)


@pytest.mark.parametrize("a", [(0.5, 0.5, 0.5, 0.5), (0.3, 1.0, 2.0, 0.7)])
def test_the_slice_sampler_draws_what_has_an_exact_sampler(monkeypatch, a):
    rng, a = np.random.default_rng(2), np.array(a)
    basis, contrasts = logit_basis(2), outcome_contrasts(2)
    exact = np.array([draw_levels(a, basis, contrasts, rng) for _ in range(2_000)])
    monkeypatch.setattr(levels_and_slopes, "_is_saturated", lambda basis: False)
    walked = np.array([draw_levels(a, basis, contrasts, rng) for _ in range(300)])
    for m in range(3):
        assert stats.ks_2samp(exact[:, m], walked[:, m]).pvalue > 1e-3


def test_prior_draws_have_slopes_of_the_given_spread():
    rng = np.random.default_rng(5)
    default = prior(3)
    beta = np.array([default.draw(rng) for _ in range(500)])
    own = beta @ np.linalg.inv(default.by_arm).T
    gamma = np.linalg.solve(default.contrasts, own[:, :, 2:])
    np.testing.assert_allclose(gamma.std(axis=(0, 2)), 2.5, rtol=0.1)


@pytest.mark.parametrize("own", OWN_COLUMNS)
def test_a_column_of_its_own_leaves_the_prior_of_the_others(rng, own):
    """The density of what is stated, each part alone, times one Jacobian."""
    a = rng.uniform(0.2, 2.0, size=(2, 4))
    default = prior(2, a=a, own=own)

    def stated(b):
        """Levels and slopes of both arms at mean 5 and sd 3 of the covariate, or coefficients."""
        parts = [b[:, 0] + 5 * b[:, 2], b[:, 0] + b[:, 1] + 5 * (b[:, 2] + b[:, 3])]
        parts += [3 * b[:, 2], 3 * (b[:, 2] + b[:, 3])]
        return np.column_stack([b[:, j] if j in own else parts[j] for j in range(4)])

    beta = rng.normal(size=(3, 4))
    found, expected = stated(beta), 3 * np.linalg.slogdet(stated(np.eye(4)))[1]
    for j in own:
        expected += stats.norm.logpdf(found[:, j], 1.0, 0.2).sum()
    for j in {0, 1} - set(own):
        phi = np.exp(np.append(found[:, j], 0.0))
        phi /= phi.sum()
        expected += stats.dirichlet.logpdf(phi[:-1], a[j]) + np.log(phi).sum()
    for j in {2, 3} - set(own):
        z = np.linalg.solve(default.contrasts, found[:, j])
        expected += stats.norm.logpdf(z, 0.0, 2.5).sum()
        expected -= np.linalg.slogdet(default.contrasts)[1]
    np.testing.assert_allclose(log_density(default, beta), expected, rtol=1e-9)


def test_draws_with_a_column_of_its_own_are_of_both_priors():
    rng = np.random.default_rng(6)
    default = prior(2, own=(3,))
    beta = np.array([default.draw(rng) for _ in range(400)])
    assert stats.kstest(beta[:, :, 3].ravel(), stats.norm(1.0, 0.2).cdf).pvalue > 1e-3
    kept = np.linalg.solve(default.contrasts, 3 * beta[:, :, 2:3])
    np.testing.assert_allclose(kept.std(axis=(0, 2)), 2.5, rtol=0.1)
    level = beta[:, :, 0] + beta[:, :, 1] + 5 * (beta[:, :, 2] + beta[:, :, 3])
    phi = np.exp(np.column_stack([level @ logit_basis(2).T, np.zeros(400)]))
    success = (phi / phi.sum(axis=1, keepdims=True)) @ cells(2)
    assert min(stats.kstest(success[:, k], "uniform").pvalue for k in range(2)) > 1e-3


@pytest.mark.parametrize("outcomes", [1, 2, 3, 4])
def test_without_covariates_the_posterior_is_dirichlet(rng, outcomes):
    """Log density of the logit model minus that of the direct answer is one constant."""
    y = rng.integers(0, 2, size=(40, outcomes))
    table = {"arm": np.arange(40) % 2} | {f"y{k}": y[:, k] for k in range(outcomes)}
    names = [f"y{k}" for k in range(outcomes)]
    trial = mlm.MultivariateLogitTrial(names, "arm")
    design = trial._design(table)
    compiled = trial_model(design, trial.specification.trial_priors, conjugate=False).compile_logp(
        jacobian=False, mode="FAST_COMPILE"
    )
    posterior = design.trial.pattern_counts() + 2.0 ** (1 - outcomes)
    difference = []
    for _ in range(4):
        own = rng.normal(size=(2**outcomes - 1, 2))
        beta = np.column_stack([own[:, 0], own[:, 1] - own[:, 0]])
        root = np.linalg.inv(design.matrix.preconditioner(*_rows(design)))
        logits = np.vstack([own, np.zeros(2)])
        phi = np.exp(logits) / np.exp(logits).sum(axis=0)
        exact = (posterior * np.log(phi.T)).sum()
        difference.append(compiled({"beta_preconditioned__": beta @ root.T}) - exact)
    np.testing.assert_allclose(difference, difference[0], atol=1e-10)


def _rows(design):
    rows = design.collapse()
    return design.X[rows.first], rows.count, np.full(len(design.matrix.names), 2.5)
