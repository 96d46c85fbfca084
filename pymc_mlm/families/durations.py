"""What families of durations share: checks, and a censored fit for the scale of default priors."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily

# Prior sd of the log of a scale: a few events, or one, would have a scale of zero.
PRIOR_SD = 1.0


class AbstractDurations(AbstractFamily, ABC):
    """A distribution of durations, seen or right-censored, whose log time has ``eta`` as location.

    Outcomes are ``Surv(time, event)``, or times alone, which are events then.
    """

    link: ClassVar[str] = "log"
    latent: ClassVar[str | None] = "log time"
    roles: ClassVar[tuple[str, ...]] = ("time", "event")
    row_variation: ClassVar[str | None] = "the residual of a log time"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Positive times, and events that are 0 or 1; without events all times are events."""
        return durations(label, values)


def durations(label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return positive times, and events that are 0 or 1; without events all times are events.

    Raises
    ------
    DataError
        A time is not positive, an event is neither 0 nor 1, or there is none.
    """
    time = values["time"].astype(np.float64)
    event = values.get("event", np.ones_like(time)).astype(np.float64)
    if (time <= 0).any():
        raise DataError(
            f"The time in {label!r} must be positive; found {time[time <= 0][0]:g} in "
            f"{int((time <= 0).sum())} group(s). Drop them, or measure from an earlier start."
        )
    wrong = event[(event != 0) & (event != 1)]
    if len(wrong):
        raise DataError(
            f"The event in {label!r} must be 1 (event seen) or 0 (right-censored); found "
            f"{wrong[0]:g}. Recode it."
        )
    if not event.any():
        raise DataError(
            f"No event was seen in {label!r}: every time is censored, and nothing can be "
            "learned about durations. Check the coding of the event column (1 = event)."
        )
    return {"time": time, "event": event}


def location_and_scale(
    log_time: np.ndarray, event: np.ndarray, terms: Callable[[np.ndarray], tuple[np.ndarray, ...]]
) -> tuple[float, float]:
    """Return location and scale of one distribution of log times for all rows.

    Maximum likelihood for the location, and the mode of the scale under a log-normal prior around
    one.

    Parameters
    ----------
    log_time : ndarray, shape (group,)
        Log of the time to the event or to censoring.
    event : ndarray, shape (group,)
        One where the event was seen.
    terms : callable
        From standardised log times to their log density and log survival.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> times = np.log([1.0, 2.0, 4.0, 8.0])
    >>> mu, _ = location_and_scale(times, np.ones(4), lambda z: (norm.logpdf(z), norm.logsf(z)))
    >>> bool(abs(mu - times.mean()) < 1e-4)
    True
    """
    from scipy.optimize import minimize

    start = float(log_time[event == 1].mean())

    def negative(point: np.ndarray) -> float:
        z = (log_time - start - point[0]) * np.exp(-point[1])
        density, survival = terms(z)
        total = event @ (density - point[1]) + (1.0 - event) @ survival
        return float(0.5 * (point[1] / PRIOR_SD) ** 2 - total)

    found = minimize(negative, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6})
    return start + float(found.x[0]), float(np.exp(found.x[1]))
