r"""Models compared by refits: each part of the table is predicted by a fit to all others.

.. math:: \widehat{\mathrm{elpd}} = \sum_i \log \frac1S \sum_s
    p(y_i \mid \theta^{(s)}_{-f(i)}, u^{(s)}_{-f(i)})

Effects of units that a fit has not seen are drawn from their distribution, one for each draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.comparison.blocks import ROW
from pymc_mlm.comparison.scores import score_frame
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.factor import encode
from pymc_mlm.data.frame import Table as ReadTable
from pymc_mlm.data.frame import columns, open_table
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
        "row", for observations in random parts; or a column that is constant within observations,
        such as "country", whose units are kept together. With as many parts as it has units, one
        unit is left out at a time.
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
        There is no model, it is none with one outcome, or it weighs rows.
    DataError
        The table cannot be divided in this way, or the models leave out other rows of it.

    Notes
    -----
    Errors of single observations are treated as independent [1]_. Default priors follow the scale
    of the rows that a fit has; state priors where that matters.

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
    found: dict[str, np.ndarray] = {}
    before: Any = None
    for name, model in models.items():
        spec = model.specification
        table = open_table(data, list(dict.fromkeys([*spec.columns, *([by] if by != ROW else [])])))
        design = spec.read(table)
        labels = design.rows.labels.tolist()
        if before not in (None, labels):
            raise DataError(
                f"The model {name!r} leaves out other rows of the table than "
                f"{next(iter(found))!r}: drop those rows first."
            )
        before, kept = labels, analysed_rows(spec, design, table)
        parts = _parts(kept, design.rows, by, k, random_seed)
        found[str(name)] = _densities(model, kept, design, parts, options)
    return _table(found, k, by)


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
        if spec.row_weights is not None:
            raise SpecificationError(
                f"The model {name!r} has row_weights={spec.row_weights!r}, and rows that stand for "
                "several, or for a share of one, cannot be left out alone. Write the table out."
            )


def _parts(table: ReadTable, rows: Any, by: str, k: int, seed: int) -> np.ndarray:
    """Return the part of each observation, 0 to k - 1, shape (observation,)."""
    unit = np.arange(len(rows))
    if by not in (ROW, rows.name):
        remedy = f"Units of by={by!r} are left out with all their observations."
        values = constant_within(by, columns(table, [by])[by], rows, remedy)
        unit = encode(by, values).codes
    count = int(unit.max()) + 1
    if isinstance(k, bool) or not isinstance(k, int) or not 2 <= k <= count:
        raise SpecificationError(
            f"k={k!r} must be a whole number from 2 to {count}, the number of units of {by!r}."
        )
    part = np.random.default_rng(seed).permutation(np.arange(count) % k)
    return np.asarray(part[unit])


def _densities(
    model: Any, table: ReadTable, design: Any, parts: np.ndarray, options: Mapping[str, Any]
) -> np.ndarray:
    """Return the log predictive density of each observation, shape (observation,)."""
    found = np.empty(len(parts))
    for part in range(int(parts.max()) + 1):
        out = parts[design.rows.codes] == part
        again = type(model)(**model.get_params(deep=False))
        fit = again.fit(table.take(np.flatnonzero(~out)), **options).result_
        left = np.flatnonzero(parts == part)
        found[left] = _left_out(fit, table.take(np.flatnonzero(out)), design, left, options)
    return found


def _left_out(
    fit: Any, table: ReadTable, design: Any, left: np.ndarray, options: Mapping[str, Any]
) -> np.ndarray:
    """Return the log predictive density of the observations of a table that was not fitted."""
    from scipy.special import logsumexp

    own, constants = fit.design.one_of_each, fit.spec.family.constants
    outcome = {n: own[n] if n in constants else v[left] for n, v in design.one_of_each.items()}
    eta = linear_predictor_draws(
        fit, fit.spec.read(table, known=fit.design), options["random_seed"]
    )
    samples = eta.values.reshape(-1, len(left))
    density = density_of_outcome(fit, outcome, len(left))
    each = np.array([density(s, values) for s, values in enumerate(samples)])
    return np.asarray(logsumexp(each, axis=0) - np.log(len(each)))


def _table(found: Mapping[str, np.ndarray], k: int, by: str) -> Table:
    frame = score_frame(found)
    what = f"{k} parts of {len(next(iter(found.values())))} observations"
    return Table(
        f"Leaving out one of {what} at a time" + ("" if by == ROW else f", units of {by} together"),
        frame,
        ("Each part is predicted by a fit to all others; new units have effects drawn for them.",),
    )
