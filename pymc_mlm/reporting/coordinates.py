"""Labels of the elements of an array by its coordinates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr


def labelled(values: xr.DataArray) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the label and the place of each element, in order.

    Parameters
    ----------
    values : DataArray

    Yields
    ------
    label : str
        Coordinates in brackets, or numbers where there are none; empty for a scalar.
    place : tuple of int

    Examples
    --------
    >>> list(labelled(xr.DataArray([1.0, 2.0], dims="x", coords={"x": ["a", "b"]})))
    [('[a]', (0,)), ('[b]', (1,))]
    """
    for place in np.ndindex(values.shape):
        dims = zip(values.dims, place, strict=True)
        labels = [str(values[d].values[i]) if d in values.coords else str(i) for d, i in dims]
        yield (f"[{', '.join(labels)}]" if labels else ""), place
