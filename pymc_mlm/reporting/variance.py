"""How much of the outcome's variation each part of a model accounts for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.errors import SpecificationError, warn_of_data
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB, interval_names
from pymc_mlm.reporting.effects import (
    nested_of,
    population_coefficients,
    refuse_categories,
    varying_slope,
)
from pymc_mlm.reporting.extrapolation import values_outside
from pymc_mlm.reporting.summary import Table, draws_table, moments
from pymc_mlm.reporting.weights import REPORT_DRAWS

if TYPE_CHECKING:
    import pandas as pd

SCALES = {
    "identity": "the outcome",
    "logit": "the log odds",
    "log": "the log mean",
    "probit": "the normal quantile of the probability",
    "cloglog": "the log cumulative hazard",
}
CURVE_POINTS = 41


def variance_decomposition(
    fit: Fit, at: Mapping[str, float] | None = None, ci_prob: float = CI_PROB
) -> Table:
    """Split the random variation between the terms and the residual.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    at : mapping of str to float, optional
        Values of columns whose slopes vary; their means by default. With varying slopes the
        shares depend on it; `variance_shares` shows how.
    ci_prob : float
        Probability inside the intervals.

    Returns
    -------
    Table
        Per term, nested level and for the residual: standard deviation, variance, share of the
        total with its interval.

    Raises
    ------
    SpecificationError
        The model has no random effects.

    Notes
    -----
    The residual is on the scale of the link: ``sigma**2`` (Gaussian), ``pi**2 / (6 shape**2)``
    (Weibull, log time; bml reports ``1 / shape**2``, which is too small by a factor 1.645),
    ``pi**2 / 6`` (Cox, log cumulative baseline hazard: the shares of a Weibull model),
    ``pi**2 / 3`` (logit), ``log(1 + 1 / mean)`` (Poisson) at the mean of the covariates [1]_.
    Unordered categories have rows for each category, and shares of its log odds against the
    reference, whose residual is the difference of two Gumbel errors, ``pi**2 / 3`` [2]_.

    References
    ----------
    .. [1] Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of
       determination R2 and intra-class correlation coefficient from generalized linear
       mixed-effects models revisited and expanded. J. R. Soc. Interface 14, 20170213.
    .. [2] Hedeker, D. (2003). A mixed-effects multinomial logistic regression model. Statistics in
       Medicine 22, 1433-1446.
    """
    title = f"Variance decomposition of {fit.spec.label}"
    if fit.design.by:
        return _of_categories(fit, title, at or {}, ci_prob)
    parts = variances(fit, at)
    warn_outside(fit, at or {})
    residual = residual_variance(fit, parts)
    notes = [
        f"Variances on the scale of {_scale(fit)}, computed per draw; what covariates explain is "
        f"left out.{_place(fit, at)}"
    ]
    if any(hasattr(term, "weight_function") for term, _ in fit.design.terms):
        notes[0] += " Member effects: variance of each group's weighted sum, averaged over groups."
    return decomposition_table(title, parts, residual, notes, ci_prob)


def _of_categories(fit: Fit, title: str, at: Mapping[str, float], ci_prob: float) -> Table:
    """Tabulate the parts of the log odds of each category, with shares of their own total."""
    import pandas as pd

    draws = fit.sample("sd", "weight", most=REPORT_DRAWS if fit.names("weight") else None)
    frames = []
    for place, category in enumerate(fit.design.by):
        parts = _parts_of_category(fit, draws, at, place)
        residual = fit.spec.family.residual_variance({})
        own = decomposition_table(title, parts, residual, (), ci_prob).frame
        frames.append(own.rename(index={n: f"{n}, {category}" for n in own.index}))
    note = (
        f"Variances on the scale of {_scale(fit)}, computed per draw, and shares of the total of "
        "that category; what covariates explain is left out."
    )
    return Table(title, pd.concat(frames), (note,))


def _parts_of_category(
    fit: Fit, draws: Mapping[str, np.ndarray], at: Mapping[str, float], place: int
) -> dict[str, np.ndarray]:
    """Return the variance that each term gives to the log odds of a category, (draw,)."""
    begin = f"{fit.design.by[place]}:"
    parts: dict[str, np.ndarray] = {}
    slopes = {id(part): term.varying_columns(part) for term, part in fit.design.terms}
    every = [n.removeprefix(begin) for names in slopes.values() for n in names
             if n.startswith(begin)]  # fmt: skip
    for name, value in at.items():
        if name not in every or not np.isfinite(value):
            raise SpecificationError(
                f"at={dict(at)!r}: give finite numbers of columns whose coefficients vary: "
                f"{', '.join(dict.fromkeys(every)) or 'none in this model'}."
            )
    for term, part in fit.design.terms:
        own = {f"{begin}{n}": v for n, v in at.items() if f"{begin}{n}" in slopes[id(part)]}
        parts |= term.variance(part, draws, own, place)
    if not parts:
        raise SpecificationError(
            "The model has no random effects, so there is no variance to split."
        )
    return parts


def variance_shares(
    fit: Fit,
    column: str | None = None,
    values: Sequence[float] | None = None,
    ci_prob: float = CI_PROB,
) -> pd.DataFrame:
    """Tabulate the variance partition coefficient of each part along a covariate.

    Arguments and result are those of `AbstractLinearEstimator.variance_shares`.
    """
    refuse_categories(fit, "variance_shares()", "variance_decomposition(at={'x': value})")
    nested, column = nested_of(fit), varying_slope(fit, column)
    if values is None:
        j = nested.columns.index(column)
        values = nested.means[j] + nested.spreads[j] * np.linspace(-2, 2, CURVE_POINTS)
    else:
        if not len(values) or not np.isfinite(np.asarray(values, dtype=float)).all():
            raise SpecificationError(
                f"values={list(values)!r} of {column!r} must be finite numbers, at least one."
            )
        warn_outside(fit, {column: values})
    points = []
    for value in values:
        parts = variances(fit, {column: float(value)})
        residual = residual_variance(fit, parts)
        points.append(parts if residual is None else parts | {"residual": residual})
    along = {name: np.stack([p[name] for p in points], axis=1) for name in points[0]}
    return share_table(along, column, list(values), ci_prob)


def variances(fit: Fit, at: Mapping[str, float] | None = None) -> dict[str, np.ndarray]:
    """Return the variance that each term gives to the linear predictor, (draw,), by its label."""
    # Weights are evaluated draw by draw, which takes time.
    most = REPORT_DRAWS if fit.names("weight") else None
    draws = fit.sample("sd", "weight", most=most)
    parts: dict[str, np.ndarray] = {}
    point = dict(at or {})
    varying = {id(part): term.varying_columns(part) for term, part in fit.design.terms}
    everywhere = [name for names in varying.values() for name in names]
    if point and not everywhere:
        raise SpecificationError(f"at={point!r}: the model has no varying slopes.")
    for name, value in point.items():
        if name == "Intercept":
            raise SpecificationError(
                f"The intercept is no covariate; those whose slopes vary: {', '.join(everywhere)}."
            )
        if name not in everywhere:
            raise SpecificationError(
                f"at={point!r}: no coefficient of {name!r} varies; those that do: "
                f"{', '.join(dict.fromkeys(everywhere))}."
            )
        if not np.isfinite(value):
            raise SpecificationError(f"at={point!r}: {name!r} needs a finite number.")
    for term, part in fit.design.terms:
        own = {n: v for n, v in point.items() if n in varying[id(part)]}
        parts |= term.variance(part, draws, own)
    if not parts:
        raise SpecificationError(
            "The model has no random effects, so there is no variance to split."
        )
    return parts


def warn_outside(fit: Fit, asked: Mapping[str, Any]) -> None:
    """Warn of values that lie outside the observed range of a varying column."""
    nested = fit.design.nested
    for column, values in asked.items():
        if nested is not None and column in nested.columns:
            for text in values_outside(column, values, nested.values[nested.columns.index(column)]):
                warn_of_data(text)


def residual_variance(fit: Fit, parts: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return the residual variance on the scale of the link, (draw,), or None.

    The population's part of the predictor is at the mean of the covariates.
    """
    count = len(next(iter(parts.values())))
    family, population = fit.spec.family, fit.design.population
    parameters = fit.sample("family", most=count)
    names = ("Intercept", *population.names)
    beta = population_coefficients(fit, names).reshape(-1, len(names))
    beta = beta[np.linspace(0, len(beta) - 1, count).astype(int)]
    X, of_rows = population.X, fit.design.weights
    means = X.mean(axis=0) if of_rows is None else of_rows @ X / of_rows.sum()
    at_mean = beta @ np.append(1.0, means)
    # Counts: the mean of exp(eta) over units is that of a log-normal.
    fixed = np.average(fit.design.offset, weights=of_rows)
    eta = at_mean + fixed + 0.5 * np.sum([*parts.values()], axis=0)
    residual = family.residual_variance({"eta": eta, **parameters})
    return None if residual is None else np.broadcast_to(residual, eta.shape)


def decomposition_table(
    title: str,
    components: Mapping[str, np.ndarray],
    residual: np.ndarray | None,
    notes: Sequence[str],
    ci_prob: float = CI_PROB,
) -> Table:
    """Tabulate variances and their shares of the random variation.

    Parameters
    ----------
    title : str
        Heading.
    components : mapping of str to ndarray, shape (draw,)
        Variance of each random part.
    residual : ndarray, shape (draw,), or None
        Residual variance on the same scale; None for a family that has none.
    notes : sequence of str
        Sentences below the table.
    ci_prob : float
        Probability inside the intervals.

    Returns
    -------
    Table
        Rows: components and residual; columns: standard deviation, variance, and the share of
        the total with its interval.
    """
    import pandas as pd

    parts = dict(components)
    if residual is not None:
        parts["residual"] = np.broadcast_to(residual, next(iter(parts.values())).shape)
    shares = draws_table(shares_of(parts), ci_prob)
    frame = pd.DataFrame(
        {
            "sd": {name: float(np.sqrt(v).mean()) for name, v in parts.items()},
            "variance": {name: float(v.mean()) for name, v in parts.items()},
            "share": shares["mean"],
            **{f"share_{c}": shares[c] for c in shares.columns if c.startswith("eti")},
        }
    )
    below = list(notes)
    if residual is None:
        below.append("The family has no residual variance: shares are of the random part only.")
    elif np.isinf(parts["residual"]).any():
        count = int(np.isinf(parts["residual"]).sum())
        below.append(
            f"In {count} of {len(parts['residual'])} draws the residual variance is infinite "
            "(nu <= 2), and its share is 1."
        )
    return Table(title, frame, tuple(below))


def shares_of(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return each variance as a share of the total; an infinite one has all of it."""
    total = np.sum(list(parts.values()), axis=0)
    with np.errstate(invalid="ignore"):
        return {name: np.where(np.isinf(v), 1.0, v / total) for name, v in parts.items()}


def share_table(
    parts: Mapping[str, np.ndarray],
    column: str,
    values: Sequence[float],
    ci_prob: float = CI_PROB,
) -> pd.DataFrame:
    """Tabulate shares of the total variance at several values of a covariate.

    Parameters
    ----------
    parts : mapping of str to ndarray, shape (draw, point)
        Variances, the residual among them.
    column : str
        The covariate.
    values : sequence of float
        Its values, one per point.
    ci_prob : float
        Probability inside the intervals.

    Returns
    -------
    pandas.DataFrame
        A row per value and part: variance, share (VPC) with its interval.
    """
    import pandas as pd

    shares = shares_of(parts)
    lower, upper = (f"share_{name}" for name in interval_names(ci_prob))
    frames = []
    for name, variance in parts.items():
        mean, _, low, high = moments(shares[name], ci_prob)
        own = {"variance": variance.mean(axis=0), "share": mean, lower: low, upper: high}
        frames.append(pd.DataFrame({column: values, "part": name, **own}))
    frame = pd.concat(frames).sort_index(kind="stable")  # by value, parts in their order
    return frame.set_index([column, "part"])


def _scale(fit: Fit) -> str:
    return fit.spec.family.latent or SCALES[fit.spec.family.link]


def _place(fit: Fit, at: Mapping[str, float] | None) -> str:
    """Return a sentence that names the point at which slopes are taken."""
    nested = fit.design.nested
    own = [
        n for t, part in fit.design.terms if part is not nested for n in t.varying_columns(part)
    ]  # fmt: skip
    free = [n for n in dict.fromkeys(own) if n not in (at or {})]
    text = f" Members' slopes at the rows' own {', '.join(free)}." if free else ""
    if nested is None:
        return text + _values({n: v for n, v in (at or {}).items() if n in own})
    means = dict(zip(nested.columns, nested.means.tolist(), strict=True)) | dict(at or {})
    return text + _values({n: v for n, v in means.items() if n != "Intercept"})


def _values(point: Mapping[str, float]) -> str:
    return f" At {', '.join(f'{n} = {v:.4g}' for n, v in point.items())}." if point else ""
