"""The residual variance of each family is the variance of its noise on the link's scale."""

import numpy as np
import pytest
from scipy import stats

import pymc_mlm as mlm

SIGMA, NU, SHAPE, ALPHA = 1.7, 5.0, 1.7, 2.5
# Nakagawa, Johnson & Schielzeth (2017): for a log link the log-normal variance log(1 + v / m^2) of
# a count with mean m and variance v.
MEAN = 3.0
PHI = 6.0


def variance_of_log_odds(a, b):
    share = stats.beta(a, b)
    first, second = (share.expect(lambda y, k=k: np.log(y / (1 - y)) ** k) for k in (1, 2))
    return second - first**2


CASES = {
    "gaussian": (mlm.Gaussian(), {"sigma": SIGMA}, stats.norm(0, SIGMA).var()),
    "student_t": (
        mlm.StudentT(), {"sigma": SIGMA, "nu": NU}, stats.t(NU, 0, SIGMA).var()
    ),
    "bernoulli": (mlm.Bernoulli(), {}, stats.logistic().var()),
    "binomial": (mlm.Binomial("trials"), {}, stats.logistic().var()),
    # The log of a Weibull time is a Gumbel minimum with scale 1 / shape (bml uses 1 / shape^2,
    # STATISTICS 0.6).
    "weibull": (mlm.Weibull(), {"shape": SHAPE}, stats.gumbel_l(0, 1 / SHAPE).var()),
    # log of the cumulative baseline hazard at the event: a Gumbel minimum around -eta.
    "cox": (mlm.Cox(), {}, stats.gumbel_l().var()),
    # Of two utilities with Gumbel errors the difference.
    "categorical": (mlm.Categorical(), {}, 2 * stats.gumbel_r().var()),
    "cumulative": (mlm.Cumulative(), {}, stats.logistic().var()),
    "zero_inflated_poisson": (
        mlm.ZeroInflatedPoisson(), {"eta": np.log(MEAN), "zi": 0.3},
        np.log1p((0.7 * (MEAN + MEAN**2) - (0.7 * MEAN) ** 2) / (0.7 * MEAN) ** 2),
    ),
    "zero_inflated_negative_binomial": (
        mlm.ZeroInflatedNegativeBinomial(), {"eta": np.log(MEAN), "zi": 0.3, "alpha": ALPHA},
        np.log1p(
            (0.7 * (MEAN + MEAN**2 + MEAN**2 / ALPHA) - (0.7 * MEAN) ** 2) / (0.7 * MEAN) ** 2
        ),
    ),
    "cumulative_probit": (mlm.CumulativeProbit(), {}, stats.norm().var()),
    "probit": (mlm.Probit(), {}, stats.norm().var()),
    # An event where the log of an exponential time is below eta.
    "cloglog": (mlm.ComplementaryLogLog(), {}, stats.gumbel_l().var()),
    "exponential": (mlm.Exponential(), {}, stats.gumbel_l().var()),
    "lognormal": (mlm.LogNormal(), {"sigma": SIGMA}, stats.norm(0, SIGMA).var()),
    "loglogistic": (mlm.LogLogistic(), {"shape": SHAPE}, stats.logistic(0, 1 / SHAPE).var()),
    # The log of a gamma variable.
    "gamma": (mlm.Gamma(), {"alpha": ALPHA}, stats.loggamma(ALPHA).var()),
    # The log odds of a beta variable: a generalised logistic, by quadrature.
    "beta": (
        mlm.Beta(), {"eta": 0.4, "phi": PHI},
        variance_of_log_odds(PHI / (1 + np.exp(-0.4)), PHI / (1 + np.exp(0.4))),
    ),
    "poisson": (mlm.Poisson(), {"eta": np.log(MEAN)}, np.log1p(MEAN / MEAN**2)),
    "negative_binomial": (
        mlm.NegativeBinomial(),
        {"eta": np.log(MEAN), "alpha": ALPHA},
        np.log1p((MEAN + MEAN**2 / ALPHA) / MEAN**2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_residual_variance_is_that_of_the_noise(name):
    family, parameters, expected = CASES[name]
    given = {k: np.full(3, v) for k, v in parameters.items()}
    np.testing.assert_allclose(
        np.broadcast_to(family.residual_variance(given), 3), expected, rtol=1e-7
    )


def test_a_student_t_with_two_degrees_of_freedom_or_fewer_has_no_finite_variance():
    given = {"sigma": np.ones(3), "nu": np.array([1.0, 2.0, 2.1])}
    assert np.isinf(mlm.StudentT().residual_variance(given)).tolist() == [True, True, False]


def test_every_exported_family_has_a_row_here():
    exported = {
        getattr(mlm, name).name
        for name in mlm.__all__
        if isinstance(getattr(mlm, name), type)
        and issubclass(getattr(mlm, name), mlm.AbstractFamily)
        and getattr(mlm, name) is not mlm.AbstractFamily
    }
    # Their log mean is not linear in eta (tests/families/test_excess_zeros.py).
    without = {"hurdle_poisson", "hurdle_negative_binomial"}
    assert exported == set(CASES) | without
