"""Practical equivalence as a rule: every effect lies in its region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pymc_mlm.decisions.by_outcome import exceedances, is_finite, known_outcomes
from pymc_mlm.decisions.draws import Array, EffectDraws
from pymc_mlm.decisions.rules import AbstractRule
from pymc_mlm.errors import SpecificationError


@dataclass(frozen=True)
class Equivalence(AbstractRule):
    r"""Every named effect lies in its region of practical equivalence (ROPE).

    Parameters
    ----------
    regions : mapping of str to (float, float)
        Lowest and highest effect that does not matter, around zero; unnamed outcomes do not count.

    Notes
    -----
    The criterion of `decide` is that of two one-sided tests per outcome [1]_: the posterior
    probabilities of lying above the low and below the high end each exceed :math:`1 - \alpha`.

    References
    ----------
    .. [1] Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power
       approach for assessing the equivalence of average bioavailability. Journal of
       Pharmacokinetics and Biopharmaceutics 15.

    Examples
    --------
    >>> Equivalence({"y1": (-0.15, 0.15)}).joint_probability([[0.1, 0.2], [0.2, -0.1]])
    0.5
    """

    regions: Mapping[str, tuple[float, float]]

    has_direction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.regions, Mapping):
            raise SpecificationError(
                "regions is a mapping of outcomes to (low, high), say {'y1': (-0.05, 0.05)}, and "
                f"not {self.regions!r}."
            )
        if not self.regions:
            raise SpecificationError(
                "Equivalence({}) names no outcome. Write, say, Equivalence({'y1': (-0.05, 0.05)})."
            )
        for name, region in self.regions.items():
            ends = list(region) if isinstance(region, (list, tuple, np.ndarray)) else []
            numbers = len(ends) == 2 and all(map(is_finite, ends))
            if not numbers or not ends[0] < 0 < ends[1]:
                raise SpecificationError(
                    f"The region {region!r} of {name!r} must be (low, high) with a negative "
                    "low and a positive high: the effects that do not matter lie around zero."
                )

    @property
    def label(self) -> str:
        """Name of the rule with its regions."""
        shown = (f"{low:g} < {name} < {high:g}" for name, (low, high) in self.regions.items())
        return f"Equivalence({', '.join(shown)})"

    @property
    def combine(self) -> Literal["every", "any"]:
        """Both ends of every region."""
        return "every"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return effect less the low end, and the high end less effect, per named outcome."""
        low = known_outcomes({name: r[0] for name, r in self.regions.items()}, effect.outcomes)
        high = {name: -float(r[1]) for name, r in self.regions.items()}
        above, below = exceedances(effect, low), exceedances(effect.mirrored(), high)
        return {f"{name} > {low[name]:g}": v for name, v in above.items()} | {
            f"{name} < {-high[name]:g}": v for name, v in below.items()
        }
