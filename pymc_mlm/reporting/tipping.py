"""Decisions of a trial for shifts of its missing outcomes: text, tables and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.decisions import Decision

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Axis:
    """Missing outcomes that are shifted together.

    Attributes
    ----------
    label : str
        Arm, and outcomes where they are not all.
    missing : mapping of str to int
        How many, by outcome.
    persons : int
        Persons of the arm.
    """

    label: str
    missing: Mapping[str, int]
    persons: int

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {n}" for name, n in self.missing.items())
        return f"{self.label}: {counts} of {self.persons}"


@dataclass(frozen=True)
class Tip:
    """The smallest shift along one axis that changes the conclusion.

    Attributes
    ----------
    axis : int
    direction : {"up", "down"}
        Whether missing outcomes are successes more often, or less.
    delta : float or None
        Shift of the log odds; None where none of the grid changes the conclusion.
    conclusion : str or None
        There.
    at_random, share : mapping of str to float
        Expected share of successes among the missing outcomes, at random and there.
    """

    axis: int
    direction: str
    delta: float | None
    conclusion: str | None
    at_random: Mapping[str, float]
    share: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class TippingPoints:
    """Decisions for shifts of missing outcomes along two axes.

    Attributes
    ----------
    comparison : str
        Treatment and control.
    axes : pair of Axis
    grid : tuple of float
        Shifts of the log odds, ascending.
    decisions : tuple of tuples of Decision
        By the shift of the first axis, then of the second.
    at_random : Decision
        Without a shift.
    tips : tuple of Tip
    """

    comparison: str
    axes: tuple[Axis, ...]
    grid: tuple[float, ...]
    decisions: tuple[tuple[Decision, ...], ...]
    at_random: Decision
    tips: tuple[Tip, ...]

    @property
    def statistic(self) -> np.ndarray:
        """What is compared with the threshold, shape (first, second)."""
        return np.array([[d.evidence[0].statistic for d in row] for row in self.decisions])

    @property
    def changed(self) -> np.ndarray:
        """Where the conclusion is another one than at random, shape (first, second)."""
        start = self.at_random.conclusion
        return np.array([[d.conclusion != start for d in row] for row in self.decisions])

    def to_dataframe(self) -> pd.DataFrame:
        """Return a row per pair of shifts: probabilities, statistic, threshold, conclusion."""
        import pandas as pd

        rows = [
            {
                **dict(zip(self._columns, (first, second), strict=True)),
                **{f"P({name})": p for name, p in decision.evidence[0].marginal.items()},
                "statistic": decision.evidence[0].statistic,
                "threshold": decision.evidence[0].threshold,
                "conclusion": decision.conclusion,
            }
            for first, row in zip(self.grid, self.decisions, strict=True)
            for second, decision in zip(self.grid, row, strict=True)
        ]
        return pd.DataFrame(rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the statistic by both shifts; see `plot_tipping_points`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return plot_tipping_points(self, ax)

    def tip_rows(self) -> list[dict[str, Any]]:
        """Return the tips as rows of a table."""
        return [
            {
                "comparison": self.comparison,
                "rule": self.at_random.rule.label,
                "missing outcomes of": str(self.axes[tip.axis]),
                "missing at random": self.at_random.conclusion,
                "shift": tip.direction,
                "delta": tip.delta,
                "conclusion there": tip.conclusion or "no change",
                "successes among missing, at random": _shares(tip.at_random),
                "there": None if tip.delta is None else _shares(tip.share),
            }
            for tip in self.tips
        ]

    def grid_rows(self) -> list[dict[str, Any]]:
        """Return the grid as rows of a table, a column for each shift of the second axis."""
        first, second = (axis.label for axis in self.axes)
        head = {"comparison": self.comparison, "rule": self.at_random.rule.label}
        return [
            {
                **head,
                f"delta of {first}, and of {second} in columns": f"{a:g}",
                **{
                    f"{b:g}": f"{d.evidence[0].statistic:.3f} {d.conclusion}"
                    for b, d in zip(self.grid, row, strict=True)
                },
            }
            for a, row in zip(self.grid, self.decisions, strict=True)
        ]

    def __str__(self) -> str:
        start = self.at_random
        lines = [
            f"Tipping points of {self.comparison}, rule {start.rule.label}, alternative "
            f"{start.alternative!r}, alpha {start.alpha:g}",
            f"Missing outcomes: {'; '.join(map(str, self.axes))}",
            f"Missing at random: {start.conclusion}, probability "
            f"{start.evidence[0].statistic:.4f}, threshold {start.evidence[0].threshold:.4f}",
            "Smallest shifts of the log odds of missing outcomes that change the conclusion, one "
            "axis at a time:",
        ]
        return "\n".join([*lines, *map(self._line, self.tips)])

    __repr__ = __str__

    def _line(self, tip: Tip) -> str:
        head = f"  {self.axes[tip.axis].label}, {tip.direction}: "
        if tip.delta is None:
            return f"{head}none from 0 to {self.grid[-1 if tip.direction == 'up' else 0]:g}"
        return (
            f"{head}delta {tip.delta:.2f}, {tip.conclusion}; successes among the missing: "
            f"{_shares(tip.share)} (at random {_shares(tip.at_random)})"
        )

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(f"delta of {axis.label}" for axis in self.axes)


def plot_tipping_points(found: TippingPoints, ax: Any = None) -> Any:
    """Draw a heatmap of the statistic around its threshold; conclusions that change are hatched.

    Parameters
    ----------
    found : TippingPoints
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle
    from scipy.special import ndtri

    size = 1.6 + 0.45 * len(found.grid)
    if ax is None:
        _, ax = plt.subplots(figsize=(size, size), layout="constrained")
    statistic, start = found.statistic, found.at_random
    # Normal quantiles around the threshold: what matters lies between .9 and 1.
    distance = ndtri(np.clip(statistic, 1e-3, 1 - 1e-3)) - ndtri(start.evidence[0].threshold)
    ax.imshow(distance, origin="lower", cmap="RdBu", vmin=-3, vmax=3)
    for i, j in np.argwhere(found.changed):
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="//", alpha=0.3))
    for i, j in np.ndindex(statistic.shape):
        shown = f"{statistic[i, j]:.3f}".removeprefix("0")
        is_dark = abs(distance[i, j]) > 2.0
        ax.text(j, i, shown, ha="center", va="center", fontsize=7, color="wk"[not is_dark])
    here = found.grid.index(0.0)
    ax.add_patch(Rectangle((here - 0.5, here - 0.5), 1, 1, fill=False, linewidth=2))
    ticks = [f"{v:g}" for v in found.grid]
    ax.set_xticks(range(len(ticks)), ticks, fontsize=8)
    ax.set_yticks(range(len(ticks)), ticks, fontsize=8)
    ax.set_ylabel(f"delta of {found.axes[0].label}")
    ax.set_xlabel(f"delta of {found.axes[1].label}")
    ax.set_title(
        f"{start.rule.label}, threshold {start.evidence[0].threshold:.3f}: {start.conclusion} "
        "if missing at random\n(frame); hatched where the conclusion is another",
        fontsize=10,
    )
    return ax.figure


def _shares(share: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {p:.3f}" for name, p in share.items()) or "none missing"
