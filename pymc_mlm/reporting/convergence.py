"""How well the draws of each parameter stand for its posterior, with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pymc_mlm.fit import EFFECTIVE_SIZE, Fit
from pymc_mlm.reporting.chain_figures import chain_figures
from pymc_mlm.reporting.diagnostics import ESS_PER_CHAIN, RHAT_LIMIT, diagnose
from pymc_mlm.reporting.summary import MODEL_KINDS, Table, check_kinds

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("r_hat", "ess_bulk", "ess_tail", "mcse_mean", "mcse_sd")

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
    frame = pd.concat([_of_variable(fit, name) for name in names])
    frame = frame.sort_values("ess_bulk", kind="stable")
    weighted = fit.posterior.attrs.get(EFFECTIVE_SIZE)
    if weighted is not None:  # resampled by weight, with repetitions
        frame[["ess_bulk", "ess_tail"]], frame["r_hat"] = weighted, np.nan
        frame["mcse_mean"] = frame["sd"] / np.sqrt(weighted)
        frame["mcse_sd"] = frame["sd"] / np.sqrt(2.0 * weighted)
        frame["mcse_per_sd"] = 1.0 / np.sqrt(weighted)
    return Table(f"Convergence of {fit.spec.label}", frame.drop(columns="sd"), _advice(fit, frame))


def _of_variable(fit: Fit, name: str) -> pd.DataFrame:
    """Return the figures of each element of a variable, its posterior standard deviation too."""
    import pandas as pd

    values, role = fit.posterior[name].transpose("chain", "draw", ...), fit.roles[name]
    found = {key: x.ravel() for key, x in chain_figures(values.values, *FIGURES).items()}
    sd = values.values.std(axis=(0, 1), ddof=1).ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        found["mcse_per_sd"] = np.where(sd > 0, found["mcse_mean"] / sd, np.nan)
    return pd.DataFrame(found | {"sd": sd}, index=_labels(values, role))


def _labels(values: xr.DataArray, role: Any) -> list[str]:
    """Return the text of each element."""
    dims = values.dims[2:]
    if not dims:
        return [role.text()]
    labels = []
    for at in np.ndindex(values.shape[2:]):
        own = [values[d].values[i] for d, i in zip(dims, at, strict=True)]
        labels.append(role.text(own[0] if len(own) == 1 else tuple(own)))
    return labels


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
