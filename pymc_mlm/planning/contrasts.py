"""Rules as linear contrasts of effects, the form in which they have error rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pymc_mlm.decisions.draws import Array, EffectDraws
from pymc_mlm.decisions.rules import AbstractRule, Custom
from pymc_mlm.errors import SpecificationError


def linear_contrasts(rule: AbstractRule, outcomes: Sequence[str]) -> tuple[Array, Array]:
    r"""Return A and m of a rule whose contrasts are :math:`A \delta - m`.

    Parameters
    ----------
    rule : AbstractRule
        Any rule but `Custom`.
    outcomes : sequence of str
        Names of the outcomes.

    Returns
    -------
    slope : ndarray, shape (contrast, outcome)
    margin : ndarray, shape (contrast,)

    Raises
    ------
    SpecificationError
        The rule is custom, or names an unknown outcome.

    Examples
    --------
    >>> from pymc_mlm.decisions import Single
    >>> slope, margin = linear_contrasts(Single("y2", margin=-0.1), ("y1", "y2"))
    >>> slope.tolist(), margin.tolist()
    ([[0.0, 1.0]], [-0.1])
    """
    if isinstance(rule, Custom):
        raise SpecificationError(
            f"{rule.label!r} is a custom rule: its nulls and formulas are not known. Ask for its "
            "power by method='simulation' without clusters, or by method='refit'."
        )
    # Contrasts are linear in the effects: their values at zero and at the unit vectors are all.
    points = np.vstack([np.zeros(len(outcomes)), np.eye(len(outcomes))])
    values = np.stack(list(rule.contrasts(EffectDraws(points, tuple(outcomes))).values()))
    return (values[:, 1:] - values[:, :1]).round(15), -values[:, 0]


def is_separable(slope: Array) -> bool:
    """Tell whether each contrast is the effect on one outcome."""
    return bool((slope.sum(axis=1) == 1).all() and ((slope != 0).sum(axis=1) == 1).all())
