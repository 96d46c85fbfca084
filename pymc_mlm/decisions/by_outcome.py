"""Numbers by outcome: margins that effects must exceed, and weights."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real

import numpy as np

from pymc_mlm.decisions.draws import Array, EffectDraws
from pymc_mlm.errors import SpecificationError

MarginsLike = float | Sequence[float] | Mapping[str, float] | None


def weight_vector(weights: Sequence[float] | Mapping[str, float], outcomes: Sequence[str]) -> Array:
    """Return one finite weight per outcome, or say why not.

    Examples
    --------
    >>> weight_vector({"math": 0.3, "reading": 0.7}, ["reading", "math"])
    array([0.7, 0.3])
    """
    if isinstance(weights, Mapping):
        known = known_outcomes(weights, outcomes)
        weights = [known.get(name, 0.0) for name in outcomes]
    vector = np.asarray(weights, dtype=float)
    if vector.shape != (len(outcomes),):
        raise SpecificationError(
            f"weights has {vector.size} entries for {len(outcomes)} outcomes "
            f"({', '.join(map(repr, outcomes))}). Give one weight per outcome."
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise SpecificationError(
            f"weights={tuple(vector.tolist())} must be finite and not all zero. Give, say, "
            "importances that sum to one."
        )
    return vector


def exceedances(effect: EffectDraws, margins: Mapping[str, float]) -> dict[str, Array]:
    """Return effect less margin, per outcome with a margin."""
    position = {name: k for k, name in enumerate(effect.outcomes)}
    return {name: effect.values[..., position[name]] - m for name, m in margins.items()}


def margins_by_outcome(margins: MarginsLike, outcomes: Sequence[str]) -> dict[str, float]:
    """Return a margin for every outcome."""
    if isinstance(margins, Mapping):
        return dict.fromkeys(outcomes, 0.0) | known_outcomes(margins, outcomes)
    vector = np.asarray(0.0 if margins is None else margins, dtype=object)
    if not all(map(is_finite, vector.ravel().tolist())):
        raise SpecificationError(f"margins={margins!r} must be finite numbers.")
    vector = vector.astype(float)
    if vector.ndim > 1 or vector.size not in (1, len(outcomes)):
        raise SpecificationError(
            f"margins has {vector.size} entries for {len(outcomes)} outcomes "
            f"({', '.join(map(repr, outcomes))}). Give one number, or one per outcome."
        )
    return dict(zip(outcomes, np.broadcast_to(vector, len(outcomes)).tolist(), strict=True))


def shown_margins(margins: MarginsLike) -> str:
    """Return margins as a label shows them."""
    if isinstance(margins, Mapping):
        return ", ".join(f"{name} > {float(m):g}" for name, m in margins.items())
    return ", ".join(f"{m:g}" for m in np.ravel(np.asarray(margins, dtype=float)))


def is_finite(value: object) -> bool:
    """Tell whether a value is a finite real number."""
    return isinstance(value, Real) and isfinite(value)


def known_outcomes(values: Mapping[str, float], outcomes: Sequence[str]) -> dict[str, float]:
    """Return values by outcome as floats, or say which name is no outcome."""
    for name in values:
        if name not in outcomes:
            near = difflib.get_close_matches(str(name), list(outcomes), n=1, cutoff=0.5)
            raise SpecificationError(
                f"{name!r} is no outcome of this effect; its outcomes are "
                f"{', '.join(map(repr, outcomes))}."
                + (f" Did you mean {near[0]!r}?" if near else "")
            )
        if not is_finite(values[name]):
            raise SpecificationError(
                f"{values[name]!r} for {name!r} is no margin or weight: these are finite numbers."
            )
    return {name: float(value) for name, value in values.items()}
