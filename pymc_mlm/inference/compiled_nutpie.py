"""Compiles a model for nutpie so that another process, or another table, reuses the code.

nutpie wraps PyTensor's compiled functions in numba functions that are not cached, and bakes the
number of parameters into the graph, so that every table compiles anew. Here

- the parameters are cut out of nutpie's flat vector at offsets that are data, not constants;
- the wrapper around the log density is written as source, with explicit loops and no sizes, and
  goes through PyTensor's disk cache;
- the draws leave nutpie unconstrained, through one copying function for all models, and are
  transformed afterwards, all at once and without compilation.

What nutpie does not expose publicly is looked up first; if it is not there, nutpie's own
compilation is used.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph import clone_replace, rewrite_graph
from pytensor.graph.basic import Constant
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import io_toposort

from pymc_mlm.ops.base import uncompiled

WRAPPER_VERSION = 4
POINT = "unconstrained_point"
JITTER = 1.0

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
    """

    sampled: Any
    model: pm.Model
    var_names: tuple[str, ...]
    layout: tuple[tuple[str, tuple[int, ...]], ...] = ()

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
    keys, shared = _shared_arrays(logp.get_shared())
    pointer = numba.types.CPointer(numba.types.double)
    u64, void = numba.types.uint64, numba.types.voidptr
    log_density = _as_cfunc(
        _logp_wrapper(logp, keys, shared), numba.types.int64(u64, pointer, pointer, pointer, void)
    )
    copy = _as_cfunc(_copy_wrapper(), numba.types.int64(u64, u64, pointer, pointer, void))
    flat = np.concatenate([np.ravel(start[name]) for name, _ in layout]).astype(np.float64)
    n_dim = len(flat)

    def jittered(seed: Any) -> np.ndarray:
        return flat + np.random.default_rng(seed).uniform(-JITTER, JITTER, n_dim)

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
        user_data=private.make_user_data(keys, shared),
        n_expanded=n_dim,
        shape_info=([POINT], [slice(0, n_dim)], [(n_dim,)]),
        logp_func=logp,
        expand_func=None,
        reparameterized_names=[],
    )
    return CompiledModel(sampled, model, var_names, layout)


def log_density_function(
    model: pm.Model, values: Sequence[Any], layout: Sequence[tuple[str, tuple[int, ...]]]
) -> Any:
    """Compile log density and gradient over one flat vector, without baking in any size.

    Parameters
    ----------
    model : pm.Model
        The model.
    values : sequence of TensorVariable
        Its value variables, scalars first.
    layout : sequence of (str, tuple of int)
        Their names and shapes.

    Returns
    -------
    callable
        PyTensor function of the flat vector, shape (n_dim,), returning the log density and its
        gradient, shape (n_dim,).
    """
    rewrites = ["canonicalize", "stabilize"]
    if not model.check_bounds:
        rewrites.append("local_remove_check_parameter")
    logp = rewrite_graph(model.logp(), include=rewrites)
    gradients = pt.grad(logp, list(values))
    gradient = pt.concatenate([pt.atleast_1d(g).ravel() for g in gradients])
    joined = pt.dvector("point")
    sizes = [int(np.prod(shape)) for _, shape in layout]
    offsets = pytensor.shared(np.concatenate([[0], np.cumsum(sizes)]), name="offsets")
    replacements = {}
    for i, (value, (_, shape)) in enumerate(zip(values, layout, strict=True)):
        if not shape:
            replacements[value] = joined[i]
            continue
        part = joined[offsets[i] : offsets[i + 1]]
        if len(shape) > 1:
            lengths = pytensor.shared(np.asarray(shape, dtype=np.int64), name=f"shape_{i}")
            part = part.reshape(tuple(lengths[d] for d in range(len(shape))), ndim=len(shape))
        replacements[value] = _as_type_of(value, part)
    logp, gradient = hoist_data(clone_replace([logp, gradient], replacements))
    with model:
        return pm.pytensorf.compile([joined], [logp, gradient], mode="NUMBA")


def hoist_data(outputs: Sequence[Any]) -> list[Any]:
    """Compute once what depends on data alone, such as the logarithms of observed times.

    Parameters
    ----------
    outputs : sequence of Variable
        Graph whose data are shared variables.

    Returns
    -------
    list of Variable
        The same graph, in which the results of data-only parts are shared variables in turn:
        they are data to the compiled code, and stay out of its cache key.
    """
    fixed: set[Any] = set()
    frontier: dict[Any, None] = {}
    for node in io_toposort([], outputs):
        if all(isinstance(x, Constant | SharedVariable) or x in fixed for x in node.inputs):
            fixed.update(node.outputs)
        else:
            frontier |= dict.fromkeys(x for x in node.inputs if x in fixed)
    # Scalars cost nothing, and places in the flat vector are better left where they are.
    found = [x for x in frontier if isinstance(x.type, pt.TensorType) and x.ndim]
    if not found:
        return list(outputs)
    mode = uncompiled()
    values = pytensor.function([], found, mode=mode)()
    replacements = {
        x: pytensor.shared(np.asarray(value, dtype=x.dtype), shape=x.type.shape)
        for x, value in zip(found, values, strict=True)
    }
    return clone_replace(list(outputs), replacements)


def _as_type_of(value: Any, part: Any) -> Any:
    if any(length is not None for length in value.type.shape):
        part = pt.specify_shape(part, value.type.shape)
    return part.astype(value.dtype)


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
    try:
        x = carray(x_, (int64(dim),))
        out = carray(out_, (int64(dim),))
{shared}
{arguments}
        value, grad = inner(*args)
        lp = value.item()
        logp = carray(logp_, (1,))
        logp[0] = lp
        for i in range(int64(dim)):
            g = grad[i]
            out[i] = g
            if not np.isfinite(g):
                return 3
        if not np.isfinite(lp):
            return 4
    except Exception:
        return 1
    return 0
"""

_COPY_SOURCE = """
def mlm_copy(dim, expanded, x_, out_, user_data_):
    x = carray(x_, (int64(dim),))
    out = carray(out_, (int64(expanded),))
    for i in range(int64(expanded)):
        out[i] = x[i]
    return 0
"""


def _logp_wrapper(
    function: Any, keys: dict[Any, str], shared: dict[str, np.ndarray]
) -> tuple[Any, bool]:
    from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS

    jitted = function.vm.jit_fn
    lines, names = _record_source(keys, shared)
    source = _LOGP_SOURCE.format(shared=lines, arguments=_arguments_source(["x", *names]))
    inner_key = CACHED_SRC_FUNCTIONS.get(jitted.py_func)
    extra = {"inner": jitted} | {f"dtype_{a.dtype.name}": a.dtype for a in shared.values()}
    return _from_source(source, "mlm_logp", extra, inner_key)


def _copy_wrapper() -> tuple[Any, bool]:
    return _from_source(_COPY_SOURCE, "mlm_copy", {}, "copy")


def _record_source(keys: dict[Any, str], shared: dict[str, np.ndarray]) -> tuple[str, list[str]]:
    """Return lines that rebuild the data from nutpie's record: pointers, sizes, then shapes."""
    if not keys:
        return "", []
    order = list(keys.values())
    words = 2 * len(order) + sum(shared[k].ndim for k in order)
    lines = [f"        record = carray(user_data_, ({words},), np.uint64)"]
    names, at = [], 2 * len(order)
    for j, key in enumerate(order):
        ndim = shared[key].ndim
        sizes = "".join(f"int64(record[{at + d}])," for d in range(ndim))
        dtype = shared[key].dtype.name
        lines.append(f"        s{j} = carray(as_pointer(record[{j}]), ({sizes}), dtype_{dtype})")
        names.append(f"s{j}")
        at += ndim
    return "\n".join(lines), names


def _arguments_source(names: list[str], most: int = 20) -> str:
    """Return lines that build the tuple of arguments in pieces.

    CPython builds tuples and calls of more than 30 items through a list, which numba refuses.
    """
    pieces = [names[i : i + most] for i in range(0, len(names), most)]
    lines = [f"        args = ({', '.join(pieces[0])},)"]
    lines += [f"        args = args + ({', '.join(piece)},)" for piece in pieces[1:]]
    return "\n".join(lines)


def _from_source(source: str, name: str, extra: dict[str, Any], inner_key: Any) -> tuple[Any, bool]:
    import numba
    from nutpie import compile_pymc as private
    from pytensor.link.numba.cache import compile_numba_function_src

    key = None
    if inner_key is not None:
        text = repr((WRAPPER_VERSION, source, inner_key))
        key = hashlib.sha256(text.encode()).hexdigest()
    environment = {
        "__name__": __name__,
        "carray": numba.carray,
        "np": np,
        "int64": np.int64,
        "as_pointer": private.address_as_void_pointer,
    } | extra
    function = compile_numba_function_src(source, name, global_env=environment, cache_key=key)
    return function, key is not None


def _as_cfunc(wrapper: tuple[Any, bool], signature: Any) -> Any:
    import numba

    function, cached = wrapper
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.NumbaWarning)
        return numba.cfunc(signature, cache=cached)(function)
