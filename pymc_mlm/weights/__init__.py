"""Weights: the raw weight of a membership row as a function of columns and free parameters.

`Expression` is a function written as text; `equal`, `column`, `largest`, `softmax`,
`generalized_logistic` and `size_power` are the usual ones by name, `persistence` those of
value-added models, `contest` those of paired comparisons and `candidates` those of uncertain
memberships; `AbstractWeight` is what a weight of
one's own must implement.
"""

from __future__ import annotations

from collections.abc import Iterable

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights.base import AbstractWeight, RawWeight, WeightDesign
from pymc_mlm.weights.builtin import (
    column,
    equal,
    generalized_logistic,
    largest,
    size_power,
    softmax,
)
from pymc_mlm.weights.candidates import Candidates, candidates
from pymc_mlm.weights.contest import Contest, contest
from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.parse import declare
from pymc_mlm.weights.persistence import Persistence, persistence

__all__ = [
    "AbstractWeight",
    "Candidates",
    "Contest",
    "Expression",
    "Persistence",
    "RawWeight",
    "WeightDesign",
    "as_weight",
    "candidates",
    "column",
    "contest",
    "equal",
    "generalized_logistic",
    "largest",
    "persistence",
    "size_power",
    "softmax",
]


def as_weight(spec: str | AbstractWeight, parameters: Iterable[str] = ()) -> AbstractWeight:
    """Return a weight from its text, or a weight as it is.

    Parameters
    ----------
    spec : str or AbstractWeight
        Text as `Expression` reads it, or a weight.
    parameters : iterable of str
        Further free parameters of a text.

    Returns
    -------
    AbstractWeight

    Raises
    ------
    SpecificationError
        `spec` is something else, is not a weight expression, or is a weight without the named
        parameters.

    Examples
    --------
    >>> as_weight("exp(theta * x)", parameters=["theta"])
    Expression(text='exp(theta * x)', parameters=('theta',), prior_scaled=False)
    """
    if isinstance(spec, str):
        return Expression(spec, declare(parameters))
    if not isinstance(spec, AbstractWeight):
        raise SpecificationError(
            f"weight={spec!r} is a {type(spec).__name__}; give a text such as '1 / n' or a weight "
            "such as softmax('x')."
        )
    missing = [name for name in parameters if name not in spec.parameters]
    if missing:
        raise SpecificationError(
            f"parameters= names {missing[0]!r}, but the weight {spec.label!r} has the free "
            f"parameters {spec.parameters}; parameters= is for weights given as text."
        )
    return spec
