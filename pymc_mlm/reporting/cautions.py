"""What a reader of a report should know before its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymc_mlm.fit import Fit
from pymc_mlm.reporting.provenance import WITHIN
from pymc_mlm.reporting.sensitivity import NONE

# Predictions that are so rarely on one side of the observed value.
RARE = 0.01


def cautions(
    fit: Fit, sections: Mapping[str, Mapping[str, Any]], further: Sequence[str] = ()
) -> list[str]:
    """Return a sentence for each reason to doubt the results, from all sections of a report.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    sections : mapping of str to mapping
        The report's.
    further : sequence of str
        Reasons that no section has.
    """
    found = list(further)
    if fit.is_approximate:
        found.append(
            "The draws are approximate: their weights do not certify them as draws of the "
            "posterior."
        )
    diagnostics = sections.get("Diagnostics", {})
    found += [text for text in diagnostics.get("Findings", []) if text != WITHIN]
    found += fit.spec.cautions(fit.design)
    found += sections.get("Estimand", {}).get("About the population", [])
    found += _sensitive(sections.get("Sensitivity", {}).get("Power-scaling", []))
    found += _misfits(sections.get("Predictive checks", {}).get("Posterior predictive", []))
    return found


def _sensitive(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row["diagnosis"] != NONE:
            yield (
                f"{row['quantity']} is sensitive to the prior ({row['prior']:.3f} by "
                f"power-scaling, limit 0.05): {row['diagnosis']}."
            )


def _misfits(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        share = row["share at or above"]
        if not RARE <= share <= 1 - RARE:
            yield (
                f"The model predicts {row['statistic']} at or above the observed "
                f"{row['observed']:.3f} with probability {share:.3f}: it may not fit there."
            )
