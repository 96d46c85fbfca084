"""Predictive probability that a running trial ends with a treatment found better."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.estimate import Estimate
from pymc_mlm.planning.patterns import Array
from pymc_mlm.planning.simulation import (
    component_weights,
    decisive,
    marginal_probabilities,
    observed_successes,
)


def predictive_probability(
    design: TrialDesign, counts: Any, trials: int = 10_000, random_seed: Any = None
) -> dict[str, Estimate]:
    """Return the probability, given the data so far, of finding each treatment better at the end.

    The remaining patients are drawn from their posterior predictive distribution, and each
    completed trial is decided.

    Parameters
    ----------
    design : TrialDesign
        Patients at the end, rule, threshold and prior; the assumed probabilities do not enter.
        No clusters and no dropout.
    counts : array_like of int, shape (arm, pattern)
        Patients so far by response pattern, from all ones to all zeros (11, 10, 01, 00).
    trials : int, default 10_000
        Simulated completions.
    random_seed : int or Generator, optional
        Seed.

    Returns
    -------
    dict of str to Estimate
        By treatment.

    Raises
    ------
    DataError
        Counts do not fit the design, or more patients were seen than it has.
    SpecificationError
        The design has clusters or dropout.

    References
    ----------
    .. [1] Spiegelhalter, D. J., Freedman, L. S., Blackburn, P. R. (1986). Monitoring clinical
       trials: conditional or predictive power? Controlled Clinical Trials 7(1).

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4,), "new": (0.6,)}, per_arm=50)
    >>> print(predictive_probability(design, [[10, 15], [17, 8]], random_seed=1)["new"])
    0.8579 (0.0035)
    """
    if design.clusters is not None or design.missing.any():
        raise SpecificationError(
            "predictive_probability takes designs without clusters and dropout."
        )
    seen = _whole(counts, design)
    left = design.patients - seen.sum(axis=1)
    rng = np.random.default_rng(random_seed)
    weights = component_weights(design, seen[None])[0]
    component = rng.choice(len(weights), trials, p=weights)
    phi = rng.standard_gamma(seen + design.mixture[1][component])
    phi /= phi.sum(axis=-1, keepdims=True)
    final = seen + rng.multinomial(left, phi)
    marginal = marginal_probabilities(design, final, observed_successes(design, final, rng), rng)
    better = (decisive(design, marginal) > design.cutoff).mean(axis=0)
    return {
        arm: Estimate.share(p, trials) for arm, p in zip(design.treatments, better, strict=True)
    }


def _whole(counts: Any, design: TrialDesign) -> Array:
    given = np.asarray(counts)
    shape = (len(design.arms), 2 ** len(design.names))
    if given.shape != shape or given.dtype.kind not in "iuf":
        raise DataError(
            f"counts has shape {given.shape}; {shape} is needed, a line per arm "
            f"({', '.join(design.arms)}) and a column per response pattern."
        )
    whole = given.astype(int)
    if (whole != given).any() or (whole < 0).any():
        raise DataError("counts must be whole numbers from 0 on.")
    if (whole.sum(axis=1) > design.patients).any():
        raise DataError(
            f"counts has {whole.sum(axis=1).tolist()} patients, more than the design's "
            f"{design.patients.tolist()}."
        )
    return whole
