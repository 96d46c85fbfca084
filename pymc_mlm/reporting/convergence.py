"""How well the draws of each parameter stand for its posterior, with advice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.fit import EFFECTIVE_SIZE, Fit
from pymc_mlm.reporting.diagnostics import ESS_PER_CHAIN, RHAT_LIMIT, diagnose
from pymc_mlm.reporting.summary import MODEL_KINDS, Table, check_kinds

# Share of a posterior's standard deviation that the error of its mean may have.
MCSE_LIMIT = 0.1


def convergence(fit: Fit, kinds: tuple[str, ...] = MODEL_KINDS) -> Table:
    """Tabulate the figures of each parameter by which draws are judged.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    kinds : tuple of str
        Roles of the parameters; effects are summed up in the notes.

    Returns
    -------
    Table
        A row per parameter, the worst effective sample size first: R-hat, bulk and tail effective
        sample size, Monte Carlo error of mean and standard deviation, and that of the mean per
        posterior standard deviation. Notes: what is wrong, and what to do.
    """
    import pandas as pd

    check_kinds(kinds)
    names = [name for kind in kinds for name in fit.names(kind)]
    rows = {label: figures(own) for name in names for label, own in _parameters(fit, name)}
    frame = pd.DataFrame(rows).T.sort_values("ess_bulk", kind="stable")
    weighted = fit.posterior.attrs.get(EFFECTIVE_SIZE)
    if weighted is not None:  # resampled by weight, with repetitions
        frame[["ess_bulk", "ess_tail"]], frame["r_hat"] = weighted, np.nan
        frame["mcse_mean"] = frame["sd"] / np.sqrt(weighted)
        frame["mcse_sd"] = frame["sd"] / np.sqrt(2.0 * weighted)
        frame["mcse_per_sd"] = 1.0 / np.sqrt(weighted)
    return Table(f"Convergence of {fit.spec.label}", frame.drop(columns="sd"), _advice(fit, frame))


def _parameters(fit: Fit, name: str) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield label and draws of each element of a variable."""
    values, role = fit.posterior[name].transpose("chain", "draw", ...), fit.roles[name]
    dims = [str(d) for d in values.dims[2:]]
    for at in np.ndindex(values.shape[2:]):
        own = values.isel(dict(zip(dims, at, strict=True)))
        labels = [values[d].values[i] for d, i in zip(dims, at, strict=True)]
        label = labels[0] if len(labels) == 1 else tuple(labels)
        yield role.text(label) if dims else role.text(), own.reset_coords(drop=True)


def figures(draws: xr.DataArray) -> dict[str, float]:
    """Return the figures of one parameter, its posterior standard deviation among them."""
    import arviz_stats

    def one(values: Any) -> float:
        return float(np.asarray(values))

    sd = float(draws.std(ddof=1))
    error = one(arviz_stats.mcse(draws, method="mean"))
    return {
        "r_hat": one(arviz_stats.rhat(draws)) if draws.sizes["chain"] > 1 else np.nan,
        "ess_bulk": one(arviz_stats.ess(draws, method="bulk")),
        "ess_tail": one(arviz_stats.ess(draws, method="tail")),
        "mcse_mean": error,
        "mcse_sd": one(arviz_stats.mcse(draws, method="sd")),
        "mcse_per_sd": error / sd if sd > 0 else np.nan,
        "sd": sd,
    }


def _advice(fit: Fit, frame: Any) -> tuple[str, ...]:
    """Return what is wrong with the draws, what to do, and what nothing speaks against."""
    weighted = EFFECTIVE_SIZE in fit.posterior.attrs
    if weighted:
        return (
            "Draws were weighted to the posterior without a chain: there is no R-hat, and all "
            "parameters have the effective size of the weights.",
        )
    found = diagnose(fit)
    advice = found.problems()
    tail = frame["ess_tail"].min()
    needed = ESS_PER_CHAIN * found.chains
    if tail < needed:
        advice.append(
            f"The tail effective sample size is {tail:.0f} for {frame['ess_tail'].idxmin()} (at "
            f"least {needed} wanted): bounds of its intervals are rough. Draw longer (draws=2000)."
        )
    coarse = frame["mcse_per_sd"].max()
    if coarse > MCSE_LIMIT:
        advice.append(
            f"The mean of {frame['mcse_per_sd'].idxmax()} has a Monte Carlo error of "
            f"{100 * coarse:.0f}% of its posterior sd (at most {100 * MCSE_LIMIT:.0f}% wanted): "
            "report fewer digits, or draw longer."
        )
    if not advice:
        advice.append(
            f"No R-hat above {RHAT_LIMIT}, no effective sample size below {ESS_PER_CHAIN} a chain, "
            f"no divergence; effects of units included (smallest effective sample size "
            f"{found.min_ess:.0f}, {found.min_ess_parameter})."
        )
    return tuple(advice)
