r"""A covariate of patients that the analysis of a planned trial adjusts for.

With the outcomes' slopes :math:`b`, the response patterns of a patient with covariate
:math:`x \sim N(0, 1)` have the probabilities

.. math:: \phi_c(x) \propto a_c \exp\Big(x \sum_k b_k y_{ck}\Big), \qquad
    \operatorname{E}_x\, \phi_c(x) = \phi_c,

with :math:`a` such that an arm has the patterns that the design states. So an analysis that leaves
the covariate out has the power and the error of the design without it. In a trial of clusters
:math:`\phi` is that of the cluster, and clusters vary as the design states, averaged over the
covariate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.patterns import Array, pattern_values

# The normal density beyond is 1e-15 of that at zero.
WIDEST = 8.3
# Error of the trapezoidal rule, as a part of the whole.
QUADRATURE_ERROR = 1e-10
STEPS, CLOSE = 5000, 1e-10


@dataclass(frozen=True)
class Covariate:
    """A covariate that predicts the outcomes.

    Parameters
    ----------
    slopes : float or sequence of float
        Change of each outcome's log odds, given the other outcomes, per standard deviation of the
        covariate; the same in all arms.

    Raises
    ------
    SpecificationError
        A slope is not a finite number, or beyond 5.

    Examples
    --------
    >>> Covariate((1.0, 0.5)).given(np.full(4, 0.25), np.array([0.0])).round(3).tolist()
    [[0.225, 0.275, 0.275, 0.225]]
    """

    slopes: float | Sequence[float]

    def __post_init__(self) -> None:
        values = np.atleast_1d(np.asarray(self.slopes, dtype=float))
        if values.ndim != 1 or not (np.abs(values) <= 5).all():
            raise SpecificationError(
                f"slopes={self.slopes!r} of the covariate are log odds per standard deviation, "
                "from -5 to 5, one for all outcomes or one each."
            )
        object.__setattr__(self, "slopes", tuple(values.tolist()))

    def check(self, num_outcomes: int) -> None:
        """Raise a `SpecificationError` unless there is a slope for each outcome, or one for all."""
        if len(self.slopes) not in (1, num_outcomes):  # type: ignore[arg-type]
            raise SpecificationError(
                f"The covariate has {len(self.slopes)} slopes "  # type: ignore[arg-type]
                f"for {num_outcomes} outcomes. Give one for each, or one for all."
            )

    def given(self, phi: Array, x: Array, unit: Array | int = 0) -> Array:
        """Return the patterns' probabilities of patients, shape (patient, pattern).

        Parameters
        ----------
        phi : ndarray, shape (pattern,) or (unit, pattern)
            Those of the arm, or of each arm or cluster, averaged over the covariate.
        x : ndarray, shape (patient,)
            Standardised covariates.
        unit : ndarray of int, shape (patient,), default 0
            Row of `phi` that a patient belongs to.

        Raises
        ------
        SpecificationError
            No patterns with these slopes have the averages `phi`, to a part in 1e10.
        """
        phi = np.maximum(np.atleast_2d(phi), 1e-300)
        values = pattern_values(int(np.log2(phi.shape[1])))
        slope = values @ np.broadcast_to(self.slopes, values.shape[1])
        log_a = self._intercepts(phi, slope)
        return _softmax(log_a[unit] + np.asarray(x)[:, None] * slope)

    def _intercepts(self, phi: Array, slope: Array) -> Array:
        """Scale the mixture of nodes to the units' patterns (Sinkhorn 1964), log odds."""
        nodes, weight = _normal_nodes(float(np.ptp(slope)))
        log_a, log_phi = np.log(phi), np.log(phi)
        left = np.arange(len(phi))
        for _ in range(STEPS):
            each = _softmax(log_a[left, None] + nodes[:, None] * slope)  # (unit, node, pattern)
            mean = weight @ each
            log_a[left] += log_phi[left] - np.log(np.maximum(mean, 1e-300))
            left = left[np.abs(mean - phi[left]).max(axis=1) > CLOSE]
            if not len(left):
                return log_a
        raise SpecificationError(
            f"The slopes {self.slopes!r} of the covariate are too large: after {STEPS} steps "
            f"response patterns still miss those of the design by more than {CLOSE:g}. Use smaller "
            "slopes."
        )


def _normal_nodes(widest: float) -> tuple[Array, Array]:
    r"""Return nodes and weights of averages over a standard normal variable.

    A logistic function of slope s has poles at a distance :math:`\pi / s` from the real axis, and
    the trapezoidal rule with step h the error :math:`\exp(-2 \pi^2 / (s h))` (Trefethen and
    Weideman 2014).

    Parameters
    ----------
    widest : float
        Largest difference of slopes.
    """
    step = min(0.25, 2 * np.pi**2 / (max(widest, 1e-9) * -np.log(QUADRATURE_ERROR)))
    nodes = np.linspace(-WIDEST, WIDEST, int(np.ceil(2 * WIDEST / step)) + 1)
    weight = np.exp(-0.5 * nodes**2)
    return nodes, weight / weight.sum()


def _softmax(eta: Array) -> Array:
    top = np.exp(eta - eta.max(axis=-1, keepdims=True))
    return np.asarray(top / top.sum(axis=-1, keepdims=True))
