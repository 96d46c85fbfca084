"""Picture of a trial with looks: thresholds, trajectories, and when trials stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from pymc_mlm.planning.sequential import SequentialCharacteristics

SHOWN = 60
TICKS = (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 0.9999)


def plot_looks(found: SequentialCharacteristics) -> Any:
    """Draw a row per treatment: trajectories with thresholds, and cumulative stops.

    Parameters
    ----------
    found : SequentialCharacteristics

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    treatments = found.design.treatments
    figure, axes = plt.subplots(
        len(treatments), 2, figsize=(9, 3.4 * len(treatments)), layout="constrained", squeeze=False
    )
    for i, (arm, (left, right)) in enumerate(zip(treatments, axes, strict=True)):
        table = found.by_look.loc[arm]
        patients = table["patients"].to_numpy()
        left.plot(patients, found.trajectories[:SHOWN, :, i].T, color="0.6", linewidth=0.6)
        left.plot(patients, table["threshold"], "o-", color="C0", label="efficacy")
        if found.looks.futility and len(patients) > 1:
            limit = np.full(len(patients) - 1, found.looks.futility)
            left.plot(patients[:-1], limit, "s-", color="C3", label="futility")
        # Normal quantiles: what matters lies between .9 and 1.
        left.set_yscale("function", functions=(_quantile, ndtr))
        left.set(xlabel=f"patients in {arm}", ylabel="posterior probability")
        left.set(ylim=(TICKS[0], TICKS[-1]), yticks=TICKS, yticklabels=[f"{t:g}" for t in TICKS])
        left.legend(frameon=False, loc="lower right")
        good, bad = table["efficacy"].cumsum(), table["not better"].cumsum()
        right.fill_between(patients, 0, good, step="post", color="C0", alpha=0.5, label="better")
        right.fill_between(
            patients, 1 - bad, 1, step="post", color="C3", alpha=0.4, label="not better"
        )
        right.plot(patients, good, "o", color="C0")
        right.plot(patients, 1 - bad, "o", color="C3")
        right.set(xlabel=f"patients in {arm}", ylabel="share of trials stopped by then")
        right.set_ylim(0, 1)
        right.legend(frameon=False, loc="center left")
    return figure


def _quantile(p: Any) -> Any:
    return ndtri(np.clip(p, 1e-9, 1 - 1e-9))
