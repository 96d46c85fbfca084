"""Weights of memberships at values of their parameters, and the variance that they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt

from pymc_mlm.data.membership import Membership
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.weights import AbstractWeight, WeightDesign

if TYPE_CHECKING:
    pass


def evaluate_weights(
    weight: AbstractWeight,
    design: WeightDesign,
    membership: Membership,
    normalize: bool,
    parameters: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Evaluate the very graph that the model uses, by NumPy, without compilation."""
    b = {name: pt.dscalar(name) for name in weight.parameters}
    group, indptr = pt.lvector("group"), pt.lvector("indptr")
    raw = weight.evaluate(design.data, b, group, indptr)
    w = group_softmax(raw.log, group, indptr) if normalize else raw.natural()
    rows = len(membership.group)
    w = pt.as_tensor(w) + pt.zeros(rows)
    f = pytensor.function(
        [*b.values()],
        w,
        givens=[(group, pt.constant(membership.group)), (indptr, pt.constant(membership.indptr))],
        mode=uncompiled(),
        on_unused_input="ignore",
    )
    draws = max((len(v) for v in parameters.values()), default=1)
    out = np.empty((draws, rows))
    with np.errstate(all="ignore"):
        for s in range(draws):
            out[s] = f(*(parameters[name][s] for name in b))
    return out


def membership_variance(sd: np.ndarray, weights: np.ndarray, num_groups: int) -> np.ndarray:
    r"""Return the variance that member effects give to their groups, averaged over groups.

    .. math:: V^{(s)} = \frac{1}{J} \sum_j \bigl(\sigma^{(s)}\bigr)^2
        \sum_{k \in j} \bigl(w_{jk}^{(s)}\bigr)^2

    Per draw `s`, weights included: the mean of a squared weight is larger than the square of
    its mean, and plugging in mean weights understates the variance.

    Parameters
    ----------
    sd : ndarray, shape (draw,)
        Standard deviation of the member effects.
    weights : ndarray, shape (draw, row) or (1, row)
        Weights of the membership rows.
    num_groups : int
        Number of groups.

    Returns
    -------
    ndarray, shape (draw,)
        Variance on the scale of the linear predictor, squared.

    Examples
    --------
    >>> membership_variance(np.array([2.0]), np.array([[0.5, 0.5, 1.0]]), 2)
    array([3.])
    """
    # Summing over all rows at once: the average over groups needs no sum per group.
    return np.asarray(sd**2 * (weights**2).sum(axis=1) / num_groups)
