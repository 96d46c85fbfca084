"""Design and model of a fitted trial, as parts of a report."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.fit import Fit
from pymc_mlm.trial.terms import all_blocks

DEPENDENCE = {
    "saturated": "any dependence between the outcomes",
    "pairwise": "a log odds ratio for each pair of outcomes",
    "independent": "outcomes independent within a person",
}


def design_parts(fit: Fit) -> dict[str, Any]:
    """Return arms, outcomes, clusters, members and what is missing, as parts of a section."""
    design, trial = fit.design, fit.design.trial
    control, *treatments = trial.arm.labels.tolist()
    facts = {
        "outcomes": ", ".join(trial.outcomes),
        "control": control,
        "treatments": ", ".join(map(str, treatments)),
        f"{design.unit} analysed": len(trial.arm.codes),
        "covariates": ", ".join(design.columns) or "none",
        "clusters": "none" if trial.cluster is None else _clusters(trial.cluster),
        "members": "; ".join(term.size(part) for term, part in design.terms) or "none",
    }
    priors = fit.spec.trial_priors.notes(design, fit.spec.is_conjugate)  # in a section of its own
    left_out = [{"reason": k, design.unit: n} for k, n in trial.dropped.items()]
    return {
        "Trial": facts,
        "Arms": _arms(fit),
        "Outcomes by arm": _outcomes(fit),
        "Left out": left_out or f"No {design.unit} of these arms are left out.",
        "Notes": [note for note in fit.notes if note not in priors],
    }


def model_parts(fit: Fit) -> dict[str, Any]:
    """Return likelihood and structure in words, as parts of a section."""
    design, trial = fit.design, fit.design.trial
    count = len(trial.outcomes)
    effects = [f"correlated effects of {name}" for name in design.units]
    if fit.spec.is_conjugate:
        likelihood = f"multinomial over the {2**count} response patterns of each arm"
        scale = "probabilities of the response patterns"
    else:
        likelihood = f"multinomial logit over the {2**count} response patterns of a person"
        scale = "log odds of the response patterns against no success at all"
    return {
        "Model": {
            "likelihood": likelihood,
            "parameters": scale,
            "dependence": f"{trial.dependence}: {DEPENDENCE[trial.dependence]}",
            "columns of the linear predictors": ", ".join(design.matrix.names),
            "multilevel structure": "; ".join(effects) or "none",
            "missing outcomes": "a person with some outcomes counts with the patterns that these "
            "allow",
            "parameters of primary interest": "effects of the treatments on the success "
            "probabilities; the others are ancillary",
        }
    }


def _clusters(cluster: Any) -> str:
    sizes = cluster.sizes
    where = "each in one arm" if cluster.nested else "some in several arms"
    name, count = cluster.factor.name, len(cluster.factor)
    return f"{count} of {name}, {where}; {sizes.min()} to {sizes.max()} rows each"


def _arms(fit: Fit) -> list[dict[str, Any]]:
    design, trial = fit.design, fit.design.trial
    rows = []
    for code, label in enumerate(trial.arm.labels.tolist()):
        mine = trial.arm.codes == code
        row: dict[str, Any] = {"arm": label, design.unit: int(mine.sum())}
        if trial.cluster is not None:
            factor = trial.cluster.factor
            row[f"clusters ({factor.name})"] = len(np.unique(factor.codes[mine]))
        for block in all_blocks(design.terms):
            own = block.links.member.codes[mine[block.links.group]]
            row[f"units [{block.label}]"] = len(np.unique(own))
        rows.append(row)
    return rows


def _outcomes(fit: Fit) -> list[dict[str, Any]]:
    trial = fit.design.trial
    rows = []
    for code, label in enumerate(trial.arm.labels.tolist()):
        own = trial.observed[trial.arm.codes == code]
        for k, name in enumerate(trial.outcomes):
            seen = own[~np.isnan(own[:, k]), k]
            rows.append(
                {
                    "arm": label,
                    "outcome": name,
                    "observed": len(seen),
                    "missing": len(own) - len(seen),
                    "successes": int(seen.sum()),
                    "share": float(seen.mean()) if len(seen) else None,
                }
            )
    return rows
