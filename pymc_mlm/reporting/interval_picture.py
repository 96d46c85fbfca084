"""Intervals as a drawing inside a page: SVG, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

LINE, LABEL, WIDTH, RIGHT = 26, 230, 720, 20


def interval_picture(rows: Sequence[tuple[str, float, float, float]]) -> str:
    """Draw a point and an interval per row over a common axis, with a line at zero.

    Parameters
    ----------
    rows : sequence of (str, float, float, float)
        Label, escaped for HTML; point; lower and upper bound.

    Returns
    -------
    str
        An ``svg`` element.

    Examples
    --------
    >>> interval_picture([("a", 0.1, 0.0, 0.2)]).count("<circle")
    1
    """
    ends = [0.0, *(value for row in rows for value in row[1:])]
    step = _step(max(ends) - min(ends))
    low, high = floor(min(ends) / step), ceil(max(ends) / step)
    high += low == high
    height = LINE * len(rows) + 34

    def x(value: float) -> float:
        share = (value / step - low) / (high - low)
        return round(LABEL + share * (WIDTH - LABEL - RIGHT), 2)

    ticks = "".join(
        f'<line class="{"zero" if k == 0 else "grid"}" x1="{x(k * step)}" x2="{x(k * step)}" '
        f'y1="6" y2="{height - 24}"/><text x="{x(k * step)}" y="{height - 8}" '
        f'text-anchor="middle">{k * step:.6g}</text>'
        for k in range(low, high + 1)
    )
    marks = ""
    for i, (label, middle, lower, upper) in enumerate(rows):
        y = LINE * i + 20
        marks += (
            f'<text x="{LABEL - 14}" y="{y + 4}" text-anchor="end">{label}</text>'
            f'<line class="bar" x1="{x(lower)}" x2="{x(upper)}" y1="{y}" y2="{y}"/>'
            f'<circle cx="{x(middle)}" cy="{y}" r="4.5"/>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Intervals">{ticks}{marks}'
        "</svg>\n"
    )


def _step(span: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that gives three to eight ticks."""
    rough = max(span, 1e-12) / 6
    power = 10.0 ** floor(log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
