"""Weights of memberships at values of their parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor
import pytensor.tensor as pt

from pymc_mlm.data.membership import Membership
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.weights import AbstractWeight, WeightDesign


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
