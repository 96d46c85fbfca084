r"""Meta-analytic predictive (MAP) prior of the control, made robust by a vague component.

Studies have response patterns that differ around a common mean,

.. math:: \phi_h \sim \operatorname{Dirichlet}(\tau m), \qquad m \sim \operatorname{Dirichlet}
    (\alpha), \qquad \tau = 4 / \kappa^2, \quad \kappa \sim \text{HalfNormal}(s),

so that :math:`\kappa` is about the standard deviation between studies of the log odds of a
probability of one half. The MAP prior is the distribution of the patterns of a new study. At given
:math:`\kappa` the mean's distribution is integrated by importance sampling; the prior is then a
mixture of Dirichlet distributions with matched moments.

References
----------
.. [1] Schmidli, H., Gsteiger, S., Roychoudhury, S., O'Hagan, A., Spiegelhalter, D.,
   Neuenschwander, B. (2014). Robust meta-analytic-predictive priors in clinical trials with
   historical control information. Biometrics 70(4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import digamma, gammaln, logsumexp, ndtri

from pymc_mlm.borrowing.historical import HistoricalControls
from pymc_mlm.borrowing.power_prior import vague_parameters
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors.control_prior import ControlPrior

Array = np.ndarray[Any, Any]
# Nodes of kappa, at quantiles of its prior; groups of them that become components.
NODES, COMPONENTS = 40, 5
POINTS, FREEDOM, SEED = 2**12, 5.0, 20_244


def robust_map(
    historical: HistoricalControls,
    weight: float = 0.2,
    between: float = 1.0,
    vague: Sequence[float] | None = None,
) -> ControlPrior:
    """Return the MAP prior of the control's response patterns, mixed with a vague one.

    Parameters
    ----------
    historical : HistoricalControls
        Studies, at least two for the data to tell how they differ.
    weight : float, default 0.2
        Of the vague component: the prior probability that the historical controls do not matter.
    between : float, default 1
        s, scale of the half-normal prior of the standard deviation between studies, log odds.
    vague : sequence of float, optional
        Dirichlet parameters of the vague component, and of the studies' mean; by default worth
        two persons, spread evenly.

    Returns
    -------
    ControlPrior
        For ``priors={"cell_probability": ...}`` of `MultivariateLogitTrial`.

    Raises
    ------
    SpecificationError
        A weight outside [0, 1), or a scale that is not positive.

    Examples
    --------
    >>> studies = {"A": (24, 16), "B": (30, 26), "C": (17, 15)}
    >>> prior = robust_map(HistoricalControls(("y",), studies))
    >>> len(prior.components), round(prior.weights[-1], 3)
    (6, 0.2)
    """
    if isinstance(weight, bool) or not 0 <= weight < 1:
        raise SpecificationError(
            f"weight={weight!r} of the vague component must lie in [0, 1): 0 trusts the "
            "historical controls, and with 1 nothing would be borrowed."
        )
    if isinstance(between, bool) or not 0 < between < np.inf:
        raise SpecificationError(
            f"between={between!r} must be a positive number: the scale of the standard deviation "
            "between studies, log odds."
        )
    base = vague_parameters(historical, vague)
    weights, components = map_components(historical.table, base, float(between))
    if weight:
        weights = np.append((1 - weight) * weights, weight)
        components = np.vstack([components, base])
    kind = f"robust MAP, weight {weight:g} of the vague component" if weight else "MAP"
    total = sum(historical.persons.values())
    return ControlPrior(
        historical.outcomes,
        tuple((weights / weights.sum()).tolist()),
        tuple(map(tuple, components.tolist())),
        tuple(base.tolist()),
        f"{kind}, {len(historical.counts)} studies of {total} persons, between-study sd "
        f"HalfNormal({between:g})",
    )


def map_components(counts: Array, base: Array, between: float) -> tuple[Array, Array]:
    """Return weights and Dirichlet parameters of the MAP prior.

    Parameters
    ----------
    counts : ndarray, shape (study, pattern)
    base : ndarray, shape (pattern,)
        Dirichlet parameters of the studies' mean.
    between : float
        Scale of the prior of kappa.

    Returns
    -------
    weights : ndarray, shape (component,)
    components : ndarray, shape (component, pattern)
        From studies that differ little to studies that differ much.
    """
    kappa = between * ndtri(0.5 + 0.5 * (np.arange(NODES) + 0.5) / NODES)
    nodes = _standard_t(counts.shape[1] - 1)
    found = [_given(4.0 / k**2, counts, base, nodes) for k in kappa]
    evidence = np.array([each[0] for each in found])
    mean, second = (np.array([each[i] for each in found]) for i in (1, 2))
    posterior = np.exp(evidence - logsumexp(evidence))
    # Groups of neighbours with about the same posterior probability.
    group = np.minimum((np.cumsum(posterior) - posterior / 2) * COMPONENTS, COMPONENTS - 1)
    weights, components = [], []
    for g in np.unique(group.astype(int)):
        own = posterior * (group.astype(int) == g)
        weights.append(own.sum())
        components.append(_matched(own @ mean / own.sum(), own @ second / own.sum()))
    return np.array(weights), np.array(components)


def _matched(mean: Array, second: Array) -> Array:
    """Return the Dirichlet distribution with a mean, and the sum of all variances."""
    size = (mean * (1 - mean)).sum() / (second - mean**2).sum() - 1
    return np.asarray(size * mean)


def _given(tau: float, counts: Array, base: Array, nodes: Array) -> tuple[float, Array, Array]:
    """Return the log evidence of kappa, and first and second moments of a new study's patterns."""
    from scipy.optimize import minimize

    def density(x: Array) -> Array:
        return _log_density(np.append(x, 0.0)[None], tau, counts, base)[0][0]

    def gradient(x: Array) -> Array:
        return _log_density(np.append(x, 0.0)[None], tau, counts, base)[1][0, :-1]

    start = np.log((counts.sum(axis=0) + base) / (counts[:, -1].sum() + base[-1]))[:-1]
    mode = minimize(lambda x: -density(x), start, jac=lambda x: -gradient(x), method="BFGS").x
    step = 1e-4
    hessian = np.array(
        [(gradient(mode + step * e) - gradient(mode - step * e)) / (2 * step)
         for e in np.eye(len(mode))]
    )  # fmt: skip
    root = np.linalg.cholesky(np.linalg.inv(-(hessian + hessian.T) / 2))
    x = np.column_stack([mode + nodes @ root.T, np.zeros(len(nodes))])
    proposal = -0.5 * (FREEDOM + len(mode)) * np.log1p((nodes**2).sum(axis=1) / FREEDOM)
    log_w = _log_density(x, tau, counts, base)[0] - proposal
    evidence = logsumexp(log_w) + np.log(np.diag(root)).sum()
    w = np.exp(log_w - logsumexp(log_w))
    m = np.exp(x - logsumexp(x, axis=1, keepdims=True))
    second = m**2 + m * (1 - m) / (tau + 1)
    return float(evidence), w @ m, w @ second


def _log_density(x: Array, tau: float, counts: Array, base: Array) -> tuple[Array, Array]:
    """Return log density and gradient of the logits of the mean, shape (point, pattern)."""
    m = np.exp(x - logsumexp(x, axis=1, keepdims=True))
    log_m = x - logsumexp(x, axis=1, keepdims=True)
    a = tau * np.maximum(m, 1e-300)[:, None]  # (point, 1, pattern)
    value = (base * log_m).sum(axis=1) + (gammaln(a + counts) - gammaln(a)).sum(axis=(1, 2))
    size = counts.sum(axis=1)
    value += (gammaln(tau) - gammaln(tau + size)).sum()
    by_m = (tau * (digamma(a + counts) - digamma(a))).sum(axis=1)
    by_log = base - base.sum() * m + m * (by_m - (m * by_m).sum(axis=1, keepdims=True))
    return value, by_log


def _standard_t(dim: int) -> Array:
    """Return quasi-random points of a multivariate t distribution, shape (point, dim)."""
    from scipy.special import chdtri
    from scipy.stats import qmc

    u = qmc.Sobol(dim + 1, scramble=True, rng=SEED).random(POINTS)
    u = np.clip(u, 1e-12, 1 - 1e-12)
    chi = chdtri(FREEDOM, u[:, -1])
    return np.asarray(ndtri(u[:, :-1]) * np.sqrt(FREEDOM / chi)[:, None])
