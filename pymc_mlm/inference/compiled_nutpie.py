"""Compiles a model for nutpie so that another process, or another table, reuses the code.

nutpie wraps PyTensor's compiled functions in numba functions that are not cached, and bakes the
number of parameters into the graph, so that every table compiles anew. Here

- the parameters are cut out of nutpie's flat vector at offsets that are data, not constants;
- log density and gradient are written as one function of loops (`pymc_mlm.codegen`), which nutpie
  calls directly and which goes through PyTensor's disk cache;
- the draws leave nutpie unconstrained, through one copying function for all models, and are
  transformed afterwards, all at once and without compilation.

What nutpie does not expose publicly is looked up first (`pymc_mlm.codegen.private`), and the
compiled function is compared with NumPy; if either fails, nutpie's own compilation is used.
"""

from __future__ import annotations

import ctypes
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

from pymc_mlm.codegen import host
from pymc_mlm.errors import warn_user
from pymc_mlm.ops.base import register_numba, uncompiled
from pymc_mlm.ops.traces import without_traces

POINT = "unconstrained_point"
JITTER = 1.0
# Starts at which the density overflows are taken half as far, so many times.
HALVINGS = 30
# How far sums in another order may be apart, as a part of the whole.
AGREEMENT = 1e-7
# Seed of the point beside the start at which the two are compared.
CHECK_SEED = 7
# Status of the compiled function where lengths do not fit or an index is outside.
FAULT = -1
_DOUBLES = ctypes.POINTER(ctypes.c_double)


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
    code : codegen.function.Code, optional
        What was compiled.
    scale : ndarray, shape (n_dim,)
        Units in which nutpie sees the unconstrained parameters.
    start : ndarray, shape (n_dim,)
        PyMC's initial point, in these units.
    """

    sampled: Any
    model: pm.Model
    var_names: tuple[str, ...]
    layout: tuple[tuple[str, tuple[int, ...]], ...] = ()
    code: Any = None
    scale: Any = 1.0
    start: Any = ()

    def log_density(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Call the compiled function once, as nutpie does.

        Parameters
        ----------
        point : ndarray, shape (n_dim,)
            Unconstrained parameters, in units of `scale`.

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

    def check(self) -> str:
        """Compare the compiled function with NumPy at the initial point and beside it.

        Effects are zero at the initial point, where a fault of what they are multiplied by does
        not show; the second point is as far from it as chains start, the same in every process.

        Returns
        -------
        str
            What differs; empty if nothing does. Nothing is compared where the log density is not
            finite: chains start elsewhere, and the sampler reports it.

        Raises
        ------
        ValueError, IndexError or another error
            What NumPy raises for lengths that do not fit or an index outside.
        """
        if difference := self._difference(self.start, "at the start"):
            return difference
        step = np.random.default_rng(CHECK_SEED).uniform(-JITTER, JITTER, len(self.start))
        for _ in range(HALVINGS):
            found = self._difference(self.start + step, "beside the start")
            if found is not None:
                return found
            step = step / 2.0
        return ""

    def _difference(self, point: np.ndarray, where: str) -> str | None:
        """Return what differs from NumPy at a point; None where NumPy is not finite."""
        compiled, data = self.sampled.compiled_logp_func, self.sampled.user_data
        status, value, gradient = _called(compiled, data, point)
        with np.errstate(all="ignore"):
            expected, slopes = self.sampled.logp_func(point)
        if not (np.isfinite(expected) and np.all(np.isfinite(slopes))):
            return None
        if status:
            return f"{where} it ends with status {status}, and NumPy has {float(expected):.6g}"
        if not np.isclose(value, expected, rtol=AGREEMENT, atol=AGREEMENT):
            return f"{where} it is {value:.10g}, and by NumPy {float(expected):.10g}"
        scale = AGREEMENT * max(1.0, float(np.max(np.abs(slopes), initial=0.0)))
        wrong = np.flatnonzero(~(np.abs(gradient - slopes) <= scale))
        if len(wrong):
            at = int(wrong[0])
            ends = np.cumsum([int(np.prod(shape)) for _, shape in self.layout])
            name = self.layout[int(np.searchsorted(ends, at, side="right"))][0]
            return (
                f"{where} its gradient by {name!r} is {gradient[at]:.10g}, and by NumPy "
                f"{slopes[at]:.10g}"
            )
        return ""

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
        flat = drawn[POINT].transpose("chain", "draw", ...).values * self.scale
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


def compile_model(
    model: pm.Model, var_names: Sequence[str], scales: Mapping[str, Any] | None = None
) -> CompiledModel:
    """Compile a model for `nutpie.sample`, through the disk cache where possible.

    Parameters
    ----------
    model : pm.Model
        The model. Data in `pm.Data`, and lengths of dims, do not enter the cache key.
    var_names : sequence of str
        Variables to keep.
    scales : mapping of str to array_like, optional
        Posterior standard deviations, about, by variable and in its own coordinates: chains start
        within one of them, and the sampler's first steps are counted in them. Others are 1.

    Returns
    -------
    CompiledModel
        Its log density and gradient equal those of NumPy where sampling starts. Where they do not,
        or where PyTensor, numba or nutpie have other functions than those that are needed,
        nutpie's own compilation takes over, with one warning.
    """
    names = tuple(var_names)
    register_numba()
    private = host()
    if private is None:
        return _compiled_by_nutpie(model, names)
    if not private.fits_nutpie():
        return _compiled_by_nutpie(model, names, "the installed nutpie lacks functions it needs")
    import numba

    # What PyTensor or numba raise where they changed; wrong data raise ValueError or IndexError.
    changed = (ImportError, AttributeError, NotImplementedError, TypeError, KeyError,
               numba.NumbaError)  # fmt: skip
    try:
        compiled = _compile_cached(model, names, scales or {})
    except changed as error:
        return _compiled_by_nutpie(model, names, f"{type(error).__name__}: {error}")
    difference = compiled.check()
    return _compiled_by_nutpie(model, names, difference) if difference else compiled


def _compiled_by_nutpie(model: pm.Model, names: tuple[str, ...], why: str = "") -> CompiledModel:
    import nutpie

    if why:
        warn_user(
            f"pymc_mlm does not use its own compiled log density ({why}). nutpie compiles the "
            "model, with the same results, more slowly and anew in each session. Please report "
            "the model and the versions of pymc, pytensor, numba and nutpie.",
            RuntimeWarning,
        )
    with warnings.catch_warnings():
        # Without our kernels PyTensor runs `perform`; the warning above says that it is slow.
        warnings.filterwarnings("ignore", "Numba will use object mode")
        own = nutpie.compile_pymc_model(model, backend="numba", var_names=list(names))
    return CompiledModel(own, model, names)


@without_traces()
def _compile_cached(
    model: pm.Model, var_names: tuple[str, ...], scales: Mapping[str, Any]
) -> CompiledModel:
    import numba

    from pymc_mlm.codegen.function import as_cfunc, copy_code, log_density_code
    from pymc_mlm.inference.log_density import log_density_function

    private = host()
    start = model.initial_point()
    # Scalars first: their places are then the same whatever the lengths of the vectors.
    values = sorted(model.continuous_value_vars, key=lambda v: v.ndim > 0)
    layout = tuple((v.name, np.shape(start[v.name])) for v in values)
    owners = [model.values_to_rvs[v].name for v in values]
    units = [
        np.broadcast_to(scales.get(n, 1.0), s) for n, (_, s) in zip(owners, layout, strict=True)
    ]
    scale = np.concatenate([np.ravel(unit) for unit in units]).astype(np.float64)
    logp = log_density_function(model, values, layout, scale)
    code, keys, shared = log_density_code(logp)
    pointer = numba.types.CPointer(numba.types.double)
    u64, void = numba.types.uint64, numba.types.voidptr
    log_density = as_cfunc(code, numba.types.int64(u64, pointer, pointer, pointer, void))
    copy = as_cfunc(copy_code(), numba.types.int64(u64, u64, pointer, pointer, void))
    flat = np.concatenate([np.ravel(start[name]) for name, _ in layout]).astype(np.float64) / scale
    data = private.nutpie_record(shared, keys)

    def jittered(seed: Any) -> np.ndarray:
        step = np.random.default_rng(seed).uniform(-JITTER, JITTER, len(flat))
        for _ in range(HALVINGS):
            if _called(log_density, data, flat + step)[0] == 0:
                break
            step = step / 2.0
        return flat + step

    sampled = private.nutpie_model(
        len(flat), POINT, (log_density, copy), jittered, (shared, keys, data), logp
    )
    return CompiledModel(sampled, model, var_names, layout, code, scale, flat)


def _called(compiled: Any, data: np.ndarray, point: np.ndarray) -> tuple[int, float, np.ndarray]:
    """Return status, log density and gradient, as nutpie asks for them."""
    point = np.ascontiguousarray(point, dtype=np.float64)
    value, gradient = np.empty(1), np.empty_like(point)
    addresses = [a.ctypes.data_as(_DOUBLES) for a in (point, gradient, value)]
    status = compiled.ctypes(len(point), *addresses, ctypes.c_void_p(data.ctypes.data))
    return int(status), float(value[0]), gradient


@without_traces()
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
