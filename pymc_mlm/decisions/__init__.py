"""Decisions and effects: functions of effect draws, never a refit."""

from pymc_mlm.decisions.decision import Decision, Evidence, decide, side_of
from pymc_mlm.decisions.draws import EffectDraws, effect_draws, monte_carlo_error
from pymc_mlm.decisions.effects import (
    difference,
    odds_ratio,
    outcome_correlation,
    ratio,
    rope_probability,
    success_probability,
    summarize,
    weighted,
)
from pymc_mlm.decisions.equivalence import Equivalence
from pymc_mlm.decisions.number_needed import number_needed_to_treat
from pymc_mlm.decisions.populations import (
    AbstractPopulation,
    Range,
    Sample,
    TruncatedNormal,
    Value,
    as_populations,
    population_rows,
)
from pymc_mlm.decisions.rules import (
    AbstractRule,
    All,
    Any,
    Compensatory,
    Custom,
    Margins,
    Single,
)
from pymc_mlm.decisions.thresholds import (
    joint_all_cutoff,
    joint_any_cutoff,
    marginal_threshold,
)
from pymc_mlm.decisions.utility import utility_gain

__all__ = [
    "AbstractPopulation",
    "AbstractRule",
    "All",
    "Any",
    "Compensatory",
    "Custom",
    "Decision",
    "EffectDraws",
    "Equivalence",
    "Evidence",
    "Margins",
    "Range",
    "Sample",
    "Single",
    "TruncatedNormal",
    "Value",
    "as_populations",
    "decide",
    "difference",
    "effect_draws",
    "joint_all_cutoff",
    "joint_any_cutoff",
    "marginal_threshold",
    "monte_carlo_error",
    "number_needed_to_treat",
    "odds_ratio",
    "outcome_correlation",
    "population_rows",
    "ratio",
    "rope_probability",
    "side_of",
    "success_probability",
    "summarize",
    "utility_gain",
    "weighted",
]
