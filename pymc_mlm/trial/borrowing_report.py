"""Historical controls that a fitted trial borrows from: how many persons, and any conflict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import gammaln

from pymc_mlm.decisions import success_probability
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.priors.control_prior import ControlPrior
from pymc_mlm.reporting.borrowed_controls import BorrowedControls, borrowed_controls
from pymc_mlm.trial.questions import cell_probability, draws_of, outcomes


def borrowing(fit: Fit, ci_prob: float = CI_PROB) -> BorrowedControls:
    """Compare the prior of the control with its data.

    Parameters
    ----------
    fit : Fit
        A fitted trial whose prior of ``cell_probability`` borrows.
    ci_prob : float
        Probability inside the prior's intervals.

    Returns
    -------
    BorrowedControls

    Raises
    ------
    SpecificationError
        The trial borrows nothing.
    """
    prior = fit.spec.trial_priors.control
    if prior is None:
        raise SpecificationError(
            "The trial borrows from no historical controls. Fit with "
            "priors={'cell_probability': borrowing.robust_map(...)} or borrowing.power_prior(...)."
        )
    after = _weights(fit, prior)
    last = len(after) - 1
    components = [
        {
            "component": "vague" if prior.is_robust and c == last else f"historical {c + 1}",
            "persons": sum(prior.components[c]),
            "prior weight": prior.weights[c],
            "posterior weight": after[c].item(),
        }
        for c in range(len(after))
    ]
    return borrowed_controls(
        prior.label, list(_rows(fit, prior, ci_prob)), components, prior.is_robust
    )


def _rows(fit: Fit, prior: ControlPrior, ci_prob: float) -> Iterator[dict[str, Any]]:
    """Yield a row per outcome."""
    control = fit.design.trial.observed[fit.design.trial.arm.codes == 0]
    theta = success_probability(cell_probability(fit), outcomes(fit)).isel(arm=0)
    sizes = [prior.effective_sample_size(method) for method in ("elir", "moment")]
    for k, name in enumerate(prior.outcomes):
        seen, before = control[~np.isnan(control[:, k]), k], prior.success(name)
        lower, upper = before.interval(ci_prob)
        yield {
            "outcome": name,
            "observed": len(seen),
            "share": float(seen.mean()) if len(seen) else float("nan"),
            "prior mean": before.mean(),
            "lower": lower,
            "upper": upper,
            "ESS": sizes[0][name],
            "ESS by moments": sizes[1][name],
            "prior predictive p": before.predictive_p(int(seen.sum()), len(seen)),
            "posterior mean": float(theta.isel(outcome=k).mean()),
        }


def _weights(fit: Fit, prior: ControlPrior) -> np.ndarray:
    """Return posterior weights: means over draws of those given the control's probabilities."""
    if fit.spec.is_conjugate:
        log_phi = np.log(np.maximum(fit.posterior["cell_probability"].isel(arm=0).values, 1e-300))
        log_phi = log_phi.reshape(-1, log_phi.shape[-1])
    else:
        draws, matrix = draws_of(fit).coefficients, fit.design.matrix
        psi = draws.beta @ np.linalg.inv(matrix.by_arm)[0] @ draws.basis.T
        psi = np.column_stack([psi, np.zeros(len(psi))])
        log_phi = psi - np.logaddexp.reduce(psi, axis=1, keepdims=True)
    a = np.array(prior.components)
    log_f = log_phi @ (a - 1).T + gammaln(a.sum(axis=1)) - gammaln(a).sum(axis=1)
    log_f += np.log(np.maximum(prior.weights, 1e-300))
    share = np.exp(log_f - np.logaddexp.reduce(log_f, axis=1, keepdims=True))
    return np.asarray(share.mean(axis=0))
