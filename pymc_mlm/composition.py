"""Covariances and intra-class correlations of groups of any composition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.reporting.effects import refuse_categories
from pymc_mlm.reporting.summary import Table, posterior_table
from pymc_mlm.reporting.variance import residual_variance, variances
from pymc_mlm.reporting.weights import REPORT_DRAWS
from pymc_mlm.terms.row_covariance import row_covariance

# Rows whose pairs are a table that can be read.
MOST_ROWS = 60


def overlap(fit: Fit, data: Any, ci_prob: float = CI_PROB) -> Table:
    r"""Tabulate variance, covariance and intra-class correlation of groups, pair by pair.

    .. math:: \rho_{ij} = \frac{\operatorname{Cov}(\eta_i, \eta_j)}
        {\sqrt{(V_i + \sigma_e^2)(V_j + \sigma_e^2)}}

    with V the variance that effects of units give to a group's predictor, from their
    distribution, and the residual variance on the scale of the link; of a group with itself, the
    share :math:`V_i / (V_i + \sigma_e^2)`.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    data : dataframe
        Some groups with their members, or rows, as for `predict`: fitted or made up.
    ci_prob : float
        Probability inside the intervals of the correlation.

    Returns
    -------
    Table
        A row per pair of groups: posterior mean of the covariance, and the correlation with its
        interval. Without a residual variance on the link's scale the correlation is that of the
        predictors.

    Raises
    ------
    SpecificationError
        Too many rows, or a term of a class of the user's.
    """
    import pandas as pd

    refuse_categories(fit, "overlap()", "the correlations of predict(kind='eta')")
    design = fit.spec.read(data, known=fit.design)
    labels = design.rows.labels.tolist()
    if len(labels) > MOST_ROWS:
        raise SpecificationError(
            f"The table has {len(labels)} groups or rows, and every pair of them is a row of the "
            f"answer: give {MOST_ROWS} at most."
        )
    draws = fit.sample("sd", "weight", most=REPORT_DRAWS)
    count = len(next(iter(draws.values()), ()))
    total = np.zeros((count, len(labels), len(labels)))
    for term, part in design.terms:
        if not term.roles(part):
            continue
        own = row_covariance(term, part, draws, count)
        if own is None:
            raise SpecificationError(
                f"The covariance that the term {term.label!r} gives to rows is not known. Leave it "
                "out of the model, or simulate with predict(kind='eta')."
            )
        total += own
    own = np.diagonal(total, axis1=1, axis2=2)
    residual = residual_variance(fit, _evenly(variances(fit), count))
    with_residual = own if residual is None else own + residual[:, None]
    scale = np.sqrt(with_residual[:, :, None] * with_residual[:, None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(scale > 0, total / scale, 0.0)
    i, j = np.triu_indices(len(labels))
    index = pd.MultiIndex.from_arrays(
        [[labels[k] for k in i], [labels[k] for k in j]],
        names=[design.rows.name, f"{design.rows.name} with"],
    )
    frame = posterior_table(correlation[:, i, j], index, ci_prob)
    frame = frame.rename(columns={"mean": "correlation"})
    frame.insert(0, "covariance", total[:, i, j].mean(axis=0))
    what = "the random part alone" if residual is None else "random part and residual"
    return Table(
        f"Overlap of groups, {fit.spec.label}",
        frame,
        (
            "Covariances of the linear predictors by the distribution of the effects, given "
            f"weights and parameters; correlations of {what}. Of a group with itself: its "
            "variance, and the share of it in the total.",
        ),
    )


def _evenly(draws: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Return evenly spaced draws, the same as `Fit.sample` keeps."""
    return {
        name: values[np.linspace(0, len(values) - 1, count).astype(int)]
        for name, values in draws.items()
    }
