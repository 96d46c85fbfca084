"""Parts of a report that every model has: priors, diagnostics, and what makes it reproducible."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.fit import EFFECTIVE_SIZE, K_HAT, Fit
from pymc_mlm.reporting.chain_figures import chain_figures
from pymc_mlm.reporting.coordinates import labelled
from pymc_mlm.reporting.diagnostics import ESS_PER_CHAIN, RHAT_LIMIT, diagnose, direct_kind
from pymc_mlm.reporting.justified_priors import without_address

WITHIN = "Every figure is within its limit."


def convergence(fit: Fit, results: xr.Dataset | None = None) -> dict[str, Any]:
    """Return figures of convergence and what they show, as parts of a section.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    results : Dataset, optional
        Draws of results that are derived from parameters, which get figures of their own.
    """
    sizes, attrs = fit.posterior.sizes, fit.posterior.attrs
    facts: dict[str, Any] = {"way to the draws": fit.path}
    facts |= {"chains": sizes["chain"], "draws per chain": sizes["draw"]}
    if K_HAT in attrs:
        facts |= {
            "tail shape of the importance weights (k-hat)": float(attrs[K_HAT]),
            "effective number of draws": float(attrs[EFFECTIVE_SIZE]),
            "draws are of the exact posterior": not fit.is_approximate,
        }
        return {"Draws": facts}
    kind = direct_kind(fit)
    if kind is not None:
        with short_chains():
            derived = [] if results is None or sizes["chain"] == 1 else _of_results(results)
        return {
            "Draws": facts | {"kind": kind},
            "Convergence of the results": derived,
        }
    found = diagnose(fit)
    facts |= {
        "largest R-hat": found.max_rhat,
        "parameter with the largest R-hat": found.max_rhat_parameter,
        "limit of R-hat": RHAT_LIMIT,
        "smallest bulk effective sample size": found.min_ess,
        "parameter with the smallest size": found.min_ess_parameter,
        "wanted at least": ESS_PER_CHAIN * found.chains,
        "divergent transitions": found.divergences,
    }
    problems = found.problems() or [WITHIN]
    derived = [] if results is None else _of_results(results)
    return {"Draws": facts, "Findings": problems, "Convergence of the results": derived}


@contextmanager
def short_chains() -> Iterator[None]:
    """Keep back ArviZ's warning of more chains than draws: data augmentation has 100 chains."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found chain dimension to be longer", UserWarning)
        yield


def reproduction(fit: Fit, call: str, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return model, settings, versions and fingerprints of the data, as parts of a section.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    call : str
        The model as code.
    digests : mapping of str to str
        SHA-256 of the columns; of all of them under the empty name.
    """
    settings = dict(fit.settings)
    seed = settings.pop("random_seed", None)
    columns = [{"column": k, "SHA-256": v} for k, v in digests.items() if k]
    rule = (
        "SHA-256 of the columns that were read, rows in their order: numbers as little-endian "
        "double-precision, other values as their text, each preceded by its length. The same seed "
        "gives the same draws only on the same machine and versions."
    )
    return {
        "Model as code": without_address(call),
        "Settings of the fit": {"random_seed": seed, **settings},
        "Versions": dict(fit.versions),
        "Data": {"rows of the table": _rows(fit), "SHA-256 of all columns": digests.get("")},
        "Columns": columns,
        "How": rule,
    }


def _rows(fit: Fit) -> int | None:
    return None if fit.table is None else int(fit.table.num_rows)


def _of_results(results: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for name, values in results.data_vars.items():
        flat = values.transpose("chain", "draw", ...)
        for label, place in labelled(flat.isel(chain=0, draw=0, drop=True)):
            own = flat[:, :, *place].values
            found = chain_figures(own, "r_hat", "ess_bulk", "ess_tail", "ess_mean")
            rows.append(
                {
                    "result": f"{name}{label}",
                    "R-hat": float(found["r_hat"]),
                    "bulk ESS": float(found["ess_bulk"]),
                    "tail ESS": float(found["ess_tail"]),
                    "Monte Carlo error of the mean": float(
                        np.std(own) / np.sqrt(found["ess_mean"])
                    ),
                }
            )
    return rows
