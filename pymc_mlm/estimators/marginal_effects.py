"""Averages of predictions over rows, for every model that predicts."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any

from pymc_mlm import marginal_effects
from pymc_mlm.estimators.convergence import AbstractConvergence
from pymc_mlm.marginal_effects import Averaging
from pymc_mlm.reporting.summary import Table


class AbstractMarginalEffects(AbstractConvergence, ABC):
    """`predictions`, `comparisons` and `slopes`, averaged over the rows of a table.

    All take the arguments of `pymc_mlm.marginal_effects.Averaging` by keyword: ``data`` (rows to
    average over; the fitted table by default), ``by`` (a column within whose values), ``kind``
    ("mean" or "eta"), ``typical`` (as in `predict`), ``ci_prob`` and ``random_seed``.
    """

    def predictions(self, variables: Mapping[str, Any] | None = None, **over: Any) -> Table:
        """Average predictions over rows, as observed or with columns set to values.

        Parameters
        ----------
        variables : mapping of str to sequence, optional
            Values of columns; every combination of them is given to all rows.
        **over
            ``data``, ``by``, ``kind``, ``typical``, ``ci_prob``, ``random_seed``.

        Returns
        -------
        Table
            A row per combination: posterior mean, sd and interval of the average.

        Examples
        --------
        >>> model.predictions({"method": ["new", "old"]})  # doctest: +SKIP
        """
        return marginal_effects.predictions(self._fitted(), variables, Averaging(**over))

    def comparisons(
        self, variables: Any = None, comparison: str = "difference", **over: Any
    ) -> Table:
        """Compare average predictions at two values of a column, all else as in each row.

        Parameters
        ----------
        variables : str, sequence of str, or mapping of str to object, optional
            Columns; all covariates by default. A mapping gives a step, "sd", or a pair of values
            (low, high).
        comparison : {"difference", "ratio", "lift"}
            Of the two averages.
        **over
            ``data``, ``by``, ``kind``, ``typical``, ``ci_prob``, ``random_seed``.

        Returns
        -------
        Table
            A row per column and contrast: posterior mean, sd and interval.

        Examples
        --------
        >>> model.comparisons({"seats": 0.1, "majority": (0, 1)})  # doctest: +SKIP
        """
        return marginal_effects.comparisons(
            self._fitted(), variables, comparison, Averaging(**over)
        )

    def slopes(self, variables: str | Sequence[str] | None = None, **over: Any) -> Table:
        """Average the slopes of predictions along numeric columns, all else as in each row.

        Parameters
        ----------
        variables : str or sequence of str, optional
            Numeric columns; all numeric covariates by default.
        **over
            ``data``, ``by``, ``kind``, ``typical``, ``ci_prob``, ``random_seed``.

        Returns
        -------
        Table
            A row per column: change of the average prediction per unit.

        Examples
        --------
        >>> model.slopes("cohesion", by="country")  # doctest: +SKIP
        """
        return marginal_effects.slopes(self._fitted(), variables, Averaging(**over))
