"""A tree of arrays as a Zarr store (a folder), and back, with checks of all that is read.

Zarr fills chunks that are absent, and runs the codecs that its metadata name, pickle among them.
So the store has a digest of each array, and codecs and types are looked up in closed lists first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.saving.columns import STORED

SUFFIX = ".zarr"
METADATA, DIGESTS = "zarr.json", "pymc_mlm digests"
CODECS = {"bytes", "zstd"}
TYPES = {np.dtype(name).name for name in STORED}


def write(tree: xr.DataTree, target: Path) -> None:
    """Write a store beside its target and put it in its place when it is whole.

    Raises
    ------
    SpecificationError
        zarr is not installed.
    DataError
        The target is a folder that holds no fit, and would be deleted.
    """
    require_zarr()
    _restore(target)
    if target.exists() and not (target.is_dir() and DIGESTS in _attributes(target)):
        raise DataError(
            f"{str(target)!r} is there and holds no fit, so it is not replaced. Give another name, "
            "or delete it first."
        )
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        marked = tree.copy()
        marked.attrs[DIGESTS] = json.dumps(digests(tree))
        marked.to_zarr(part, mode="w", zarr_format=3, consolidated=False)
        _replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def opened(source: Path) -> Iterator[xr.DataTree]:
    """Open a store, after its metadata were checked, and check its arrays.

    Raises
    ------
    DataError
        The store is no fit or is damaged, or it names a codec that is not in the list.
    """
    require_zarr()
    _check_metadata(source)
    with xr.open_datatree(source, engine="zarr", zarr_format=3, consolidated=False) as tree:
        loaded = tree.load()
        if json.loads(loaded.attrs.get(DIGESTS, "null")) != digests(loaded):
            raise DataError("the store is damaged: arrays are not those that were saved.")
        yield loaded


def exists(path: Path) -> bool:
    """Tell whether a store is there; one that a crash had moved aside is put back."""
    _restore(path)
    return path.is_dir()


def require_zarr() -> None:
    """Refuse to go on without the package zarr.

    Raises
    ------
    SpecificationError
        Names the extra to install.
    """
    if find_spec("zarr") is None:
        raise SpecificationError(
            "A Zarr store needs the package zarr, which is not installed here. Install it with "
            "pip install 'pymc-mlm[zarr]', or save to a file 'fit.nc'."
        )


def digests(tree: xr.DataTree) -> dict[str, str]:
    """Return a digest of type, shape and values of each array, by its place in the tree."""
    found = {}
    for node in tree.subtree:
        for name, values in node.to_dataset(inherit=False).variables.items():
            array = np.ascontiguousarray(values.values)
            head = f"{array.dtype.str} {array.shape} {values.dims}".encode()
            found[f"{node.path}/{name}"] = hashlib.sha256(head + array.tobytes()).hexdigest()
    return found


def _check_metadata(source: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or path.name in (".zarray", ".zgroup", ".zmetadata"):
            raise DataError(f"the store has {path.name!r}, which no saved fit has.")
        if path.name == METADATA:
            _check_node(json.loads(path.read_text()))
    if DIGESTS not in _attributes(source):
        raise DataError("the folder is no fit of pymc_mlm. Give one that model.save() wrote.")


def _check_node(node: Any) -> None:
    """Refuse what is no group, nor an array of numbers in the codecs that are written."""
    if node["zarr_format"] == 3 and node["node_type"] == "group":
        return
    codecs = {codec["name"] for codec in node["codecs"]}
    plain = node["zarr_format"] == 3 and not node.get("storage_transformers")
    if not plain or not codecs <= CODECS or node["data_type"] not in TYPES:
        raise DataError("the store has codecs or types of arrays that no saved fit has.")


def _attributes(store: Path) -> Any:
    try:
        return json.loads((store / METADATA).read_text()).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        return {}


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _replace(part: Path, target: Path) -> None:
    """Swap two folders: the old one is aside until the new one has its place."""
    if target.exists():
        os.replace(target, _aside(target))
    try:
        os.replace(part, target)
    except BaseException:
        _restore(target)
        raise
    shutil.rmtree(_aside(target), ignore_errors=True)


def _restore(target: Path) -> None:
    """Put the old store back where a crash ended a replacement halfway, or remove what it left."""
    if _aside(target).exists():
        if target.exists():
            shutil.rmtree(_aside(target))
        else:
            os.replace(_aside(target), target)
