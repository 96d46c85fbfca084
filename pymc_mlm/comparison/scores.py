"""Log predictive densities of several models side by side, and stacking weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

STEPS = 2000


def score_frame(found: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return a row per model, the best first.

    Parameters
    ----------
    found : mapping of str to ndarray, shape (case,)
        Log predictive densities of what was left out, by model.

    Returns
    -------
    DataFrame
        ``elpd``, their sum, with standard error ``se``; the difference to the best model with its
        error ``dse``; stacking ``weight``.

    Examples
    --------
    >>> score_frame({"a": np.array([-2.0, -1.0]), "b": np.array([-1.0, -1.0])})["elpd_diff"]
    b    0.0
    a   -1.0
    Name: elpd_diff, dtype: float64
    """
    ordered = sorted(found, key=lambda name: -found[name].sum())
    densities = np.stack([found[name] for name in ordered])
    count, below = densities.shape[1], densities - densities[0]
    # Divisors as ArviZ has them: n - 1 for `se`, n for `dse`.
    return pd.DataFrame(
        {
            "elpd": densities.sum(axis=1),
            "se": np.sqrt(count * densities.var(axis=1, ddof=1)),
            "elpd_diff": below.sum(axis=1),
            "dse": np.sqrt(count * below.var(axis=1)),
            "weight": stacking_weights(densities),
        },
        index=ordered,
    )


def stacking_weights(densities: np.ndarray) -> np.ndarray:
    r"""Return the weights of the mixture of models that predicts best, shape (model,).

    They maximise :math:`\sum_i \log \sum_m w_m p_{mi}`, which is concave, by the EM algorithm.
    ArviZ's stacking needs results of its own leave-one-out, and takes `exp` of densities that are
    zero in floating point where whole units are left out.

    Parameters
    ----------
    densities : ndarray, shape (model, case)
        Log predictive densities, however far below the range of `exp`.

    Examples
    --------
    >>> stacking_weights(np.log([[0.2, 0.1], [0.1, 0.2], [0.1, 0.1]])).round(3)
    array([0.5, 0.5, 0. ])
    """
    p = np.exp(densities - densities.max(axis=0))
    w = np.full(len(p), 1.0 / len(p))
    for _ in range(STEPS):
        share = w[:, None] * p
        w = (share / share.sum(axis=0)).mean(axis=1)
    return w
