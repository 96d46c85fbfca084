"""Weights written as text: `Expression` parses text, folds data, and writes graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pytensor.tensor as pt

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.base import as_index
from pymc_mlm.weights.base import AbstractWeight, RawWeight, WeightDesign
from pymc_mlm.weights.design import (
    Folded,
    key,
    needed_signs,
    piece_data,
    prior_sds,
    read_columns,
    signs_of_keys,
)
from pymc_mlm.weights.emit import Graph
from pymc_mlm.weights.fold import Rows, fold
from pymc_mlm.weights.lower import Array, Lowering, arrays
from pymc_mlm.weights.normal import normal_form
from pymc_mlm.weights.parse import declare, parse
from pymc_mlm.weights.sign import Sign
from pymc_mlm.weights.tokens import nearest, refuse
from pymc_mlm.weights.tree import (
    DEFAULT_PARAMETER,
    GROUP_SIZE,
    Column,
    GroupSize,
    Node,
    Parameter,
    unparse,
    walk,
)


@final
@dataclass(frozen=True)
class Expression(AbstractWeight):
    r"""A weight function written as text, such as ``"1 / n ** exp(b * x)"``.

    Parameters
    ----------
    text : str
        The raw weight of a membership row, taken literally: nothing is rescaled. An initial
        ``w ~`` is ignored. Understood are

        - numbers, ``+ - * / **``, R's ``^`` for a power, parentheses;
        - comparisons ``== != < <= > >=``, also chained, that give 0 or 1, and ``&``, ``|``,
          ``and``, ``or``, ``not`` of them, binding looser than a comparison as in R; a number
          other than 0 counts as true;
        - ``exp log log10 sqrt ilogit tanh abs`` of one value, and ``pow(x, y)``;
        - ``logit probit cloglog``, their inverses ``iprobit icloglog``, and ``round floor ceiling
          trunc``, of data alone;
        - ``min max mean sum sd var median range`` over the rows of a group (`sd` and `var` with
          divisor n - 1), ``quantile(x, p)``, and ``first(x, order)``, ``last(x, order)`` by a
          column that orders the rows;
        - ``scale(x)``, `x` less its mean over the fitted rows and divided by its sd;
        - ``n``, the number of rows of the group, and ``TRUE``, ``FALSE``;
        - free parameters ``b``, ``b0``, ``b1``, ..., ``b12`` and those named in `parameters`;
        - any other name is a column of the table. In backquotes every name is a column: a name
          with a space, or a column called ``n`` or ``b1``, which otherwise would be the group's
          size and a free parameter.
    parameters : iterable of str
        Names of further free parameters. Kept are all free parameters of the text, in order of
        appearance, so that ``Expression("exp(b * x)").parameters == ("b",)``.
    prior_scaled : bool
        Divide the default prior standard deviation 1 of a parameter that multiplies a column (or
        anything else made of data) by the standard deviation of that column over rows.

    Raises
    ------
    SpecificationError
        The text is not a weight expression; the message has the character, counted from 1.

    Notes
    -----
    A free parameter cannot stand inside a comparison, or inside a function over rows other than
    ``mean`` and ``sum``, where it has no useful gradient; ``ilogit(10 * (x - b0))`` is a smooth
    step.

    Weights proven not to be negative are computed as logarithms and stay finite for parameters of
    +-50. The proof uses signs only: of constants, of data by value, of ``exp``, ``ilogit``,
    ``sqrt``, ``abs``, comparisons and even powers, and of their sums, products and powers.

    Two expressions are equal if text, free parameters and `prior_scaled` are.

    Examples
    --------
    >>> import numpy as np
    >>> weight = Expression("w ~ seats^2 / sum(seats^2)")
    >>> weight.columns, weight.parameters
    (('seats',), ())
    >>> seats = {"seats": np.array([3.0, 1.0, 2.0])}
    >>> weight.resolve(seats, np.array([0, 0, 1]), np.array([0, 2, 3])).value
    array([0.9, 0.1, 1. ])
    >>> Expression("ilogit(b0 + b1 * `seat share`)").parameters
    ('b0', 'b1')
    """

    text: str
    parameters: tuple[str, ...] = ()
    prior_scaled: bool = False
    _tree: Node = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse the text."""
        if not isinstance(self.text, str):
            raise SpecificationError(f"a weight's text must be a str, not {self.text!r}")
        declared = declare(self.parameters)
        tree = parse(self.text, declared)
        found = tuple(dict.fromkeys(p.name for p in walk(tree) if isinstance(p, Parameter)))
        for name in declared:
            if name not in found and not DEFAULT_PARAMETER.fullmatch(name):
                raise SpecificationError(
                    f"the weight {self.text!r} does not use {name!r}, which parameters= names; "
                    "use it in the text or leave it out."
                )
        object.__setattr__(self, "parameters", found)
        object.__setattr__(self, "_tree", tree)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that the weight reads, in order of appearance."""
        return tuple(dict.fromkeys(c.name for c in walk(self._tree) if isinstance(c, Column)))

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the text that are no columns: the group's size and free parameters."""
        size = any(isinstance(node, GroupSize) for node in walk(self._tree))
        return ((GROUP_SIZE,) if size else ()) + self.parameters

    @property
    def label(self) -> str:
        """The function as it was understood, as text that parses to the same function."""
        return unparse(self._tree)

    def check(self, available: Collection[str]) -> None:
        """Raise `SpecificationError` if a column is not among those `available`."""
        for column in walk(self._tree):
            if isinstance(column, Column) and column.name not in available:
                refuse(
                    self.text,
                    column.position,
                    f"{column.name!r} is neither a column nor a free parameter"
                    f"{nearest(column.name, [*available, *self.parameters])}. Free parameters are "
                    "b, b0, ..., b12 and those named in parameters=; columns are "
                    f"{_listed(available)}",
                )

    def resolve(
        self,
        columns: Mapping[str, np.ndarray],
        group: np.ndarray,
        indptr: np.ndarray,
        known: WeightDesign | None = None,
    ) -> WeightDesign:
        """Read the columns and fold what does not depend on a free parameter.

        See `AbstractWeight.resolve`.
        """
        self.check(columns.keys())
        scales = {} if known is None else dict(known.scales)
        numbers = read_columns(columns, self.columns)
        rows = Rows(numbers, np.asarray(group), np.asarray(indptr), scales)
        if not self.parameters:
            return self._fixed_design(rows, known)
        node, pieces = normal_form(self._tree)
        folded = [Folded(self.label, piece, fold(piece, rows), rows) for piece in pieces]
        for piece in folded:
            piece.require_finite()
        signs = self._signs(node, folded, known)
        lowering = Lowering(pieces, signs)
        prior_sd = prior_sds(self._tree, self.parameters, rows if self.prior_scaled else None)
        data = piece_data(lowering.whole(node), folded, signs)
        return WeightDesign(data, prior_sd, lowering.nonnegative(node), scales=rows.scales)

    def evaluate(
        self, data: Mapping[str, Any], b: Mapping[str, Any], group: Any, indptr: Any
    ) -> RawWeight:
        """Write the raw weights as graph.

        See `AbstractWeight.evaluate`.

        Examples
        --------
        >>> import numpy as np
        >>> weight = Expression("1 / n ** exp(b * x)")
        >>> group, indptr = np.array([0, 0, 1]), np.array([0, 2, 3])
        >>> design = weight.resolve({"x": np.array([0.0, 1.0, 1.0])}, group, indptr)
        >>> raw = weight.evaluate(design.data, {"b": 0.0}, group, indptr)
        >>> raw.natural().eval()
        array([0.5, 0.5, 1. ])
        """
        if not self.parameters:
            return _fixed_weight(data)
        node, pieces = normal_form(self._tree)
        signs = signs_of_keys(data, len(pieces))
        lowering = Lowering(pieces, signs)
        lowered = lowering.whole(node)
        graph = Graph(
            {a: pt.as_tensor_variable(data[key(a, signs)]) for a in arrays(lowered)},
            {name: pt.as_tensor_variable(b[name]) for name in self.parameters},
            as_index(group),
            as_index(indptr),
        )
        weight = graph.per_row(graph.write(lowered))
        return RawWeight(log=weight) if lowering.nonnegative(node) else RawWeight(value=weight)

    def _signs(
        self, node: Node, folded: Sequence[Folded], known: WeightDesign | None
    ) -> tuple[Sign, ...]:
        """Return what the graph assumes of the pieces; new data must agree with the fitted."""
        if known is None:
            return needed_signs(node, folded)
        signs = signs_of_keys(known.data, len(folded))
        for piece, sign in zip(folded, signs, strict=True):
            piece.require_sign(sign)
        return signs

    def _fixed_design(self, rows: Rows, known: WeightDesign | None) -> WeightDesign:
        whole = Folded(self.label, self._tree, fold(self._tree, rows), rows)
        whole.require_finite()
        if known is not None and known.nonnegative:
            whole.require_sign(Sign.NONNEGATIVE)
        nonnegative = whole.sign == Sign.NONNEGATIVE if known is None else known.nonnegative
        array = Array(0, is_log=nonnegative, finite=False)
        data = {key(array, [Sign.ANY]): whole.as_array(array)}
        return WeightDesign(data, {}, nonnegative, whole.values, rows.scales)


def _listed(names: Collection[str], most: int = 12) -> str:
    shown = [repr(name) for name in list(names)[:most]]
    return ", ".join(shown) + (", ..." if len(names) > most else "") or "none"


def _fixed_weight(data: Mapping[str, Any]) -> RawWeight:
    if "log_0" in data:
        return RawWeight(log=pt.as_tensor_variable(data["log_0"]))
    return RawWeight(value=pt.as_tensor_variable(data["value_0"]))
