"""Comparison of models by what they predict of observations, groups or members left out."""

from pymc_mlm.comparison.compare import compare_weights

__all__ = ["compare_weights"]
