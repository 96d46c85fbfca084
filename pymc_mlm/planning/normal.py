r"""Power in closed form: estimates of the effects are taken as normal.

A posterior with a flat prior gives the same decisions in large samples.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.special import ndtr, ndtri

from pymc_mlm.planning.contrasts import linear_contrasts
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.patterns import Array

# From a threshold to probabilities of being found better: each treatment, then any of them.
Road = Callable[[float], Array]


def normal_road(design: TrialDesign) -> Road:
    r"""Return the probabilities of finding treatments better as a function of the threshold.

    With margins m, :math:`z_p` the normal quantile, :math:`s_k` the standard error of contrast k
    and R the correlation of the estimates

    .. math::
        \text{every: } \Phi_K\{(A\delta - m) / s - z_p;\, R\}, \qquad
        \text{any: } 1 - \Phi_K\{z_p - (A\delta - m) / s;\, R\}

    Parameters
    ----------
    design : TrialDesign
        Any rule but `Custom`.

    Returns
    -------
    callable
        From the threshold to an ndarray, shape (treatment + 1,).

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).
    .. [2] Sozu, T., Sugimoto, T., Hamasaki, T. (2010). Sample size determination in clinical
       trials with multiple co-primary binary endpoints. Statistics in Medicine 29(21).
    .. [3] Donner, A., Klar, N. (2000). Design and Analysis of Cluster Randomization Trials in
       Health Research. The design effect.
    """
    slope, margin = linear_contrasts(design.rule, design.names)
    parts = np.array([slope @ v @ slope.T for v in estimate_covariance(design)])
    arms, size = len(design.treatments), len(margin)
    covariance = np.kron(np.ones((arms, arms)), parts[0])  # the control is shared
    for a in range(arms):
        own = slice(a * size, (a + 1) * size)
        covariance[own, own] += parts[a + 1]
    # A weighted sum can be constant: equal weights and a correlation of -1.
    sd = np.sqrt(np.maximum(np.diag(covariance), 1e-18))
    correlation = covariance / np.outer(sd, sd)
    shift = (design.effects @ slope.T - margin).ravel() / sd
    places = np.arange(arms * size).reshape(arms, size)

    def reached(rows: Array, critical: float) -> float:
        return _normal_cdf(shift[rows] - critical, correlation[np.ix_(rows, rows)])

    def missed(rows: Array, critical: float) -> float:
        return _normal_cdf(critical - shift[rows], correlation[np.ix_(rows, rows)])

    def road(threshold: float) -> Array:
        z = float(ndtri(threshold))
        if design.rule.combine == "any":
            return 1 - np.array([missed(rows, z) for rows in [*places, places.ravel()]])
        each = [reached(rows, z) for rows in places]
        # Inclusion and exclusion: some treatment reaches all of its contrasts.
        some = sum(
            (-1) ** (count + 1) * reached(np.concatenate(chosen), z)
            for count in range(2, arms + 1)
            for chosen in combinations(places, count)
        )
        return np.array([*each, sum(each) + some])

    return road


def estimate_covariance(design: TrialDesign) -> Array:
    r"""Return the covariance of each arm's estimated success probabilities.

    .. math:: \Sigma_{kl} \left(\frac{1 - \rho}{n_{kl}} + \frac{\rho}{J}\right)

    for J clusters with intraclass correlation :math:`\rho`; :math:`n_{kk} = n (1 - d_k)` with
    dropout :math:`d_k`, and n for two outcomes that are missing independently.

    Returns
    -------
    ndarray, shape (arm, outcome, outcome)
    """
    p = design.success
    sd = np.sqrt(p * (1 - p))
    patients = design.patients.astype(float)
    counts = patients[:, None, None] * np.ones((len(sd[0]),) * 2)
    diagonal = np.arange(len(sd[0]))
    counts[:, diagonal, diagonal] *= 1 - design.missing
    number = 1.0 if design.clusters is None else design.clusters.number
    factor = (1 - design.icc) / counts + design.icc / number
    return np.asarray(design.correlations * sd[:, :, None] * sd[:, None] * factor)


def _normal_cdf(upper: Array, correlation: Array) -> float:
    if len(upper) == 1:
        return float(ndtr(upper[0]))
    from scipy.stats import multivariate_normal  # a third of a second to import

    # Four dimensions and more are integrated by quasi-Monte Carlo: a fixed seed keeps the search
    # for the sample size monotone.
    value = multivariate_normal.cdf(
        upper, cov=correlation, allow_singular=True, rng=np.random.default_rng(1)
    )
    return float(np.clip(value, 0.0, 1.0))
