"""A fit as a netCDF file or Zarr store: draws, columns that were read, specification as text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from pymc_mlm.data.frame import Table, category_levels, columns, open_table
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.model import AbstractSpecification
from pymc_mlm.saving import zarr_store
from pymc_mlm.saving.columns import pack, unpack
from pymc_mlm.saving.values import decode, encode
from pymc_mlm.writing import replacing

FORMAT = "pymc_mlm fit"
SCHEMA = 1
ENGINE: Literal["h5netcdf"] = "h5netcdf"
DOCUMENT, TABLE = "document", "table"


def save(fit: Fit, path: str | os.PathLike[str]) -> Path:
    """Write a fit to a netCDF file or a Zarr store; an old one is replaced by the whole new one.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    path : str or path
        Where to: a folder where the ending is ``.zarr``, else a file, by custom ``.nc``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SpecificationError
        A prior or term has no form as text; it is named. Or zarr is needed and not installed.
    DataError
        The path is that of a folder that holds no fit.

    Notes
    -----
    The file holds the columns that the model reads, so that new data can be coded as the fitted
    ones; treat it as confidential as the table.
    """
    target = Path(path)
    if fit.table is None:
        raise SpecificationError("The fit holds no table, so that it cannot be saved.")
    table, described = _pack_table(fit.table, fit.spec.columns)
    groups = {name: node.to_dataset() for name, node in fit.idata.children.items()}
    packed = {name: _pack_dataset(group) for name, group in groups.items()}
    document = {
        "format": FORMAT,
        "schema": SCHEMA,
        "spec": encode(fit.spec, "the model"),
        "path": fit.path,
        "notes": list(fit.notes),
        "versions": dict(fit.versions),
        "settings": {name: encode(value, name) for name, value in fit.settings.items()},
        "table": described,
        "groups": {name: description for name, (_, description) in packed.items()},
        "drawn": [str(name) for name in groups["posterior"].data_vars],
    }
    text = np.frombuffer(json.dumps(document, allow_nan=False).encode(), dtype=np.uint8)
    tree = {"/": xr.Dataset({DOCUMENT: ("byte", text)}), TABLE: table}
    tree |= {f"draws/{name}": dataset for name, (dataset, _) in packed.items()}
    write = zarr_store.write if target.suffix == zarr_store.SUFFIX else _write
    write(xr.DataTree.from_dict(tree), target)
    return target


def load(path: str | os.PathLike[str]) -> Fit:
    """Read a fit that `save` wrote. Nothing in it is run or unpickled.

    Parameters
    ----------
    path : str or path
        The file, or the folder of a Zarr store.

    Returns
    -------
    Fit
        Predicts and reports as the one that was saved.

    Raises
    ------
    DataError
        The file is none of a fit, is damaged, or a newer version wrote it.
    """
    source = Path(path)
    is_store = zarr_store.exists(source)
    if not is_store and not source.is_file():
        raise DataError(f"There is no file {str(source)!r}.")
    try:
        with zarr_store.opened(source) if is_store else _opened(source) as tree:
            return _read(tree)
    except (DataError, SpecificationError) as error:
        raise DataError(f"{str(source)!r}: {error}") from error
    except Exception as error:  # whatever netCDF, HDF5, Zarr and JSON raise of a damaged file
        raise DataError(
            f"{str(source)!r} is no fit of pymc_mlm, or is damaged ({type(error).__name__})."
        ) from error


def _opened(source: Path) -> xr.DataTree:
    return xr.open_datatree(source, engine=ENGINE)


def _read(tree: xr.DataTree) -> Fit:
    if DOCUMENT not in tree:
        raise DataError("the file is no fit of pymc_mlm. Give one that model.save() wrote.")
    written = np.asarray(tree[DOCUMENT].data, dtype=np.uint8)
    document = json.loads(written.tobytes().decode())
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError("the file is no fit of pymc_mlm. Give one that model.save() wrote.")
    if document["schema"] != SCHEMA:
        raise DataError(
            f"the file has schema {document['schema']!r}, and this version of pymc_mlm reads "
            f"{SCHEMA}. Load it with the version that wrote it, or a newer one."
        )
    spec = decode(document["spec"])
    if not isinstance(spec, AbstractSpecification):
        raise DataError("the file holds no model. It is damaged: save the fit again.")
    table = _unpack_table(tree[TABLE].to_dataset(), document["table"])
    groups = {
        name: _unpack_dataset(tree[f"draws/{name}"].to_dataset(), description)
        for name, description in document["groups"].items()
    }
    design = spec.read(table)
    notes = tuple(str(note) for note in document["notes"])
    idata = xr.DataTree.from_dict(groups)
    # Fits of earlier versions have no list of what was drawn, and no settings.
    _refuse_other_draws(idata, document.get("drawn", ()))
    settings = {name: decode(value) for name, value in document.get("settings", {}).items()}
    path, versions = str(document["path"]), document["versions"]
    return Fit(spec, design, idata, path, notes, versions, table, settings)


def _refuse_other_draws(idata: xr.DataTree, names: Iterable[str]) -> None:
    """Refuse draws that lack a variable that was saved."""
    found = idata["posterior"].to_dataset() if "posterior" in idata else xr.Dataset()
    for name in names:
        if name not in found or found[name].dims[:2] != ("chain", "draw"):
            raise DataError(
                f"the file has no draws of {name!r}, which the fit had. It is damaged: save the "
                "fit again."
            )


def _write(tree: xr.DataTree, target: Path) -> None:
    """Write a file with checksums."""
    # Checksums, so that a damaged file is noticed when it is read.
    encoding: Any = {
        node.path: {str(n): {"fletcher32": True} for n, v in node.data_vars.items() if v.size}
        for node in tree.subtree
        if node.data_vars
    }
    with replacing(target) as part:
        tree.to_netcdf(part, engine=ENGINE, encoding=encoding)


def _pack_table(table: Table, names: tuple[str, ...]) -> tuple[xr.Dataset, Any]:
    arrays, description = pack(columns(table, names))
    levels = category_levels(table, names)
    described = {
        "columns": description,
        "levels": {name: encode(list(found), name) for name, found in levels.items()},
        "names": list(table.names),
    }
    return xr.Dataset({f"v{k}": ("row", v) for k, v in arrays.items()}), described


def _unpack_table(dataset: xr.Dataset, described: Mapping[str, Any]) -> Table:
    import pandas as pd

    arrays = {str(n).removeprefix("v"): v.values for n, v in dataset.data_vars.items()}
    found: dict[str, Any] = dict(unpack(arrays, described["columns"]))
    for name, levels in described["levels"].items():
        found[name] = pd.Categorical(found[name], categories=decode(levels))
    # The names of columns that were not read tell the same names from the same table.
    opened = open_table(found, list(found))
    return Table(tuple(described["names"]), opened.parts, opened.num_rows)


def _pack_dataset(dataset: xr.Dataset) -> tuple[xr.Dataset, Any]:
    """Give variables and dims names that a file allows, and describe them."""
    place = {dim: f"d{i}" for i, dim in enumerate(dataset.sizes)}
    arrays, description = pack({str(n): v.values for n, v in dataset.variables.items()})
    variables: dict[str, Any] = {}
    for own, (name, values) in zip(description, dataset.variables.items(), strict=True):
        own["dims"] = [str(dim) for dim in values.dims]
        own["coord"] = name in dataset.coords
        key = str(len(variables))
        variables[f"v{key}"] = (tuple(place[d] for d in values.dims), arrays[key])
    attrs = {str(k): _attribute(v) for k, v in dataset.attrs.items()}
    return xr.Dataset(variables), {"variables": description, "attrs": attrs}


def _unpack_dataset(dataset: xr.Dataset, described: Mapping[str, Any]) -> xr.Dataset:
    arrays = {str(n).removeprefix("v"): v.values for n, v in dataset.variables.items()}
    found = unpack(arrays, described["variables"])
    variables: dict[str, Any] = {
        own["name"]: (own["dims"], found[own["name"]]) for own in described["variables"]
    }
    coords = {own["name"] for own in described["variables"] if own["coord"]}
    attrs = {k: decode(v) for k, v in described["attrs"].items()}
    return xr.Dataset(
        {k: v for k, v in variables.items() if k not in coords},
        {k: v for k, v in variables.items() if k in coords},
        attrs,
    )


def _attribute(value: Any) -> Any:
    """Return an attribute of a group as text; of other kinds, what they print."""
    simple = value is None or isinstance(value, (str, bool, int, float, np.generic))
    return encode(value) if simple else str(value)
