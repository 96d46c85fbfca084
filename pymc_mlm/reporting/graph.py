"""The graph of a fitted model."""

from __future__ import annotations

from typing import Any

from pymc_mlm.fit import Fit


def to_graphviz(fit: Fit, **kwargs: Any) -> Any:
    """Draw the graph of the model with all effects.

    Arguments and result are those of `Estimator.to_graphviz`.
    """
    from pymc import model_to_graphviz

    return model_to_graphviz(fit.model, **kwargs)
