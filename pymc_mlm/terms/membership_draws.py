"""Draws of what a multiple-membership term adds to each group, where effects are drawn by NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.terms.membership_design import MembershipDesign

Array = np.ndarray[Any, Any]


def membership_contribution(
    term: Any, design: MembershipDesign, draws: Mapping[str, Array], rng: np.random.Generator
) -> Array | None:
    """Return draws of the weighted sums over the members of each group.

    Parameters
    ----------
    term : MultipleMembership
    design : MembershipDesign
        Of fitted or of new data.
    draws : mapping of str to ndarray, shape (chain, draw, ...)
        Draws of the term's variables.
    rng : numpy.random.Generator
        Source of effects that were not fitted.

    Returns
    -------
    ndarray, shape (chain, draw, group), or None
        None: the term's own graph is evaluated.
    """
    names = [n for n in term.roles(design) if n in draws]
    chains = draws[names[0]].shape[:2]
    flat = {n: draws[n].reshape(-1, *draws[n].shape[2:]) for n in names}
    of_rows = term.effects.row_draws(design, flat, rng)
    if of_rows is None:
        return None
    if design.covariates:
        of_rows = of_rows + flat[f"{design.name}_beta"] @ design.X.T
    if design.fixed is not None:
        of_rows = of_rows + design.fixed
    products = term.weight_draws(design, flat) * of_rows
    sums = np.zeros((len(products), design.membership.num_groups))
    np.add.at(sums.T, design.membership.group, products.T)
    return sums.reshape(*chains, -1)
