"""The smallest trial that reaches a power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.estimate import Estimate
from pymc_mlm.planning.operating_characteristics import METHODS, road_of

MAX_PER_ARM = 10_000_000
# Other methods search up to this multiple of the size that the normal formula finds.
FURTHEST = 10


@dataclass(frozen=True)
class SampleSize:
    """A number of patients, or of clusters, and what it reaches.

    Attributes
    ----------
    number : int
        Patients, or clusters where whole clusters are randomised, in the control arm.
    error : float
        Its Monte Carlo error: the error of the power over the slope of the power.
    power : Estimate
        Power of `design`.
    design : TrialDesign
        The design with these patients or clusters.
    """

    number: int
    error: float
    power: Estimate
    design: TrialDesign

    def __int__(self) -> int:
        return self.number

    def __str__(self) -> str:
        what = "patients" if self.design.clusters is None else "clusters"
        return f"{self.number} {what} per arm (error {self.error:.1f}), power {self.power}"


def sample_size(
    design: TrialDesign,
    power: float = 0.8,
    method: str = "normal",
    trials: int = 10_000,
    random_seed: Any = None,
) -> SampleSize:
    """Return the smallest trial whose probability of finding a treatment better is `power`.

    Parameters
    ----------
    design : TrialDesign
        Its number of patients, if given, is taken as the ratio of the arms only; with clusters,
        their size is kept and their number is found.
    power : float, default 0.8
        Wanted probability that at least one treatment is found better.
    method : {"normal", "exact", "simulation"}
        As in `operating_characteristics`.
    trials, random_seed
        As in `operating_characteristics`; all sizes are simulated with one seed.

    Returns
    -------
    SampleSize

    Raises
    ------
    SpecificationError
        The assumed effect never reaches the power.

    Notes
    -----
    Power by the exact method has teeth: one patient more can lower it slightly. The search finds
    a size that reaches the power and whose predecessor does not.

    Examples
    --------
    >>> print(sample_size(TrialDesign({"old": (0.4,), "new": (0.6,)})))
    75 patients per arm (error 0.0), power 0.8038 (0.0000)
    """
    if not 0 < power < 1:
        raise SpecificationError(f"power={power!r} must lie between 0 and 1; write, say, 0.8.")
    if method not in METHODS[1:4]:
        raise SpecificationError(
            f"method={method!r}: sample sizes are found by {', '.join(METHODS[1:4])}."
        )
    seed = int(np.random.default_rng(random_seed).integers(2**31))

    def power_at(number: int, how: str = method) -> float:
        sized = resized(design, number)
        if how != method:  # a first guess
            sized = replace(sized, borrowing=None)
        return float(road_of(sized, how, trials, np.random.default_rng(seed))(sized.cutoff)[-1])

    least = 2 if design.clusters is not None else 1
    number = _smallest(lambda n: power_at(n, "normal") >= power, least, design)
    if method != "normal":
        most = FURTHEST * number
        found = _near(lambda n: power_at(n) >= power, number, least, most)
        if found is None:
            raise SpecificationError(
                f"By method={method!r} no size up to {most:,} reaches the power {power}, though "
                f"the normal formula needs {number:,} per arm. A prior worth more patients "
                "than the trial has, or a high threshold, can be the reason; or take more trials=."
            )
        number = found
    size = None if method != "simulation" else trials
    reached = Estimate.share(power_at(number), size)
    error = 0.0
    if size is not None:
        error = reached.error / _slope(power_at, number, least)
    return SampleSize(number, error, reached, resized(design, number))


def _slope(power_at: Callable[..., float], number: int, least: int) -> float:
    """Return how much power one more patient gives, by the formula unless it is flat."""
    step = max(1, number // 20)
    slope = (power_at(number + step, "normal") - power_at(number, "normal")) / step
    low = max(least, number // 2)
    found = (power_at(number) - power_at(low)) / max(number - low, 1)
    return slope if slope > found / 100 else found


def resized(design: TrialDesign, number: int) -> TrialDesign:
    """Return the design with a number of patients, or clusters, in the control arm."""
    if design.clusters is not None:
        return replace(design, clusters=replace(design.clusters, number=number))
    if not isinstance(design.per_arm, tuple):
        return replace(design, per_arm=number)
    ratio = np.array(design.per_arm) / design.per_arm[0]
    return replace(design, per_arm=tuple(ceil(number * r - 1e-9) for r in ratio.tolist()))


def _smallest(reaches: Callable[[int], bool], least: int, design: TrialDesign) -> int:
    if reaches(least):
        return least
    high = 2 * least
    while not reaches(high):
        high *= 2
        if high > MAX_PER_ARM:
            raise SpecificationError(
                f"Rule {design.rule.label} does not reach the power with {MAX_PER_ARM:,} per arm; "
                f"the assumed differences are {design.effects.round(4).tolist()}. Assume larger "
                "ones or weaken the rule."
            )
    return _between(reaches, high // 2, high)


def _near(reaches: Callable[[int], bool], guess: int, least: int, most: int) -> int | None:
    """Search up or down from a guess, in growing steps; None if no size up to `most` will do."""
    step = max(1, guess // 20)
    low = high = guess
    if reaches(guess):
        while reaches(low):
            if low == least:
                return least
            low, high, step = max(least, low - step), low, 2 * step
    else:
        while not reaches(high):
            if high == most:
                return None
            low, high, step = high, min(most, high + step), 2 * step
    return _between(reaches, low, high)


def _between(reaches: Callable[[int], bool], low: int, high: int) -> int:
    """Bisect between a size that misses the power and one that reaches it."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
