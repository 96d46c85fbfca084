"""Importance sampling: moments that are known, tails that are refused, and ArviZ's smoothing."""

import arviz_stats
import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_t

from pymc_mlm.integration import IntegrationError, Mode, find_mode, importance_sample
from pymc_mlm.integration.importance import ImportanceSample
from pymc_mlm.integration.pareto import k_hat_limit, pareto_smooth
from pymc_mlm.integration.second_order import corrected_mode

COVARIANCE = np.array([[1.0, 0.8, 0.1], [0.8, 2.0, -0.3], [0.1, -0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)


def normal(x):
    r = x - 1.0
    return -0.5 * r @ PRECISION @ r, -PRECISION @ r


def student(x):
    """A t distribution with ten degrees of freedom."""
    r = x - 1.0
    q = 1 + r @ PRECISION @ r / 10
    return -6.5 * np.log(q), -1.3 * PRECISION @ r / q


def banana(x):
    """Standard normal after ``x1`` less a parabola of ``x0``."""
    a, b = x[0], x[1] - 0.3 * (x[0] ** 2 - 1)
    return -0.5 * (a * a + b * b), np.array([-a + 0.6 * x[0] * b, -b])


MOMENTS = [
    (normal, np.ones(3), COVARIANCE),
    (student, np.ones(3), COVARIANCE * 10 / 8),
    (banana, np.zeros(2), np.diag([1.0, 1 + 2 * 0.3**2])),
]


@pytest.mark.parametrize(("density", "mean", "covariance"), MOMENTS)
def test_moments_are_those_of_the_density(density, mean, covariance, rng):
    mode = find_mode(density, np.full(len(mean), 0.3))
    assert np.allclose(density(mode.point)[1], 0, atol=0.05)
    sample = importance_sample(lambda x: density(x)[0], mode, rng, (1000, 1000, 3000))
    assert sample.is_exact
    assert sample.effective_size > 1000
    sd = np.sqrt(np.diagonal(covariance))
    drawn = sample.points[sample.resample(20_000, rng)]
    assert np.allclose((drawn.mean(axis=0) - mean) / sd, 0, atol=0.1)
    assert np.allclose(np.cov(drawn.T) / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=0.15)


def heavier_than_its_curvature(x):
    """A narrow normal, and a wide one with 30% of the mass, in the first of four parameters."""
    narrow, wide = np.log(0.7 / 0.3) - 0.5 * (x[0] / 0.3) ** 2, np.log(0.3) - 0.5 * x[0] ** 2
    both = np.logaddexp(narrow, wide)
    gradient = -x
    gradient[0] *= np.exp(narrow - both) / 0.3**2 + np.exp(wide - both)
    return both - 0.5 * x[1:] @ x[1:], gradient


def test_a_last_round_of_its_own_has_no_bias_in_tails():
    """Points of all rounds, weighted by the mixture, have 93% of the sd on average."""
    mode = find_mode(heavier_than_its_curvature, np.full(4, 0.1))
    found = []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        sample = importance_sample(
            lambda x: heavier_than_its_curvature(x)[0], mode, generator, (100, 100), last=500
        )
        assert sample.points.shape == (500, 4)
        x = sample.points[:, 0]
        found.append(np.sqrt(sample.weights @ x**2 - (sample.weights @ x) ** 2))
    error = np.std(found) / np.sqrt(len(found))
    assert error < 0.011
    assert np.mean(found) == pytest.approx(np.sqrt(0.7 * 0.3**2 + 0.3), abs=2.5 * error)


@pytest.mark.parametrize("scale", [np.array([1.0, 1.0, 0.2]), np.linalg.cholesky(COVARIANCE)])
def test_curvature_is_the_hessian(scale):
    mode = find_mode(normal, np.zeros(3), scale=scale)
    assert np.allclose(mode.point, 1, atol=0.01)
    assert np.allclose(mode.covariance, COVARIANCE)


def test_one_hessian_serves_a_mode_that_is_one_step_away():
    """Quasi-Newton steps end beside it, where slopes are small in the units of the parameters."""
    sd = np.array([3.0, 1.0, 0.3])

    def density(x):
        return -np.log(np.cosh(x / sd)).sum(), -np.tanh(x / sd) / sd

    mode = find_mode(density, 2 * sd)
    assert np.allclose(mode.point / sd, 0, atol=0.01)
    assert np.allclose(mode.covariance, np.diag(sd**2), rtol=0.01)
    assert mode.evaluations < 22  # a second one takes six more


def two_modes(x):
    a, b = -0.5 * (x[0] - 20) ** 2, -0.5 * (x[0] + 20) ** 2
    p = np.exp(a - np.logaddexp(a, b))
    return np.logaddexp(a, b), np.array([-p * (x[0] - 20) - (1 - p) * (x[0] + 20)])


def test_modes_that_differ_are_refused():
    with pytest.raises(IntegrationError, match=r"several modes: .* 40.0 standard deviations"):
        find_mode(two_modes, np.array([[15.0], [-12.0]]))


def test_modes_within_reach_are_found_or_refused(rng):
    """A second mode that some proposal comes near is drawn from, or the weights tell."""
    log_density = lambda x: np.logaddexp(-0.5 * x[0] ** 2, -0.5 * ((x[0] - 6) / 0.5) ** 2)  # noqa: E731
    mode = find_mode(lambda x: (-0.5 * x @ x, -x), np.zeros(1))
    sample = importance_sample(log_density, mode, rng)
    assert not sample.is_exact or abs(sample.weights @ (sample.points[:, 0] > 3.5) - 1 / 3) < 0.1


def test_a_heavy_tail_is_refused(rng):
    """A Cauchy density in five dimensions under t proposals of five degrees of freedom."""
    cauchy = multivariate_t(np.zeros(5), np.eye(5), df=0.3)
    mode = find_mode(lambda x: (-0.5 * x @ x, -x), np.zeros(5))
    assert not importance_sample(cauchy.logpdf, mode, rng, (300,)).is_exact


@pytest.mark.parametrize(
    ("density", "reason"),
    [
        (lambda x: (np.nan, x), "not finite where the search starts"),
        (lambda x: (0.0, np.zeros(2)), "not curved"),
        (lambda x: (0.5 * x @ x * 1e-8, x * 1e-8), "not curved downwards"),
    ],
)
def test_densities_without_a_mode_are_refused(density, reason):
    with pytest.raises(IntegrationError, match=reason):
        find_mode(density, np.ones(2))


@pytest.mark.parametrize(
    "use",
    [
        lambda mode: importance_sample(lambda x: 0.0, mode, np.random.default_rng(1)),
        lambda mode: corrected_mode(lambda x: (0.0, 0 * x), lambda x: 0.0, mode),
        lambda mode: find_mode(ridge, np.array([[0.3, 0.1], [0.1, 0.1]])),
    ],
)
def test_parameters_that_are_not_told_apart_are_refused(use):
    with pytest.raises(IntegrationError, match="does not tell some of them apart"):
        use(Mode(np.zeros(2), np.ones((2, 2)), 0.0, 1))


def ridge(x):
    """A density of the sum of two parameters, but for rounding."""
    precision = np.array([[1.0, 1.0], [1.0, 1.0 + 3e-16]]) * 1e3
    return -0.5 * x @ precision @ x, -precision @ x


def test_a_density_that_is_no_number_is_refused(rng):
    mode = find_mode(lambda x: (-0.5 * x @ x, -x), np.zeros(2))
    with pytest.raises(IntegrationError, match="not a number"):
        importance_sample(lambda x: np.nan, mode, rng)


@pytest.mark.parametrize("shape", [0.2, 0.7, 2.0])
def test_smoothing_is_that_of_arviz(shape, rng):
    log_weights = np.log(np.expm1(-shape * np.log(rng.random(1000))) / shape)
    weights, k_hat = pareto_smooth(log_weights)
    expected, k = arviz_stats.base.array_stats.psislw(-log_weights)
    assert k_hat == pytest.approx(float(k), abs=0.05)
    assert weights.sum() == pytest.approx(1)
    assert np.corrcoef(np.log(weights), expected)[0, 1] > 0.999


def test_one_weight_above_all_is_no_certificate(rng):
    log_weights = np.concatenate([rng.normal(size=500), [60.0]])
    assert pareto_smooth(log_weights)[1] == np.inf


@pytest.mark.parametrize(
    ("count", "limit"), [(10**2, 0.5), (10**2.5, 0.6), (10**4, 0.7), (10**6, 0.7), (5, -np.inf)]
)
def test_few_weights_need_a_lighter_tail(count, limit):
    """The figures of Vehtari et al. (2024): a sample of 1,000 has 0.67, from 2,200 on it is 0.7."""
    assert k_hat_limit(count) == pytest.approx(limit)


def test_a_tail_that_is_too_heavy_for_its_number_of_points_is_no_certificate():
    def sample(count):
        return ImportanceSample(np.zeros((count, 1)), np.full(count, 1 / count), 0.65)

    assert sample(5000).is_exact
    assert not sample(500).is_exact


def test_rounds_end_when_the_points_are_enough(rng):
    mode = find_mode(normal, np.full(3, 0.3))
    rounds = (60,) * 10
    found = importance_sample(lambda x: normal(x)[0], mode, rng, rounds, enough=150)
    assert 180 <= len(found.points) < 400
    assert found.effective_size >= 150
    assert len(importance_sample(lambda x: normal(x)[0], mode, rng, rounds).points) == 600


def counted(value):
    """Return the function, and the list of the points at which it was asked."""
    seen = []

    def asked(x):
        seen.append(x)
        return value(x)[0]

    return asked, seen


def heavy(freedom):
    """Log density of a t distribution, and its gradient."""

    def t(x):
        square = 1 + x @ x / freedom
        power = -(freedom + len(x)) / 2
        return power * np.log(square), 2 * power / freedom * x / square

    return t


def test_a_last_round_learns_from_more_points_where_few_are_too_few():
    """Twenty parameters of a t distribution: 200 points do not tell its covariance."""
    t = heavy(6.0)
    value, seen = counted(t)
    mode = find_mode(t, np.full(20, 0.3))
    found = importance_sample(value, mode, np.random.default_rng(0), (100, 100), last=500)
    assert found.is_exact
    assert len(found.points) == 500
    # A first last round after 200 points, and another after 700.
    assert len(seen) == 700 + 1200
    np.testing.assert_array_equal(found.points, seen[-500:])
    sd = np.sqrt(found.weights @ found.points**2)
    np.testing.assert_allclose(sd, np.sqrt(6 / 4), atol=0.4)


def test_many_normal_parameters_need_no_more_points():
    """The curvature tells their covariance, which is kept where the points cannot."""

    def standard(x):
        return -0.5 * x @ x, -x

    value, seen = counted(standard)
    mode = find_mode(standard, np.full(24, 0.3))
    found = importance_sample(value, mode, np.random.default_rng(0), (100, 100), last=500)
    assert found.is_exact
    assert len(seen) == 700


def test_a_weight_whose_effects_may_vanish_has_the_interval_of_quadrature():
    """Where the standard deviation is near zero the weight has its prior: a wide tail."""

    def density(sd, b):
        """Log sd with a half-normal prior and six hints; b with eight outcomes by its effects."""
        variance = np.exp(2 * sd)
        noisy = variance + 0.5
        value = sd - variance / 2 - 3 * np.log(noisy) - 1.8 / noisy
        return value - b**2 / 2 - 4 * variance / noisy * (b - 1) ** 2

    def joint(x):
        gradient = approx_fprime(x, lambda at: density(*at), 1e-7)
        return float(density(*x)), gradient

    grid = np.linspace(-6, 6, 1201)
    log_p = density(np.linspace(-14, 3, 1701)[:, None], grid)
    share = np.exp(log_p - log_p.max()).sum(axis=0)
    low, high = np.interp([0.025, 0.975], np.cumsum(share) / share.sum(), grid)
    mode = find_mode(joint, np.array([0.0, 0.8]))
    widths = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = importance_sample(lambda x: density(*x), mode, rng, (100, 100), last=500)
        assert found.is_exact
        order = np.argsort(found.points[:, 1])
        cumulative = np.cumsum(found.weights[order]) - found.weights[order] / 2
        ends = np.interp([0.025, 0.975], cumulative, found.points[order, 1])
        widths.append(ends[1] - ends[0])
    # One run has an error of 4%, so that the mean has 1%.
    assert np.log(widths).mean() == pytest.approx(np.log(high - low), abs=0.04)
