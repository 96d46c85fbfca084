"""Proportional hazards with a piecewise-constant baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.distributions.located import located
from pymc_mlm.distributions.piecewise_exponential import PiecewiseExponential
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior, create, on_real_line, parts_of

INTERVAL = "interval"
LOG_HAZARD = "log_hazard"
ALL = "all"
# Intervals whose log hazards are sampled in correlated coordinates, by a matrix of that size.
MOST_CORRELATED = 100


@dataclass(frozen=True)
class Cox(AbstractFamily):
    r"""Proportional hazards: ``eta`` multiplies a baseline hazard that is constant in intervals.

    .. math:: h(t) = \lambda_{k(t)} e^{\eta}, \qquad
        \ell = d\,(\log \lambda_{k(t)} + \eta) - e^{\eta} \{\Lambda_0(t) - \Lambda_0(s)\}

    for an outcome ``Surv(time, event)``, or ``Surv(start, stop, event)`` of rows that are watched
    from s on: late entry, or one row for each stretch of time with the same covariates. The
    baseline takes the place of the intercept, which a formula may name and which is left out.

    Parameters
    ----------
    intervals : int, sequence of float or "all"
        Number of intervals, cut at quantiles of the times of events; or the times at which to cut;
        or "all" for a cut at every distinct time of an event, the semi-parametric limit.
    priors : mapping of str to prior, optional
        ``log_hazard``: log of the baseline hazard per unit of time, one distribution for all
        intervals.

    Notes
    -----
    The piecewise exponential model [1]_ [2]_ [3]_. With a cut at every event, without ties and
    with a flat prior, integrating the log hazards out leaves Cox's partial likelihood [4]_.
    ``exp(coef)`` is a hazard ratio. The last interval has no end: expected and new durations go on
    with its hazard.

    References
    ----------
    .. [1] Holford, T. R. (1980). The analysis of rates and of survivorship using log-linear
       models. Biometrics 36, 299-305.
    .. [2] Laird, N. & Olivier, D. (1981). Covariance analysis of censored survival data using
       log-linear analysis techniques. J. Am. Stat. Assoc. 76, 231-240.
    .. [3] Friedman, M. (1982). Piecewise exponential models for survival data with covariates.
       Annals of Statistics 10, 101-113.
    .. [4] Sinha, D., Ibrahim, J. G. & Chen, M.-H. (2003). A Bayesian justification of Cox's
       partial likelihood. Biometrika 90, 629-641.

    Examples
    --------
    >>> Cox(intervals=[26, 52]).intervals
    (26.0, 52.0)
    """

    intervals: Any = 10
    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "cox"
    reasons: ClassVar[Mapping[str, str]] = {
        "log_hazard": "the prior of an intercept: 95% within a factor of 130 of a constant hazard"
    }
    link: ClassVar[str] = "log"
    latent: ClassVar[str | None] = "the log cumulative baseline hazard"
    roles: ClassVar[tuple[str, ...]] = ("time", "event")
    row_variation: ClassVar[str | None] = "the chance in a single duration"
    is_left_truncated: ClassVar[bool] = True
    baseline: ClassVar[str | None] = LOG_HAZARD
    own_dims: ClassVar[tuple[str, ...]] = (INTERVAL,)
    constants: ClassVar[tuple[str, ...]] = ("cuts",)

    def __post_init__(self) -> None:
        """Check the intervals and the priors."""
        super().__post_init__()
        object.__setattr__(self, "intervals", _checked(self.intervals))

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Times, starts and events, and where the intervals begin."""
        time = values["time"].astype(np.float64)
        event = values.get("event", np.ones_like(time)).astype(np.float64)
        start = {"start": values["start"].astype(np.float64)} if "start" in values else {}
        _check_times(label, start.get("start", np.zeros_like(time)), time, event)
        cuts = self._cuts(label, time[event == 1])
        return {"time": time, "event": event, **start, "cuts": cuts}

    def _cuts(self, label: str, seen: np.ndarray) -> np.ndarray:
        """Return where intervals begin, each with an event, shape (interval,)."""
        if isinstance(self.intervals, tuple):
            cuts = np.array([0.0, *self.intervals])
            empty = np.flatnonzero(_events(cuts, seen, np.ones_like(seen)) == 0)
            if len(empty):
                raise DataError(
                    f"No event of {label!r} is in the interval {labels(cuts)[empty[0]]}: its "
                    "hazard would be that of its prior. Leave out one of its cut points, or let "
                    "intervals= be a number."
                )
            return cuts
        if self.intervals == ALL:
            return np.concatenate([[0.0], np.unique(seen)[:-1]])
        inner = np.quantile(seen, np.arange(1, self.intervals) / self.intervals)
        return _merged(inner, np.unique(seen))

    def notes(self, outcome: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Say what took the intercept's place, and which intervals were merged."""
        count = len(outcome["cuts"])
        found = [
            f"Baseline hazard constant in {count} intervals; it takes the place of the intercept."
        ]
        if isinstance(self.intervals, int) and count < self.intervals:
            found.append(
                f"{self.intervals} intervals were asked for; quantiles of tied or few times of "
                f"events leave {count} that hold an event, and the others are merged with these."
            )
        return tuple(found)

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Zero, the baseline itself; spread 1, a factor of 7 in the hazard within 2 sd.

        The log rate is that of all events over all time, weighted by the fixed part.
        """
        weight = np.broadcast_to(np.exp(offset), outcome["time"].shape)
        rate = outcome["event"].sum() / (weight @ (outcome["time"] - outcome.get("start", 0.0)))
        return OutcomeScale(0.0, 1.0, float(np.log(rate)))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Normal around the log rate of all rows; 95% within a factor of 130 either way."""
        return {LOG_HAZARD: Prior("Normal", mu=scale.baseline, sigma=2.5 * scale.spread)}

    def near_mode(self, outcome: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the log of events over time in each interval."""
        return {LOG_HAZARD: np.log(self._counts(outcome) / exposure(outcome))}

    def _counts(self, outcome: Mapping[str, np.ndarray]) -> np.ndarray:
        return _events(outcome["cuts"], outcome["time"], outcome["event"])

    def add_baseline(
        self, outcome: Mapping[str, np.ndarray], prior: Any, at_mean: Any, centre: Any
    ) -> None:
        """Add ``log_hazard``, its default prior at the mean of the covariates."""
        pm.modelcontext(None).add_coord(INTERVAL, labels(outcome["cuts"]))
        if not on_real_line(prior):
            create(prior, LOG_HAZARD, INTERVAL)
            return
        distribution, parameters = parts_of(prior, LOG_HAZARD, INTERVAL)
        if "mu" in parameters:
            parameters["mu"] = parameters["mu"] - at_mean
        level = -at_mean if centre is None else centre[0]
        mode = pytensor.shared(self.near_mode(outcome)[LOG_HAZARD])
        root = _root(self._counts(outcome), 0.0 if centre is None else float(centre[1]))
        located(LOG_HAZARD, distribution, parameters, mode + level, root, INTERVAL)

    def level(self, outcome: Mapping[str, np.ndarray]) -> Any:
        """Return the baseline less its mode, averaged over events: what effects may follow."""
        counts, mode = self._counts(outcome), self.near_mode(outcome)[LOG_HAZARD]
        weight, place = counts / counts.sum(), counts @ mode / counts.sum()
        log_hazard = pm.modelcontext(None)[LOG_HAZARD]
        return pt.sum(log_hazard * pytensor.shared(weight)) - pytensor.shared(np.float64(place))

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the durations, and ``log_hazard`` where the model lacks it."""
        model, cuts = pm.modelcontext(None), outcome["cuts"]
        if LOG_HAZARD not in model.named_vars:
            model.add_coord(INTERVAL, labels(cuts))
            create(priors[LOG_HAZARD], LOG_HAZARD, INTERVAL)
        time = outcome["time"]
        return PiecewiseExponential(
            name, eta + pt.zeros_like(time), model[LOG_HAZARD], pytensor.shared(cuts),
            outcome["event"], outcome.get("start", 0.0), observed=time, dims=dims,
        )  # fmt: skip

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Mean duration from time zero; after the last cut the hazard stays as it is there."""
        log_hazard, cuts = np.asarray(parameters[LOG_HAZARD]), np.asarray(parameters["cuts"])
        total, survival = np.zeros(np.shape(eta)), np.ones(np.shape(eta))
        for k, width in enumerate(np.append(np.diff(cuts), np.inf)):
            hazard = np.exp(eta + log_hazard[..., k, :])
            dies = -np.expm1(-hazard * width)
            total = total + survival * dies / hazard
            survival = survival * (1.0 - dies)
        return total

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        r"""Variance of the log of the cumulative baseline hazard at the event, pi squared over six.

        :math:`\log \Lambda_0(T) = -\eta + \epsilon` with a standard Gumbel minimum, whatever the
        baseline. A Weibull model has the same shares: its residual and its effects are both those
        of the log hazard over the shape.
        """
        return np.pi**2 / 6.0


def _root(counts: np.ndarray, level_sd: float) -> np.ndarray:
    """Return a root of the covariance of log hazards: their own variances, and a level's.

    Effects of units leave all log hazards together less sure than each given the others; a matrix
    tells the sampler so while intervals are few.
    """
    own = 1.0 / (counts + 0.1)
    shared = level_sd**2 - 1.0 / counts.sum()
    if len(counts) > MOST_CORRELATED or shared <= 0.0:
        return np.sqrt(own)
    return np.linalg.cholesky(np.diag(own) + shared)


def labels(cuts: np.ndarray) -> tuple[str, ...]:
    """Return the intervals in words, for example ``"(26, 52]"``; the last one has no end.

    Parameters
    ----------
    cuts : ndarray, shape (interval,)
        Where they begin.

    Examples
    --------
    >>> labels(np.array([0.0, 26.0]))
    ('(0, 26]', '(26, inf)')
    """
    digits = next(d for d in range(4, 18) if len({f"{c:.{d}g}" for c in cuts}) == len(cuts))
    words = [f"{c:.{digits}g}" for c in cuts]
    ends = [*(f"{w}]" for w in words[1:]), "inf)"]
    return tuple(f"({a}, {b}" for a, b in zip(words, ends, strict=True))


def exposure(outcome: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the time that all rows together were watched in each interval, shape (interval,)."""
    cuts = outcome["cuts"]
    before = _time_within(cuts, outcome["start"]) if "start" in outcome else 0.0
    return _time_within(cuts, outcome["time"]) - before


def _time_within(cuts: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the total time from zero to the given times in each interval."""
    k = np.searchsorted(cuts[1:], time, side="left")
    last = np.bincount(k, time - cuts[k], minlength=len(cuts))
    beyond = len(time) - np.cumsum(np.bincount(k, minlength=len(cuts)))
    return np.asarray(last + beyond * np.append(np.diff(cuts), 0.0))


def _events(cuts: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    k = np.searchsorted(cuts[1:], time, side="left")
    return np.bincount(k, event, minlength=len(cuts))


def _merged(inner: Sequence[float], seen: np.ndarray) -> np.ndarray:
    """Return zero and those cut points that leave an event on either side, shape (interval,)."""
    cuts = [0.0]
    before = 0
    for cut in inner:
        events = int(np.searchsorted(seen, cut, side="right"))
        if before < events < len(seen):
            cuts.append(float(cut))
            before = events
    return np.array(cuts)


def _checked(intervals: Any) -> Any:
    """Return a number, a tuple of cut points, or "all"."""
    if isinstance(intervals, str) and intervals == ALL:
        return ALL
    if isinstance(intervals, (int, np.integer)) and not isinstance(intervals, bool):
        if intervals >= 1:
            return int(intervals)
    elif isinstance(intervals, (Sequence, np.ndarray)) and not isinstance(intervals, str):
        cuts = np.asarray(intervals, dtype=np.float64)
        if cuts.ndim == 1 and np.isfinite(cuts).all() and (np.diff(cuts, prepend=0.0) > 0).all():
            return tuple(cuts.tolist())
    raise SpecificationError(
        f"Cox: intervals={intervals!r} must be a number of intervals such as 10, ascending "
        "positive times at which the baseline hazard may change such as [26, 52], or 'all' for "
        "every time of an event."
    )


def _check_times(label: str, start: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
    """Refuse times that are no durations, and outcomes without an event."""
    wrong = np.flatnonzero((start < 0) | (time <= start))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{label!r} needs 0 <= start < stop; row or group {row} (counted from 0) begins at "
            f"{start[row]:g} and ends at {time[row]:g}, and {len(wrong)} in all are like it. "
            "Correct them, drop them, or measure from an earlier origin."
        )
    other = event[(event != 0) & (event != 1)]
    if len(other):
        raise DataError(
            f"The event in {label!r} must be 1 (event seen) or 0 (right-censored); found "
            f"{other[0]:g}. Recode it."
        )
    if not event.any():
        raise DataError(
            f"No event was seen in {label!r}: every time is censored, and nothing can be learned "
            "about hazards. Check the coding of the event column (1 = event)."
        )
