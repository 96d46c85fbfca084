"""Compiles a model for nutpie so that a second process loads machine code from disk.

nutpie wraps PyTensor's two compiled functions in numba functions that are not cached and that
assign whole arrays, which makes numba compile its string formatting: several seconds in every
process. The wrappers here are written as source with explicit loops and registered with
PyTensor's disk cache; the draws are nutpie's own. Whatever nutpie does not expose publicly is
looked up first, and if it is not there the caller falls back to nutpie's own compilation.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm

WRAPPER_VERSION = 1

_PRIVATE = {
    "_make_functions": ("model", "mode", "compute_grad", "join_expanded", "pymc_initial_point_fn",
                        "var_names"),
    "make_user_data": (),
    "_prepare_dims_and_coords": ("model", "shape_info", "reparameterized_names"),
    "_wrap_with_lock": (),
    "address_as_void_pointer": (),
    "CompiledPyMCModel": (),
}  # fmt: skip

_HEAD = """
def {name}({args}):
    if dim != {n_dim}:
        return -1
    {check}
    try:
        x = carray(x_, ({n_dim},))
        out = carray(out_, ({n_out},))
{shared}
{body}
    except Exception:
        return {failure}
    return 0
"""


def is_supported() -> bool:
    """Tell whether the installed nutpie has the private functions that the wrappers need."""
    from nutpie import compile_pymc

    for name, parameters in _PRIVATE.items():
        found = getattr(compile_pymc, name, None)
        if found is None:
            return False
        if parameters and not set(parameters) <= set(inspect.signature(found).parameters):
            return False
    return True


def compile_model(model: pm.Model, var_names: Sequence[str]) -> Any:
    """Compile a model for `nutpie.sample`, through the disk cache where possible.

    Parameters
    ----------
    model : pm.Model
        The model; data in `pm.Data` do not enter the cache key.
    var_names : sequence of str
        Variables to keep besides the unconstrained ones.

    Returns
    -------
    nutpie.CompiledPyMCModel
    """
    import nutpie

    if is_supported():
        return _compile_cached(model, list(var_names))
    return nutpie.compile_pymc_model(model, backend="numba", var_names=list(var_names))


def _compile_cached(model: pm.Model, var_names: list[str]) -> Any:
    import numba
    from nutpie import compile_pymc as private
    from pymc.initial_point import make_initial_point_fn
    from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS

    initial_point = make_initial_point_fn(
        model=model, jitter_rvs=set(model.free_RVs), return_transformed=True
    )
    n_dim, n_expanded, logp, expand, init, shape_info, reparameterized = private._make_functions(
        model,
        mode="NUMBA",
        compute_grad=True,
        join_expanded=True,
        pymc_initial_point_fn=private._wrap_with_lock(initial_point),
        var_names=var_names,
    )
    keys, shared = _shared_arrays([*logp.get_shared(), *expand.get_shared()])
    layout = _Layout(list(keys.values()), shared)
    pointer = numba.types.CPointer(numba.types.double)
    u64, void = numba.types.uint64, numba.types.voidptr
    compiled = []
    for kind, function, n_out in (("logp", logp, n_dim), ("expand", expand, n_expanded)):
        jitted = function.vm.jit_fn
        names = [keys[v] for v in function.get_shared()]
        inner_key = CACHED_SRC_FUNCTIONS.get(jitted.py_func)
        wrapper, cached = _wrapper(kind, jitted, n_dim, n_out, names, layout, inner_key)
        arguments = (u64, pointer, pointer, pointer, void) if kind == "logp" else (
            u64, u64, pointer, pointer, void)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaWarning)
            signature = numba.types.int64(*arguments)
            compiled.append(numba.cfunc(signature, cache=cached)(wrapper))
    dims, coords = private._prepare_dims_and_coords(model, shape_info, reparameterized)
    return private.CompiledPyMCModel(
        _n_dim=n_dim,
        dims=dims,
        _coords=coords,
        _shapes={n: tuple(s) for n, _, s in zip(*shape_info, strict=True)},
        compiled_logp_func=compiled[0],
        compiled_expand_func=compiled[1],
        initial_point_func=init,
        shared_data=shared,
        shared_var_keys=keys,
        user_data=private.make_user_data(keys, shared),
        n_expanded=n_expanded,
        shape_info=shape_info,
        logp_func=logp,
        expand_func=expand,
        reparameterized_names=reparameterized,
    )


def _shared_arrays(variables: Sequence[Any]) -> tuple[dict[Any, str], dict[str, np.ndarray]]:
    keys: dict[Any, str] = {}
    arrays: dict[str, np.ndarray] = {}
    for variable in variables:
        if variable in keys:
            continue
        key = f"k{len(keys)}"
        keys[variable] = key
        # One contiguous read-only copy, owned by the compiled model.
        arrays[key] = np.array(variable.get_value(), order="C", copy=True)
        arrays[key].flags.writeable = False
    return keys, arrays


class _Layout:
    """Where nutpie's record of pointers, sizes and shapes (8-byte words) holds each array."""

    def __init__(self, keys: list[str], arrays: dict[str, np.ndarray]) -> None:
        self.keys, self.arrays = keys, arrays
        self.shape_at: dict[str, int] = {}
        position = 2 * len(keys)
        for key in keys:
            self.shape_at[key] = position
            position += arrays[key].ndim
        self.words = position

    def source(self, names: list[str]) -> tuple[str, list[str]]:
        """Return lines that rebuild the named arrays from the record, and their names."""
        if not names:
            return "", []
        lines = [f"        record = carray(user_data_, ({self.words},), np.uint64)"]
        variables = []
        for j, key in enumerate(names):
            start, ndim = self.shape_at[key], self.arrays[key].ndim
            sizes = "".join(f"int64(record[{start + d}])," for d in range(ndim))
            dtype = self.arrays[key].dtype.name
            lines.append(
                f"        s{j} = carray(as_pointer(record[{self.keys.index(key)}]), "
                f"({sizes}), dtype_{dtype})"
            )
            variables.append(f"s{j}")
        return "\n".join(lines), variables


def _wrapper(
    kind: str,
    inner: Any,
    n_dim: int,
    n_out: int,
    names: list[str],
    layout: _Layout,
    inner_key: Any,
) -> tuple[Any, bool]:
    import numba
    from nutpie import compile_pymc as private
    from pytensor.link.numba.cache import compile_numba_function_src

    shared, variables = layout.source(names)
    call = ", ".join(["x", *variables])
    if kind == "logp":
        args, check, failure = "dim, x_, out_, logp_, user_data_", "", 1
        body = f"""        value, grad = inner({call})
        lp = value.item()
        logp = carray(logp_, (1,))
        logp[0] = lp
        for i in range({n_dim}):
            g = grad[i]
            out[i] = g
            if not np.isfinite(g):
                return 3
        if not np.isfinite(lp):
            return 4"""
    else:
        args, failure = "dim, expanded, x_, out_, user_data_", -2
        check = f"if expanded != {n_out}: return -1"
        body = f"""        values = inner({call})[0]
        for i in range({n_out}):
            out[i] = values[i]"""
    source = _HEAD.format(
        name=f"mlm_{kind}", args=args, n_dim=n_dim, n_out=n_out, check=check, failure=failure,
        shared=shared, body=body,
    )  # fmt: skip
    key = None
    if inner_key is not None:
        key = hashlib.sha256(repr((WRAPPER_VERSION, source, inner_key)).encode()).hexdigest()
    environment = {
        "__name__": __name__,
        "carray": numba.carray,
        "np": np,
        "int64": np.int64,
        "as_pointer": private.address_as_void_pointer,
        "inner": inner,
    }
    environment |= {f"dtype_{a.dtype.name}": a.dtype for a in layout.arrays.values()}
    wrapper = compile_numba_function_src(
        source, f"mlm_{kind}", global_env=environment, cache_key=key
    )
    return wrapper, key is not None
