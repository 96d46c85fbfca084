"""What guidelines ask of a Bayesian report, and whether and where this one has it.

The steps are those of Kruschke (2021), in our words; the items of the draft guidance of the FDA on
Bayesian methodology in trials of drugs and biologics (January 2026, docket FDA-2025-D-3217) are
its headings: success criteria, priors, operating characteristics, sensitivity and computation.

References
----------
.. [1] Kruschke, J. K. (2021). Bayesian Analysis Reporting Guidelines. Nature Human Behaviour 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc_mlm.reporting.justified_priors import NOT_STATED

BARG, FDA = "BARG", "FDA draft 2026"
STATE = "the author states it"
# Guideline, item, section and part that have it, and what to do where they are absent.
Item = tuple[str, str, str, str, str]
ITEMS: tuple[Item, ...] = (
    (f"{BARG}, preamble", "why Bayesian, and the goal of the analysis", "", "", STATE),
    (f"{BARG}, 1", "data variables", "Design", "", ""),
    (f"{BARG}, 1", "likelihood, parameters and multilevel structure", "Model", "", ""),
    (f"{BARG}, 1", "priors and their justification", "Priors", "", ""),
    (f"{BARG}, 1", "prior predictive check", "Predictive checks", "Prior predictive",
     "model.sample_prior_predictive(data)"),
    (f"{BARG}, 2", "software", "Reproduction", "Versions", ""),
    (f"{BARG}, 2", "convergence and resolution of chains, or no chains", "Diagnostics", "", ""),
    (f"{BARG}, 3", "posterior predictive check", "Predictive checks",
     "Posterior predictive",
     'az.plot_ppc_dist(model.extend("posterior_predictive"))'),
    (f"{BARG}, 3", "posterior of the parameters and results", "Results", "", ""),
    (f"{BARG}, 4", "decisions and their criteria", "Success criterion", "", "no decision is made"),
    (f"{BARG}, 4", "estimates beside decisions", "Results", "", ""),
    (f"{BARG}, 5", "sensitivity to the prior", "Sensitivity", "Power-scaling",
     'az.psense_summary(model.extend("log_likelihood", "log_prior"))'),
    (f"{BARG}, 5", "sensitivity of decisions to the prior", "Sensitivity",
     "Decisions under power-scaling", "fit again with priors=, and compare the reports"),
    (f"{BARG}, 6", "model, settings, seed and fingerprints of the data", "Reproduction", "", ""),
    (f"{BARG}, 6", "data, code and draws for others", "", "", "model.save(path), and the table"),
)  # fmt: skip
OF_TRIALS: tuple[Item, ...] = (
    ("ICH E9(R1)", "estimand by its five attributes", "Estimand", "", ""),
    ("ICH E9(R1)", "sensitivity to what is assumed of missing outcomes", "Sensitivity",
     "Missing outcomes", "trial.tipping_point(rule)"),
    (FDA, "success criterion", "Success criterion", "", ""),
    (FDA, "that the criterion was stated before the data were seen", "", "", STATE),
    (FDA, "criterion calibrated to a type I error, or agreed as a posterior probability",
     "Operating characteristics", "Probabilities",
     "report(operating=operating_characteristics(design))"),
    (FDA, "operating characteristics", "Operating characteristics", "Probabilities",
     "report(operating=operating_characteristics(design))"),
    (FDA, "priors specified and justified", "Priors", "", ""),
    (FDA, "prior sensitivity, and conflict with the data", "Sensitivity", "Power-scaling",
     'az.psense_summary(model.extend("log_likelihood", "log_prior"))'),
    (FDA, "computation: software, settings, diagnostics", "Reproduction", "", ""),
)  # fmt: skip


def checklist(sections: Mapping[str, Mapping[str, Any]], trial: bool) -> list[dict[str, Any]]:
    """Return the items with their places in a report, rows of a table.

    Parameters
    ----------
    sections : mapping of str to mapping
        Those of the report.
    trial : bool
        Whether it is of a trial.

    Returns
    -------
    list of dict
    """
    rows = []
    for guideline, item, section, part, remedy in (*ITEMS, *(OF_TRIALS if trial else ())):
        parts = sections.get(section, {})
        has = bool(parts.get(part) if part else parts)
        where = ", ".join(filter(None, (section, part))) if has else remedy
        answer = "yes" if has else "no"
        if has and _lacks_words(parts):
            answer, where = "in part", f"{where}: where it reads {NOT_STATED!r}"
        rows.append(
            {"guideline": guideline, "item": item, "in this report": answer, "where, or how": where}
        )
    return rows


def _lacks_words(parts: Mapping[str, Any]) -> bool:
    """Tell whether a row of a table has nothing where the user's words belong."""
    tables = [part for part in parts.values() if isinstance(part, list)]
    rows = [row for table in tables for row in table if isinstance(row, Mapping)]
    return any(NOT_STATED in row.values() for row in rows)
