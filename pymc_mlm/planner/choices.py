"""What is chosen on the page, as a design and as code that makes the same design."""

from __future__ import annotations

from dataclasses import dataclass

from pymc_mlm.decisions import AbstractRule, All, Compensatory, Single
from pymc_mlm.decisions import Any as AnyRule
from pymc_mlm.planning import Clusters, TrialDesign

MOST_OUTCOMES = 3
RULES = {
    "All": "every outcome better (co-primary)",
    "Any": "any outcome better (multiple primary)",
    "Compensatory": "equally weighted sum better",
    "Single": "the first outcome better",
}
HEADER = "from pymc_mlm import planning, rules"


@dataclass(frozen=True)
class Choices:
    """Values of the page's controls.

    Attributes
    ----------
    control, effects : tuple of float
        Success probabilities of the control, and how much higher they are in the treatment.
    rule : str
        A key of `RULES`.
    alpha, power, correlation, dropout : float
    number : int
        Patients in each arm, or clusters where there are some.
    cluster_size : int
        Patients in a cluster; 0 without clusters.
    icc : float
        Intraclass correlation.

    Examples
    --------
    >>> print(Choices((0.4,), (0.2,), "All", number=100).code())
    from pymc_mlm import planning, rules
    <BLANKLINE>
    design = planning.TrialDesign(
        {"control": (0.4,), "treatment": (0.6,)},
        rule=rules.All(),
        per_arm=100,
        alpha=0.05,
        correlation=0.0,
    )
    print(planning.operating_characteristics(design))
    print(planning.sample_size(design, power=0.8))
    """

    control: tuple[float, ...]
    effects: tuple[float, ...]
    rule: str
    number: int
    alpha: float = 0.05
    power: float = 0.8
    correlation: float = 0.0
    dropout: float = 0.0
    cluster_size: int = 0
    icc: float = 0.0

    @property
    def treatment(self) -> tuple[float, ...]:
        """Success probabilities of the treatment."""
        return tuple(round(p + e, 4) for p, e in zip(self.control, self.effects, strict=True))

    @property
    def simulates(self) -> bool:
        """Whether simulated trials have a fast posterior: not weighted sums with dropout."""
        return self.rule != "Compensatory" or not self.dropout or bool(self.cluster_size)

    def design(self) -> TrialDesign:
        """Return the design; impossible choices raise a `SpecificationError`."""
        clusters = None
        if self.cluster_size:
            clusters = Clusters(self.number, self.cluster_size, icc=self.icc)
        return TrialDesign(
            {"control": self.control, "treatment": self.treatment},
            rule=self._rule(),
            per_arm=None if self.cluster_size else self.number,
            alpha=self.alpha,
            correlation=self.correlation,
            dropout=self.dropout,
            clusters=clusters,
        )

    def code(self) -> str:
        """Return code that makes the design, and prints its error rates and its size."""
        size = f"per_arm={self.number},"
        if self.cluster_size:
            inside = f"{self.number}, {self.cluster_size}, icc={self.icc}"
            size = f"clusters=planning.Clusters({inside}),"
        method = "" if self.simulates else ', "normal"'
        dropout = [f"    dropout={self.dropout},"] if self.dropout else []
        lines = [
            HEADER,
            "",
            "design = planning.TrialDesign(",
            f'    {{"control": {self.control}, "treatment": {self.treatment}}},',
            f"    rule=rules.{self._written()},",
            f"    {size}",
            f"    alpha={self.alpha},",
            f"    correlation={self.correlation},",
            *dropout,
            ")",
            f"print(planning.operating_characteristics(design{method}))",
            f"print(planning.sample_size(design, power={self.power}))",
        ]
        return "\n".join(lines)

    def _weights(self) -> tuple[float, ...]:
        return (round(1 / len(self.control), 4),) * len(self.control)

    def _rule(self) -> AbstractRule:
        if self.rule == "Compensatory":
            return Compensatory(self._weights())
        if self.rule == "Single":
            return Single("y1")
        return AnyRule() if self.rule == "Any" else All()

    def _written(self) -> str:
        inside = {"Compensatory": repr(self._weights()), "Single": '"y1"'}
        return f"{self.rule}({inside.get(self.rule, '')})"
