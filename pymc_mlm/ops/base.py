"""What every Op of the package shares: input types, and the lazy registration of its kernels.

An Op here has one numba kernel, one JAX function, a readable definition in NumPy, and its gradient
as a second output or a second Op. All three refuse inputs that do not have the Op's layout
(`pymc_mlm.ops.layout`), so that none reads or writes outside its arrays. Importing numba or JAX
costs seconds, so kernels are registered when the first Op is applied, not when the package is
imported.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import multiprocessing
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.codegen import host
from pymc_mlm.ops import layout as layouts
from pymc_mlm.ops.disk_cache import guard_disk_cache
from pymc_mlm.ops.layout import Layout
from pymc_mlm.ops.narrow import narrow

NumbaKernel = Callable[..., Any]

_numba_kernels: dict[type[Op], Callable[[Op], NumbaKernel]] = {}
_jax_functions: dict[type[Op], Callable[[Op, Apply], Callable[..., Any]]] = {}
_vectorized: dict[type[Op], Callable[..., Any]] = {}
_registered: set[tuple[str, type[Op]]] = set()


class AbstractKernelOp(Op, ABC):
    """An Op with a compiled kernel, whose inputs have a layout.

    Attributes
    ----------
    is_of_rows : bool
        Whether it passes over the rows of a table, which NumPy does several times.
    """

    is_of_rows: bool = False

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Lengths that agree and entries that are places; tested before anything is computed."""

    def is_zero(self, zeros: Sequence[bool]) -> bool:
        """Return whether the output is zero because these inputs are."""
        return False

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        """Test the layout and compute the outputs in NumPy.

        Raises
        ------
        ValueError, IndexError
            Lengths do not fit each other, or an index points outside.
        """
        self.layout.check(_Call(self, node), inputs)
        self.define(node, inputs, output_storage)

    def kept_kernel(self) -> NumbaKernel:
        """Return the numba kernel, compiled by itself and kept on disk; it tests nothing."""
        return _kept_kernel_of(self)

    @abstractmethod
    def define(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        """Compute the outputs in NumPy: the definition of the Op."""


class _Call(NamedTuple):
    """An Op and the names of its inputs, which are written only where a test fails."""

    op: AbstractKernelOp
    node: Apply

    def __str__(self) -> str:
        given = zip(self.node.inputs, self.op.layout.names, strict=True)
        names = ", ".join(getattr(x, "name", None) or name for x, name in given)
        return f"{type(self.op).__name__}({names})"


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
    return narrow(Mode(linker="py", optimizer="fast_compile"))


@contextmanager
def without_pymc_log() -> Iterator[None]:
    """Keep back PyMC's list of the variables that it draws: they are ours, not the user's."""
    log = logging.getLogger("pymc.sampling.forward")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


def is_connected(cotangent: Variable) -> bool:
    """Tell whether an output's cotangent is really there."""
    return not isinstance(cotangent.type, DisconnectedType)


def numba_kernel(op_class: type[Op]) -> Callable[[Any], Any]:
    """Declare ``f(op) -> python kernel`` as the numba implementation of `op_class`.

    The text of the kernel's module is a part of its key in the disk cache: what a kernel calls
    lives in the same module.
    """

    def declare(f: Callable[[Op], NumbaKernel]) -> Any:
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


def vectorized(op_class: type[Op]) -> Callable[[Any], Any]:
    """Declare ``f(op, node, *inputs) -> outputs`` as the graph of many calls of an Op at once."""

    def declare(f: Callable[..., Any]) -> Any:
        _vectorized[op_class] = f
        return f

    return declare


def register_numba() -> None:
    """Register the declared numba kernels with PyTensor; cheap when done before."""
    missing = [c for c in _numba_kernels if ("numba", c) not in _registered]
    if not missing:
        return
    private = host()
    _registered.update(("numba", c) for c in missing)
    if private is None:  # PyTensor then calls `perform`.
        return
    from pymc_mlm.ops import kernel_call  # noqa: F401  (registers how kernels are called)

    guard_disk_cache()
    for op_class in missing:
        implement = _numba_kernels[op_class]
        private.register_kernel(op_class, lambda op, f=implement: _checked_kernel(op, f(op)))
        if op_class in _vectorized:
            private.register_vectorized(op_class, _vectorized[op_class])


def numba_kernel_of(op: AbstractKernelOp) -> NumbaKernel:
    """Return the Python function of an Op's numba kernel, which tests nothing."""
    return _numba_kernels[type(op)](op)


@cache
def _kept_kernel_of(op: AbstractKernelOp) -> NumbaKernel:
    from numba import njit

    return njit(cache=True, error_model="numpy")(numba_kernel_of(op))


def _checked_kernel(op: AbstractKernelOp, kernel: NumbaKernel) -> tuple[Any, int]:
    """Return a numba function that tests the layout of its inputs, and its version."""
    private = host()
    source = op.layout.numba_source(type(op).__name__)
    # numpy error model: 1 / 0.0 is inf, as in NumPy, and not an exception.
    called = {"kernel": kernel, "is_outside": layouts.is_outside, **op.layout.helpers}
    compiled = {name: private.njit(f, error_model="numpy") for name, f in called.items()}
    function = private.compile_source(source, "checked", {"__name__": __name__, **compiled})
    modules = {name for f in called.values() for name in (f.__module__, *_modules_called(f))}
    texts = [source, *(inspect.getsource(sys.modules[name]) for name in sorted(modules))]
    version = int(hashlib.sha256(repr(texts).encode()).hexdigest(), 16)
    return private.njit(function, error_model="numpy"), version


def _modules_called(f: Callable[..., Any]) -> list[str]:
    """Return the modules of the jitted functions that a function's module has."""
    functions = (getattr(x, "py_func", None) for x in f.__globals__.values())
    return [x.__module__ for x in functions if x is not None]


def register_draw(rv_class: type[Op], draw: Callable[..., Any], handles_out: bool = True) -> None:
    """Let PyTensor's numba backend draw a random variable by a Python function."""
    private = host()
    if private is not None:
        private.register_draw(rv_class, draw, handles_out)


def register_jax() -> None:
    """Register the declared JAX functions with PyTensor.

    Done by itself once JAX has been imported; call it before compiling a graph of this
    package's Ops for JAX in a process that has not imported JAX yet.
    """
    missing = [c for c in _jax_functions if ("jax", c) not in _registered]
    if not missing:
        return
    private = host()
    _registered.update(("jax", c) for c in missing)
    if private is None:
        return
    for op_class in missing:
        f = _jax_functions[op_class]
        private.register_jax(op_class, lambda op, node, f=f: _checked_jax(op, f(op, node)))


def _checked_jax(op: AbstractKernelOp, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a JAX function that refuses lengths that do not fit; a wrong index makes it NaN.

    Compiled JAX code cannot raise errors, and takes an index outside for the nearest one inside.
    """
    import jax
    import jax.numpy as jnp

    def checked(*inputs: Any) -> Any:
        inside = op.layout.is_inside(type(op).__name__, inputs, jnp)
        results = function(*inputs)
        return jax.tree.map(lambda x: jnp.where(inside, x, jnp.nan), results)

    return checked


def register_backends() -> None:
    """Register the kernels of every backend that is, or is about to be, in use."""
    register_numba()
    # ArviZ leaves an unloaded "jax" in sys.modules, which would cost half a second to touch.
    if "jax.numpy" in sys.modules:
        register_jax()
