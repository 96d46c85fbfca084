"""Normal effects of units, known, new and unknown: shared by the terms that have units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.approximation.effect_information import EffectInformation
from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.distributions.informed import InformedNormal, informed
from pymc_mlm.distributions.informed_chain import InformedChain, informed_steps
from pymc_mlm.distributions.noncentered import noncentered
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.terms.base import add_coords


def unit_effects(
    name: str,
    units: Factor,
    sd: Any,
    information: EffectInformation | None = None,
    given: Sequence[Given] = (),
    sd_factor: np.ndarray | None = None,
) -> Any:
    """Add the effects of all units to the current model.

    Parameters
    ----------
    name : str
        Prefix of the variables.
    units : Factor
        Units and the unit of each row.
    sd : TensorVariable, scalar
        Standard deviation of the effects.
    information : EffectInformation, optional
        Score and information of each known unit. It chooses the sampler's coordinates, which are
        non-centred without it, and does not change the model.
    given : sequence of Given
        Intercept, coefficients and effects of other terms that the information is given.
    sd_factor : ndarray, shape (num_known,), optional
        Standard deviations of known units, per `sd`; one by default.

    Returns
    -------
    TensorVariable, shape (num_units + num_unknown_rows,)
        Effects in the order of `unit_codes`.

    Notes
    -----
    A unit that the fitted data lacked is one new draw from the population, shared by all its
    rows. A row whose id is missing belongs to one of the fitted units, not known which: it
    takes the effect of one of them, drawn anew in every posterior draw.
    """
    dim = units.name
    add_coords({dim: units.labels[: units.num_known]})
    if sd_factor is not None:
        effects = _of_own_scale(name, dim, sd * pytensor.shared(sd_factor), information, given)
    elif information is None:
        effects = pm.Normal(f"{name}_effect", 0.0, sd, dims=dim, transform=noncentered)
    else:
        # Shared, so that compiled code serves other tables; not part of the model.
        data = (pytensor.shared(x) for x in (information.precision, information.basis))
        score = score_given(information, given)
        effects = InformedNormal(f"{name}_effect", sd, score, *data, dims=dim, transform=informed)
    parts = [effects]
    if len(units.new_labels):
        add_coords({f"{dim}_new": units.new_labels})
        parts.append(pm.Normal(f"{name}_effect_new", 0.0, sd, dims=f"{dim}_new"))
    num_unknown = int((units.codes == UNKNOWN).sum())
    if num_unknown:
        which = pm.DiscreteUniform(
            f"{name}_unknown", lower=0, upper=units.num_known - 1, shape=num_unknown
        )
        parts.append(effects[which])
    return parts[0] if len(parts) == 1 else pt.concatenate(parts)


def _of_own_scale(
    name: str, dim: str, sd: Any, information: EffectInformation | None, given: Sequence[Given]
) -> Any:
    """Add effects of which each has a standard deviation of its own: chains of one value."""
    if information is None or information.basis.size:
        return pm.Normal(f"{name}_effect", 0.0, sd, dims=dim, transform=noncentered)
    score, precision = score_given(information, given), pytensor.shared(information.precision)
    return InformedChain(
        f"{name}_effect", pt.zeros_like(sd), sd, score, precision, dims=dim,
        transform=informed_steps,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Given:
    """Part of a model that effects follow.

    Attributes
    ----------
    values : TensorVariable, scalar or shape (count,)
        Intercept, coefficients, or effects of another term.
    count : int
        How many.
    is_effect : bool
        Whether they are effects, of which most units follow a few.
    """

    values: Any
    count: int
    is_effect: bool = False


def score_given(information: EffectInformation, given: Sequence[Given] = ()) -> Any:
    """Return the slope of the effects' log likelihood at what they are given, shape (unit,)."""
    score: Any = pytensor.shared(information.score)
    place = 0
    for part in given:
        C = information.cross[:, place : place + part.count]
        place += part.count
        score = score - _told(C, part)
    return score


def _told(C: Any, part: Given) -> Any:
    is_sparse = not isinstance(C, np.ndarray)
    if is_sparse and part.is_effect:
        C = C.tocsr()
        rows = np.repeat(np.arange(C.shape[0]), np.diff(C.indptr))
        layout = (pytensor.shared(x.astype(np.int64)) for x in (C.indices, rows, C.indptr))
        return group_sum(pytensor.shared(C.data), part.values, *layout)
    C = np.ascontiguousarray(C.toarray() if is_sparse else C)
    if part.values.ndim == 0:
        return pytensor.shared(C[:, 0].copy()) * part.values
    return linear_predictor(pytensor.shared(C), part.values)
