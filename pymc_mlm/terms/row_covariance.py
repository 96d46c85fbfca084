"""How strongly effects of units tie rows to each other: covariances of their linear predictors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.factor import UNKNOWN
from pymc_mlm.terms.hierarchical import Hierarchical
from pymc_mlm.terms.member_effects.correlated import AbstractCorrelated
from pymc_mlm.terms.membership import MultipleMembership
from pymc_mlm.terms.nested import Nested

Array = np.ndarray[Any, Any]


def row_covariance(
    term: Any, design: Any, draws: Mapping[str, Array], num_draws: int
) -> Array | None:
    r"""Return the covariance that the effects of a term give to the predictors of pairs of rows.

    .. math:: \operatorname{Cov}(\eta_i, \eta_j) = \sum_{k \in i} \sum_{l \in j} w_{ik} w_{jl}
        \operatorname{Cov}(u_k, u_l)

    Parameters
    ----------
    term, design
        Term and its design, of fitted or new rows.
    draws : mapping of str to ndarray, shape (draw, ...)
        Draws of standard deviations, correlations and weights.
    num_draws : int

    Returns
    -------
    ndarray, shape (draw, row, row), or None
        None for a term of a class of the user's, of which nothing is known.
    """
    if not term.is_of_effect("linear"):
        return None
    if isinstance(term, MultipleMembership):
        return _of_members(term, design, draws, num_draws)
    if isinstance(term, Hierarchical):
        codes = design.units.codes
        same = (codes[:, None] == codes) & (codes[:, None] != UNKNOWN)
        same |= np.eye(len(codes), dtype=bool)
        sd = draws.get(f"{design.name}_sd")
        if sd is None:
            return np.zeros((num_draws, *same.shape))
        by = design.factor_of_rows
        return np.asarray(sd[:, None, None] ** 2 * (same * by[:, None] * by))
    if isinstance(term, Nested):
        total = np.zeros((num_draws, len(design.nesting.leaf), len(design.nesting.leaf)))
        for level, name in enumerate(design.levels):
            unit = design.nesting.codes(name)
            Z = design.Z[:, design.varies[level]]
            total += (unit[:, None] == unit) * (Z @ _level_covariance(design, draws, level) @ Z.T)
        return total
    return None


def _level_covariance(design: Any, draws: Mapping[str, Array], level: int) -> Array:
    """Return D R D of a nested level, (draw, coef, coef)."""
    prefix = design.prefixes[level]
    sd = draws[f"{prefix}_sd"]
    R = np.broadcast_to(np.eye(sd.shape[1]), (len(sd), sd.shape[1], sd.shape[1])).copy()
    if design.pairs(level):
        i, j = np.tril_indices(sd.shape[1], -1)
        R[:, i, j] = R[:, j, i] = draws[f"{prefix}_correlation"]
    return np.asarray(sd[:, :, None] * R * sd[:, None, :])


def _of_members(term: Any, design: Any, draws: Mapping[str, Array], num_draws: int) -> Array:
    m = design.membership
    shape = num_draws, m.num_groups, m.num_groups
    if term.effect_type is None:
        return np.zeros(shape)
    rows = np.flatnonzero(m.member.codes != UNKNOWN)
    a, b = (x.ravel() for x in np.meshgrid(rows, rows, indexing="ij"))
    if not isinstance(term.effects, AbstractCorrelated):
        same = m.member.codes[a] == m.member.codes[b]
        a, b = a[same], b[same]
    w = np.broadcast_to(term.weight_draws(design, draws), (num_draws, len(m.group)))
    covariance = term.effects.covariance(design, draws, a, b, {})
    values, pair = w[:, a] * w[:, b] * covariance, m.group[a] * m.num_groups + m.group[b]
    return np.reshape([np.bincount(pair, v, m.num_groups**2) for v in values], shape)
