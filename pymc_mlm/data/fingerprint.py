"""Fingerprints of columns: the same for the same values, whatever library holds the table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from pymc_mlm.data.frame import Table, columns


def fingerprints(table: Table, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of each column, and of all of them under the empty name.

    Numbers and truth values count as double-precision numbers, little-endian, NaN where they are
    missing; all else as its text in UTF-8, each preceded by its length. Rows are in their order.

    Parameters
    ----------
    table : Table
    names : sequence of str
        Columns.

    Returns
    -------
    dict of str to str
        Hexadecimal digits, by column.

    Examples
    --------
    >>> from pymc_mlm.data.frame import open_table
    >>> one = fingerprints(open_table({"x": [1, 2]}, ["x"]), ["x"])
    >>> one == fingerprints(open_table({"x": np.array([1.0, 2.0])}, ["x"]), ["x"])
    True
    """
    found = {name: _of_column(values) for name, values in columns(table, names).items()}
    joined = "\n".join(f"{len(name)} {name} {digest}" for name, digest in found.items())
    return found | {"": _sha(joined.encode(errors="surrogatepass"))}


def _of_column(values: np.ndarray) -> str:
    exact = values.dtype.kind in "bf" or (values.dtype.kind in "iu" and _fit_doubles(values))
    if exact:
        numbers = values.astype("<f8") + 0.0  # one zero, not two
        numbers[np.isnan(numbers)] = np.nan
        return _sha(numbers.tobytes())
    digest = hashlib.sha256()
    for value in values.tolist():
        text = b"" if value is None else str(value).encode(errors="surrogatepass")
        digest.update(f"{-1 if value is None else len(text)} ".encode() + text)
    return digest.hexdigest()


def _fit_doubles(values: np.ndarray) -> bool:
    return len(values) == 0 or max(abs(int(values.min())), abs(int(values.max()))) <= 2**53


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
