"""The table of priors."""

from __future__ import annotations

from typing import Any

from pymc_mlm.reporting.summary import Table


def priors_table(spec: Any, design: Any) -> Table:
    """List the prior of every parameter of a model.

    Parameters
    ----------
    spec : AbstractSpecification
        The model.
    design : object
        Table that default priors are scaled to.

    Returns
    -------
    Table
        Columns: variable name (the key in ``priors=``), what it is, and its prior.
    """
    import pandas as pd

    frame = pd.DataFrame(spec.prior_rows(design), columns=["variable", "meaning", "prior"])
    return Table(f"Priors of {spec.label}", frame.set_index("variable"), spec.prior_notes(design))
