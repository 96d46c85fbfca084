r"""Effects of a term's units on several linear predictors, correlated between predictors.

.. math:: \eta_{im} \mathrel{+}= \sum_{k \in i} w_{ik} u_{km}, \qquad
    u_k = C \operatorname{diag}(\sigma) L z_k, \qquad L L' \sim \text{LKJ}(1)

The matrix C maps contrasts of the outcomes to predictors, as for clusters.
The weights are those of the term, shared by all predictors. A unit on a predictor is a unit of
its own to the sums over memberships: they are those of a term with one predictor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from pymc_mlm.data.membership import Membership
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.priors import create
from pymc_mlm.terms.base import AbstractTerm, Role, add_coords, data
from pymc_mlm.terms.cluster_effects import CONTRAST, correlated_effects
from pymc_mlm.terms.membership import MultipleMembership


def unit_contribution(
    term: AbstractTerm, design: Any, links: Membership, contrasts: np.ndarray, scale: float = 1.0
) -> Any:
    """Add effects, weights and correlations to the current model, which has the dim contrast.

    Parameters
    ----------
    term : AbstractTerm
    design : design
        From `term.resolve`, of fitted data.
    links : Membership
        Its `memberships`.
    contrasts : ndarray, shape (predictor, contrast)
        Maps contrasts of the outcomes to linear predictors.
    scale : float
        Spread of a linear predictor, for default priors.

    Returns
    -------
    TensorVariable, shape (row, predictor)
        What the units add to the linear predictors of each observation.
    """
    name, units = design.name, links.member
    add_coords({units.name: units.labels})
    prior = term.priors_used(design, scale)[f"{name}_sd"]
    size = len(contrasts)
    sd = create(prior, f"{name}_sd", (CONTRAST,), positive=True, shape=(size,))
    z = pm.Normal(offsets_name(design), 0.0, 1.0, dims=(units.name, CONTRAST))
    effects = correlated_effects(name, sd.reshape((size, 1)), z, contrasts)
    weight: Any = np.ones(len(links.group))
    if isinstance(term, MultipleMembership):
        weight = design.start
        if not design.weight.fixed:
            group = data(f"{name}_group", links.group)
            indptr = data(f"{name}_indptr", links.indptr)
            weight = term.weight_graph(design, scale, group, indptr)
    return predictor_sums(name, weight, effects, links, size)


def predictor_sums(name: str, weight: Any, effects: Any, links: Membership, predictors: int) -> Any:
    """Sum weighted effects over the memberships of each observation, by predictor.

    Parameters
    ----------
    name : str
        Prefix of the arrays in the current model.
    weight : tensor_like, shape (membership,)
    effects : tensor_like, shape (unit, predictor)
    links : Membership
        Unit and observation of each membership.
    predictors : int

    Returns
    -------
    TensorVariable, shape (row, predictor)
    """
    link = np.tile(np.arange(len(links.group)), predictors)
    m = np.repeat(np.arange(predictors), len(links.group))
    group = links.group[link] * predictors + m
    order = np.argsort(group, kind="stable")
    link, m, group = link[order], m[order], group[order]
    count = np.bincount(group, minlength=links.num_groups * predictors)
    if isinstance(weight, np.ndarray):
        by_predictor = data(f"{name}_predictor_weights", weight[link])
    else:
        # One weight for each predictor: a sum over one membership looks it up.
        ends = np.arange(len(link) + 1)
        place = data(f"{name}_link", link), data(f"{name}_place", ends[:-1])
        ones = data(f"{name}_ones", np.ones(len(link)))
        by_predictor = group_sum(ones, weight, *place, data(f"{name}_ends", ends))
    sums = group_sum(
        by_predictor,
        effects.reshape((-1,)),
        data(f"{name}_predictor_unit", links.member.codes[link] * predictors + m),
        data(f"{name}_predictor_group", group),
        data(f"{name}_predictor_indptr", np.concatenate([[0], np.cumsum(count)])),
    )
    return sums.reshape((-1, predictors))


def offsets_name(design: Any) -> str:
    """Return the name of the standard normal variables that effects are made from."""
    return f"{design.name}_z"


def unit_roles(term: AbstractTerm, design: Any) -> dict[str, Role]:
    """Return what the variables of `unit_contribution` mean, offsets left out."""
    name = design.name
    own = {n: role for n, role in term.roles(design).items() if role.kind == "weight"}
    return {
        f"{name}_sd": Role("sd", "sd", term.label),
        f"{name}_partial": Role("correlation", "partial correlation", term.label),
        **own,
    }
