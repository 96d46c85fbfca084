"""Weights of members in their groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB, check_probability, interval, interval_names

if TYPE_CHECKING:
    import pandas as pd

# Weights are evaluated per draw; a thousand draws place a mean within 3% of an sd.
REPORT_DRAWS = 1_000


def weights(fit: Fit, term: str | None = None, ci_prob: float = CI_PROB) -> pd.DataFrame:
    """Tabulate the weights of a multiple-membership term.

    Arguments and result are those of `AbstractLinearEstimator.weights`.
    """
    import pandas as pd

    check_probability(ci_prob)
    block, design, w = weight_draws(fit, term)
    m, own = design.membership, of_one_category(block, design)
    w, group = w[:, own], m.group[own]
    bounds = zip(interval_names(ci_prob), interval(w, ci_prob), strict=True)
    return pd.DataFrame(
        {
            block.group: fit.design.rows.labels[group // max(len(block.by), 1)],
            block.member: m.member.labels[m.member.codes[own]],
            "equal": 1.0 / m.size[group],
            "mean": w.mean(axis=0),
            "sd": w.std(axis=0),
            **dict(bounds),
        }
    )


def of_one_category(block: Any, design: Any) -> np.ndarray:
    """Return the memberships of one category of an unordered outcome; all of another outcome."""
    return np.flatnonzero(design.membership.group % max(len(block.by), 1) == 0)


def weight_draws(fit: Fit, term: str | None = None) -> tuple[Any, Any, np.ndarray]:
    """Return a multiple-membership term, its design, and draws of its weights, (draw, row).

    Raises
    ------
    SpecificationError
        The model has no such term.
    """
    blocks = [(t, d) for t, d in fit.design.terms if hasattr(t, "weight_function")]
    free = [b for b in blocks if b[0].weight_function.parameters]
    chosen = (free or blocks) if term is None else [b for b in blocks if b[1].name == term]
    if not chosen:
        have = ", ".join(d.name for _, d in blocks) or "none"
        raise SpecificationError(f"No multiple-membership term {term!r}; the model has: {have}.")
    block, design = chosen[0]
    return block, design, block.weight_draws(design, fit.sample("weight", most=REPORT_DRAWS))
