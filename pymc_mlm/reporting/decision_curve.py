"""Evidence for a rule along a covariate, as a table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.decisions import Decision

if TYPE_CHECKING:
    import pandas as pd

DIRECTION = {"greater": "", "less": ", control better"}


def decision_table(column: str, values: Sequence[Any], decisions: Sequence[Decision]) -> Any:
    """Return a row per value of a covariate.

    Parameters
    ----------
    column : str
    values : sequence
    decisions : sequence of Decision
        One per value.

    Returns
    -------
    pandas.DataFrame
        With the columns of both directions where the alternative is two-sided.
    """
    import pandas as pd

    rows = []
    for decision in decisions:
        row: dict[str, Any] = {}
        for evidence in decision.evidence:
            side = DIRECTION[evidence.direction] if len(decision.evidence) > 1 else ""
            row |= {f"P({name}){side}": p for name, p in evidence.marginal.items()}
            row |= {
                f"statistic{side}": evidence.statistic,
                f"joint probability{side}": evidence.joint_probability,
                f"mc_error{side}": evidence.joint_error,
                "threshold": evidence.threshold,
            }
        rows.append(row | {"conclusion": decision.conclusion})
    return pd.DataFrame(rows, index=pd.Index(list(values), name=column))


def plot_decision_curve(table: pd.DataFrame, ax: Any = None) -> Any:
    """Draw posterior probabilities of the contrasts along a covariate, with the threshold.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `decision_table`.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    x = table.index.to_numpy()
    numeric = x.dtype.kind in "iuf"
    place = x if numeric else np.arange(len(x))
    for name in (c for c in table.columns if c.startswith("P(")):
        ax.plot(place, table[name], "-" if numeric else "o", alpha=0.8, label=name)
    joint = table["joint probability"]
    ax.plot(place, joint, "k:" if numeric else "kx", label="joint")
    ax.axhline(table["threshold"].iloc[0], color="0.4", linewidth=0.8, label="threshold")
    decided = (table["conclusion"] != "not decided").to_numpy()
    ax.plot(place[decided], np.ones(decided.sum()), "s", color="C2", markersize=4, label="decided")
    if not numeric:
        ax.set_xticks(place, [str(v) for v in x])
    ax.set(xlabel=table.index.name, ylabel="posterior probability", ylim=(-0.02, 1.03))
    ax.legend(frameon=False, fontsize=8)
    return ax.figure
