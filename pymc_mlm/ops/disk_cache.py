"""PyTensor's disk cache of compiled code, made a convenience: whatever ails it, code is compiled.

numba expects its cache files to be whole and their folder to be writable. A damaged file, a
read-only folder or a full disk otherwise ends every compilation with the error of the cache, and a
damaged file does so for ever, since it is read before it would be replaced.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytensor
from pytensor import config

from pymc_mlm.codegen import host
from pymc_mlm.errors import warn_user

_REMEDY = (
    "Code is compiled without it, in each session anew. Make the folder writable, free space on "
    "its disk, or name another folder: PYTENSOR_FLAGS=base_compiledir=/another/folder."
)
_DAMAGED = "Damaged code is compiled anew."
_reported: set[str] = set()  # remedies, each once in a process
_temporary: list[Any] = []  # removed when the process ends


def settle_folder() -> None:
    """Make PyTensor's folders; a temporary one takes their place where that fails.

    PyTensor makes them when it first compiles, and the first function of PyMC ends there. Called
    when the package is imported, before anything is compiled.
    """
    try:
        (config.base_compiledir / "numba").mkdir(parents=True, exist_ok=True)
        compiled = config.compiledir  # made when it is first read
    except (OSError, ValueError) as error:
        _report("cannot be made or written", config.base_compiledir, error, _REMEDY)
        _temporary.append(tempfile.TemporaryDirectory(prefix="pytensor"))
        # PyTensor closes the setting to changes; nothing has been compiled under it yet.
        type(config).base_compiledir.val = Path(_temporary[0].name)
    else:
        if "pytensor.link.c.lazylinker_c" not in sys.modules:
            check_linker(compiled / "lazylinker_ext")


def check_linker(folder: Path) -> None:
    """Remove PyTensor's compiled linker, which it then compiles anew, where its files changed.

    PyTensor loads it to evaluate initial points. A damaged library ends the process. It has no
    checksum, so one of what is found first is kept beside it, with PyTensor's version.

    Parameters
    ----------
    folder : Path
        ``lazylinker_ext`` in PyTensor's folder of compiled code.
    """
    seal, code = folder / "sha256", folder / "__init__.py"
    try:
        content = b"".join(path.read_bytes() for path in sorted(folder.glob("*.so")))
        found = f"{pytensor.__version__} {sha256(content + code.read_bytes()).hexdigest()}"
        kept = seal.read_text() if seal.exists() else ""
        if kept.startswith(f"{pytensor.__version__} ") and kept != found:
            shutil.rmtree(folder)
            error = ValueError("a checksum does not fit")
            _report("was damaged", folder, error, _DAMAGED)
        elif kept != found and b"_version" in code.read_bytes():  # PyTensor writes it last.
            seal.write_text(found)
    except (OSError, UnicodeDecodeError):
        return  # Nothing compiled yet, or a folder that cannot be written.


@cache
def guard_disk_cache() -> None:
    """Make numba compile where PyTensor's disk cache fails, with one warning; done once.

    Caches of a user's own numba functions, which lie elsewhere, are left alone.
    """
    host().wrap_disk_cache(_load, _save)


def _load(method: Callable[..., Any], cache: Any, *args: Any) -> Any:
    """Return kept code; None, after which numba compiles, where it cannot be read."""
    try:
        return method(cache, *args)
    except Exception as error:  # Damaged pickles raise errors of any class.
        try:
            cache.flush()  # The new code replaces the damaged one.
        except OSError as unwritable:
            cache.disable()
            _report("cannot be read or written", cache.cache_path, unwritable, _REMEDY)
        else:
            _report("was damaged", cache.cache_path, error, _DAMAGED)
        return None


def _save(method: Callable[..., Any], cache: Any, *args: Any) -> None:
    """Keep code, in a new folder where it has been deleted, or not at all."""
    try:
        try:
            method(cache, *args)
        except FileNotFoundError:
            Path(cache.cache_path).mkdir(parents=True, exist_ok=True)
            method(cache, *args)
    except OSError as error:
        _report("cannot be written", cache.cache_path, error, _REMEDY)


def _report(what: str, folder: Any, error: Exception, remedy: str) -> None:
    """Warn once in a process, at the user's line, though numba lies in between."""
    if remedy in _reported:
        return
    _reported.add(remedy)
    reason = f"{type(error).__name__}: {error}"
    text = f"The cache of compiled code in {folder} {what} ({reason}). {remedy}"
    libraries = [
        sys.modules[name].__file__ for name in ("numba", "pytensor") if name in sys.modules
    ]
    warn_user(text, RuntimeWarning, through=[str(Path(str(file)).parent) for file in libraries])
