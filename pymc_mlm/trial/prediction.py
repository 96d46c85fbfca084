"""Prediction of persons of a trial, fitted or new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.frame import column_names, columns
from pymc_mlm.decisions import success_probability
from pymc_mlm.errors import SpecificationError, warn_of_data
from pymc_mlm.fit import Fit
from pymc_mlm.inference import as_seed
from pymc_mlm.reporting.extrapolation import rows_outside
from pymc_mlm.trial.draws import outcome_draws, row_cells, row_predictors
from pymc_mlm.trial.questions import draws_of, outcomes

KINDS = ("mean", "outcome", "eta", "cell")


def predict(
    fit: Fit,
    data: Any = None,
    kind: str = "mean",
    random_seed: Any = None,
    typical: bool | Sequence[str] = False,
) -> xr.DataArray:
    """Predict persons in the arms that they are in.

    Arguments and result are those of `AbstractTrialEstimator.predict`.
    """
    if kind not in KINDS:
        raise SpecificationError(f"kind is 'mean', 'outcome', 'eta' or 'cell', not {kind!r}.")
    known = fit.design
    chosen = _typical_units(known.units, typical)
    design = known if data is None else fit.spec.read(_with_ids(data, fit, chosen), known)
    if data is not None:
        for text in rows_outside(design.columns, known.columns, known.unit):
            warn_of_data(text)
    if fit.spec.is_conjugate and kind == "mean":
        return _by_arm(fit, design)
    rng = np.random.default_rng(as_seed(random_seed))
    if kind == "eta":
        return _predictors(fit, design, rng, chosen)
    cells, shape = _cells(fit, design, rng, chosen)
    if kind == "outcome":
        return outcome_draws(cells, shape, design, rng)
    labelled = xr.DataArray(
        cells.reshape(*shape, *cells.shape[1:]),
        dims=("chain", "draw", design.row_dim, "cell"),
        coords={design.row_dim: design.row_labels, "cell": list(design.trial.cells)},
        name="cell_probability",
    )
    if kind == "cell":
        return labelled
    return success_probability(labelled, outcomes(fit)).rename("success_probability")


def _by_arm(fit: Fit, design: Any) -> xr.DataArray:
    """Return success probabilities that depend on the arm alone.

    Two numbers an arm rather than all cells of all rows: direct draws are many.
    """
    theta = success_probability(fit.posterior["cell_probability"], outcomes(fit))
    arm = xr.DataArray(design.trial.arm.codes, dims="row")
    by_row = theta.isel(arm=arm).drop_vars("arm").assign_coords(row=design.trial.rows)
    return by_row.rename("success_probability")


def _predictors(
    fit: Fit, design: Any, rng: np.random.Generator, typical: Sequence[str]
) -> xr.DataArray:
    """Return linear predictors; those of the Dirichlet model are logits against no success."""
    if fit.spec.is_conjugate:
        cells, shape = _cells(fit, design, rng, typical)
        eta = np.log(cells[..., :-1] / cells[..., -1:])
    else:
        draws = draws_of(fit)
        eta, shape = row_predictors(draws, design, rng, typical), draws.shape
    return xr.DataArray(
        eta.reshape(*shape, *eta.shape[1:]),
        dims=("chain", "draw", design.row_dim, "predictor"),
        coords={design.row_dim: design.row_labels, "predictor": list(design.trial.predictors)},
        name="eta",
    )


def _typical_units(units: Sequence[str], typical: bool | Sequence[str]) -> tuple[str, ...]:
    if isinstance(typical, bool):
        return tuple(units) if typical else ()
    chosen = (typical,) if isinstance(typical, str) else tuple(typical)
    for name in chosen:
        if name not in units:
            raise SpecificationError(
                f"typical names {name!r}, which is no column of clusters or members; there are "
                f"{', '.join(units) or 'none'}."
            )
    return chosen


def _with_ids(data: Any, fit: Fit, typical: Sequence[str]) -> Any:
    """Return the table with an id in the columns of typical units that it lacks."""
    have = column_names(data)
    absent = [name for name in typical if name not in have]
    if not absent:
        return data
    wanted = [n for n in fit.spec.columns if n in have] or have[:1]
    table: dict[str, Any] = dict(columns(data, wanted))
    count = len(table[wanted[0]])
    for name in absent:
        table[name] = np.full(count, fit.design.first_unit(name), dtype=object)
    return table


def _cells(
    fit: Fit, design: Any, rng: np.random.Generator, typical: Sequence[str]
) -> tuple[np.ndarray, tuple[int, int]]:
    if not fit.spec.is_conjugate:
        draws = draws_of(fit)
        return row_cells(draws, design, rng, typical), draws.shape
    by_arm = fit.posterior["cell_probability"]
    flat = by_arm.values.reshape(-1, *by_arm.shape[2:])
    return flat[:, design.trial.arm.codes], (by_arm.sizes["chain"], by_arm.sizes["draw"])
