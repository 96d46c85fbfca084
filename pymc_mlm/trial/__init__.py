"""Trials with several binary outcomes: specification, design, graph, and draws that answer."""

from pymc_mlm.trial.specification import TrialSpecification

__all__ = ["TrialSpecification"]
