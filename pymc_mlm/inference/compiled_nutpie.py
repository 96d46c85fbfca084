"""Compiles a model for nutpie so that another process, or another table, reuses the code.

nutpie wraps PyTensor's compiled functions in numba functions that are not cached, and bakes the
number of parameters into the graph, so that every table compiles anew. Here

- the parameters are cut out of nutpie's flat vector at offsets that are data, not constants;
- log density and gradient are written as one function of loops (`pymc_mlm.loops`), which nutpie
  calls directly and which goes through PyTensor's disk cache;
- the draws leave nutpie unconstrained, through one copying function for all models, and are
  transformed afterwards, all at once and without compilation.

What nutpie does not expose publicly is looked up first; if it is not there, nutpie's own
compilation is used.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph.replace import vectorize_graph

from pymc_mlm.inference.log_density import log_density_function
from pymc_mlm.loops import FAULT, Program, in_memory, write_graph
from pymc_mlm.ops.base import register_numba, uncompiled

WRAPPER_VERSION = 9
POINT = "unconstrained_point"
JITTER = 1.0
# Starts at which the density overflows are taken half as far, so many times.
HALVINGS = 30
_DOUBLES = ctypes.POINTER(ctypes.c_double)

_NEEDED = {
    "make_user_data": {"shared_var_keys", "shared_data"},
    "address_as_void_pointer": set(),
    "CompiledPyMCModel": {
        "_n_dim", "dims", "_coords", "_shapes", "compiled_logp_func", "compiled_expand_func",
        "initial_point_func", "shared_data", "shared_var_keys", "user_data", "n_expanded",
        "shape_info", "logp_func", "expand_func", "reparameterized_names",
    },
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Code:
    """A numba function as text, and what it calls and reads.

    Attributes
    ----------
    function : callable
        The Python function, not yet compiled; ``function.__source__`` is its text.
    called : tuple of str
        Names of the numba functions that it calls, such as the kernels of Ops.
    key : str or None
        Key in the disk cache; None if it cannot be cached.
    """

    function: Any
    called: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A model that nutpie can sample, and the way back from its draws.

    Attributes
    ----------
    sampled : object
        What `nutpie.sample` takes.
    model : pm.Model
        The model.
    var_names : tuple of str
        Variables to keep.
    layout : tuple of (str, tuple of int)
        Name and shape of each value variable in the flat vector; empty if nutpie compiled the
        model itself.
    code : Code, optional
        What was compiled.
    """

    sampled: Any
    model: pm.Model
    var_names: tuple[str, ...]
    layout: tuple[tuple[str, tuple[int, ...]], ...] = ()
    code: Code | None = None

    def log_density(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Call the compiled function once, as nutpie does.

        Parameters
        ----------
        point : ndarray, shape (n_dim,)
            Unconstrained parameters.

        Returns
        -------
        value : float
            Log density, up to the constants that PyMC leaves in.
        gradient : ndarray, shape (n_dim,)

        Raises
        ------
        FloatingPointError
            Value or gradient is not finite there.
        ValueError, IndexError or another error
            What NumPy raises where the compiled function found lengths that do not fit or an index
            outside of what it points into.
        """
        compiled, data = self.sampled.compiled_logp_func, self.sampled.user_data
        status, value, gradient = _called(compiled, data, point)
        if status == FAULT:
            self._raise_fault(point)
        if status:
            raise FloatingPointError(f"The log density is not finite at this point ({status}).")
        return value, gradient

    def check(self) -> None:
        """Call the compiled function once, where sampling starts, so that a fault shows up there.

        Raises
        ------
        ValueError, IndexError or another error
            As in `log_density`.
        """
        if not self.layout:
            return
        start = self.model.initial_point()
        try:
            self.log_density(np.concatenate([np.ravel(start[name]) for name, _ in self.layout]))
        except FloatingPointError:
            pass  # Chains start elsewhere, and the sampler reports what is not finite.

    def _raise_fault(self, point: np.ndarray) -> NoReturn:
        self.sampled.logp_func(point)
        raise RuntimeError(
            "The compiled log density failed at this point, but NumPy computes it. Please report "
            "the model; `sampler=PymcNuts()` does not use this code."
        )

    def posterior(self, drawn: xr.Dataset) -> xr.Dataset:
        """Return the kept variables from nutpie's draws, under their dims and coordinates."""
        if not self.layout:
            return drawn[list(self.var_names)]
        flat = drawn[POINT].transpose("chain", "draw", ...).values
        chains, draws, _ = flat.shape
        points, at = {}, 0
        for name, shape in self.layout:
            size = int(np.prod(shape))
            values = flat[:, :, at : at + size].reshape(chains * draws, *shape)
            points[name], at = np.ascontiguousarray(values), at + size
        constrained = _constrain(self.model, self.var_names, points)
        return xr.Dataset(
            {
                name: _labelled(self.model, name, values.reshape(chains, draws, *values.shape[1:]))
                for name, values in constrained.items()
            },
            attrs=drawn.attrs,
        )


def is_supported() -> bool:
    """Tell whether the installed nutpie has the functions and fields that are needed."""
    from nutpie import compile_pymc

    for name, parameters in _NEEDED.items():
        found = getattr(compile_pymc, name, None)
        if found is None or not parameters <= set(inspect.signature(found).parameters):
            return False
    return True


def compile_model(model: pm.Model, var_names: Sequence[str]) -> CompiledModel:
    """Compile a model for `nutpie.sample`, through the disk cache where possible.

    Parameters
    ----------
    model : pm.Model
        The model. Data in `pm.Data`, and lengths of dims, do not enter the cache key.
    var_names : sequence of str
        Variables to keep.

    Returns
    -------
    CompiledModel
    """
    import nutpie

    names = tuple(var_names)
    if is_supported():
        return _compile_cached(model, names)
    own = nutpie.compile_pymc_model(model, backend="numba", var_names=list(names))
    return CompiledModel(own, model, names)


def _compile_cached(model: pm.Model, var_names: tuple[str, ...]) -> CompiledModel:
    import numba
    from nutpie import compile_pymc as private

    start = model.initial_point()
    # Scalars first: their places are then the same whatever the lengths of the vectors.
    values = sorted(model.continuous_value_vars, key=lambda v: v.ndim > 0)
    layout = tuple((v.name, np.shape(start[v.name])) for v in values)
    logp = log_density_function(model, values, layout)
    code, keys, shared = _logp_loops(logp)
    pointer = numba.types.CPointer(numba.types.double)
    u64, void = numba.types.uint64, numba.types.voidptr
    log_density = _as_cfunc(_guarded(code), numba.types.int64(u64, pointer, pointer, pointer, void))
    copy = _as_cfunc(_copy_code(), numba.types.int64(u64, u64, pointer, pointer, void))
    flat = np.concatenate([np.ravel(start[name]) for name, _ in layout]).astype(np.float64)
    n_dim = len(flat)

    data = private.make_user_data(keys, shared)

    def jittered(seed: Any) -> np.ndarray:
        step = np.random.default_rng(seed).uniform(-JITTER, JITTER, n_dim)
        for _ in range(HALVINGS):
            if _called(log_density, data, flat + step)[0] == 0:
                break
            step = step / 2.0
        return flat + step

    sampled = private.CompiledPyMCModel(
        _n_dim=n_dim,
        dims={},
        _coords={},
        _shapes={POINT: (n_dim,)},
        compiled_logp_func=log_density,
        compiled_expand_func=copy,
        initial_point_func=jittered,
        shared_data=shared,
        shared_var_keys=keys,
        user_data=data,
        n_expanded=n_dim,
        shape_info=([POINT], [slice(0, n_dim)], [(n_dim,)]),
        logp_func=logp,
        expand_func=None,
        reparameterized_names=[],
    )
    compiled = CompiledModel(sampled, model, var_names, layout, code)
    compiled.check()
    return compiled


def _called(compiled: Any, data: np.ndarray, point: np.ndarray) -> tuple[int, float, np.ndarray]:
    """Return status, log density and gradient, as nutpie asks for them."""
    point = np.ascontiguousarray(point, dtype=np.float64)
    value, gradient = np.empty(1), np.empty_like(point)
    addresses = [a.ctypes.data_as(_DOUBLES) for a in (point, gradient, value)]
    status = compiled.ctypes(len(point), *addresses, ctypes.c_void_p(data.ctypes.data))
    return int(status), float(value[0]), gradient


def _constrain(
    model: pm.Model, var_names: Sequence[str], points: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Transform all draws at once: the graph of one draw, vectorised, run by NumPy."""
    outputs = model.replace_rvs_by_values([model[name] for name in var_names])
    by_name = {v.name: v for v in model.value_vars}
    batched = {}
    for name in points:
        value = by_name[name]
        shape = (None, *value.type.shape)
        batched[value] = pt.tensor(name, dtype=value.dtype, shape=shape)
    vectorised = vectorize_graph(outputs, batched)
    mode = uncompiled()
    function = pytensor.function(
        list(batched.values()), vectorised, mode=mode, on_unused_input="ignore"
    )
    with np.errstate(all="ignore"):
        results = function(*(points[v.name] for v in batched))
    count = len(next(iter(points.values())))
    constrained = {}
    for name, result, output in zip(var_names, results, outputs, strict=True):
        # What depends on no parameter has no batch dimension.
        batch = np.ndim(result) > output.ndim
        constrained[name] = result if batch else np.broadcast_to(result, (count, *result.shape))
    return constrained


def _labelled(model: pm.Model, name: str, values: np.ndarray) -> xr.DataArray:
    dims = model.named_vars_to_dims.get(name)
    if dims is None:
        dims = tuple(f"{name}_dim_{i}" for i in range(values.ndim - 2))
    coords: dict[Any, Any] = {
        d: list(model.coords[d]) for d in dims if model.coords.get(d) is not None
    }
    coords |= {"chain": np.arange(values.shape[0]), "draw": np.arange(values.shape[1])}
    return xr.DataArray(values, dims=("chain", "draw", *dims), coords=coords, name=name)


def _shared_arrays(variables: Sequence[Any]) -> tuple[dict[Any, str], dict[str, np.ndarray]]:
    keys: dict[Any, str] = {}
    arrays: dict[str, np.ndarray] = {}
    for variable in variables:
        key = f"k{len(keys)}"
        keys[variable] = key
        # One contiguous read-only copy, owned by the compiled model.
        arrays[key] = np.array(variable.get_value(), order="C", copy=True)
        arrays[key].flags.writeable = False
    return keys, arrays


_LOGP_SOURCE = """
def mlm_logp(dim, x_, out_, logp_, user_data_):
    size = int64(dim)
    point = carray(x_, (size,))
    out = carray(out_, (size,))
{lines}
    logp_[0] = {value}
    for i in range(size):
        if not abs(out[i]) < inf:
            return 3
    if not abs({value}) < inf:
        return 4
    return 0
"""

# An exception does not leave a function that is called from outside of Python: numba prints it and
# returns zero, as if all were well. One handler around one call costs no time and is compiled fast.
_GUARD_SOURCE = """
def mlm_guarded(dim, x_, out_, logp_, user_data_):
    try:
        return log_density(dim, x_, out_, logp_, user_data_)
    except Exception:
        return {fault}
"""

_COPY_SOURCE = """
def mlm_copy(dim, expanded, x_, out_, user_data_):
    for i in range(int64(expanded)):
        out_[i] = x_[i]
    return 0
"""


def _logp_loops(function: Any) -> tuple[Code, dict[Any, str], dict[str, np.ndarray]]:
    """Write a function's graph as loops over nutpie's vectors.

    Returns
    -------
    code : Code
        The numba function.
    keys, arrays : dict
        Name of each shared variable, and the arrays that the function reads, by name.
    """
    register_numba()
    graph = function.maker.fgraph
    point, *data = graph.inputs
    program = Program(graph)
    program.values[point] = in_memory("point", ("size",))
    shared = dict(zip(data, function.get_shared(), strict=True))
    keys, arrays = _shared_arrays(list(shared.values()))
    for variable, container in shared.items():
        name, single_dims = keys[container], variable.type.broadcastable
        program.values[variable] = in_memory(name, program.lengths(name, single_dims))
    value, gradient = graph.outputs
    program.targets[gradient] = "out"
    write_graph(program)
    if gradient not in program.values or program.values[gradient].array != "out":
        program.store(gradient, program.value(gradient))
    result = program.assign(program.value(value).only)
    arrays |= program.constants
    keys |= {pytensor.shared(array, name=name): name for name, array in program.constants.items()}
    lines = "\n".join([*_record_source(arrays), *program.pruned(result)])
    source = _LOGP_SOURCE.format(lines=lines, value=result)
    dtypes = {f"dtype_{a.dtype.name}": a.dtype for a in arrays.values()}
    code = _from_source(source, "mlm_logp", program.functions, program.keys, dtypes)
    return code, keys, arrays


def _guarded(code: Code) -> Code:
    """Return a function that returns a fault where another one raises an exception."""
    import numba

    called = numba.njit(
        error_model="numpy",
        fastmath=set(_FASTMATH),
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
    )(code.function)
    source = _GUARD_SOURCE.format(fault=FAULT)
    names = {"log_density": called}, {"log_density": code.key}
    return _from_source(source, "mlm_guarded", *names, {})


def _copy_code() -> Code:
    return _from_source(_COPY_SOURCE, "mlm_copy", {}, {}, {})


def _record_source(arrays: dict[str, np.ndarray]) -> list[str]:
    """Return lines that rebuild the data from nutpie's record: pointers, sizes, then shapes."""
    if not arrays:
        return []
    words = 2 * len(arrays) + sum(a.ndim for a in arrays.values())
    lines = [f"    record = carray(user_data_, ({words},), np.uint64)"]
    at = 2 * len(arrays)
    for j, (name, array) in enumerate(arrays.items()):
        sizes = "".join(f"int64(record[{at + d}])," for d in range(array.ndim))
        pointer = f"as_pointer(record[{j}])"
        lines.append(f"    {name} = carray({pointer}, ({sizes}), dtype_{array.dtype.name})")
        at += array.ndim
    return lines


def _from_source(
    source: str,
    name: str,
    functions: Mapping[str, Any],
    keys: Mapping[str, str | None],
    extra: Mapping[str, Any],
) -> Code:
    import numba
    from nutpie import compile_pymc as private
    from pytensor.link.numba.cache import compile_numba_function_src

    key = None
    if None not in keys.values():
        text = repr((WRAPPER_VERSION, source, sorted(keys.items())))
        key = hashlib.sha256(text.encode()).hexdigest()
    environment = {
        "__name__": __name__,
        "carray": numba.carray,
        "np": np,
        "int64": np.int64,
        **{name: getattr(math, name) for name in ("exp", "log", "log1p", "sqrt")},
        "inf": math.inf,
        "nan": math.nan,
        "as_pointer": private.address_as_void_pointer,
        **functions,
        **extra,
    }
    function = compile_numba_function_src(source, name, global_env=environment, cache_key=key)
    return Code(function, tuple(functions), key)


def _as_cfunc(code: Code, signature: Any) -> Any:
    import numba

    is_kept = code.key is not None and pytensor.config.numba__cache
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.NumbaWarning)
        compiled = numba.cfunc(
            signature, cache=is_kept, error_model="numpy", fastmath=set(_FASTMATH)
        )
        return compiled(code.function)


# Sums in any order, fused multiply-adds. With more liberties LLVM takes x - x for zero, and a
# test for NaN for true.
_FASTMATH = frozenset({"contract", "reassoc"})
