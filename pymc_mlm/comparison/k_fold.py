r"""Models compared by refits: each part of the table is predicted by a fit to all others.

.. math:: \widehat{\mathrm{elpd}} = \sum_i \log \frac1S \sum_s
    p(y_i \mid \theta^{(s)}_{-f(i)}, u^{(s)}_{-f(i)})

Effects of units that a fit has not seen are drawn from their distribution, one for each draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pymc_mlm.comparison.blocks import ROW
from pymc_mlm.comparison.left_out import refuse_many_rows
from pymc_mlm.comparison.parts import Part, Parts, divide
from pymc_mlm.comparison.scores import score_frame
from pymc_mlm.data.frame import Table as ReadTable
from pymc_mlm.data.frame import open_table
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.log_likelihood import density_of_outcome
from pymc_mlm.prediction import analysed_rows, linear_predictor_draws
from pymc_mlm.reporting.summary import Table


def k_fold(
    models: Mapping[str, Any],
    data: Any,
    k: int = 10,
    by: str = ROW,
    random_seed: int = 0,
    **options: Any,
) -> Table:
    """Compare models by what they predict of parts of the table that they were not fitted to.

    Each model is fitted `k` times, without one part of the table each time. It takes longer than
    `compare_weights`, which reweights the draws of one fit, and needs no importance weights.

    Parameters
    ----------
    models : mapping of str to estimator
        One model or more by name; they need not be fitted, and stay as they are.
    data : dataframe
        The table, with the outcome.
    k : int, default 10
        Number of parts.
    by : str
        "row", for observations in random parts; a column that is constant within observations,
        such as "country", whose units are kept together; or a column of members of `mm`, such as
        "party": a part is some members with all groups that they belong to. With as many parts as
        it has units, one unit is left out at a time.
    random_seed : int
        Seed of the parts, of the fits and of the effects of new units.
    **options
        Of `fit`: ``draws``, ``path``, ``sampler``, ...

    Returns
    -------
    Table
        A row per model, the best first: expected log predictive density ``elpd`` with standard
        error ``se``, its difference to the best model with the error ``dse`` of that, and the
        stacking ``weight``.

    Raises
    ------
    SpecificationError
        There is no model, it is none with one outcome, or it has survey weights.
    DataError
        The table cannot be divided in this way, or the models leave out other rows of it.

    Notes
    -----
    Errors of single observations are treated as independent [1]_. Default priors follow the scale
    of the rows that a fit has; state priors where that matters. A group whose members are in
    several parts is predicted once for each of these, and counts as often. With frequency weights
    the result is that of the table with each row as often as it counts: of a row of weight 3 a
    part may have one of the three, and the refit the other two.

    References
    ----------
    .. [1] Vehtari, A., Gelman, A. & Gabry, J. (2017). Practical Bayesian model evaluation using
       leave-one-out cross-validation and WAIC. Statistics and Computing 27, 1413-1432.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> table = mlm.datasets.coalitions(governments=60, countries=5)
    >>> model = mlm.MultipleMembershipModel("weeks ~ 1", mlm.mm("party", "government"))
    >>> found = mlm.k_fold({"mean": model}, table, k=2, path="collapsed", draws=200)
    >>> found.title
    'Leaving out one of 2 parts of 60 observations at a time'
    """
    _refuse(models)
    options = {"progressbar": False, "random_seed": random_seed, **options}
    members = _member_columns(models)
    found: dict[str, np.ndarray] = {}
    parts, before = Parts((), ""), None
    for name, model in models.items():
        spec = model.specification
        table = open_table(data, list(dict.fromkeys([*spec.columns, *([by] if by != ROW else [])])))
        design = spec.read(table)
        counts = np.ones(len(design.rows)) if design.weights is None else design.weights
        own = (design.rows.labels.tolist(), counts.tolist())
        if before not in (None, own):
            raise DataError(
                f"The model {name!r} leaves out other rows of the table than "
                f"{next(iter(found))!r}, or counts them differently: drop those rows first, and "
                "give both the same row_weights."
            )
        kept = analysed_rows(spec, design, table)
        if before is None:
            counts = counts.astype(np.int64)
            parts = divide(kept, design.rows, counts, members, k, by, random_seed)
        before = own
        found[str(name)] = _densities(model, kept, design, parts, options)
    return _table(found, parts, k, by)


def _refuse(models: Any) -> None:
    if not isinstance(models, Mapping) or not models:
        raise SpecificationError(
            'k_fold takes models by name, such as {"mean": one, "max": other}.'
        )
    for name, model in models.items():
        spec: Any = getattr(model, "specification", None)
        if not hasattr(spec, "family"):
            raise SpecificationError(
                f"The model {name!r} is no estimator with one outcome, such as "
                "MultipleMembershipModel(...); k_fold fits it again for each part."
            )
        weights = spec.row_weights
        if weights is not None and not weights.is_frequency:
            raise SpecificationError(
                f"The model {name!r} has row_weights={weights!r}: with survey weights no row is an "
                "observation that can be left out, and parts would have to follow the strata and "
                "clusters of the survey. Compare without row_weights, for what is predicted of "
                'rows such as those in the table; or fit(...).extend("log_likelihood") and '
                "az.compare, which takes the pseudo-likelihood as it is."
            )


def _member_columns(models: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of members of all models, each once."""
    terms = [term for model in models.values() for term in model.specification.named]
    return tuple(dict.fromkeys(t.member for t in terms if hasattr(t, "member")))


def _densities(
    model: Any, table: ReadTable, design: Any, parts: Parts, options: Mapping[str, Any]
) -> np.ndarray:
    """Return the log predictive density of each observation of each part, shape (case,)."""
    weights, found = model.specification.row_weights, []
    if weights is not None:
        refuse_many_rows(weights, design.weights)
    for part in parts.parts:
        again = type(model)(**model.get_params(deep=False))
        own = _without(table, design.rows.codes, part, None if weights is None else weights.column)
        fit = again.fit(own, **options).result_
        out = np.isin(design.rows.codes, part.left)
        each = _left_out(fit, table.take(np.flatnonzero(out)), design, part.left, options)
        found.append(np.repeat(each, part.times))
    return np.concatenate(found)


def _without(table: ReadTable, codes: np.ndarray, part: Part, weight: str | None) -> ReadTable:
    """Return the table that a refit has, with the weights that are left."""
    rows = np.flatnonzero(part.kept[codes])
    taken = table.take(rows)
    if weight is None:
        return taken
    return replace(taken, parts={**taken.parts, weight: part.kept[codes[rows]]})


def _left_out(
    fit: Any, table: ReadTable, design: Any, left: np.ndarray, options: Mapping[str, Any]
) -> np.ndarray:
    """Return the log predictive density of the observations of a table that was not fitted."""
    from scipy.special import logsumexp

    own, constants = fit.design.one_of_each, fit.spec.family.constants
    labels, all_labels = (d.outcome.get("labels", ()) for d in (fit.design, design))
    if list(labels) != list(all_labels):
        raise DataError(
            f"Without one part the outcome has the categories {', '.join(map(str, labels))} and "
            f"not {', '.join(map(str, all_labels))}, in this order: what is left out cannot be "
            "predicted. Use fewer parts, join rare categories, or declare the categories' order."
        )
    outcome = {n: own[n] if n in constants else v[left] for n, v in design.one_of_each.items()}
    eta = linear_predictor_draws(
        fit, fit.spec.read(table, known=fit.design), options["random_seed"]
    )
    samples = eta.values.reshape(-1, eta.shape[-1])
    density = density_of_outcome(fit, outcome, len(left))
    each = np.array([density(s, values) for s, values in enumerate(samples)])
    return np.asarray(logsumexp(each, axis=0) - np.log(len(each)))


def _table(found: Mapping[str, np.ndarray], parts: Parts, k: int, by: str) -> Table:
    notes = [
        "Each part is predicted by a fit to all others; new units have effects drawn for them."
    ]
    if parts.of_members:
        notes.append(
            f"A part is left out with all observations of its {by}: one with {by} of several parts "
            "is predicted, and counted, once for each of these."
        )
    together = f", units of {by} together" if by != ROW and not parts.of_members else ""
    return Table(
        f"Leaving out one of {k} parts of {parts.what} at a time{together}",
        score_frame(found),
        tuple(notes),
    )
