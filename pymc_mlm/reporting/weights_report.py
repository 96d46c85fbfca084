"""Whether estimated weights are identified: a table, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import interval
from pymc_mlm.reporting.summary import Table
from pymc_mlm.reporting.weights import REPORT_DRAWS

# Of a parameter whose posterior variance is half of its prior's; docs/weights.md has error rates.
WEAK = 0.5
# Where what weights multiply may be zero, a parameter is identified only beyond this.
STRONG = 0.75
# An sd may be zero if its 5% quantile is below this share of its median.
NEAR_ZERO = 0.25
# Correlation of parameters that can hardly be told apart.
INSEPARABLE = 0.9
PRIOR_DRAWS = 20_000
# Weights of every row are computed for so many draws.
WEIGHT_DRAWS = 300
WEIGHTS = "the weights"
# Width of the central 95% of a normal, in standard deviations.
WIDTH = 2 * 1.959964
# Pareto shape of a row whose leave-one-out density is not reliable.
UNRELIABLE = 0.7


def weights_report(
    fit: Fit,
    term: str | None = None,
    log_likelihoods: tuple[xr.Dataset, xr.Dataset] | None = None,
) -> Table:
    """Report whether the parameters of estimated weights are identified.

    Parameters
    ----------
    fit : Fit
        A fitted model with estimated weights.
    term : str, optional
        Name of the term; the first one with estimated weights by default.
    log_likelihoods : tuple of xarray.Dataset, optional
        Pointwise log likelihoods of this fit and of one with equal weights.

    Returns
    -------
    Table
        A row per parameter: posterior mean and sd, prior sd, contraction, correlation with each
        coefficient and standard deviation that the weights multiply, verdict. Its notes say it in
        words.

    Raises
    ------
    SpecificationError
        No such term, or its weights are not estimated.

    Notes
    -----
    Contraction is one less the ratio of posterior to prior variance [1]_, both by the width of
    the central 95%, so that a prior without a variance has one, too. Where the coefficients and
    the standard deviation of a term are zero, its weights vanish from the likelihood, and the
    posterior of their parameters is the prior [2]_.

    References
    ----------
    .. [1] Schad, D. J., Betancourt, M. & Vasishth, S. (2021). Toward a principled Bayesian
       workflow in cognitive science. Psychological Methods 26, 103-126.
    .. [2] Davies, R. B. (1987). Hypothesis testing when a nuisance parameter is present only under
       the alternative. Biometrika 74, 33-43.
    """
    import pandas as pd

    block, design = _term(fit, term)
    names = [f"{design.name}_weight_{b}" for b in block.weight_function.parameters]
    draws = {n: fit.posterior[n].values.ravel() for n in names}
    multiplied = _multiplied(fit, design.name)
    priors = fit.spec.priors_used(fit.design)
    may_vanish = all(_may_be_zero(*pair) for pair in multiplied.values())
    before = {n: _prior_draws(priors[n], n) for n in names}
    rows = {}
    for name, own in draws.items():
        prior_sd = _width(before[name]) / WIDTH
        contraction = 1.0 - (_width(own) / WIDTH / prior_sd) ** 2
        correlations = {f"corr {k}": _corr(own, v) for k, (_, v) in multiplied.items()}
        rows[fit.roles[name].text()] = {
            "mean": own.mean(), "sd": own.std(ddof=1), "prior_sd": prior_sd,
            "contraction": contraction, **correlations,
            "verdict": _verdict(contraction, may_vanish),
        }  # fmt: skip
    spread = [_spread(block, design, each) for each in (draws, before)]
    contraction = 1.0 - (spread[0] / spread[1]) ** 2
    rows[WEIGHTS] = {
        "sd": spread[0], "prior_sd": spread[1], "contraction": contraction,
        "verdict": _verdict(contraction, may_vanish),
    }  # fmt: skip
    frame = pd.DataFrame.from_dict(rows, orient="index")
    notes = [*_in_words(frame, multiplied, may_vanish), _elpd(log_likelihoods)]
    return Table(f"Weights of {block.label}: {block.weight_function.label}", frame, tuple(notes))


def _term(fit: Fit, name: str | None) -> tuple[Any, Any]:
    """Return a term with estimated weights, and its design."""
    blocks = [(t, d) for t, d in fit.design.terms if hasattr(t, "weight_function")]
    free = [(t, d) for t, d in blocks if t.weight_function.parameters]
    chosen = [(t, d) for t, d in free if name in (None, d.name)]
    if not chosen:
        have = ", ".join(d.name for _, d in free) or "none"
        asked = "" if name is None else f" {name!r}"
        raise SpecificationError(
            f"No term{asked} with estimated weights; the model has: {have}. Weights are estimated "
            "where mm(weight=...) has a free parameter, as 'exp(b * x)'."
        )
    return chosen[0]


def _multiplied(fit: Fit, name: str) -> dict[str, tuple[str, np.ndarray]]:
    """Return kind and draws of what the weights of a term multiply, by label."""
    found = {}
    for variable in (f"{name}_beta", f"{name}_sd"):
        if variable not in fit.roles:
            continue
        role, values = fit.roles[variable], fit.posterior[variable]
        if values.ndim == 2:
            found[role.text()] = (role.kind, values.values.ravel())
            continue
        dim = str(values.dims[-1])
        for i, label in enumerate(values[dim].values):
            found[role.text(label)] = (role.kind, values.isel({dim: i}).values.ravel())
    return found


def _may_be_zero(kind: str, draws: np.ndarray) -> bool:
    """Tell whether a coefficient's 95% interval holds zero, or an sd's posterior reaches it."""
    if kind == "sd":
        low, middle = np.quantile(draws, [0.05, 0.5])
        return bool(low < NEAR_ZERO * middle)
    low, high = interval(draws, 0.95)
    return bool(low < 0 < high)


def _verdict(contraction: float, may_vanish: bool) -> str:
    if may_vanish and contraction < STRONG:
        return "not identified"
    return "weak" if contraction < WEAK else "identified"


def _prior_draws(prior: Any, name: str) -> np.ndarray:
    with pm.Model(model=None):
        variable = prior.create_variable(name)
    return np.asarray(pm.draw(variable, draws=PRIOR_DRAWS, random_seed=0)).ravel()


def _spread(block: Any, design: Any, draws: Mapping[str, np.ndarray]) -> float:
    """Return the sd of a membership's weight over draws, the root of its mean square over rows."""
    count = len(next(iter(draws.values())))
    keep = np.linspace(0, count - 1, min(count, WEIGHT_DRAWS)).astype(int)
    weights = block.weight_draws(design, {n: v[keep] for n, v in draws.items()})
    return float(np.sqrt(weights.var(axis=0).mean()))


def _width(draws: np.ndarray) -> float:
    low, high = interval(draws, 0.95)
    return float(high - low)


def _corr(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one, two)[0, 1]) if one.std() > 0 and two.std() > 0 else np.nan


def _in_words(
    frame: Any, multiplied: Mapping[str, tuple[str, np.ndarray]], may_vanish: bool
) -> list[str]:
    """Return the verdict, and what is hardly separable."""
    told = {v: list(frame.index[frame["verdict"] == v]) for v in frame["verdict"].unique()}
    said = []
    if "not identified" in told:
        sizes = "; ".join(f"{label}: {_size(*pair)}" for label, pair in multiplied.items())
        said.append(
            f"Not identified: {', '.join(told['not identified'])}. What the weights multiply may "
            f"be zero ({sizes}), and then any weights fit as well. Do not interpret the weights; "
            "use equal ones, or say that their prior decides."
        )
    if "weak" in told:
        said.append(
            f"Weak: {', '.join(told['weak'])}. The posterior variance is more than half of the "
            "prior's, so that the weights follow it: give its reason, and compare another prior."
        )
    if "identified" in told:
        kept = frame.loc[told["identified"], "contraction"].min()
        beside = ", although each of what they multiply may be zero" if may_vanish else ""
        said.append(
            f"Identified: {', '.join(told['identified'])}. The posterior variance is at most "
            f"{100 * (1 - kept):.0f}% of the prior's{beside}."
        )
    for label, row in frame.iterrows():
        near = [c.removeprefix("corr ") for c in row.index if c.startswith("corr ")
                and abs(row[c]) > INSEPARABLE]  # fmt: skip
        if near:
            said.append(
                f"{label} is hardly separable from {', '.join(near)} (correlation above "
                f"{INSEPARABLE}): read them together, normalise the weights or anchor their form."
            )
    return said


def _size(kind: str, draws: np.ndarray) -> str:
    low, high = interval(draws, 0.95)
    return f"{draws.mean():.3g}, 95% {low:.3g} to {high:.3g}"


def _elpd(log_likelihoods: tuple[xr.Dataset, xr.Dataset] | None) -> str:
    """Return the difference of expected log predictive densities, in words."""
    if log_likelihoods is None:
        return (
            "For the elpd against equal weights fit the model with weight='1 / n', too, and call "
            "weights_report(equal=that_model)."
        )
    mine, other = (_pointwise(one) for one in log_likelihoods)
    if len(mine[0]) != len(other[0]):
        raise SpecificationError(
            f"equal= was fitted to {len(other[0])} rows or groups and this model to "
            f"{len(mine[0])}: fit both to one table."
        )
    difference = mine[0] - other[0]
    total, error = difference.sum(), np.sqrt(len(difference)) * difference.std(ddof=1)
    unreliable = int(((mine[1] > UNRELIABLE) | (other[1] > UNRELIABLE)).sum())
    doubt = (
        f" {unreliable} of {len(difference)} rows have k-hat above {UNRELIABLE}: rather compare by "
        "mlm.k_fold."
        if unreliable
        else ""
    )
    return (
        f"elpd of estimated less equal weights (PSIS-LOO): {total:.1f}, standard error {error:.1f}."
        f"{doubt}"
    )


def _pointwise(log_likelihood: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return elpd and Pareto shape of each row."""
    import warnings

    import arviz_stats

    keep = max(1, log_likelihood.sizes["draw"] // REPORT_DRAWS)
    thinned = log_likelihood.isel(draw=slice(None, None, keep))
    tree = xr.DataTree.from_dict(
        {"log_likelihood": thinned, "posterior": xr.Dataset(coords=thinned.coords)}
    )
    with warnings.catch_warnings():
        # Said in the note, with the number of rows.
        warnings.simplefilter("ignore", UserWarning)
        found = arviz_stats.loo(tree, pointwise=True, reff=1.0)
    return np.ravel(found.elpd_i), np.ravel(found.pareto_k)
