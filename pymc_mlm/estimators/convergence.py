"""Diagnostics of draws, for every model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pymc_mlm.estimators.arguments import AbstractArguments
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.convergence import convergence
from pymc_mlm.reporting.summary import MODEL_KINDS, Table


class AbstractConvergence(AbstractArguments, ABC):
    """`diagnostics`, of the draws of a fit."""

    @abstractmethod
    def _fitted(self) -> Fit:
        """Return the fit, or raise that there is none."""

    def diagnostics(self, kinds: tuple[str, ...] = MODEL_KINDS) -> Table:
        """Tabulate R-hat, effective sample sizes and Monte Carlo errors, with advice.

        Parameters
        ----------
        kinds : tuple of str
            Roles of the parameters, as in `summary`; effects of units are in the notes.

        Returns
        -------
        Table
            A row per parameter, the smallest effective sample size first.

        Examples
        --------
        >>> model.diagnostics()  # doctest: +SKIP
        """
        return convergence(self._fitted(), kinds)
