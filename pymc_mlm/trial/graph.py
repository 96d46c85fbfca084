"""Writes the PyMC model of a trial: by person, or with the likelihood of all in one term."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.distributions.coefficients import linear_map, preconditioned
from pymc_mlm.distributions.levels_and_slopes import LevelsAndSlopes
from pymc_mlm.distributions.multivariate_bernoulli import MultivariateBernoulli
from pymc_mlm.errors import SpecificationError
from pymc_mlm.model.names import refuse_slashes
from pymc_mlm.ops.multinomial_logit import multinomial_logit_loglik
from pymc_mlm.priors import Prior, check_shape, create
from pymc_mlm.terms.cluster_effects import CONTRAST, DIMENSION, SLOPE
from pymc_mlm.terms.several_predictors import on_predictors, predictor_sums
from pymc_mlm.terms.unit_block import UnitBlock, one_unit_each
from pymc_mlm.trial.design import TrialModelDesign
from pymc_mlm.trial.priors import SLOPE_SD, TrialPriors
from pymc_mlm.trial.terms import SCALE, all_blocks

TINY = np.finfo(float).tiny
VARIABLES = ("beta", "cluster_sd", "cluster_z", "cluster_partial", "cluster_variance",
             "cluster_chain", "cell_probability", "outcomes", "loglik", "X", "Z", "cluster_code",
             "basis", "pattern", "compatible", "count")  # fmt: skip
# Arrays and variables of a term that reports do not show.
OF_TERM = ("z", "predictor_weights", "predictor_unit", "predictor_group", "predictor_indptr",
           "contrasts", "group", "indptr", "link", "place", "ones", "ends")  # fmt: skip
DIMS = ("predictor", CONTRAST, "covariate", SLOPE, DIMENSION, "chain", "draw", "outcome", "arm",
        "cell", "row")  # fmt: skip


def trial_model(design: TrialModelDesign, priors: TrialPriors, conjugate: bool) -> pm.Model:
    """Write the model of a design, with the outcomes of each person as an observed variable.

    Parameters
    ----------
    design : TrialModelDesign
        The table.
    priors : TrialPriors
        Priors.
    conjugate : bool
        Whether the response patterns have a Dirichlet prior in each arm.

    Returns
    -------
    pymc.Model
    """
    trial = design.trial
    coords = _coords(design, conjugate) | {
        design.row_dim: tuple(design.row_labels.tolist()),
        "outcome": trial.outcomes,
    }
    with pm.Model(coords=coords, model=None) as model:
        if conjugate:
            # A probability that underflows has a logarithm all the same.
            log_cells = pt.log(pt.maximum(_cell_probability(design, priors), TINY))
            logits = (log_cells[:, :-1] - log_cells[:, -1, None])[trial.arm.codes]
        else:
            eta = pt.dot(design.X, _coefficients(design, priors).T)
            logits = pt.dot(_with_units(eta, *_units(design, priors)), trial.basis.T)
        dims = (design.row_dim, "outcome")
        MultivariateBernoulli("outcomes", logits, observed=trial.observed, dims=dims)
    return model


def fused_model(design: TrialModelDesign, priors: TrialPriors, conjugate: bool) -> pm.Model:
    """Write the same model with the likelihood of all persons in one term, which is faster.

    Persons that the likelihood cannot tell apart are counted, and value and gradient come from
    one pass. PyMC cannot take the log likelihood of one person, or new outcomes, from it.
    """
    with pm.Model(coords=_coords(design, conjugate), model=None) as model:
        loglik = _cell_loglik(design, priors) if conjugate else _logit_loglik(design, priors)
        pm.Potential("loglik", loglik)
    return model


def _coords(design: TrialModelDesign, conjugate: bool) -> dict[str, Any]:
    trial = design.trial
    if conjugate:
        return {"arm": tuple(trial.arm.labels), "cell": trial.cells}
    coords: dict[str, Any] = {"predictor": trial.predictors, "covariate": design.matrix.names}
    if design.units:
        coords[CONTRAST] = design.contrast_names
    if trial.cluster is not None:
        coords |= {
            SLOPE: design.matrix.random_names,
            DIMENSION: tuple(
                f"{s}, {c}" for s in design.matrix.random_names for c in design.contrast_names
            ),
            trial.cluster.factor.name: tuple(trial.cluster.factor.labels),
        }
    return coords


def _cell_probability(design: TrialModelDesign, priors: TrialPriors) -> Any:
    """Add the probabilities of the response patterns, shape (arm, cell)."""
    weights, a = priors.mixture(design)
    dims = ("arm", "cell")
    if len(weights) == 1:
        return pm.Dirichlet("cell_probability", a[0], shape=a.shape[1:], dims=dims)
    each = pm.Dirichlet.dist(np.swapaxes(a, 0, 1), shape=(a.shape[1], len(a), a.shape[2]))
    return pm.Mixture("cell_probability", w=weights, comp_dists=each, dims=dims)


def _cell_loglik(design: TrialModelDesign, priors: TrialPriors) -> Any:
    seen = pt.dot(_cell_probability(design, priors), design.trial.compatible.T.astype(float))
    counts = design.trial.pattern_counts()
    used = counts > 0
    return pt.sum(counts[used] * pt.log(seen[used]))


def _logit_loglik(design: TrialModelDesign, priors: TrialPriors) -> Any:
    trial, rows = design.trial, design.collapse()
    beta = _coefficients(design, priors)
    effect, Z, code = _units(design, priors)
    return multinomial_logit_loglik(
        beta,
        effect,
        pm.Data("X", design.X[rows.first]),
        pm.Data("Z", Z[rows.first]),
        pm.Data("cluster_code", code[rows.first]),
        pm.Data("basis", trial.basis),
        pm.Data("pattern", trial.pattern[rows.first]),
        pm.Data("compatible", trial.compatible),
        pm.Data("count", rows.count),
    )


def _units(design: TrialModelDesign, priors: TrialPriors) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return effects of units, shape (unit, slope and predictor), and slopes and unit of persons.

    Shapes (person, slope) and (person,); no slopes where nothing has effects.
    """
    effect: Any = np.zeros((1, 0))
    Z = np.zeros((len(design.X), 0))
    if design.trial.cluster is not None:
        Z = design.matrix.random_rows(design.X)
        effect = priors.clusters(design.matrix).effects(
            design.trial.cluster.factor.name, Z.shape[1], design.contrasts
        )
    if design.terms:
        # What all units add to a person is the effect of a cluster of one.
        return _all_units(design, effect), np.ones((len(Z), 1)), np.arange(len(Z))
    return effect, Z, design.cluster_codes


def _with_units(eta: Any, effect: Any, Z: np.ndarray, code: np.ndarray) -> Any:
    """Add effects of units to the predictors of persons, shape (person, predictor)."""
    slopes = Z.shape[1]
    if not slopes:
        return eta
    of_person = pt.as_tensor(effect)[code].reshape((len(Z), slopes, -1))
    return eta + pt.sum(Z[:, :, None] * of_person, axis=1)


def _coefficients(design: TrialModelDesign, priors: TrialPriors) -> Any:
    """Add the coefficients, shape (predictor, column)."""
    rows = design.collapse()
    X, count = design.X[rows.first], rows.count
    shape = (design.trial.basis.shape[1], len(design.matrix.names))
    # Rough, and for the sampler's coordinates alone: a logistic level has 1.8, a slope 2.5.
    sd = np.full(shape[1], SLOPE_SD)
    root = linear_map("root", design.matrix.preconditioner(X, count, sd))
    kwargs = {"shape": shape, "dims": ("predictor", "covariate")}
    prior = priors.beta(design)
    if prior is None:
        borrowed = priors.control
        own = {j: _unnamed(p, f"beta[{design.matrix.names[j]}]", shape[:1])
               for j, p in priors.columns(design).items()}  # fmt: skip
        default = LevelsAndSlopes(
            priors.concentration(design),
            design.trial.basis,
            design.contrasts,
            design.matrix.by_arm,
            priors.slope_sd,
            None if borrowed is None else (borrowed.weights, borrowed.components),
            own,
        )
        return default.variable("beta", root, **kwargs)
    if isinstance(prior, Prior):
        return preconditioned("beta", _unnamed(prior, "beta", shape), root, **kwargs)
    return create(prior, "beta", ("predictor", "covariate"))


def _unnamed(prior: Prior, name: str, shape: tuple[int, ...]) -> Any:
    unnamed = getattr(pm, prior.distribution).dist(**prior.parameters, shape=shape)
    check_shape(prior, name, unnamed, shape)
    return unnamed


def _all_units(design: TrialModelDesign, clusters: Any) -> Any:
    """Return what terms and clusters add to the predictors of persons, (person, predictor)."""
    eta = sum(on_predictors(term, part, design.contrasts, SCALE) for term, part in design.terms)
    if design.trial.cluster is None:
        return eta
    # A slope of a cluster is a member, whose weight is the person's column.
    links, Z = one_unit_each(design.trial.cluster.factor), design.matrix.random_rows(design.X)
    block = UnitBlock("cluster", "cluster", links, np.ones(len(Z)), Z)
    links, columns = block.each_coefficient()
    return eta + predictor_sums("cluster", columns, clusters, links, len(design.contrasts))


def refuse_taken_names(design: TrialModelDesign, roles: Iterable[str]) -> None:
    """Refuse columns whose dimension would have a name that the model uses otherwise.

    Parameters
    ----------
    design : TrialModelDesign
    roles : iterable of str
        Variables of the model.

    Raises
    ------
    SpecificationError
        The column is named.
    """
    of_terms = [block.name for block in all_blocks(design.terms)]
    variables = {*VARIABLES, *roles, *(f"{n}_{what}" for n in of_terms for what in OF_TERM)}
    dims = [*design.units, *([] if design.persons is None else [design.row_dim])]
    refuse_slashes([*dims, *variables])
    for name in dims:
        if name in variables or name in DIMS:
            raise SpecificationError(
                f"The column {name!r} would name a dimension, but that name is taken in the "
                "model. Rename the column."
            )
    for name in of_terms:
        if name == "cluster" and design.trial.cluster is not None:
            raise SpecificationError(
                "A term named 'cluster' would have the variables of cluster=. Give it a name=."
            )
