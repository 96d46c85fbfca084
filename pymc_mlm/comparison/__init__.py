"""Comparison of models by what they predict of observations, groups or members left out."""

from pymc_mlm.comparison.compare import compare_weights
from pymc_mlm.comparison.k_fold import k_fold

__all__ = ["compare_weights", "k_fold"]
