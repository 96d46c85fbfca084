r"""Whether a decision rests on the prior: decisions with prior or likelihood raised to a power.

.. math:: p_\alpha(\theta \mid y) \propto p(\theta)^{\alpha} p(y \mid \theta) \quad \text{or} \quad
    p(\theta)\, p(y \mid \theta)^{\alpha}

The draws are weighed by Pareto-smoothed importance sampling and resampled; nothing is fitted again.

References
----------
.. [1] Kallioinen, N., Paananen, T., Bürkner, P.-C., Vehtari, A. (2024). Detecting and diagnosing
   prior and likelihood sensitivity with power-scaling. Statistics and Computing 34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.arviz_groups import Extension, extended
from pymc_mlm.decisions import AbstractRule, Decision, decide, side_of
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.sensitivity import power_weights, scaled_table
from pymc_mlm.trial.questions import treatment_effect

POWERS = (0.5, 0.8, 1.25, 2.0)
GROUPS = ("log_prior", "log_likelihood")
# Log likelihoods of rows that are held at once, draws in all, and the fewest that serve.
MOST_NUMBERS, MOST_DRAWS, FEWEST_DRAWS = 20_000_000, 4000, 400
RELIABLE = 0.7  # k-hat above which weighted draws are not to be trusted
UNRELIABLE = "not reliable"


def prior_sensitivity(
    fit: Fit,
    rule: AbstractRule,
    powers: Sequence[float] = POWERS,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
    **question: Any,
) -> Any:
    """Return decisions with the prior, and the likelihood, raised to powers.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    rule, powers, alpha, alternative
        As in `pymc_mlm.estimators.assumptions.AbstractTrialAssumptions.prior_sensitivity`.
    **question
        Population, estimand and treatment.

    Returns
    -------
    pandas.DataFrame
    """
    asked = _checked(powers)
    effect = treatment_effect(fit, **question)
    draws = affordable_draws(fit, len(fit.design.X))
    if not draws:
        raise SpecificationError(
            f"The log likelihoods of {len(fit.design.X):,} rows in {FEWEST_DRAWS} draws take too "
            "much memory. Fit again with other priors, and compare the decisions."
        )
    tree = extended(fit, Extension(GROUPS, most_draws=draws))
    decisions = scaled_decisions({"": effect}, tree, (rule,), asked, alpha, alternative)
    return scaled_table(decisions)


def affordable_draws(fit: Fit, rows: int) -> int:
    """Return how many draws of a chain have log likelihoods of all rows, or zero."""
    chains = fit.posterior.sizes["chain"]
    draws = min(MOST_DRAWS // chains, MOST_NUMBERS // (rows * chains))
    return draws if draws * chains >= FEWEST_DRAWS else 0


def scaled_decisions(
    effects: Mapping[str, xr.DataArray],
    tree: xr.DataTree,
    rules: Sequence[AbstractRule],
    powers: Sequence[float],
    alpha: float,
    alternative: Alternative,
) -> list[dict[str, Any]]:
    """Return a row per comparison, rule, part of the model and power.

    Parameters
    ----------
    effects : mapping of str to DataArray
        Draws of the effects, by comparison.
    tree : DataTree
        With the groups ``log_prior`` and ``log_likelihood`` of these draws, thinned.
    rules, powers, alpha, alternative
        As in `prior_sensitivity`.
    """
    size = tree["posterior"].sizes["draw"]
    resampled = {
        (group.removeprefix("log_"), power): power_weights(tree[group].to_dataset(), power)
        for group in GROUPS
        for power in powers
    }
    found = []
    for against, effect in effects.items():
        keep = np.linspace(0, effect.sizes["draw"] - 1, size).astype(int)
        whole = effect.isel(draw=keep).stack(sample=("chain", "draw"), create_index=False)
        flat = whole.transpose("sample", "outcome")
        for rule in rules:
            side = side_of(rule, alternative)
            base = decide(rule, flat, alpha, side)
            for (part, power), (places, k_hat) in resampled.items():
                moved = decide(rule, flat.isel(sample=places), alpha, side)
                found.append(_row(against, rule, part, power, k_hat, base, moved))
    return found


def _row(
    against: str,
    rule: AbstractRule,
    part: str,
    power: float,
    k_hat: float,
    base: Decision,
    moved: Decision,
) -> dict[str, Any]:
    reliable = k_hat <= RELIABLE
    return {
        **({"comparison": against} if against else {}),
        "rule": rule.label,
        "scaled": part,
        "power": power,
        "as fitted": base.evidence[0].statistic,
        "scaled statistic": moved.evidence[0].statistic if reliable else None,
        "threshold": base.evidence[0].threshold,
        "conclusion": moved.conclusion if reliable else UNRELIABLE,
        "changes": moved.conclusion != base.conclusion if reliable else None,
        "k-hat": k_hat if np.isfinite(k_hat) else None,
    }


def _checked(powers: Any) -> tuple[float, ...]:
    values = list(powers) if isinstance(powers, (Sequence, np.ndarray)) else [powers]
    numbers = all(isinstance(v, Real) and not isinstance(v, bool) for v in values)
    if (
        isinstance(powers, str)
        or not values
        or not numbers
        or not all(0 < float(v) < np.inf for v in values)
    ):
        raise SpecificationError(
            f"powers={powers!r} must be positive numbers: below 1 for a weaker prior or "
            "likelihood, above 1 for a stronger one."
        )
    return tuple(map(float, values))
