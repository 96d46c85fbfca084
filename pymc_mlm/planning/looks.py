"""Interim looks at a trial: when they are taken, and what stops it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import e, log
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from pymc_mlm.decisions.thresholds import check_alpha
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.nulls import null_designs
from pymc_mlm.planning.patterns import Array
from pymc_mlm.planning.simulation import (
    decisive,
    marginal_probabilities,
    observed_successes,
    simulated_clusters,
)

SPENDING = ("obrien_fleming", "pocock")


@dataclass(frozen=True)
class Looks:
    r"""Looks at accumulating data, and what stops a treatment's comparison at each of them.

    Parameters
    ----------
    at : sequence of float
        Shares of the patients at each look, increasing; the last is 1, the end of the trial. With
        clusters, shares of the clusters that are complete, as many in each arm.
    efficacy : float or sequence of float, optional
        What the statistic of the rule (the smallest or largest marginal posterior probability)
        must exceed to stop for efficacy; one for all looks or one each. See `calibrate_looks`.
    spending : {"obrien_fleming", "pocock"} or sequence of float, optional
        In place of thresholds, how alpha is spent: a function of the share of patients
        :math:`t` (Lan and DeMets), or the share of alpha that is spent by each look, which
        increases to 1. `calibrate_looks` turns it into thresholds.
    futility : float, default 0
        A treatment stops for futility at a look before the last if its statistic is below.

    Raises
    ------
    SpecificationError
        Looks are out of order, alpha is spent twice, or a number is no probability.

    Notes
    -----
    .. math:: \text{obrien\_fleming: } 2 - 2 \Phi(z_{1 - \alpha / 2} / \sqrt{t}), \qquad
        \text{pocock: } \alpha \log(1 + (e - 1)\, t)

    References
    ----------
    .. [1] Lan, K. K. G., DeMets, D. L. (1983). Discrete sequential boundaries for clinical trials.
       Biometrika 70(3).

    Examples
    --------
    >>> Looks((0.5, 1.0), spending="obrien_fleming").spent(0.025).round(5)
    array([0.00153, 0.025  ])
    """

    at: Sequence[float]
    efficacy: float | Sequence[float] | None = None
    spending: str | Sequence[float] | None = None
    futility: float = 0.0

    def __post_init__(self) -> None:
        at = np.asarray(self.at, dtype=float)
        if at.ndim != 1 or not at.size or (np.diff(at, prepend=0.0) <= 0).any() or at[-1] != 1:
            raise SpecificationError(
                f"at={tuple(self.at)!r}: looks are increasing shares of the patients, and the last "
                "is 1, say (0.5, 0.75, 1)."
            )
        object.__setattr__(self, "at", tuple(at.tolist()))
        if self.efficacy is not None and self.spending is not None:
            raise SpecificationError(
                "efficacy= and spending= both spend alpha; it is spent once. Give the thresholds, "
                "or a way of spending that calibrate_looks turns into thresholds."
            )
        if not 0 <= self.futility < 1:
            raise SpecificationError(f"futility={self.futility!r} must lie in [0, 1).")
        if self.efficacy is not None:
            object.__setattr__(self, "efficacy", self._thresholds())
        if self.spending is not None and not isinstance(self.spending, str):
            object.__setattr__(self, "spending", tuple(map(float, self.spending)))
        self.spent(0.05)

    def spent(self, alpha: float) -> Array:
        """Return the type I error that is spent by each look, shape (look,).

        Without `spending` only the total is fixed: alpha at the last look, NaN before.
        """
        check_alpha(alpha)
        t = np.array(self.at)
        if self.spending is None:
            return np.append(np.full(len(t) - 1, np.nan), alpha)
        if isinstance(self.spending, str):
            if self.spending not in SPENDING:
                raise SpecificationError(
                    f"spending={self.spending!r} is not known. Use {' or '.join(SPENDING)}, or "
                    "shares of alpha."
                )
            if self.spending == "pocock":
                return np.array([alpha * log(1 + (e - 1) * share) for share in t])
            return np.asarray(2 - 2 * ndtr(ndtri(1 - alpha / 2) / np.sqrt(t)))
        share = np.array(self.spending)
        if share.shape != t.shape or (np.diff(share, prepend=0.0) < 0).any() or share[-1] != 1:
            raise SpecificationError(
                f"spending={self.spending!r}: what is spent is spent. Give the share of alpha "
                f"spent by each of the {len(t)} looks, never falling, 1 at the last."
            )
        return alpha * share

    def patients(self, design: TrialDesign) -> Array:
        """Return the patients at each look, shape (look, arm)."""
        if design.clusters is not None:
            complete = self.clusters(design)
            return np.repeat(complete[:, None] * design.clusters.size, len(design.arms), axis=1)
        seen = np.round(np.array(self.at)[:, None] * design.patients - 1e-9).astype(int)
        if (np.diff(seen, axis=0, prepend=0) < 1).any():
            raise SpecificationError(
                f"Looks at {self.at} of {design.patients.tolist()} patients: some look has no new "
                "patient in some arm. Take fewer looks."
            )
        return seen

    def clusters(self, design: TrialDesign) -> Array:
        """Return the clusters of each arm that are complete at each look, shape (look,)."""
        number = design.clusters.number  # type: ignore[union-attr]
        complete = np.round(np.array(self.at) * number - 1e-9).astype(int)
        if complete[0] < 2 or (np.diff(complete) < 1).any():
            raise SpecificationError(
                f"Looks at {self.at} of {number} clusters in each arm are looks at "
                f"{complete.tolist()} of them. Each look needs a new cluster, and the first two: "
                "take fewer or later looks."
            )
        return complete

    def _thresholds(self) -> tuple[float, ...]:
        given = np.asarray(self.efficacy, dtype=float)
        if given.ndim > 1 or given.size not in (1, len(self.at)):
            raise SpecificationError(
                f"efficacy has {given.size} thresholds for {len(self.at)} looks. Give one, or one "
                "for each."
            )
        if not ((given > self.futility) & (given <= 1)).all():
            raise SpecificationError(
                f"efficacy={self.efficacy!r} must lie above futility={self.futility} and not "
                "above 1."
            )
        return tuple(np.broadcast_to(given, len(self.at)).tolist())


def statistics_at_looks(
    design: TrialDesign, looks: Looks, trials: int, rng: np.random.Generator
) -> Array:
    """Return the statistic of the rule at each look of simulated trials.

    Returns
    -------
    ndarray, shape (trial, look, treatment)
    """
    if design.clusters is not None:
        patterns = np.tile(design.pattern_probabilities, (trials, 1, 1))
        drawn = simulated_clusters(design, patterns, rng)
        each = [decisive(design, drawn.marginal(int(n))) for n in looks.clusters(design)]
        return np.stack(each, axis=1)
    new = np.diff(looks.patients(design), axis=0, prepend=0)
    counts = rng.multinomial(new, design.pattern_probabilities, (trials, *new.shape))
    seen = observed_successes(design, counts, rng)
    counts, seen = counts.cumsum(axis=1), seen.cumsum(axis=1)
    marginal = marginal_probabilities(
        design, counts.reshape(-1, *counts.shape[2:]), seen.reshape(-1, *seen.shape[2:]), rng
    )
    return decisive(design, marginal).reshape(trials, len(new), -1)


def calibrate_looks(
    design: TrialDesign,
    looks: Looks,
    alpha: float | None = None,
    trials: int = 20_000,
    random_seed: Any = None,
) -> Looks:
    """Return looks whose thresholds hold the type I error of the whole trial.

    Parameters
    ----------
    design : TrialDesign
        Its patients, or clusters, are those at the last look.
    looks : Looks
        With a way of spending: each look gets the smallest threshold that keeps what is spent by
        then. Without: one threshold for all looks.
    alpha : float, optional
        Type I error of the trial: that at least one treatment is found better at some look, in
        the worst null of `operating_characteristics`. The design's by default.
    trials : int, default 20_000
        Simulated trials of each null. A threshold that spends .001 rests on a thousandth of them.
    random_seed : int or Generator, optional
        Seed.

    Returns
    -------
    Looks
        A copy with `efficacy` set. Stopping for futility is left out of account: the error holds
        also where the advice to stop is not followed.

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4,), "new": (0.6,)}, per_arm=40)
    >>> calibrate_looks(design, Looks((0.5, 1.0)), 0.05, trials=2000, random_seed=1).efficacy[
    ...     0
    ... ] > 0.95
    True
    """
    level = design.alpha if alpha is None else alpha
    spent = looks.spent(level)
    rng = np.random.default_rng(random_seed)
    # Any treatment: the largest statistic of the treatments, shape (trial, look).
    nulls = [
        statistics_at_looks(null, looks, trials, rng).max(axis=-1) for null in null_designs(design)
    ]
    if looks.spending is None:
        common = max(_upper_quantile(s.max(axis=1), level) for s in nulls)
        return replace(looks, efficacy=common)
    thresholds: list[float] = []
    stopped = [np.zeros(trials, dtype=bool) for _ in nulls]
    for look, allowed in enumerate(spent):
        # A trial that has stopped is counted already, whatever it would show later.
        now = [np.where(out, np.inf, s[:, look]) for s, out in zip(nulls, stopped, strict=True)]
        threshold = max(_upper_quantile(values, allowed) for values in now)
        thresholds.append(min(threshold, 1.0))
        stopped = [values > threshold for values in now]
    return replace(looks, efficacy=tuple(thresholds), spending=None)


def _upper_quantile(values: Array, alpha: float) -> float:
    """Return the smallest value that at most a share alpha of all values exceed."""
    ordered = np.sort(values)[::-1]
    return float(ordered[min(int(np.floor(alpha * len(values) + 1e-9)), len(values) - 1)])
