"""Decision rules: what "the treatment is better" means when there are several outcomes.

A rule is evaluated on draws of effects. It names the quantities that must exceed zero, and
states whether all of them must or any one will do; everything else follows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pymc_mlm.decisions.by_outcome import (
    MarginsLike,
    exceedances,
    is_finite,
    known_outcomes,
    margins_by_outcome,
    shown_margins,
    weight_vector,
)
from pymc_mlm.decisions.draws import Array, Effect, EffectDraws, effect_draws
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError

Direction = Literal["greater", "less"]


class AbstractRule(ABC):
    """A rule of decision, evaluated on draws of effects.

    A new rule names its `contrasts` and how they `combine`; for an event that is no such
    combination there is `Custom`.
    """

    # Whether the arms may change places: else the rule is about equivalence.
    has_direction: ClassVar[bool] = True

    @property
    @abstractmethod
    def label(self) -> str:
        """Name of the rule, for reports."""

    @property
    @abstractmethod
    def combine(self) -> Literal["every", "any"]:
        """Whether every contrast must be positive, or any one will do."""

    @abstractmethod
    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return the draws that must exceed zero, by name; each of shape (chain, draw)."""

    def superior(self, effect: Effect, direction: Direction = "greater") -> Array:
        """Tell for each draw whether the rule holds.

        Parameters
        ----------
        effect : DataArray, array_like or EffectDraws
            See `effect_draws`.
        direction : {"greater", "less"}
            With ``"less"`` the arms change places: ``-effect`` must satisfy the rule.

        Returns
        -------
        ndarray of bool, shape (chain, draw) or (sample,)
        """
        draws = effect_draws(effect)
        contrasts = self.contrasts(draws if direction == "greater" else draws.mirrored())
        positive = np.stack([values > 0 for values in contrasts.values()])
        return positive.all(axis=0) if self.combine == "every" else positive.any(axis=0)

    def side(self, alternative: Alternative) -> Alternative:
        """Return the alternative that is asked of a rule where several have one in common."""
        return alternative if self.has_direction else "greater"

    def joint_probability(self, effect: Effect, direction: Direction = "greater") -> float:
        """Return the posterior probability that the rule holds, as bmco prints it.

        It is evidence, not yet a decision with a known error rate: see `decide`.
        """
        return float(self.superior(effect, direction).mean())


@dataclass(frozen=True)
class All(AbstractRule):
    """The treatment is better on every outcome ("co-primary" endpoints).

    Parameters
    ----------
    margins : float, sequence or mapping of str to float, optional
        How much better; one for all outcomes, one each, or by name (others zero). Negative for
        non-inferiority.

    Examples
    --------
    >>> All().joint_probability([[0.1, 0.2], [0.1, -0.1]])
    0.5
    """

    margins: MarginsLike = None

    @property
    def label(self) -> str:
        """Name of the rule, with margins if there are any."""
        return "All" if self.margins is None else f"All(margins={shown_margins(self.margins)})"

    @property
    def combine(self) -> Literal["every", "any"]:
        """Every outcome."""
        return "every"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return effect less margin, per outcome."""
        return exceedances(effect, margins_by_outcome(self.margins, effect.outcomes))


@dataclass(frozen=True)
class Any(AbstractRule):
    """The treatment is better on at least one outcome.

    Parameters as in `All`. The name hides the builtin: write ``mlm.rules.Any()``.

    Examples
    --------
    >>> Any().joint_probability([[0.1, 0.2], [0.1, -0.1]])
    1.0
    """

    margins: MarginsLike = None

    @property
    def label(self) -> str:
        """Name of the rule, with margins if there are any."""
        return "Any" if self.margins is None else f"Any(margins={shown_margins(self.margins)})"

    @property
    def combine(self) -> Literal["every", "any"]:
        """Any one outcome."""
        return "any"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return effect less margin, per outcome."""
        return exceedances(effect, margins_by_outcome(self.margins, effect.outcomes))


@dataclass(frozen=True)
class Compensatory(AbstractRule):
    """The weighted sum of the effects is positive: gains may make up for losses.

    Parameters
    ----------
    weights : sequence of float, or mapping of str to float
        One per outcome. Only their ratios matter for the decision with margin zero; the size
        of the weighted effect depends on their scale.
    margin : float, default 0
        What the weighted sum must exceed.

    Examples
    --------
    >>> Compensatory((0.7, 0.3)).joint_probability([[0.1, -0.2], [0.1, -0.3]])
    0.5
    """

    weights: Sequence[float] | Mapping[str, float]
    margin: float = 0.0

    @property
    def label(self) -> str:
        """Name of the rule with its weights."""
        weights = self.weights
        shown = weights.values() if isinstance(weights, Mapping) else weights
        above = f", margin={self.margin:g}" if self.margin else ""
        return f"Compensatory({', '.join(f'{float(w):g}' for w in shown)}{above})"

    @property
    def combine(self) -> Literal["every", "any"]:
        """There is one contrast."""
        return "every"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return the weighted sum less its margin."""
        weights = weight_vector(self.weights, effect.outcomes)
        return {"weighted sum": effect.values @ weights - self.margin}


@dataclass(frozen=True)
class Single(AbstractRule):
    """The treatment is better on one outcome; the others do not count.

    Parameters
    ----------
    outcome : str
        Name of the outcome.
    margin : float, default 0
        How much better.

    Examples
    --------
    >>> Single("y2").joint_probability([[0.1, 0.2], [0.1, -0.1]])
    0.5
    """

    outcome: str
    margin: float = 0.0

    @property
    def label(self) -> str:
        """Name of the rule with its outcome."""
        return f"Single({self.outcome}{f' > {self.margin:g}' if self.margin else ''})"

    @property
    def combine(self) -> Literal["every", "any"]:
        """There is one contrast."""
        return "every"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return effect less margin of the outcome."""
        return exceedances(effect, known_outcomes({self.outcome: self.margin}, effect.outcomes))


@dataclass(frozen=True)
class Margins(AbstractRule):
    """Superiority on some outcomes, non-inferiority on others; unnamed outcomes do not count.

    Parameters
    ----------
    margins : mapping of str to float
        What the effect on each outcome must exceed: zero for superiority, a negative number for
        non-inferiority, a positive one for a relevant gain.

    Examples
    --------
    >>> Margins({"y1": 0.0, "y2": -0.15}).joint_probability([[0.1, 0.2], [0.1, -0.1]])
    1.0
    """

    margins: Mapping[str, float]

    @classmethod
    def mixed(cls, superior: str | Sequence[str], not_inferior: Mapping[str, float]) -> Margins:
        """Return the rule: superior on some outcomes, not inferior on others, signs checked.

        Parameters
        ----------
        superior : str or sequence of str
            Outcomes on which the treatment must be better.
        not_inferior : mapping of str to float
            Negative margins: how much worse the treatment may be, success probability.

        Raises
        ------
        SpecificationError
            A margin is not negative, or an outcome is named twice.

        Examples
        --------
        >>> Margins.mixed("pain", {"cough": -0.05}).label
        'Margins(pain > 0, cough > -0.05)'
        """
        if not isinstance(superior, (str, list, tuple)):
            raise SpecificationError(
                f"superior={superior!r} must be the name of an outcome, or a list of names."
            )
        if not isinstance(not_inferior, Mapping):
            raise SpecificationError(
                "not_inferior is a mapping of outcomes to negative margins, say {'cough': -0.05}, "
                f"and not {not_inferior!r}."
            )
        names = [superior] if isinstance(superior, str) else list(superior)
        every = [*names, *not_inferior]
        twice = [name for name in every if every.count(name) > 1]
        if twice:
            where = "and in not_inferior" if twice[0] in not_inferior else "twice"
            raise SpecificationError(f"{twice[0]!r} is in superior {where}; name it once.")
        for name, margin in not_inferior.items():
            if not (is_finite(margin) and margin < 0):
                raise SpecificationError(
                    f"not_inferior has the margin {margin!r} for {name!r}; a margin of "
                    "non-inferiority is negative: -0.05 allows a success probability that is five "
                    "points lower. For a gain that must be reached write Margins({...})."
                )
        return cls(dict.fromkeys(names, 0.0) | dict(not_inferior))

    @property
    def label(self) -> str:
        """Name of the rule with its margins."""
        return f"Margins({', '.join(f'{name} > {m:g}' for name, m in self.margins.items())})"

    @property
    def combine(self) -> Literal["every", "any"]:
        """Every outcome that is named."""
        return "every"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return effect less margin, per named outcome."""
        if not self.margins:
            raise SpecificationError(
                "Margins({}) names no outcome. Write, say, Margins({'y1': 0, 'y2': -0.05})."
            )
        return exceedances(effect, known_outcomes(self.margins, effect.outcomes))


@dataclass(frozen=True)
class Custom(AbstractRule):
    """An event of one's own.

    Parameters
    ----------
    function : callable
        From effects of shape (..., outcome) to booleans of shape (...).
    name : str, default "Custom"
        Name for reports.

    Examples
    --------
    >>> Custom(lambda d: d.max(axis=-1) > 0.15, "one big gain").joint_probability([[0.1, 0.2]])
    1.0
    """

    function: Callable[[Array], Array]
    name: str = "Custom"

    @property
    def label(self) -> str:
        """Name given by the user."""
        return self.name

    @property
    def combine(self) -> Literal["every", "any"]:
        """There is one contrast."""
        return "every"

    def contrasts(self, effect: EffectDraws) -> dict[str, Array]:
        """Return 1 where the event holds and -1 elsewhere."""
        event = np.asarray(self.function(effect.values))
        if event.shape != effect.values.shape[:-1] or event.dtype != bool:
            raise SpecificationError(
                f"The function of {self.name!r} returned {event.dtype} of shape {event.shape}; "
                f"it must reduce the last axis of the effects {effect.values.shape} to booleans."
            )
        return {self.name: np.where(event, 1.0, -1.0)}
