"""Predictions, comparisons and slopes averaged over rows, and over what."""

from pymc_mlm.marginal_effects.contrasts import comparisons, predictions, slopes
from pymc_mlm.marginal_effects.rows import Averaging

__all__ = ["Averaging", "comparisons", "predictions", "slopes"]
