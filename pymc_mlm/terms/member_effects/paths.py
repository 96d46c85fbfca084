"""Members and their times: which effects there are, and draws of those at new times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.data.membership import Membership
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError

Array = np.ndarray[Any, Any]
# From the gap since another value to factor and variance given that value, both of shape (draw,).
Transition = Callable[[float], tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Paths:
    """Fitted members' times, and the place of each row among them.

    Attributes
    ----------
    member, time : ndarray, shape (place,)
        Member and time of each effect, sorted.
    place : ndarray of int, shape (row,)
        Effect of each row: fitted ones, then those at new times; -1 of an unknown member.
    row_time : ndarray, shape (row,)
        Time of each row.
    new_member, new_time : ndarray, shape (new,)
        Members and times that were not fitted, sorted.
    """

    member: Array
    time: Array
    place: Array
    row_time: Array
    new_member: Array
    new_time: Array

    @property
    def is_first(self) -> Array:
        """Whether a place is its member's first, shape (place,)."""
        return np.concatenate([[True], np.diff(self.member) != 0])

    @property
    def gap(self) -> Array:
        """Time since the member's place before; one at the first, shape (place,)."""
        return np.where(self.is_first, 1.0, np.concatenate([[1.0], np.diff(self.time)]))

    @property
    def first(self) -> Array:
        """First place of each place's member, shape (place,)."""
        starts = np.flatnonzero(self.is_first)
        return starts[np.cumsum(self.is_first) - 1]

    def pairs_before(self) -> tuple[Array, Array]:
        """Return each place with all places of its member up to it: (pair,) and (pair,)."""
        count = np.arange(len(self.member)) - self.first + 1
        later = np.repeat(np.arange(len(self.member)), count)
        within = np.arange(len(later)) - np.repeat(np.cumsum(count) - count, count)
        return later, self.first[later] + within


def read_paths(column: str, times: Array, membership: Membership, known: Paths | None) -> Paths:
    """Number the members' times.

    Parameters
    ----------
    column : str
        Column of the times, for messages.
    times : ndarray, shape (row,)
        Time of each row of the membership.
    membership : Membership
    known : Paths, optional
        Those of the fitted table.

    Raises
    ------
    DataError
        No fitted member has two times.
    """
    codes = membership.member.codes
    if known is None:
        member, time, place = _distinct(codes, times)
        if not (np.diff(member) == 0).any():
            name = membership.member.name
            raise DataError(
                f"No {name!r} has two different times in {column!r}, so no effect changes. Leave "
                "dynamics out."
            )
        none = np.zeros(0)
        return Paths(member, time, place, times, none.astype(np.int64), none)
    place = _find(known, codes, times)
    is_new = (place == UNKNOWN) & (codes != UNKNOWN)
    member, time, own = _distinct(codes[is_new], times[is_new])
    place[is_new] = len(known.member) + own
    return Paths(known.member, known.time, place, times, member, time)


def _distinct(codes: Array, times: Array) -> tuple[Array, Array, Array]:
    order = np.lexsort([times, codes])
    member, time = codes[order], times[order]
    is_other = np.ones(len(order), dtype=bool)
    is_other[1:] = (np.diff(member) != 0) | (np.diff(time) != 0)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(is_other) - 1
    return member[is_other], time[is_other], place


def _find(known: Paths, codes: Array, times: Array) -> Array:
    places = {pair: i for i, pair in enumerate(zip(known.member, known.time, strict=True))}
    found = [places.get(pair, UNKNOWN) for pair in zip(codes, times, strict=True)]
    return np.array(found, dtype=np.int64)


def refuse_ties(column: str, paths: Paths, membership: Membership, group: Factor) -> None:
    """Refuse a member with two groups at one time.

    Raises
    ------
    DataError
        Member, time and groups are named.
    """
    order = np.lexsort([membership.group, paths.place])
    place, groups = paths.place[order], membership.group[order]
    tied = (np.diff(place) == 0) & (np.diff(groups) != 0) & (place[1:] != UNKNOWN)
    if not tied.any():
        return
    at = int(np.flatnonzero(tied)[0])
    row = order[at]
    member = membership.member
    one, two = (show(group.labels[groups[i]]) for i in (at, at + 1))
    raise DataError(
        f"{member.name!r}={show(member.labels[member.codes[row]])} is in {group.name!r}={one} and "
        f"{two} at one time, {column}={paths.row_time[row]:g}: which participation comes first is "
        "not known. Give a column that orders them, or let steps follow time, with one effect per "
        f"member and time: dynamics=RandomWalk({column!r}, steps='time')."
    )


def draw_places(
    paths: Paths,
    fitted: Array,
    start: Any,
    transition: Transition,
    is_counted: bool,
    rng: np.random.Generator,
) -> Array:
    r"""Return draws of fitted and new effects, (draw, place).

    A new value between two others of its member is drawn given both, one after the last given the
    last, that of a new member from the distribution of first values:

    .. math:: u \mid u_-, u_+ \sim N(m + g (u_+ - \phi_+ m), \; v_- v_+ / (v_+ + \phi_+^2 v_-)),
        \quad m = \phi_- u_-, \quad g = \phi_+ v_- / (v_+ + \phi_+^2 v_-)

    Parameters
    ----------
    paths : Paths
        Of new data.
    fitted : ndarray, shape (draw, fitted place)
        Draws of the fitted effects.
    start : ndarray, shape (draw,)
        Variance of a first value.
    transition : callable
        From a gap to the factor and variance given the value before.
    is_counted : bool
        Whether each place is one step, whatever its time.
    rng : numpy.random.Generator
    """
    values = np.concatenate([fitted, np.empty((len(fitted), len(paths.new_member)))], axis=1)
    known = len(paths.member)
    for i, (member, time) in enumerate(zip(paths.new_member, paths.new_time, strict=True)):
        low, high = np.searchsorted(paths.member, [member, member + 1])
        after = low + int(np.searchsorted(paths.time[low:high], time))
        before = [(paths.time[after - 1], after - 1)] if after > low else []
        if i and paths.new_member[i - 1] == member:
            before.append((paths.new_time[i - 1], known + i - 1))
        mean, variance = np.zeros(len(fitted)), start
        if before:
            when, at = max(before)
            phi, variance = transition(1.0 if is_counted else time - when)
            mean = phi * values[:, at]
        if after < high:
            phi, beyond = transition(paths.time[after] - time)
            total = beyond + phi**2 * variance
            gain = np.divide(phi * variance, total, out=np.zeros(len(fitted)), where=total > 0)
            mean = mean + gain * (values[:, after] - phi * mean)
            variance = variance * (1.0 - phi * gain)
        noise = rng.standard_normal(len(fitted))
        values[:, known + i] = mean + np.sqrt(np.maximum(variance, 0.0)) * noise
    return values


def draw_unknown(paths: Paths, fitted: Array, row: int, rng: np.random.Generator) -> Array:
    """Return, for a row of an unknown member, the effects of fitted ones at their nearest time."""
    starts = np.flatnonzero(paths.is_first)
    ends = np.append(starts[1:], len(paths.member))
    distance = np.abs(paths.time - paths.row_time[row])
    nearest = np.array(
        [a + int(np.argmin(distance[a:b])) for a, b in zip(starts, ends, strict=True)]
    )
    chosen = nearest[rng.integers(0, len(nearest), len(fitted))]
    return np.asarray(fitted[np.arange(len(fitted)), chosen])
