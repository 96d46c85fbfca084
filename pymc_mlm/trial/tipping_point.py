"""How far from missing at random outcomes must be before a decision changes.

References
----------
.. [1] Yan, X., Lee, S., Li, N. (2009). Missing data handling methods in medical device clinical
   trials. Journal of Biopharmaceutical Statistics 19(6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import inf, isnan
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.arms import Array
from pymc_mlm.decisions import AbstractRule, Decision, decide, side_of
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.tipping import Axis, Tip, TippingPoints
from pymc_mlm.trial.missing_outcomes import (
    AbstractMissing,
    IncompletePersons,
    incomplete_persons,
    missing_outcomes,
)
from pymc_mlm.trial.questions import arms_of, outcomes

GRID = (-inf, *np.arange(-3.0, 3.5, 0.5).tolist(), inf)
IN_REPORTS = (-inf, -2.0, -1.0, 0.0, 1.0, 2.0, inf)
# Beyond it a probability is 0 or 1 to nine digits; tips are found to a hundredth.
FAR, FINE = 20.0, 0.01
NONE_MISSING = "No outcome of the arms is missing."
MEANING = (
    "The log odds of missing outcomes are shifted by delta from what missing at random implies, in "
    "each arm by itself (a pattern-mixture model; persons without any outcome count). A tip is the "
    "smallest shift of one arm that changes the conclusion, the other arm's outcomes missing at "
    "random; -inf and inf are all missing outcomes failures, and successes."
)
Delta = tuple[float, ...]


def tipping_point(
    fit: Fit,
    rule: AbstractRule,
    along: Sequence[Any] | None = None,
    grid: Sequence[float] = GRID,
    treatment: Any = None,
    estimand: str | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
) -> TippingPoints:
    """Return decisions for shifts of the missing outcomes, and where they change.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    rule, along, grid, treatment, estimand, alpha, alternative
        As in `pymc_mlm.estimators.questions.AbstractTrialEstimator.tipping_point`.

    Returns
    -------
    TippingPoints
    """
    control, chosen = arms_of(fit, treatment)
    places = _places(fit, along, control, chosen)
    steps = _checked(grid)
    if estimand == "typical_cluster":
        raise SpecificationError(
            "estimand='typical_cluster': outcomes are missing in the clusters of the trial, and "
            "not in a cluster whose effects are zero. Leave estimand out."
        )
    incomplete = incomplete_persons(fit)
    if incomplete is None or not any(_count(incomplete, *place).any() for place in places):
        raise DataError(
            f"{NONE_MISSING} A tipping point says how missing outcomes would change a decision; "
            "without any there is nothing to shift."
        )
    answers = missing_outcomes(fit, incomplete, estimand)
    decided = _decisions(fit, answers, places, (control, chosen), rule, alpha, alternative)
    return TippingPoints(
        comparison=f"{chosen} against {control}",
        axes=tuple(_axis(fit, incomplete, *place) for place in places),
        grid=steps,
        decisions=tuple(tuple(decided(a, b) for b in steps) for a in steps),
        at_random=decided(0.0, 0.0),
        tips=tuple(_tips(fit, answers, places, steps, decided)),
    )


def tipping_parts(
    fit: Fit,
    rules: Sequence[AbstractRule],
    alpha: float,
    alternative: Alternative,
    estimand: str | None = None,
) -> dict[str, Any]:
    """Return tipping points of each comparison and rule, as parts of a report's section."""
    incomplete = incomplete_persons(fit)
    if incomplete is None:
        return {"Missing outcomes": NONE_MISSING}
    tips, grids = [], []
    for code, arm in enumerate(fit.design.trial.arm.labels.tolist()):
        if code == 0 or not np.isin(incomplete.arm, [0, code]).any():
            continue
        for rule in rules:
            side = side_of(rule, alternative)
            found = tipping_point(fit, rule, None, IN_REPORTS, arm, estimand, alpha, side)
            tips += found.tip_rows()
            grids += found.grid_rows()
    return {"Missing outcomes": MEANING, "Tipping points": tips, "Decisions by delta": grids}


def _places(
    fit: Fit, along: Sequence[Any] | None, control: Any, chosen: Any
) -> tuple[tuple[int, Array], tuple[int, Array]]:
    """Return arm and outcomes of each axis."""
    axes = (control, chosen) if along is None else along
    if isinstance(axes, str) or len(axes) != 2:
        raise SpecificationError(
            f"along={along!r}: two arms, or pairs of an arm and an outcome, are needed, say "
            f"along=[{control!r}, ({chosen!r}, {outcomes(fit)[0]!r})]."
        )
    first, second = (_place(fit, axis, control, chosen) for axis in axes)
    if first[0] == second[0] and (first[1] & second[1]).any():
        raise SpecificationError(
            f"along={along!r} names the same missing outcomes twice. Give two arms, or two "
            "outcomes of one arm."
        )
    return first, second


def _place(fit: Fit, axis: Any, control: Any, chosen: Any) -> tuple[int, Array]:
    names, labels = outcomes(fit), fit.design.trial.arm.labels.tolist()
    arm, name = axis if isinstance(axis, (tuple, list)) and len(axis) == 2 else (axis, None)
    if arm not in (control, chosen):
        raise SpecificationError(
            f"along names {arm!r}, which is none of the arms compared, {control!r} and {chosen!r}."
        )
    if name is not None and name not in names:
        raise SpecificationError(
            f"along names {name!r}, which is no outcome; they are {', '.join(map(repr, names))}."
        )
    return labels.index(arm), np.array([name in (None, k) for k in names])


def _checked(grid: Any) -> tuple[float, ...]:
    """Return the shifts in order, with zero among them."""
    values = list(grid) if isinstance(grid, (Sequence, np.ndarray)) else [grid]
    if isinstance(grid, str) or not all(isinstance(v, Real) and not isnan(v) for v in values):
        raise SpecificationError(
            f"grid={grid!r} must be numbers: shifts of log odds, -inf and inf for all missing "
            "outcomes failures, and successes."
        )
    return tuple(sorted({0.0, *map(float, values)}))


def _count(incomplete: IncompletePersons, arm: int, which: Array) -> Array:
    """Return the missing outcomes of an axis, shape (outcome,)."""
    return np.asarray((incomplete.missing[incomplete.arm == arm] & which).sum(axis=0))


def _axis(fit: Fit, incomplete: IncompletePersons, arm: int, which: Array) -> Axis:
    trial = fit.design.trial
    codes = trial.arm.codes[~trial.partial]
    total = int((codes == arm).sum() + (incomplete.arm == arm).sum())
    label, names = str(trial.arm.labels[arm]), outcomes(fit)
    count = dict(zip(names, _count(incomplete, arm, which).tolist(), strict=True))
    named = {name: n for name, n in count.items() if which[names.index(name)]}
    return Axis(label if which.all() else f"{label}, {', '.join(named)}", named, total)


def _decisions(
    fit: Fit,
    answers: AbstractMissing,
    places: Sequence[tuple[int, Array]],
    arms: tuple[Any, Any],
    rule: AbstractRule,
    alpha: float,
    alternative: Alternative,
) -> Callable[[float, float], Decision]:
    """Return the decision as a function of the shifts along two axes."""
    control, chosen = map(fit.design.trial.arm.labels.tolist().index, arms)
    success = cache(lambda arm, delta: answers.success(arm, np.array(delta)))

    @cache
    def decided(first: float, second: float) -> Decision:
        shifts = _shifts(places, (first, second))
        none = (0.0,) * len(outcomes(fit))
        after, before = (success(arm, shifts.get(arm, none)) for arm in (chosen, control))
        effect = xr.DataArray(
            after - before, dims=("chain", "draw", "outcome"), coords={"outcome": outcomes(fit)}
        )
        return decide(rule, effect, alpha, alternative)

    return decided


def _shifts(places: Sequence[tuple[int, Array]], steps: tuple[float, float]) -> dict[int, Delta]:
    """Return the shift of each outcome, by arm."""
    found: dict[int, Array] = {}
    for (arm, which), step in zip(places, steps, strict=True):
        found[arm] = np.where(which, step, found.get(arm, np.zeros(len(which))))
    return {arm: tuple(delta.tolist()) for arm, delta in found.items()}


def _tips(
    fit: Fit,
    answers: AbstractMissing,
    places: Sequence[tuple[int, Array]],
    grid: tuple[float, ...],
    decided: Callable[[float, float], Decision],
) -> Iterator[Tip]:
    """Yield the smallest change of each axis, in either direction, that changes the decision."""
    for axis, (arm, which) in enumerate(places):

        def conclusion(step: float, axis: int = axis) -> str:
            return decided(*((step, 0.0) if axis == 0 else (0.0, step))).conclusion

        def share(step: float, arm: int = arm, which: Array = which) -> dict[str, float]:
            of = answers.share(arm, np.where(which, step, 0.0))
            names = outcomes(fit)
            return {k: of[i].item() for i, k in enumerate(names) if which[i] and of[i] == of[i]}

        for steps in ([v for v in grid if v >= 0], [v for v in grid if v <= 0][::-1]):
            tip = _first_change(conclusion, steps)
            yield Tip(
                axis, "up" if steps[-1] > 0 else "down", tip,
                None if tip is None else conclusion(tip), share(0.0),
                {} if tip is None else share(tip),
            )  # fmt: skip


def _first_change(conclusion: Callable[[float], str], steps: Sequence[float]) -> float | None:
    """Return the first shift with another conclusion: on the grid, then by bisection."""
    start, before = conclusion(0.0), 0.0
    for step in steps:
        if conclusion(step) == start:
            before = step
            continue
        after = float(np.clip(step, min(-FAR, before), max(FAR, before)))
        if conclusion(after) == start:
            return step
        while abs(after - before) > FINE:
            middle = (before + after) / 2
            before, after = (middle, after) if conclusion(middle) == start else (before, middle)
        return after
    return None
