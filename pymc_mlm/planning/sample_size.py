r"""Power and sample size of two-arm trials with several binary outcomes, by normal theory.

The effects' estimates are taken as normal, with variance :math:`(V_E + V_C) / n` for n patients
per arm; a posterior with a flat prior gives the same decisions in large samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from pymc_mlm.decisions.draws import EffectDraws
from pymc_mlm.decisions.rules import AbstractRule, Custom
from pymc_mlm.decisions.thresholds import check_alpha, marginal_threshold
from pymc_mlm.errors import SpecificationError

Array = np.ndarray[Any, Any]

MAX_PER_ARM = 10_000_000


@dataclass(frozen=True)
class PlannedTrial:
    """What is assumed about a two-arm trial before it is run.

    Parameters
    ----------
    control, treatment : sequence of float
        Success probabilities of the K outcomes in each arm.
    control_correlation, treatment_correlation : float or ndarray, shape (K, K), default 0
        Correlation of the outcomes within a patient; one number for all pairs.
    outcomes : sequence of str, optional
        Names, ``y1, y2, ...`` by default.

    Examples
    --------
    >>> PlannedTrial((0.4, 0.4), (0.55, 0.6), 0.3, 0.3).difference
    array([0.15, 0.2 ])
    """

    control: Sequence[float]
    treatment: Sequence[float]
    control_correlation: float | Array = 0.0
    treatment_correlation: float | Array = 0.0
    outcomes: Sequence[str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outcomes."""
        return tuple(self.outcomes or (f"y{k + 1}" for k in range(len(self.control))))

    @property
    def difference(self) -> Array:
        """Treatment minus control, shape (outcome,)."""
        treatment = np.asarray(self.treatment, dtype=float)
        control = np.asarray(self.control, dtype=float)
        if treatment.shape != control.shape or control.shape != (len(self.names),):
            raise SpecificationError(
                f"control has {control.size} probabilities, treatment {treatment.size}, and there "
                f"are {len(self.names)} names. Give one per outcome in each."
            )
        return treatment - control

    @property
    def covariance(self) -> Array:
        r"""Covariance of one patient per arm, :math:`\Sigma_E + \Sigma_C`, shape (K, K)."""
        return _covariance("treatment", self.treatment, self.treatment_correlation) + _covariance(
            "control", self.control, self.control_correlation
        )


def power(rule: AbstractRule, trial: PlannedTrial, per_arm: float, alpha: float = 0.05) -> float:
    r"""Return the probability that a one-sided decision finds the treatment better.

    With margins m, :math:`z_p` the normal quantile, :math:`s_k^2 = (V_{Ek} + V_{Ck}) / n` and R
    the correlation of the estimates

    .. math::
        \text{All: } & \Phi_K\{(\delta - m) / s - z_{1 - \alpha};\, R\} \\
        \text{Any: } & 1 - \Phi_K\{z_{1 - \alpha / K} - (\delta - m) / s;\, R\} \\
        \text{Compensatory: } & \Phi\{(w' \delta - m) / \sqrt{w' V w / n} - z_{1 - \alpha}\}

    Parameters
    ----------
    rule : AbstractRule
        Any rule but `Custom`, decided by the marginal criterion of `decide`.
    trial : PlannedTrial
        Assumed probabilities and correlations.
    per_arm : float
        Patients in each arm.
    alpha : float, default 0.05
        Type I error, one-sided; halve it for a two-sided test.

    Returns
    -------
    float
        Probability.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).
    .. [2] Sozu, T., Sugimoto, T., Hamasaki, T. (2010). Sample size determination in clinical
       trials with multiple co-primary binary endpoints. Statistics in Medicine 29(21).

    Examples
    --------
    >>> from pymc_mlm.decisions import All
    >>> round(power(All(), PlannedTrial((0.4, 0.4), (0.6, 0.6)), 100), 2)
    0.8
    """
    return _power_of(rule, trial, alpha)(per_arm)


def sample_size(
    rule: AbstractRule, trial: PlannedTrial, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return the smallest number of patients per arm that reaches the power.

    Parameters
    ----------
    rule, trial, alpha
        As in `power`.
    power : float, default 0.8
        Wanted probability that the treatment is found better.

    Returns
    -------
    int
        Patients per arm.

    Raises
    ------
    SpecificationError
        The assumed effect never reaches the power, or an assumption is impossible.

    Examples
    --------
    >>> from pymc_mlm.decisions import Single
    >>> sample_size(Single("y1"), PlannedTrial((0.4,), (0.6,)))
    75
    """
    if not 0 < power < 1:
        raise SpecificationError(f"power={power!r} must lie between 0 and 1; write, say, 0.8.")
    power_at = _power_of(rule, trial, alpha)
    high = 2
    while power_at(high) < power:
        high *= 2
        if high > MAX_PER_ARM:
            raise SpecificationError(
                f"Rule {rule.label} does not reach a power of {power:g} with "
                f"{MAX_PER_ARM:,} patients per arm; the assumed differences are "
                f"{np.round(trial.difference, 4).tolist()}. Assume larger ones or weaken the rule."
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high


def compensatory_sample_size(
    weights: Sequence[float], trial: PlannedTrial, power: float = 0.8, alpha: float = 0.05
) -> int:
    r"""Return the closed form for a weighted sum, of which `sample_size` is the general case.

    .. math:: n = w' (\Sigma_E + \Sigma_C)\, w
        \left( \frac{z_{1 - \alpha} + z_{1 - \beta}}{w' \delta} \right)^2

    Parameters
    ----------
    weights : sequence of float
        One per outcome.
    trial, power, alpha
        As in `sample_size`.

    Returns
    -------
    int
        Patients per arm.
    """
    check_alpha(alpha)
    w = np.asarray(weights, dtype=float)
    gain = float(w @ trial.difference)
    if gain <= 0:
        raise SpecificationError(
            f"The assumed weighted effect is {gain:.4g}; it must be positive to be found."
        )
    quantiles = ndtri(1 - alpha) + ndtri(power)
    return ceil(float(w @ trial.covariance @ w) * (quantiles / gain) ** 2)


def _power_of(rule: AbstractRule, trial: PlannedTrial, alpha: float) -> Callable[[float], float]:
    """Return power as a function of the patients per arm."""
    if isinstance(rule, Custom):
        raise SpecificationError(
            f"{rule.label!r} is a custom rule, which has no power formula. Simulate trials instead."
        )
    mean, covariance = _contrast_moments(rule, trial)
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    critical = ndtri(marginal_threshold(rule.combine, len(mean), alpha))

    def power_at(per_arm: float) -> float:
        shift = mean / sd * np.sqrt(per_arm)
        if rule.combine == "every":
            return _normal_cdf(shift - critical, correlation)
        return 1 - _normal_cdf(critical - shift, correlation)

    return power_at


def _contrast_moments(rule: AbstractRule, trial: PlannedTrial) -> tuple[Array, Array]:
    """Return mean and one-patient covariance of the rule's contrasts.

    Contrasts are linear in the effects, so their values at zero and at the unit vectors tell
    everything about them.
    """
    mean, covariance = trial.difference, trial.covariance
    points = np.vstack([np.zeros(len(mean)), np.eye(len(mean))])
    values = np.stack(list(rule.contrasts(EffectDraws(points, trial.names)).values()))
    slope = values[:, 1:] - values[:, :1]  # (contrast, outcome)
    return values[:, 0] + slope @ mean, slope @ covariance @ slope.T


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


def _covariance(arm: str, probabilities: Sequence[float], correlation: float | Array) -> Array:
    p = np.asarray(probabilities, dtype=float)
    if p.ndim != 1 or not ((p > 0) & (p < 1)).all():
        raise SpecificationError(
            f"{arm}={tuple(np.ravel(p).tolist())} must be probabilities strictly between 0 and 1, "
            "one per outcome."
        )
    rho = np.array(np.broadcast_to(np.asarray(correlation, dtype=float), (len(p), len(p))))
    np.fill_diagonal(rho, 1.0)
    sd = np.sqrt(p * (1 - p))
    joint = rho * np.outer(sd, sd) + np.outer(p, p)
    lowest = np.maximum(0.0, p[:, None] + p - 1)
    highest = np.minimum(p[:, None], p)
    off = ~np.eye(len(p), dtype=bool)
    impossible = off & ((joint < lowest - 1e-12) | (joint > highest + 1e-12))
    if impossible.any():
        i, j = (int(k) for k in np.argwhere(impossible)[0])
        low, high = ((b - p[i] * p[j]) / (sd[i] * sd[j]) for b in (lowest[i, j], highest[i, j]))
        raise SpecificationError(
            f"{arm}_correlation={rho[i, j].item():g} is impossible for success probabilities "
            f"{p[i].item():g} and {p[j].item():g}; it must lie between {low:.3f} and {high:.3f}."
        )
    return rho * np.outer(sd, sd)
