"""Every private name of PyTensor, numba and nutpie that the package uses; no other file has one.

Ask `pymc_mlm.codegen.host()` for this module: it may fail to import under other versions.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc, _CFuncCompiler  # type: ignore[attr-defined]
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher, cpu_target
from pytensor.graph.replace import _vectorize_node
from pytensor.link.numba.cache import NumbaPyTensorCacheLocator, compile_numba_function_src
from pytensor.link.numba.dispatch.basic import (
    numba_funcify_and_cache_key,
    numba_njit,
    register_funcify_default_op_cache_key,
)
from pytensor.link.numba.dispatch.random import numba_core_rv_funcify

njit = numba_njit
_CHECKSUM = b"sha256 of what comes before:"

_NUTPIE = {
    "make_user_data": {"shared_var_keys", "shared_data"},
    "address_as_void_pointer": set(),
    "CompiledPyMCModel": {
        "_n_dim", "dims", "_coords", "_shapes", "compiled_logp_func", "compiled_expand_func",
        "initial_point_func", "shared_data", "shared_var_keys", "user_data", "n_expanded",
        "shape_info", "logp_func", "expand_func", "reparameterized_names",
    },
}  # fmt: skip


def compile_source(
    source: str, name: str, environment: Mapping[str, Any], key: str | None = None
) -> Any:
    """Return the function that a text defines; with a key, its numba code is kept on disk."""
    return compile_numba_function_src(source, name, global_env=dict(environment), cache_key=key)


def register_kernel(op_class: type, implement: Callable[[Any], tuple[Any, int]]) -> None:
    """Let PyTensor compile an Op by ``implement(op) -> (numba function, version)``."""

    def funcify(op: Any, **_: Any) -> Any:
        return implement(op)

    register_funcify_default_op_cache_key(op_class)(funcify)


def register_draw(op_class: type, draw: Callable[..., Any], handles_out: bool = True) -> None:
    """Let PyTensor draw a random variable by a Python function that numba compiles; once."""
    if op_class in numba_core_rv_funcify.registry:
        return

    @numba_core_rv_funcify.register(op_class)
    def core(op: Any, node: Any) -> tuple[Any, int]:
        compiled = numba_njit(draw)
        if handles_out:
            compiled.handles_out = True
        return compiled, 1


def register_vectorized(op_class: type, vectorize: Callable[..., Any]) -> None:
    """Let PyTensor vectorise an Op by ``vectorize(op, node, *inputs)``."""
    _vectorize_node.register(op_class)(vectorize)


def register_jax(op_class: type, implement: Callable[[Any, Any], Any]) -> None:
    """Let PyTensor run an Op in JAX by ``implement(op, node) -> function``."""
    from pytensor.link.jax.dispatch.basic import jax_funcify

    def funcify(op: Any, node: Any = None, **_: Any) -> Any:
        return implement(op, node)

    jax_funcify.register(op_class)(funcify)


def function_of(op: Any, node: Any) -> tuple[Any, str | None]:
    """Return PyTensor's numba function of an Op and its key in the disk cache."""
    function, key = numba_funcify_and_cache_key(op, node=node)
    return function if isinstance(function, CPUDispatcher) else numba_njit(function), key


class _CheckedFile(IndexDataCacheFile):
    """Files of numba's cache that end with a checksum, which pickle does not read.

    One changed byte of machine code is loaded like any other, and ends the process or is wrong.
    Files without a checksum are those of PyTensor without this package.
    """

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        with super()._open_for_write(filepath) as file:
            content = io.BytesIO()
            yield content
            file.write(content.getvalue() + _CHECKSUM + sha256(content.getvalue()).digest())

    def _load_index(self) -> Any:
        _verify(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _verify(self._data_path(name))
        return super()._load_data(name)


def _verify(path: str) -> None:
    """Raise a `ValueError` where a file's content does not fit the checksum at its end."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return
    content, mark, digest = data.rpartition(_CHECKSUM)
    if mark and sha256(content).digest() != digest:
        raise ValueError("a checksum does not fit")


def wrap_disk_cache(load: Callable[..., Any], save: Callable[..., Any]) -> None:
    """Put ``load(method, cache, ...)`` and ``save(method, cache, ...)`` around PyTensor's cache."""

    def wrapped(method: Callable[..., Any], guard: Callable[..., Any]) -> Any:
        @wraps(method)
        def call(cache: Any, *args: Any) -> Any:
            # Caches of a user's own numba functions lie elsewhere.
            if not isinstance(cache._impl.locator, NumbaPyTensorCacheLocator):
                return method(cache, *args)
            if not isinstance(cache._cache_file, _CheckedFile):
                stamp = cache._impl.locator.get_source_stamp()
                cache._cache_file = _CheckedFile(
                    cache._cache_path, cache._impl.filename_base, stamp
                )
            return guard(method, cache, *args)

        return call

    FunctionCache.load_overload = wrapped(FunctionCache.load_overload, load)
    FunctionCache.save_overload = wrapped(FunctionCache.save_overload, save)


def fits_nutpie() -> bool:
    """Tell whether the installed nutpie has the functions and fields that are needed."""
    try:
        from nutpie import compile_pymc
    except ImportError:
        return False
    for name, parameters in _NUTPIE.items():
        found = getattr(compile_pymc, name, None)
        if found is None or not parameters <= set(inspect.signature(found).parameters):
            return False
    return True


class Callback(CFunc):
    """A numba function that is called by its address, and returns a fault instead of exceptions.

    numba's own wrapper prints an exception and returns zero, as if all were well.
    """

    def __init__(self, function: Any, signature: Any, options: Mapping[str, Any], fault: int):
        self._types = signature.args, signature.return_type
        super().__init__(function, self._types, locals={}, options=dict(options))
        compiler = _WithoutWrapper(function, cpu_target, dict(options), {}, Compiler)
        self._compiler = compiler
        self._fault = fault

    def _compile_uncached(self) -> Any:
        made = self._compiler.compile(*self._types)
        context, about = made.target_context, made.fndesc
        module = context.create_module("callback")
        inner = context.call_conv.get_function_type(about.restype, about.argtypes)
        called = ir.Function(module, inner, about.llvm_func_name)
        result = context.get_value_type(about.restype)
        outer = ir.FunctionType(result, [context.get_value_type(t) for t in about.argtypes])
        function = ir.Function(module, outer, about.llvm_cfunc_wrapper_name)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        status, out = context.call_conv.call_function(
            builder, called, about.restype, about.argtypes, function.args, attrs=("noinline",)
        )
        builder.ret(builder.select(status.is_error, result(self._fault), out))
        made.library.add_ir_module(module)
        return made


class _WithoutWrapper(_CFuncCompiler):
    def _customize_flags(self, flags: Any) -> Any:
        flags = super()._customize_flags(flags)
        flags.no_cfunc_wrapper = True
        return flags


@cache
def array_at(dtype: np.dtype, ndim: int) -> Any:
    """Return a numba function from an address and lengths to the array that is there."""
    import numba
    from nutpie.compile_pymc import address_as_void_pointer

    lengths = [f"n{d}" for d in range(ndim)]
    lines = [
        f"def array_at({', '.join(['address', *lengths])}):",
        f"    return carray(as_pointer(address), ({''.join(f'{n}, ' for n in lengths)}), dtype)",
    ]
    names = {"carray": numba.carray, "as_pointer": address_as_void_pointer, "dtype": dtype}
    environment = {"__name__": __name__, **names}
    return njit(compile_source("\n".join(lines), "array_at", environment, None))


def nutpie_record(arrays: Mapping[str, np.ndarray], keys: Mapping[Any, str]) -> np.ndarray:
    """Return the record of addresses and shapes that nutpie hands to compiled code."""
    from nutpie.compile_pymc import make_user_data

    return make_user_data(keys, arrays)


def record_places(record: np.ndarray) -> tuple[int, dict[str, int], dict[str, int]]:
    """Read from a record's dtype where things are, in words of eight bytes.

    Returns
    -------
    words : int
        Length of the record.
    addresses, shapes : dict of str to int
        Place of each array's address, and of its first length.

    Raises
    ------
    NotImplementedError
        The record is not one of words of eight bytes, as nutpie 0.16 has it.
    """
    try:
        layout: Any = record.dtype.fields
        inner, start = layout["shared"][:2]
        parts = {}
        for part in ("data", "shape"):
            fields, at = inner.fields[part][:2]
            found = {name: (f[0], start + at + f[1]) for name, f in fields.fields.items()}
            if any(d.base.itemsize != 8 or offset % 8 for d, offset in found.values()):
                raise NotImplementedError(f"nutpie's record is {record.dtype}")
            parts[part] = {name: offset // 8 for name, (_, offset) in found.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise NotImplementedError(f"nutpie's record is {record.dtype}") from error
    return record.dtype.itemsize // 8, parts["data"], parts["shape"]


def nutpie_model(
    n_dim: int,
    name: str,
    functions: tuple[Any, Any],
    start: Callable[[Any], np.ndarray],
    data: tuple[Mapping[str, np.ndarray], Mapping[Any, str], np.ndarray],
    graph: Any,
) -> Any:
    """Return a model for `nutpie.sample` with one variable, the unconstrained vector.

    Parameters
    ----------
    n_dim : int
        Length of the vector.
    name : str
        Name of the variable.
    functions : pair of CFunc
        Log density with gradient, and the copy of a point to what is kept of it.
    start : callable
        From a seed to a starting point.
    data : tuple
        Arrays by name, names by shared variable, and the record of `nutpie_record`.
    graph : callable
        PyTensor's function of the log density.
    """
    from nutpie.compile_pymc import CompiledPyMCModel

    arrays, keys, record = data
    return CompiledPyMCModel(
        _n_dim=n_dim,
        dims={},
        _coords={},
        _shapes={name: (n_dim,)},
        compiled_logp_func=functions[0],
        compiled_expand_func=functions[1],
        initial_point_func=start,
        shared_data=arrays,
        shared_var_keys=keys,
        user_data=record,
        n_expanded=n_dim,
        shape_info=([name], [slice(0, n_dim)], [(n_dim,)]),
        logp_func=graph,
        expand_func=None,
        reparameterized_names=[],
    )
