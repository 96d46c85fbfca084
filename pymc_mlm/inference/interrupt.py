"""What is kept of a run that the user interrupted.

nutpie and PyMC catch the interrupt themselves and return what they have: nutpie pads chains with
NaN to the length of the longest, also those that were never started, and PyMC returns fewer chains
and draws. Neither reports it, so that a run shows it by its lengths alone.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from pymc_mlm.inference.base import Run

ATTRIBUTE = "interrupted"
TOO_EARLY = "Sampling was interrupted before a chain had a draw after warm-up: nothing to keep."


def kept(idata: xr.DataTree, run: Run) -> xr.DataTree:
    """Cut an interrupted run to chains of equal length; a whole run stays as it is.

    Parameters
    ----------
    idata : xarray.DataTree
        What the sampler returned.
    run : Run
        What it was asked for.

    Returns
    -------
    xarray.DataTree
        The choice of chains with most draws in all, as PyMC makes it: a chain that waited for a
        core, or is in warm-up still, does not cost the draws of the others.

    Raises
    ------
    KeyboardInterrupt
        No chain has a draw after warm-up.
    """
    lengths = _lengths(idata)
    if len(lengths) == run.chains and min(lengths) >= run.draws:
        return idata
    # With the k longest chains, each is cut to the shortest of them.
    longest = np.sort(lengths)[::-1]
    count = 1 + int(np.argmax(longest * np.arange(1, len(longest) + 1)))
    draws = int(longest[count - 1])
    if draws == 0:
        raise KeyboardInterrupt(TOO_EARLY)
    chains = np.flatnonzero(lengths >= draws)

    def cut(group: xr.Dataset) -> xr.Dataset:
        if not {"chain", "draw"} <= set(group.dims):
            return group
        group = group.isel(chain=chains, draw=slice(draws))
        return group.assign_coords(chain=np.arange(count), draw=np.arange(draws))

    idata = idata.map_over_datasets(cut)
    idata["posterior"].attrs[ATTRIBUTE] = (
        f"sampling was interrupted: {draws} of {run.draws} draws are kept of {count} of "
        f"{run.chains} chains"
    )
    return idata


def interruption(idata: xr.DataTree) -> tuple[str, ...]:
    """Return the sentence that describes what an interrupted run kept; empty for a whole one."""
    text = idata["posterior"].attrs.get(ATTRIBUTE)
    return () if text is None else (str(text),)


def _lengths(idata: xr.DataTree) -> np.ndarray:
    """Return the draws of each chain without padding, shape (chain,).

    Every draw has an energy, which is finite: a point without one is never accepted.
    """
    sizes = idata["posterior"].sizes
    if "sample_stats" not in idata or "energy" not in idata["sample_stats"]:
        return np.full(sizes["chain"], sizes["draw"])
    energy = idata["sample_stats"]["energy"].transpose("chain", "draw").values
    last = np.where(np.isfinite(energy), np.arange(1, sizes["draw"] + 1), 0)
    return last.max(axis=1, initial=0)
