"""Writes the graph of a multiple-membership term: effects, weights, covariates and their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.approximation.effect_information import EffectInformation
from pymc_mlm.ops.group_mean import group_mean
from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.priors import create
from pymc_mlm.terms.base import (
    add_coords,
    data,
)
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.membership_design import MembershipDesign
from pymc_mlm.terms.varying import Given
from pymc_mlm.weights import RawWeight


def membership_effect(
    term: Any,
    design: MembershipDesign,
    scale: float = 1.0,
    information: EffectInformation | None = None,
    beta: Any = None,
    given: Sequence[Given] = (),
) -> Any:
    """Add the members' effects, weights and covariates to the current model.

    Parameters
    ----------
    term : MultipleMembership
    design : MembershipDesign
        From `resolve`.
    scale : float
        Spread of the linear predictor, for default priors.
    information : EffectInformation, optional
        Score and information of the effects (`approximation.effect_information`). It helps
        the sampler and does not change the model.
    beta : TensorVariable, optional
        From `coefficients`, which is called without it.
    given : sequence of Given
        What the information is given: intercept, coefficients and other terms' effects.

    Returns
    -------
    TensorVariable, shape (group,)
        Weighted sum over the members of each group.
    """
    priors = term.priors_used(design, scale)
    name, membership = design.name, design.membership
    add_coords({design.group.name: design.group.labels})
    group = data(f"{name}_group", membership.group)
    indptr = data(f"{name}_indptr", membership.indptr)
    effects, member = pt.zeros(0), group
    beta = term.coefficients(design, scale) if beta is None else beta
    if term.effect_type == "random":
        effects, member = term.effects.graph(design, priors, information, given)
    if design.weight.fixed:
        return _known_weights(term, design, beta, effects, member, group, indptr)
    raw = _raw_weight(term, design, priors, group, indptr)
    of_rows = _covariates(term, design, beta, design.X, design.fixed)
    if term.normalize:
        return group_mean(raw.log, effects, of_rows, member, group, indptr)
    w, eta = raw.natural(), 0.0
    if term.effect_type == "random":
        eta = group_sum(w, effects, member, group, indptr)
    if design.covariates or design.fixed is not None:
        rows = data(f"{name}_rows", np.arange(len(design.start)))
        eta = eta + group_sum(w, of_rows, rows, group, indptr)
    return eta


def _known_weights(
    term: Any,
    design: MembershipDesign,
    beta: Any,
    effects: Any,
    member: Any,
    group: Any,
    indptr: Any,
) -> Any:
    """Sum with weights that are data; the sums of the covariates are then data, too."""
    fixed = None if design.fixed is None else design.group_fixed
    of_groups = _covariates(term, design, beta, design.group_covariates, fixed)
    if term.effect_type is None:
        return of_groups
    w = data(f"{design.name}_weights", design.start)
    eta = group_sum(w, effects, member, group, indptr)
    return eta + of_groups if design.covariates or fixed is not None else eta


def _raw_weight(
    term: Any, design: MembershipDesign, priors: Mapping[str, Any], group: Any, indptr: Any
) -> RawWeight:
    name = design.name
    b = {
        p: create(priors[f"{name}_weight_{p}"], f"{name}_weight_{p}")
        for p in term.weight_function.parameters
    }
    pieces = {k: data(f"{name}_weight_{k}", v) for k, v in design.weight.data.items()}
    return term.weight_function.evaluate(pieces, b, group, indptr)


def weight_graph(term: Any, design: MembershipDesign, scale: float, group: Any, indptr: Any) -> Any:
    """Add the free parameters of estimated weights to the current model; return the weights.

    Parameters
    ----------
    term : MultipleMembership
    design : MembershipDesign
        From `resolve`.
    scale : float
        Spread of the linear predictor, for default priors.
    group, indptr : TensorVariable of int
        Group of each row, and first row of each group.

    Returns
    -------
    TensorVariable, shape (row,)
    """
    raw = _raw_weight(term, design, term.priors_used(design, scale), group, indptr)
    return group_softmax(raw.log, group, indptr) if term.normalize else raw.natural()


def _covariates(
    term: Any, design: MembershipDesign, beta: Any, X: np.ndarray, fixed: np.ndarray | None
) -> Any:
    """Return the covariates times their coefficients, one entry per row of X, if any."""
    known = None if fixed is None else data(f"{design.name}_fixed", fixed)
    if beta is None:
        return pt.zeros(0) if known is None else known
    values = data(f"{design.name}_covariates", np.ascontiguousarray(X))
    total = linear_predictor(values, beta)
    return total if known is None else total + known


def membership_entries(term: Any, design: MembershipDesign) -> tuple[LinearPart, ...]:
    """Return the entries of each membership row's effect, times its weight."""
    if term.effect_type is None:
        return ()
    model, name, m = pm.modelcontext(None), design.name, design.membership
    w: Any = pt.as_tensor(design.start)
    if not design.weight.fixed:
        places = model[f"{name}_group"], model[f"{name}_indptr"]
        b = {p: model[f"{name}_weight_{p}"] for p in term.weight_function.parameters}
        pieces = {k: model[f"{name}_weight_{k}"] for k in design.weight.data}
        raw = term.weight_function.evaluate(pieces, b, *places)
        w = group_softmax(raw.log, *places) if term.normalize else raw.natural()
    e = term.effects.entries(design)
    # PyTensor looks at each element of an array of NumPy that is an index.
    entries = e.factors * (w * pt.ones(len(m.group)))[pt.as_tensor(e.rows)]
    part = f"{name}_effect", e.shape, m.group[e.rows], e.columns, entries, e.root, e.count
    return (LinearPart(*part),)
