"""The graph of a fitted model."""

from __future__ import annotations

from typing import Any

from pymc_mlm.fit import Fit


def to_graphviz(fit: Fit, **kwargs: Any) -> Any:
    """Draw the graph of the model with all effects.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    **kwargs
        Passed to `pymc.model_to_graphviz`.

    Returns
    -------
    graphviz.Digraph
    """
    from pymc import model_to_graphviz

    return model_to_graphviz(fit.model, **kwargs)
