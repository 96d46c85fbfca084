"""Log predictive densities of rows that are left out, at each draw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.comparison.blocks import blocks_of
from pymc_mlm.comparison.entries import effect_graph
from pymc_mlm.comparison.gaussian import exact_densities
from pymc_mlm.comparison.quadrature import integrated_densities
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.log_likelihood import log_likelihood
from pymc_mlm.paths.approximation import effects_obstacle
from pymc_mlm.reporting.effects import refuse_categories

# Of all chains together.
MOST_DRAWS = 1000
# A matrix of this order is factored at each draw.
LARGEST = 3000
# Rows that frequencies stand for.
MOST_WRITTEN_OUT = 100_000
EXACT = "all effects are integrated out, exactly"
INTEGRATED = "the effect of what is left out is integrated out, given all others"
CONDITIONAL = "all effects are given"


def left_out(fit: Fit, by: str = "row") -> tuple[xr.Dataset, str]:
    """Return log densities of rows given those that are left, at each draw.

    Parameters
    ----------
    fit : Fit
        A fitted model with one linear predictor.
    by : str
        "row" or the unit of observation; or a term, for all rows of each of its units.

    Returns
    -------
    densities : Dataset
        Variable ``outcome``, dims (chain, draw, block).
    how : str
        What was done with the effects, in words.

    Raises
    ------
    SpecificationError
        Nothing of that name can be left out, or its effects cannot be integrated out.
    """
    _refuse_weights(fit)
    fit = _thinned(fit)
    if fit.design.by:
        if by not in ("row", fit.design.rows.name):
            refuse_categories(fit, f"by={by!r}", "by='row', or k_fold(by=...), which fits again")
        return log_likelihood(fit), CONDITIONAL
    graph = effect_graph(fit)
    blocks = blocks_of(fit, by, graph.parts)
    if _is_exact(fit, graph.parts):
        found, how = exact_densities(graph, blocks), EXACT
    elif blocks.part is None:
        given = log_likelihood(fit)["outcome"]
        found, how = given.transpose("chain", "draw", ...).values, CONDITIONAL
    elif len(blocks.places):
        found, how = integrated_densities(graph, blocks), INTEGRATED
    else:
        raise SpecificationError(
            f"by={by!r}: its units have several effects each, or effects that are correlated, "
            "which are integrated out only where all effects are, of family='gaussian'. Use "
            "by='row'."
        )
    draws = {name: fit.posterior[name] for name in ("chain", "draw")}
    dims, labels = (*draws, blocks.name), blocks.labels
    if blocks.part is None and fit.design.weights is not None:
        labels = np.repeat(labels, fit.design.weights.astype(np.int64))
    array = xr.DataArray(found, dims=dims, coords={**draws, blocks.name: labels})
    return array.to_dataset(name="outcome"), how


def _refuse_weights(fit: Fit) -> None:
    """Refuse weights of which no rows, or too many, can be left out."""
    weights = fit.spec.row_weights
    if weights is None:
        return
    if not weights.is_frequency:
        raise SpecificationError(
            f"row_weights={weights!r}: with survey weights no row is an observation that can be "
            'left out. Compare the weighted log likelihoods of extend("log_likelihood") by '
            "az.compare, which takes them for a pseudo-likelihood."
        )
    refuse_many_rows(weights, fit.design.weights)


def refuse_many_rows(weights: Any, counts: Any) -> None:
    """Refuse frequencies of more rows than are written out.

    Raises
    ------
    SpecificationError
    """
    total = float(counts.sum())
    if total > MOST_WRITTEN_OUT:
        raise SpecificationError(
            f"row_weights={weights!r}: the table stands for {total:.0f} rows, and "
            f"{MOST_WRITTEN_OUT} at most are written out to leave some of them out. Use "
            'extend("log_likelihood") with az.compare.'
        )


def _is_exact(fit: Fit, parts: tuple[Any, ...]) -> bool:
    """Tell whether all effects of a Gaussian outcome enter as a matrix that is not too large."""
    family = fit.spec.family
    if family.name != "gaussian" or not family.is_standard or effects_obstacle(fit.design):
        return False
    order = min(sum(int(np.prod(p.shape)) for p in parts), len(fit.design.rows))
    return order <= LARGEST


def _thinned(fit: Fit) -> Fit:
    chains, count = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    most = max(1, MOST_DRAWS // chains)
    if count <= most:
        return fit
    keep = np.linspace(0, count - 1, most).astype(int)
    tree = xr.DataTree.from_dict({"posterior": fit.posterior.isel(draw=keep)})
    return replace(fit, idata=tree)
