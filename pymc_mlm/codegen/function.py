"""The numba functions that nutpie calls: a graph as loops over its vectors, and a copy.

An exception does not leave a function that is called from outside of Python, so these end with a
status instead.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pytensor
from cachetools import LRUCache

from pymc_mlm.codegen import host
from pymc_mlm.codegen.graph import FAULT, Program, in_memory, write_graph

WRAPPER_VERSION = 16
# Compiled functions of the models that were fitted last, by key and signature.
COMPILED: LRUCache[tuple[str | None, str], Any] = LRUCache(64)
LOCK = Lock()


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


_NAME = re.compile(r"[A-Za-z_]\w*")
_LENGTH = re.compile(r"(\s+\w+) = (\w+)\.shape\[(\d+)\]")

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

_COPY_SOURCE = """
def mlm_copy(dim, expanded, x_, out_, user_data_):
    for i in range(int64(expanded)):
        out_[i] = x_[i]
    return 0
"""


def log_density_code(function: Any) -> tuple[Code, dict[Any, str], dict[str, np.ndarray]]:
    """Write a function's graph as loops over nutpie's vectors.

    Returns
    -------
    code : Code
        The numba function.
    keys, arrays : dict
        Name of each shared variable, and the arrays that the function reads, by name.
    """
    graph = function.maker.fgraph
    point, *data = graph.inputs
    program = Program(graph)
    program.values[point] = in_memory("point", ("size",))
    program.known |= {"size", "out", "shape"}
    shared = dict(zip(data, function.get_shared(), strict=True))
    keys, arrays = _shared_arrays(list(shared.values()))
    for variable, container in shared.items():
        program.values[variable] = program.given(keys[container], variable.type.broadcastable)
    value, gradient = graph.outputs
    program.targets[gradient] = "out"
    write_graph(program)
    if gradient not in program.values or program.values[gradient].array != "out":
        program.store(gradient, program.value(gradient))
    result = program.assign(program.value(value).only)
    arrays |= program.constants
    keys |= {pytensor.shared(array, name=name): name for name, array in program.constants.items()}
    lines = "\n".join(_with_record(program.pruned(result), arrays, keys))
    source = _LOGP_SOURCE.format(lines=lines, value=result)
    makers = {_at_name(a): host().array_at(a.dtype, a.ndim) for a in arrays.values()}
    code = _from_source(source, "mlm_logp", program.functions, program.keys, makers)
    return code, keys, arrays


def copy_code() -> Code:
    """Return the function that copies a point to what nutpie keeps of it."""
    return _from_source(_COPY_SOURCE, "mlm_copy", {}, {}, {})


def _with_record(
    lines: list[str], arrays: dict[str, np.ndarray], keys: dict[Any, str]
) -> list[str]:
    """Return the lines with the arrays of nutpie's record, each made where it is first read.

    numba releases every array at every end of the function that is reached while the array may
    still be read: 56 arrays made at the start cost half of the time of compilation.
    """
    if not arrays:
        return lines
    words, addresses, shapes = host().record_places(host().nutpie_record(arrays, keys))
    found = [f"    record = carray(user_data_, ({words},), np.uint64)"]
    made: set[str] = set()
    block = len(found)
    for line in lines:
        if not line.startswith("     "):  # An array is not made within a loop.
            block = len(found)
        is_length = _LENGTH.fullmatch(line)
        if is_length and is_length[2] in arrays:
            place = shapes[is_length[2]] + int(is_length[3])
            found.append(f"{is_length[1]} = int64(record[{place}])")
            continue
        for name in dict.fromkeys(_NAME.findall(line)):
            if name in arrays and name not in made:
                made.add(name)
                array = arrays[name]
                places = range(shapes[name], shapes[name] + array.ndim) if array.ndim else ()
                lengths = [f"int64(record[{place}])" for place in places]
                at = ", ".join([f"record[{addresses[name]}]", *lengths])
                found.insert(block, f"    {name} = {_at_name(array)}({at})")
                block += 1
        found.append(line)
    return found


def _at_name(array: np.ndarray) -> str:
    return f"array_at_{array.dtype.name}_{array.ndim}"


def _from_source(
    source: str,
    name: str,
    functions: Mapping[str, Any],
    keys: Mapping[str, str | None],
    extra: Mapping[str, Any],
) -> Code:
    import numba

    from pymc_mlm.codegen import exponential

    key = None
    if None not in keys.values():
        arithmetic = inspect.getsource(exponential)
        text = repr((WRAPPER_VERSION, arithmetic, source, sorted(keys.items())))
        key = hashlib.sha256(text.encode()).hexdigest()
    environment = {
        "__name__": __name__,
        "carray": numba.carray,
        "np": np,
        "int64": np.int64,
        **{name: getattr(math, name) for name in ("log", "log1p", "sqrt")},
        "exp": exponential.exp,
        "inf": math.inf,
        "nan": math.nan,
        **functions,
        **extra,
    }
    function = host().compile_source(source, name, environment, key)
    return Code(function, tuple(functions), key)


def as_cfunc(code: Code, signature: Any) -> Any:
    """Compile a function that is called by its address, through the disk cache if it has a key.

    It returns a fault where an exception is raised.

    numba does not give the memory of compiled code back (.5 MB for each trial that was refitted),
    so that code with a key is loaded once in a process.
    """
    import numba

    is_kept = code.key is not None and pytensor.config.numba__cache
    key = code.key, str(signature)
    with LOCK:
        loaded = COMPILED.get(key) if is_kept else None
    if loaded is not None:
        return loaded
    options = {"error_model": "numpy", "fastmath": set(_FASTMATH)}
    made = host().Callback(code.function, signature, options, FAULT)
    if is_kept:
        made.enable_caching()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.NumbaWarning)
        made.compile()
    if is_kept:
        with LOCK:
            COMPILED[key] = made
    return made


# Sums in any order, fused multiply-adds. With more liberties LLVM takes x - x for zero, and a
# test for NaN for true.
_FASTMATH = frozenset({"contract", "reassoc"})
