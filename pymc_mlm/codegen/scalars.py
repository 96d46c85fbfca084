"""Expressions of one entry: arithmetic as text, everything else as PyTensor's numba function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.scalar.basic as ps
from pytensor.graph.basic import Apply
from pytensor.scalar.basic import get_scalar_type
from pytensor.scalar.math import Sigmoid

from pymc_mlm.codegen import host

Args = Sequence[str]

# Exact types: a subclass may mean something else.
_TEXT: dict[type, Callable[[Args], str]] = {
    ps.Add: lambda a: " + ".join(a),
    ps.Mul: lambda a: " * ".join(a),
    ps.Sub: lambda a: f"{a[0]} - {a[1]}",
    ps.TrueDiv: lambda a: f"{a[0]} / {a[1]}",
    ps.Neg: lambda a: f"-{a[0]}",
    ps.Reciprocal: lambda a: f"1.0 / {a[0]}",
    ps.Sqr: lambda a: f"{a[0]} * {a[0]}",
    ps.Abs: lambda a: f"abs({a[0]})",
    ps.Exp: lambda a: f"exp({a[0]})",
    ps.Log: lambda a: f"log({a[0]})",
    ps.Log1p: lambda a: f"log1p({a[0]})",
    ps.Sqrt: lambda a: f"sqrt({a[0]})",
    ps.Pow: lambda a: f"{a[0]} ** {a[1]}",
    ps.GT: lambda a: f"{a[0]} > {a[1]}",
    ps.GE: lambda a: f"{a[0]} >= {a[1]}",
    ps.LT: lambda a: f"{a[0]} < {a[1]}",
    ps.LE: lambda a: f"{a[0]} <= {a[1]}",
    ps.EQ: lambda a: f"{a[0]} == {a[1]}",
    ps.NEQ: lambda a: f"{a[0]} != {a[1]}",
    ps.Switch: lambda a: f"{a[1]} if {a[0]} else {a[2]}",
    ps.Identity: lambda a: a[0],
    ps.Second: lambda a: a[1],
    Sigmoid: lambda a: f"1.0 / (1.0 + exp(-{a[0]}))",
}
_BOOLEAN: dict[type, Callable[[Args], str]] = {
    ps.AND: lambda a: " and ".join(a),
    ps.OR: lambda a: " or ".join(a),
    ps.Invert: lambda a: f"not {a[0]}",
    **{t: _TEXT[t] for t in (ps.GT, ps.GE, ps.LT, ps.LE, ps.EQ, ps.NEQ, ps.Switch, ps.Identity)},
}
_FLOAT_ONLY = (ps.Exp, ps.Log, ps.Log1p, ps.Sqrt, Sigmoid, ps.Reciprocal, ps.Pow)
_CASTS = {"float64": "float({})", "int64": "int({})"}


def expression(op: Any, dtypes: Sequence[str], out_dtype: str, args: Args) -> str | None:
    """Return the text of a scalar operation, or None if it is not simple arithmetic.

    Parameters
    ----------
    op : ScalarOp
        The operation.
    dtypes : sequence of str
        Dtypes of its arguments.
    out_dtype : str
        Dtype of its result.
    args : sequence of str
        Text of its arguments: names, literals or reads.
    """
    kind = type(op)
    if "complex" in out_dtype or any("complex" in d for d in dtypes):
        return None
    if kind is ps.Cast and dtypes[0] == "bool" and out_dtype in _CASTS:
        return f"1 if {args[0]} else 0" if out_dtype == "int64" else f"1.0 if {args[0]} else 0.0"
    if kind is ps.Cast:
        return _CASTS[out_dtype].format(args[0]) if out_dtype in _CASTS else None
    if kind in _FLOAT_ONLY and not dtypes[0].startswith("float"):
        return None
    # Where numba would compute in int64 and PyTensor in fewer bits, PyTensor's function decides.
    is_comparison = out_dtype == "bool"
    if not is_comparison and out_dtype not in ("float64", "float32", "int64"):
        return None
    text = (_BOOLEAN if is_comparison else _TEXT).get(kind)
    return None if text is None else text(args)


def scalar_function(op: Any, dtypes: Sequence[str]) -> tuple[Any, str | None]:
    """Return PyTensor's numba function of a scalar operation and its cache key."""
    node: Apply = op.make_node(*[get_scalar_type(np.dtype(d).name)() for d in dtypes])
    return host().function_of(op, node)
