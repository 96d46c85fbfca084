"""What every Op of the package shares: input types, and the lazy registration of its kernels.

An Op here has one numba kernel (with a version in its disk-cache key), one JAX function, a
NumPy ``perform`` as the readable definition, and its gradient as a second output or a second
Op. Importing numba or JAX costs seconds, so kernels are registered when the first Op is
applied, not when the package is imported.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

NumbaKernel = Callable[..., Any]

_numba_kernels: dict[type[Op], Callable[[Op], tuple[NumbaKernel, int]]] = {}
_jax_functions: dict[type[Op], Callable[[Op, Apply], Callable[..., Any]]] = {}
_registered: set[tuple[str, type[Op]]] = set()


def as_float(x: Any) -> Variable:
    """Return `x` as a float64 tensor, so that a kernel is compiled for one signature only."""
    x = pt.as_tensor_variable(x)
    return x if x.dtype == "float64" else x.astype("float64")


def as_index(x: Any) -> Variable:
    """Return `x` as an integer tensor; `pm.Data` holds int32, everything else becomes int64."""
    x = pt.as_tensor_variable(x)
    return x if x.dtype in ("int32", "int64") else x.astype("int64")


def vector(length: int | None = None) -> Variable:
    """Return a new float64 vector variable of static `length` (or unknown)."""
    return pt.TensorType("float64", shape=(length,))()


def scalar() -> Variable:
    """Return a new float64 scalar variable."""
    return pt.TensorType("float64", shape=())()


def uncompiled() -> Any:
    """Return a mode that runs a graph by NumPy: a few thousand calls cost less than compiling."""
    return Mode(linker="py", optimizer="fast_compile")


def is_connected(cotangent: Variable) -> bool:
    """Tell whether an output's cotangent is really there."""
    return not isinstance(cotangent.type, DisconnectedType)


def numba_kernel(op_class: type[Op]) -> Callable[[Any], Any]:
    """Declare ``f(op) -> (python kernel, version)`` as the numba implementation of `op_class`.

    Bump the version whenever the kernel's source changes: the disk cache sees nothing else.
    """

    def declare(f: Callable[[Op], tuple[NumbaKernel, int]]) -> Any:
        _numba_kernels[op_class] = f
        # A worker process unpickles graphs without applying an Op.
        if multiprocessing.parent_process() is not None:
            register_numba()
        return f

    return declare


def jax_function(op_class: type[Op]) -> Callable[[Any], Any]:
    """Declare ``f(op, node) -> function`` (importing JAX inside) as the JAX implementation."""

    def declare(f: Callable[[Op, Apply], Callable[..., Any]]) -> Any:
        _jax_functions[op_class] = f
        return f

    return declare


def register_numba() -> None:
    """Register the declared numba kernels with PyTensor; cheap when done before."""
    missing = [c for c in _numba_kernels if ("numba", c) not in _registered]
    if not missing:
        return
    from pytensor.link.numba.dispatch import basic

    for op_class in missing:
        _registered.add(("numba", op_class))
        implementation = _numba_kernels[op_class]

        def funcify(op: Op, implementation: Any = implementation, **_: Any) -> Any:
            kernel, version = implementation(op)
            # numpy error model: 1 / 0.0 is inf, as in NumPy, and not an exception.
            return basic.numba_njit(kernel, error_model="numpy"), version

        basic.register_funcify_default_op_cache_key(op_class)(funcify)


def register_jax() -> None:
    """Register the declared JAX functions with PyTensor.

    Done by itself once JAX has been imported; call it before compiling a graph of this
    package's Ops for JAX in a process that has not imported JAX yet.
    """
    missing = [c for c in _jax_functions if ("jax", c) not in _registered]
    if not missing:
        return
    from pytensor.link.jax.dispatch.basic import jax_funcify

    for op_class in missing:
        _registered.add(("jax", op_class))
        implementation = _jax_functions[op_class]

        def funcify(
            op: Op, node: Apply | None = None, implementation: Any = implementation, **_: Any
        ) -> Any:
            return implementation(op, node)

        jax_funcify.register(op_class)(funcify)


def register_backends() -> None:
    """Register the kernels of every backend that is, or is about to be, in use."""
    register_numba()
    # ArviZ leaves an unloaded "jax" in sys.modules, which would cost half a second to touch.
    if "jax.numpy" in sys.modules:
        register_jax()
