r"""A covariate of patients that the analysis of a planned trial adjusts for.

With the outcomes' slopes :math:`b`, the response patterns of a patient with covariate
:math:`x \sim N(0, 1)` have the probabilities

.. math:: \phi_c(x) \propto a_c \exp\Big(x \sum_k b_k y_{ck}\Big), \qquad
    \operatorname{E}_x\, \phi_c(x) = \phi_c,

with :math:`a` such that an arm has the patterns that the design states. So an analysis that leaves
the covariate out has the power and the error of the design without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.patterns import Array, pattern_values

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
STEPS, CLOSE = 2000, 1e-12


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

    def given(self, phi: Array, x: Array) -> Array:
        """Return the patterns' probabilities of patients, shape (patient, pattern).

        Parameters
        ----------
        phi : ndarray, shape (pattern,)
            Those of the arm.
        x : ndarray, shape (patient,)
            Standardised covariates.
        """
        values = pattern_values(int(np.log2(len(phi))))
        slope = values @ np.broadcast_to(self.slopes, values.shape[1])
        weight = WEIGHTS / WEIGHTS.sum()
        # Iterative scaling of the mixture of nodes to the arm's patterns (Sinkhorn 1964).
        log_a = np.log(np.maximum(phi, 1e-300))
        for _ in range(STEPS):
            mean = weight @ _softmax(log_a + NODES[:, None] * slope)
            if np.abs(mean - phi).max() < CLOSE:
                break
            log_a += np.log(np.maximum(phi, 1e-300)) - np.log(np.maximum(mean, 1e-300))
        return _softmax(log_a + np.asarray(x)[:, None] * slope)


def _softmax(eta: Array) -> Array:
    top = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(top / top.sum(axis=1, keepdims=True))
