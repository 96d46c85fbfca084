"""What a trial borrows from historical controls, and whether they agree with its control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymc_mlm.reporting.document import records

if TYPE_CHECKING:
    import pandas as pd

# A prior predictive probability below it, and a vague component that gains more than this factor.
SMALL = 0.05
CONFLICT = (
    "Historical controls and the trial's control disagree on {outcome!r}: prior predictive "
    "p = {p:.3f}."
)
LOST = (
    "The posterior weight of the vague component is {after:.2f}, after {before:.2f}: most of what "
    "the historical controls had to give is set aside."
)


@dataclass(frozen=True, eq=False)
class BorrowedControls:
    """Prior of the control against its data.

    Attributes
    ----------
    label : str
        How the prior was made.
    outcomes : pandas.DataFrame
        By outcome: observed persons and share of successes of the control, prior mean with
        interval, effective sample size (expected local-information-ratio, and by moments), prior
        predictive probability, and posterior mean.
    components : pandas.DataFrame
        Persons that each component is worth, and its weight before and after the data.
    has_vague : bool
        Whether the last component is the vague one.
    """

    label: str
    outcomes: pd.DataFrame
    components: pd.DataFrame
    has_vague: bool

    def conflicts(self) -> list[str]:
        """Return signs that prior and data disagree, a sentence each."""
        found = [
            CONFLICT.format(outcome=name, p=p)
            for name, p in self.outcomes["prior predictive p"].items()
            if p < SMALL
        ]
        before, after = self.components.iloc[-1][["prior weight", "posterior weight"]]
        if self.has_vague and after > max(0.5, before):
            found.append(LOST.format(after=after, before=before))
        return found

    def parts(self) -> dict[str, Any]:
        """Return what a report has of it, as parts of a section."""
        return {
            "Historical controls": self.label,
            "Control and its prior": records(self.outcomes),
            "Components of the control's prior": records(self.components),
            "Agreement with the historical controls": self.conflicts() or "No sign of a conflict.",
        }

    def __str__(self) -> str:
        blocks: Sequence[str] = [
            f"Prior of the control: {self.label}",
            self.outcomes.round(3).to_string(),
            self.components.round(3).to_string(),
            *(self.conflicts() or ["No sign of a conflict."]),
        ]
        return "\n\n".join(blocks)

    __repr__ = __str__


def borrowed_controls(
    label: str, rows: Sequence[dict[str, Any]], weights: Sequence[dict[str, Any]], has_vague: bool
) -> BorrowedControls:
    """Put the tables together."""
    import pandas as pd

    return BorrowedControls(
        label,
        pd.DataFrame(rows).set_index("outcome"),
        pd.DataFrame(weights).set_index("component"),
        has_vague,
    )
