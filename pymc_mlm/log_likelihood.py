"""Pointwise log likelihoods of a fit, given all effects or less those of the leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from pytensor.graph import clone_replace

from pymc_mlm.codegen.interpreted import interpreted
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.correlation import partials_to_cholesky
from pymc_mlm.prediction import linear_predictor_draws
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.trial.pointwise import person_log_likelihood

# Bytes of log likelihoods of rows that are repeated.
MOST_MEMORY = 4e9
KINDS = ("conditional", "marginal")


def log_likelihood(fit: Fit, kind: str = "conditional") -> xr.Dataset:
    """Return the pointwise log likelihood of the fitted table.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    kind : {"conditional", "marginal"}
        One value per row, or person of a trial, given all effects; or one per leaf, the innermost
        nested unit, with its own effects integrated out and all others given.

    Returns
    -------
    xarray.Dataset
        Variable ``outcome``, or ``outcomes`` of a trial, dims (chain, draw, row or leaf).

    Raises
    ------
    SpecificationError
        No such kind, or a model without nested Gaussian effects has no leaves to integrate out.
    """
    if kind not in KINDS:
        raise SpecificationError(f"likelihood is 'conditional' or 'marginal', not {kind!r}.")
    if kind == "marginal":
        return _by_leaf(fit).to_dataset(name="outcome")
    if isinstance(fit.spec, TrialSpecification):
        found = person_log_likelihood(fit.spec, fit.design, fit.posterior)
        return found.to_dataset(name="outcomes")
    return _by_row(fit).to_dataset(name="outcome")


def _by_row(fit: Fit) -> xr.DataArray:
    """Return each row's log density given all effects, dims (chain, draw, row).

    Rows that stand for several are repeated, as the table that they stand for has them: each of
    these can be left out alone. Survey weights multiply the log density.
    """
    eta = linear_predictor_draws(fit, fit.design)
    density = density_of_rows(fit)
    samples = eta.values.reshape(-1, eta.shape[-1])
    found = [density(s, own) for s, own in enumerate(samples)]
    shape = (*eta.shape[:2], len(fit.design.rows))
    # A row has one density, and may have several predictors.
    of_rows = eta.isel({eta.dims[2]: slice(None, None, eta.shape[2] // shape[2])})
    each = of_rows.rename({eta.dims[2]: fit.design.rows.name}).rename("outcome")
    each = each.assign_coords({fit.design.rows.name: fit.design.rows.labels})
    each = each.copy(data=np.reshape(found, shape))
    weights = fit.spec.row_weights
    if weights is None:
        return each
    if weights.is_frequency:
        return repeated(each, fit.design.weights)
    return each * fit.design.weights


def repeated(values: xr.DataArray, counts: np.ndarray) -> xr.DataArray:
    """Return values with each entry of the last dimension as often as its row counts.

    Raises
    ------
    SpecificationError
        The result would not fit into memory.
    """
    size = 8 * counts.sum() * np.prod(values.shape[:-1])
    if size > MOST_MEMORY:
        raise SpecificationError(
            f"Rows that stand for {counts.sum():.0f} rows are repeated here, and take "
            f"{size / 1e9:.1f} GB; {MOST_MEMORY / 1e9:g} at most. Ask for fewer draws: most_draws=."
        )
    times = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
    return values.isel({values.dims[-1]: times})


def density_of_rows(fit: Fit, rows: np.ndarray | None = None) -> Callable[..., np.ndarray]:
    """Return a function to log densities of fitted outcomes: the family's own graph, evaluated.

    Parameters
    ----------
    fit : Fit
        A fitted model with one linear predictor.
    rows : ndarray of int, shape (entry,), optional
        Fitted row of each entry; all in order by default.

    Returns
    -------
    callable
        From the place of a draw, chains one after the other, and linear predictors, shape
        (entry,), to log densities, shape (entry,).
    """
    outcome, constants = fit.design.one_of_each, fit.spec.family.constants
    if rows is not None:
        outcome = {k: v if k in constants else v[rows] for k, v in outcome.items()}
    return density_of_outcome(fit, outcome, len(fit.design.rows) if rows is None else len(rows))


def density_of_outcome(
    fit: Fit, outcome: Mapping[str, np.ndarray], count: int
) -> Callable[..., np.ndarray]:
    """Return the same function to log densities of any outcome, such as one left out of the fit.

    Parameters
    ----------
    fit : Fit
        A fitted model with one linear predictor.
    outcome : mapping of str to ndarray
        Outcome by role, shape (entry,), and what the family holds constant.
    count : int
        Number of entries.
    """
    design, family, dim = fit.design, fit.spec.family, "entry"
    with pm.Model(coords={dim: range(count)}, model=None) as model:
        flat = pm.Flat("eta", shape=count * family.num_predictors(outcome))
        priors = fit.spec.family_priors(design.scale)
        observed = family.likelihood("outcome", flat, outcome, priors, dim)
    names = [str(rv.name) for rv in model.free_RVs if rv.name != "eta"]
    draws = {n: fit.posterior[n].transpose("chain", "draw", ...).values for n in names}
    stacked = [v.reshape(-1, *v.shape[2:]) for v in draws.values()]
    inputs = [flat.type(), *(model[n].type() for n in names)]
    graph = pm.logp(observed, model.rvs_to_values[observed])
    given = dict(zip([flat, *(model[n] for n in names)], inputs, strict=True))
    run = interpreted(inputs, [clone_replace(graph, given)], uncompiled())
    return lambda draw, eta: np.asarray(run(eta, *(v[draw] for v in stacked))[0])


def _by_leaf(fit: Fit) -> xr.DataArray:
    r"""Return each leaf's log density with its own effects integrated out, (chain, draw, leaf).

    With residuals r given all other effects, :math:`r \sim N(0, \sigma^2 I + Z S Z')` and
    :math:`S = FF'`. With :math:`M = I + F'Z'ZF / \sigma^2` and :math:`v = F'Z'r / \sigma`,

    .. math:: -2 \log p = n \log(2\pi\sigma^2) + \log|M| + (r'r - v'M^{-1}v) / \sigma^2 .
    """
    nested, sigma = _nested_of(fit), fit.posterior["sigma"].values[..., None]
    prefix = nested.prefixes[-1]
    effect = fit.posterior[f"{prefix}_effect"].transpose("chain", "draw", ...)
    residual = fit.design.outcome["value"] - _predictor_without(fit, effect).values
    leaf, Z = nested.nesting.leaf, nested.Z[:, nested.varies[-1]]
    w = np.ones(len(leaf)) if fit.design.weights is None else fit.design.weights
    rr = _leaf_sums(w * residual**2, leaf)
    Zr = np.stack([_leaf_sums(w * residual * z, leaf) for z in Z.T], axis=-1)
    ZZ = np.stack([_leaf_sums(w * Z.T * z, leaf) for z in Z.T]).transpose(2, 0, 1)
    F = _root(fit.posterior, prefix)[:, :, None]
    M = np.eye(Z.shape[1]) + F.mT @ ZZ @ F / sigma[..., None, None] ** 2
    v = (F.mT @ Zr[..., None]) / sigma[..., None, None]
    explained = (v * np.linalg.solve(M, v)).sum(axis=(-2, -1))
    n = np.bincount(leaf, w)
    fixed = n * np.log(2 * np.pi * sigma**2) + np.linalg.slogdet(M).logabsdet
    density = -0.5 * (fixed + (rr - explained) / sigma**2)
    dims = effect.dims[:3]
    return xr.DataArray(density, dims=dims, coords={d: effect[d] for d in dims})


def _nested_of(fit: Fit) -> Any:
    spec = fit.spec
    if isinstance(spec, TrialSpecification) or spec.nested is None:
        raise SpecificationError(
            "likelihood='marginal' integrates out the effects of the innermost nested units, and "
            "the model has no nested levels. Use likelihood='conditional'."
        )
    family, term = spec.family, spec.nested
    is_normal = family.name == "gaussian" and family.is_standard
    if not (is_normal and term.is_of_effect("linear")):
        raise SpecificationError(
            "likelihood='marginal' has a closed form for the nested levels and the Gaussian family "
            f"of the package only, not for {type(term).__name__} with {type(family).__name__}. "
            "Use likelihood='conditional'."
        )
    return fit.design.nested


def _predictor_without(fit: Fit, effect: xr.DataArray) -> xr.DataArray:
    """Return draws of the linear predictor with one vector of effects at zero."""
    posterior = fit.posterior.assign({str(effect.name): xr.zeros_like(effect)})
    without = replace(fit, idata=xr.DataTree.from_dict({"posterior": posterior}))
    return linear_predictor_draws(without, fit.design)


def _root(posterior: xr.Dataset, prefix: str) -> np.ndarray:
    """Return F with FF' the covariance of a level's effects, shape (chain, draw, coef, coef)."""
    sd = posterior[f"{prefix}_sd"].values
    partial = posterior.get(f"{prefix}_partial")
    values = np.zeros((*sd.shape[:2], 0)) if partial is None else partial.values
    return np.asarray(sd[..., None] * partials_to_cholesky(values, sd.shape[-1]))


def _leaf_sums(values: np.ndarray, leaf: np.ndarray) -> np.ndarray:
    """Add up the rows of each leaf along the last axis; every fitted leaf has rows."""
    order = np.argsort(leaf, kind="stable")
    starts = np.flatnonzero(np.diff(leaf[order], prepend=-1))
    return np.add.reduceat(values[..., order], starts, axis=-1)
