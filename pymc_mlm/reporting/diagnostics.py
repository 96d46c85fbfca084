"""Warnings of draws that should not be trusted, once, with numbers and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.fit import Fit
from pymc_mlm.reporting.chain_figures import chain_figures

RHAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
# Checking every one of a million effects costs more than sampling them; a spread of them tells
# the same.
MOST_ELEMENTS = 1_000
# The path whose draws no sampler made.
DIRECT = "dirichlet"


class ConvergenceWarning(UserWarning):
    """The draws of a fit may not represent its posterior."""


@dataclass(frozen=True)
class Diagnostics:
    """Convergence figures of a fit.

    Attributes
    ----------
    max_rhat : float
        Largest rank-normalised split R-hat.
    max_rhat_parameter : str
        Where it was found.
    min_ess : float
        Smallest bulk effective sample size.
    min_ess_parameter : str
        Where it was found.
    divergences : int
        Number of divergent transitions after warm-up.
    chains, draws : int
        Chains and kept draws per chain.
    unchecked : tuple of str
        Variables with draws that are not finite, which no figure covers.
    """

    max_rhat: float
    max_rhat_parameter: str
    min_ess: float
    min_ess_parameter: str
    divergences: int
    chains: int
    draws: int
    unchecked: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """Return one sentence per limit that is broken, each with its remedy."""
        found = []
        if self.chains == 1:
            found.append(
                "One chain: convergence was not checked, because R-hat compares chains. Run "
                "chains=4."
            )
        elif np.isnan(self.max_rhat):
            found.append(
                f"R-hat cannot be computed from {self.draws} draws of {self.chains} chains: "
                "convergence was not checked. Draw longer (draws=1000)."
            )
        if self.unchecked:
            found.append(
                f"Draws of {', '.join(self.unchecked[:5])} are not finite, and no R-hat exists "
                "for them. Look at the scale of the data and at the prior."
            )
        if self.max_rhat > RHAT_LIMIT:
            found.append(
                f"R-hat is {self.max_rhat:.4f} for {self.max_rhat_parameter} (limit "
                f"{RHAT_LIMIT}): the chains may disagree. Draw longer (tune=2000, draws=2000)."
            )
        needed = ESS_PER_CHAIN * self.chains
        if self.min_ess < needed:
            found.append(
                f"The bulk effective sample size is {self.min_ess:.0f} for "
                f"{self.min_ess_parameter} (at least {needed} wanted, {ESS_PER_CHAIN} per chain). "
                "Draw longer (draws=2000)."
            )
        if self.divergences:
            total = self.chains * self.draws
            found.append(
                f"{self.divergences} of {total} transitions diverged: parts of the posterior were "
                "not reached, and spreads may be too small even where R-hat looks clean. Use "
                "sampler=Nutpie(target_accept=0.99), or a tighter prior on the sd."
            )
        return found


def way(fit: Fit) -> str:
    """Return the path of the draws and their number, for a line below a table."""
    chains, draws = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    return f"path {fit.path!r}: {chains} chain{'s' * (chains > 1)} of {draws} draws"


def direct_kind(fit: Fit) -> str | None:
    """Return of which kind direct draws are, in words; None where a sampler made them."""
    if fit.path != DIRECT:
        return None
    several = fit.posterior.sizes["chain"] > 1
    kind = "draws by data augmentation" if several else "independent draws"
    return f"{kind} from the exact posterior"


def diagnose(fit: Fit) -> Diagnostics:
    """Compute R-hat, effective sample size and divergences of a fit.

    Parameters
    ----------
    fit : Fit
        A fitted model. Of vectors with more than 1,000 elements (effects of very many units) an
        evenly spaced 1,000 are checked.

    Returns
    -------
    Diagnostics
    """
    posterior = fit.posterior[[n for n in fit.roles if n in fit.posterior]]
    posterior = posterior.map(_thin_elements, keep_attrs=True)
    figures = [_r_hat_and_size(values) for values in posterior.data_vars.values()]
    worst_rhat, at_rhat = _extreme(fit, [r_hat for r_hat, _ in figures], np.nanargmax)
    worst_ess, at_ess = _extreme(fit, [size for _, size in figures], np.nanargmin)
    diverging = fit.idata["sample_stats"]["diverging"] if "sample_stats" in fit.idata else None
    return Diagnostics(
        max_rhat=worst_rhat,
        max_rhat_parameter=at_rhat,
        min_ess=worst_ess,
        min_ess_parameter=at_ess,
        divergences=0 if diverging is None else int(diverging.sum()),
        chains=posterior.sizes["chain"],
        draws=posterior.sizes["draw"],
        unchecked=_not_finite(posterior),
    )


def _r_hat_and_size(values: Any) -> tuple[Any, Any]:
    """Return R-hat and bulk effective size of every element."""
    values = values.transpose("chain", "draw", ...)
    found = chain_figures(values.values, "r_hat", "ess_bulk")
    first = values.isel(chain=0, draw=0, drop=True)
    return first.copy(data=found["r_hat"]), first.copy(data=found["ess_bulk"])


def _not_finite(posterior: Any) -> tuple[str, ...]:
    return tuple(str(n) for n, x in posterior.data_vars.items() if not np.isfinite(x.values).all())


def _thin_elements(values: Any) -> Any:
    for dim in values.dims:
        if dim not in ("chain", "draw") and values.sizes[dim] > MOST_ELEMENTS:
            keep = np.linspace(0, values.sizes[dim] - 1, MOST_ELEMENTS).astype(int)
            values = values.isel({dim: keep})
    # A private dimension per variable: thinned and full vectors of one dim cannot be aligned.
    return values.rename(
        {d: f"{d}__{values.name}" for d in values.dims if d not in ("chain", "draw")}
    )


def _extreme(fit: Fit, stats: Any, choose: Any) -> tuple[float, str]:
    values, labels = [], []
    for array in stats:
        flat = np.atleast_1d(array.values).ravel()
        if not np.isfinite(flat).any():
            continue
        at = int(choose(flat))
        values.append(float(flat[at]))
        labels.append(fit.roles[array.name].text(_coordinate(array, at)))
    if not values:
        return float("nan"), "any parameter"
    best = int(choose(np.array(values)))
    return values[best], labels[best]


def _coordinate(array: Any, at: int) -> Any:
    """Return the label of an element, or its labels in a matrix, joined."""
    if not array.ndim:
        return None
    place = zip(array.dims, np.unravel_index(at, array.shape), strict=True)
    labels = [array.coords[d].values[i] if d in array.coords else int(i) for d, i in place]
    return labels[0] if len(labels) == 1 else ", ".join(map(str, labels))
