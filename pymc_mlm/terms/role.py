"""What variables of the posterior mean, so that reports need not parse their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Role:
    """What a variable of the posterior means, so that reports need not parse its name.

    Attributes
    ----------
    kind : {"coefficient", "sd", "weight", "effect", "family", "imputation", "missing"}
        What it is; "missing" for values that the table lacks.
    label : str or None
        Name in a summary; None for a vector whose coordinates are its names.
    term : str
        Term that it belongs to, such as ``"mm pid"``; empty for the population part.
    """

    kind: str
    label: str | None
    term: str = ""

    def text(self, coordinate: Any = None) -> str:
        """Return the row label in a summary, for example ``"cohesion [mm pid]"``."""
        name = self.label if self.label is not None else str(coordinate)
        return f"{name} [{self.term}]" if self.term else name


@dataclass(frozen=True)
class UnitRole:
    """What a variable with a place per coefficient means: `Role` for the units of a level.

    Attributes
    ----------
    kind : {"sd", "correlation", "partial", "effect", "coefficient"}
        What it is; correlations are shown with the standard deviations.
    pattern : str
        Row label in a summary, with ``{}`` for the coordinate.
    term : str
        The level; empty for the population.
    """

    kind: str
    pattern: str
    term: str

    def text(self, coordinate: Any = None) -> str:
        """Return the row label, for example ``"sd x [school]"``."""
        if isinstance(coordinate, tuple):
            coordinate = ", ".join(str(c) for c in coordinate)
        text = self.pattern.format(coordinate)
        return f"{text} [{self.term}]" if self.term else text
