"""A mode in which sums of many terms run by NumPy, whose functions take 32 operands at most."""

from __future__ import annotations

from typing import Any

from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.scalar.basic import Add, Mul
from pytensor.tensor.elemwise import Elemwise

OPERANDS = 32  # of a ufunc of NumPy, results included
AT_ONCE = 16
LAST = 99.0  # after every other rewrite, which would join what is split


@node_rewriter([Elemwise])
def split_wide(fgraph: Any, node: Any) -> Any:
    """Write a sum or product of many operands as one of several."""
    if not isinstance(node.op.scalar_op, Add | Mul) or len(node.inputs) < OPERANDS:
        return None
    parts = [node.inputs[i : i + AT_ONCE] for i in range(0, len(node.inputs), AT_ONCE)]
    return [node.op(*(node.op(*part) if len(part) > 1 else part[0] for part in parts))]


def narrow(mode: Mode) -> Mode:
    """Return the mode with every sum and product cut to what NumPy takes.

    PyTensor joins sums of sums: the log density of a model with 32 free variables is one sum of 32
    terms or more, which its linker for NumPy refuses.

    Parameters
    ----------
    mode : pytensor.compile.mode.Mode
        A mode whose linker calls NumPy.

    Returns
    -------
    pytensor.compile.mode.Mode

    Examples
    --------
    >>> import pytensor, pytensor.tensor as pt
    >>> x = [pt.dscalar() for _ in range(40)]
    >>> f = pytensor.function(x, pt.add(*x), mode=narrow(Mode(linker="py", optimizer=None)))
    >>> float(f(*range(40)))
    780.0
    """
    return mode.register((in2out(split_wide, name="split_wide"), LAST))
