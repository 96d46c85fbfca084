r"""Cut-offs that keep the type I error of a rule at its nominal level.

Two probabilities are in use. The joint one, P(every effect > 0) or P(any effect > 0), is
evidence about the rule's event and is what bmco prints. The papers decide with the marginal
ones: for All the smallest :math:`P(\delta_k > 0)` must exceed :math:`1 - \alpha`, for Any the
largest must exceed :math:`1 - \alpha / K`, for a weighted sum
:math:`P(w' \delta > 0) > 1 - \alpha`; a two-sided test takes :math:`\alpha / 2` on each side.

They are not the same. In simulations with no effect at all (200 patients an arm, two outcomes
correlated -.3, 0, .3, .6) the marginal criterion for Any errs in .054, .054, .054, .041 of the
trials at :math:`\alpha = .05`, while the joint probability cut at .95 errs in .253, .217, .169,
.117. The joint probability of All, cut at .95, keeps :math:`\alpha` but has less power.
"""

from __future__ import annotations

from math import exp, factorial, log
from numbers import Real
from typing import Literal

from pymc_mlm.errors import SpecificationError

Alternative = Literal["greater", "less", "two-sided"]


def check_alpha(alpha: float) -> None:
    """Raise a `SpecificationError` unless `alpha` lies between 0 and 1."""
    if not isinstance(alpha, Real) or not 0.0 < alpha < 1.0:
        raise SpecificationError(
            f"alpha={alpha!r} is not a probability between 0 and 1. Write, say, alpha=0.05 for a "
            "type I error of 5%."
        )


def marginal_threshold(
    combine: Literal["every", "any"],
    num_contrasts: int,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
) -> float:
    r"""Return what a marginal posterior probability must exceed.

    .. math:: 1 - \alpha \text{ (every)}, \qquad 1 - \alpha / K \text{ (any)}

    with :math:`\alpha / 2` in place of :math:`\alpha` for a two-sided alternative.

    Parameters
    ----------
    combine : {"every", "any"}
        Whether all contrasts must pass (an intersection-union test needs no correction), or any
        one will do (Bonferroni).
    num_contrasts : int
        Number of contrasts K.
    alpha : float
        Type I error of the decision.
    alternative : {"greater", "less", "two-sided"}
        Direction of the test.

    Returns
    -------
    float

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).

    Examples
    --------
    >>> marginal_threshold("any", 2, 0.05)
    0.975
    """
    check_alpha(alpha)
    if alternative not in ("greater", "less", "two-sided"):
        raise SpecificationError(
            f"alternative={alternative!r} is not known. Write 'greater', 'less' or 'two-sided'."
        )
    side = alpha / 2 if alternative == "two-sided" else alpha
    return 1 - (side / num_contrasts if combine == "any" else side)


def joint_any_cutoff(alpha: float = 0.05, num_outcomes: int = 2) -> float:
    r"""Return the cut-off for the joint probability P(any effect > 0), outcomes independent.

    Without effects each :math:`u_k = P(\delta_k > 0)` is about uniform. For independent outcomes
    :math:`P(\text{any}) = 1 - \prod_k (1 - u_k)`, and a product of K uniforms lies below x with
    probability

    .. math:: x \sum_{j=0}^{K-1} \frac{(-\ln x)^j}{j!}, \qquad
        \text{for } K = 2: \; x (1 - \ln x).

    The cut-off is 1 - x where this equals :math:`\alpha`.

    Parameters
    ----------
    alpha : float
        Type I error of the decision.
    num_outcomes : int
        Number of outcomes K.

    Returns
    -------
    float
        Too strict for positively and too lax for negatively correlated outcomes; the marginal
        criterion of `marginal_threshold` needs no such assumption.

    Examples
    --------
    >>> round(joint_any_cutoff(0.05), 3)
    0.991
    """
    check_alpha(alpha)
    # In t = -log x the probability falls from one to zero, so bisection is safe.
    low, high = 0.0, 1.0
    while _product_tail(high, num_outcomes) > alpha:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _product_tail(middle, num_outcomes) > alpha else (low, middle)
    return 1 - exp(-high)


def joint_all_cutoff(alpha: float = 0.05) -> float:
    r"""Return the cut-off for the joint probability P(every effect > 0): :math:`1 - \alpha`.

    The least favourable null has one effect at zero and the others so large that the joint
    probability equals the marginal one. It keeps :math:`\alpha`, with less power than the
    marginal criterion (.573 against .608 in the simulations of this module's docstring).

    Examples
    --------
    >>> joint_all_cutoff(0.05)
    0.95
    """
    check_alpha(alpha)
    return 1 - alpha


def _product_tail(t: float, num_outcomes: int) -> float:
    """P(product of uniforms < exp(-t)), the survival function of a gamma variable."""
    return sum(
        exp(j * log(t) - t) / factorial(j) if t > 0 else float(j == 0) for j in range(num_outcomes)
    )
