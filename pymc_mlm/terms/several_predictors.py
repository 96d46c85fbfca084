r"""Effects of a term's units on several linear predictors, correlated between predictors.

.. math:: \eta_{im} \mathrel{+}= \sum_{k \in i} w_{ik} z_i' u_{km}, \qquad
    u_k = (I \otimes C) \operatorname{diag}(\sigma) L \epsilon_k, \qquad L L' \sim \text{LKJ}(\eta)

The matrix C maps contrasts of the outcomes to predictors, as for clusters. The columns :math:`z_i`
are 1, or those whose coefficients vary between nested units. The weights are those of the term,
shared by all predictors. A unit on a predictor is a unit of its own to the sums over memberships:
they are those of a term with one predictor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from pymc_mlm.data.membership import Membership
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.priors import create
from pymc_mlm.terms.base import AbstractTerm, add_coords, data
from pymc_mlm.terms.cluster_effects import CONTRAST, correlated_effects
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.unit_block import UnitBlock

Array = np.ndarray[Any, Any]


def blocks_of(term: AbstractTerm, design: Any) -> tuple[UnitBlock, ...]:
    """Return the units that a term consists of; none where a subclass has another `effect`."""
    return term.unit_blocks(design) if term.is_of_effect("unit_blocks") else ()


def on_predictors(term: AbstractTerm, design: Any, contrasts: Array, scale: float = 1.0) -> Any:
    """Add a term to the current model, which has the dim contrast.

    Parameters
    ----------
    term : AbstractTerm
        With `unit_blocks`, or a term `OnEachPredictor`.
    design : design
        From `term.resolve`, of fitted data.
    contrasts : ndarray, shape (predictor, contrast)
        Maps contrasts of the outcomes to linear predictors.
    scale : float
        Spread of a linear predictor, for default priors.

    Returns
    -------
    TensorVariable, shape (row, predictor)
    """
    blocks = blocks_of(term, design)
    if not blocks:
        return term.effect(design, scale)
    parts = [_contribution(term, design, block, contrasts, scale) for block in blocks]
    return sum(parts[1:], start=parts[0])


def _contribution(term: Any, design: Any, block: UnitBlock, contrasts: Array, scale: float) -> Any:
    name, units, count = block.name, block.links.member, block.Z.shape[1]
    add_coords({units.name: units.labels})
    dims: tuple[str, ...] = (CONTRAST,)
    shape: tuple[int, ...] = (len(contrasts),)
    of_units = CONTRAST
    if block.coefs:
        dims, of_units, shape = (*dims, f"{name}_coef"), f"{name}_dimension", (*shape, count)
        labels = pm.modelcontext(None).coords[CONTRAST]
        pairs = [f"{c}, {label}" for c in block.coefs for label in labels]
        add_coords({f"{name}_coef": block.coefs, of_units: pairs})
    prior = term.unit_priors(design, scale)[f"{name}_sd"]
    sd = create(prior, f"{name}_sd", dims, positive=True, shape=shape)
    z = pm.Normal(offsets_name(block), 0.0, 1.0, dims=(units.name, of_units))
    each = np.kron(np.eye(count), contrasts)
    effects = correlated_effects(name, sd.T.reshape((-1, 1)), z, each, block.eta)
    links, columns = block.each_coefficient()
    weight: Any = np.repeat(block.weight, count) * columns
    if block.is_estimated:
        group = data(f"{name}_group", links.group)
        weight = term.weight_graph(design, scale, group, data(f"{name}_indptr", links.indptr))
    return predictor_sums(name, weight, effects, links, len(contrasts))


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


def offsets_name(block: UnitBlock) -> str:
    """Return the name of the standard normal variables that effects are made from."""
    return f"{block.name}_z"


def roles_on_predictors(term: AbstractTerm, design: Any) -> dict[str, Role]:
    """Return what the variables of `on_predictors` mean, offsets left out."""
    roles, blocks = term.roles(design), blocks_of(term, design)
    if not blocks:
        return roles
    found = {}
    for block in blocks:
        found[f"{block.name}_sd"] = Role("sd", "sd", block.label)
        found[f"{block.name}_partial"] = Role("correlation", "partial correlation", block.label)
    return found | {n: role for n, role in roles.items() if role.kind == "weight"}
