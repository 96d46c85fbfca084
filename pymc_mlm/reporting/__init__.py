"""Functions of a `Fit`: everything a user reads."""

from pymc_mlm.reporting.diagnostics import ConvergenceWarning, Diagnostics, diagnose
from pymc_mlm.reporting.summary import MODEL_KINDS, Table, draws_table, summary
from pymc_mlm.reporting.variance import membership_variance, variance_decomposition

__all__ = [
    "MODEL_KINDS",
    "ConvergenceWarning",
    "Diagnostics",
    "Table",
    "diagnose",
    "draws_table",
    "membership_variance",
    "summary",
    "variance_decomposition",
]
