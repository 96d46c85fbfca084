"""Effect draws in one form, whatever form they came in, and how sure a mean of draws is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import SpecificationError

Array = np.ndarray[Any, Any]
Effect = Any  # what `effect_draws` accepts; a DataArray has no useful static type


@dataclass(frozen=True, eq=False)
class EffectDraws:
    """Posterior draws of an effect on each outcome.

    Attributes
    ----------
    values : ndarray, shape (chain, draw, outcome) or (sample, outcome)
        Effects; zero means none. Differences of success probabilities as a rule; give log
        ratios rather than ratios.
    outcomes : tuple of str
        Names of the outcomes.
    """

    values: Array
    outcomes: tuple[str, ...]

    def mirrored(self) -> EffectDraws:
        """Swap the two arms."""
        return EffectDraws(-self.values, self.outcomes)


def effect_draws(effect: Effect, outcomes: Sequence[str] | None = None) -> EffectDraws:
    """Bring draws of an effect into one form.

    Parameters
    ----------
    effect : DataArray, array_like or EffectDraws
        A DataArray has the dim ``outcome`` and, besides it, ``chain`` and ``draw`` or
        ``sample``; an array has the outcomes last, (chain, draw, outcome) or (sample, outcome).
    outcomes : sequence of str, optional
        Names of an array's outcomes, ``y1, y2, ...`` by default.

    Returns
    -------
    EffectDraws

    Raises
    ------
    SpecificationError
        Dims are missing or superfluous, names do not match, or draws are not finite.

    Examples
    --------
    >>> effect_draws([[0.1, 0.2], [0.0, 0.3]]).outcomes
    ('y1', 'y2')
    """
    if isinstance(effect, EffectDraws):
        return effect
    if isinstance(effect, xr.DataArray):
        values, outcomes = _from_labelled(effect)
    else:
        values = np.asarray(effect, dtype=float)
    if values.ndim not in (2, 3) or values.size == 0:
        raise SpecificationError(
            f"effect has shape {values.shape}; (chain, draw, outcome) or (sample, outcome) is "
            "needed, with at least one draw."
        )
    names = tuple(outcomes or (f"y{k + 1}" for k in range(values.shape[-1])))
    if len(names) != values.shape[-1]:
        raise SpecificationError(
            f"outcomes has {len(names)} names, but effect has {values.shape[-1]} outcomes in its "
            "last axis. Give one name for each."
        )
    if not np.isfinite(values).all():
        raise SpecificationError(
            f"effect has {int((~np.isfinite(values)).sum())} draws that are not finite. Check "
            "the fit, or the population that the effect was averaged over."
        )
    return EffectDraws(values, names)


def _from_labelled(effect: xr.DataArray) -> tuple[Array, tuple[str, ...]]:
    sampled = [dim for dim in ("chain", "draw", "sample") if dim in effect.dims]
    others = [str(dim) for dim in effect.dims if dim not in (*sampled, "outcome")]
    if "outcome" not in effect.dims or others or sampled not in (["chain", "draw"], ["sample"]):
        raise SpecificationError(
            f"effect has the dims {tuple(map(str, effect.dims))}; ('chain', 'draw', 'outcome') or "
            "('sample', 'outcome') is needed. Choose one with effect.sel(...), say one treatment."
        )
    ordered = effect.transpose(*sampled, "outcome")
    names = (
        map(str, effect["outcome"].values.tolist())
        if "outcome" in effect.coords
        else (f"y{k + 1}" for k in range(effect.sizes["outcome"]))
    )
    return np.asarray(ordered.values, dtype=float), tuple(names)


def monte_carlo_error(draws: Array) -> float:
    """Return the standard error of a mean of draws, by batch means.

    Parameters
    ----------
    draws : ndarray, shape (chain, draw) or (sample,)
        Draws of a quantity, or of an event as booleans.

    Returns
    -------
    float
        Standard error. For an event it is at least that of independent draws, also when the
        event happened always or never.

    Notes
    -----
    Batches of about the square root of a chain's length; consistent for correlated draws
    (Flegal, Haran and Jones 2008).

    Examples
    --------
    >>> monte_carlo_error(np.array([True] * 100)) > 0
    True
    """
    values = np.atleast_2d(np.asarray(draws))
    chains, length = values.shape
    size = max(int(np.sqrt(length)), 1)
    batches = values[:, : length // size * size].reshape(chains * (length // size), size)
    means = batches.mean(axis=1, dtype=float)
    error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else np.inf
    if values.dtype != bool:
        return error
    p = (values.sum() + 0.5) / (values.size + 1)
    return max(error, float(np.sqrt(p * (1 - p) / values.size)))
