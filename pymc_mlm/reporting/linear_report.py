"""Design, model and results of a model with one linear predictor, as parts of a report."""

from __future__ import annotations

from typing import Any

import xarray as xr

from pymc_mlm.fit import Fit
from pymc_mlm.intervals import interval_names
from pymc_mlm.reporting.document import records
from pymc_mlm.reporting.summary import MODEL_KINDS, summary
from pymc_mlm.reporting.variance import variance_decomposition


def linear_parts(fit: Fit) -> dict[str, dict[str, Any]]:
    """Return the sections of design and model."""
    spec, design = fit.spec, fit.design
    observation = "rows" if spec.observation is None else design.rows.name
    left_out = [{"reason": reason, "rows": n} for reason, n in design.dropped.items()]
    terms = [{"term": term.label, "size": term.size(part)} for term, part in design.terms]
    return {
        "Design": {
            "Data": {
                "outcome": spec.parsed.response.label,
                "unit of observation": observation,
                "observations analysed": len(design.rows),
                "columns read": ", ".join(spec.columns),
            },
            "Terms": terms,
            "Left out": left_out or "No rows are left out.",
            "Notes": list(fit.notes),
        },
        "Model": {
            "Model": {
                "formula": spec.formula,
                "family": repr(spec.family),
                "multilevel structure": "; ".join(t.label for t, _ in design.terms) or "none",
            }
        },
    }


def result_parts(fit: Fit, ci_prob: float) -> dict[str, Any]:
    """Return parameters and variances, as parts of a section."""
    found: dict[str, Any] = {
        "Intervals": f"Equal-tailed, {100 * ci_prob:g}% posterior probability.",
        "Parameters": _rows(summary(fit, MODEL_KINDS, ci_prob).frame, "parameter", ci_prob),
    }
    if fit.names("sd"):
        table = variance_decomposition(fit, None, ci_prob)
        found["Variance decomposition"] = _rows(table.frame, "part", ci_prob)
        found["About the variances"] = list(table.notes)
    return found


def parameter_draws(fit: Fit) -> xr.Dataset:
    """Return draws of the parameters, effects of units left out."""
    return fit.posterior[fit.names(*MODEL_KINDS)]


def _rows(frame: Any, index: str, ci_prob: float) -> list[dict[str, Any]]:
    low, high = interval_names(ci_prob)
    new = [str(c).replace(low, "lower").replace(high, "upper") for c in frame.columns]
    readable = [name.replace("share_", "share ") for name in new]
    return records(frame.set_axis(readable, axis=1).rename_axis(index))
