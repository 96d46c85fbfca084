"""What a specification is: a model apart from any table, draws or sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pymc as pm

from pymc_mlm.inference import TARGET_ACCEPT


class AbstractSpecification(ABC):
    """A model apart from data: frozen, and checked when it is made."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that a fit reads."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The model in a few words, for headings."""

    @abstractmethod
    def read(self, data: Any, known: Any = None) -> Any:
        """Read a table into a frozen design; new data are read as the `known` design was.

        Raises
        ------
        DataError
            The table does not fit the model.
        """

    @abstractmethod
    def build(self, design: Any) -> pm.Model:
        """Write the model of a design, every effect a variable."""

    @abstractmethod
    def priors_used(self, design: Any) -> dict[str, Any]:
        """Return the prior of every parameter by variable name."""

    def cautions(self, design: Any) -> tuple[str, ...]:
        """Return what may mislead in the fitted table, a sentence each, to warn of."""
        return ()

    @abstractmethod
    def prior_rows(self, design: Any) -> list[tuple[str, str, str]]:
        """Return variable, meaning and prior of every parameter, in words."""

    def prior_notes(self, design: Any) -> tuple[str, ...]:
        """Return what a reader of the table of priors should know."""
        return ()

    def observed(self, design: Any) -> Any:
        """Return observed data that the model's graph does not hold, or None."""
        return None

    @abstractmethod
    def roles(self, design: Any) -> dict[str, Any]:
        """Return what each variable means, by name."""

    @abstractmethod
    def title(self, design: Any) -> str:
        """Return the heading of reports."""

    @abstractmethod
    def notes(self, design: Any) -> tuple[str, ...]:
        """Return what a reader of the summary should know about table and model."""

    @property
    @abstractmethod
    def paths(self) -> tuple[str, ...]:
        """Names of the paths to its draws, the best first; the last can always be taken."""

    def derived(self, posterior: Any, design: Any) -> dict[str, Any]:
        """Return variables that follow from draws and are kept with them, by name."""
        return {}

    def coordinates(self, design: Any) -> tuple[str, ...]:
        """Return in which coordinates effects are sampled, in words."""
        return ()

    @property
    def target_accept(self) -> float:
        """Acceptance rate of NUTS that suits the model."""
        return TARGET_ACCEPT

    def starts(self, design: Any) -> Mapping[str, Any]:
        """Return starting values of parameters whose prior has no useful centre, by name."""
        return {}
