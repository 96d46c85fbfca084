"""What an outcome family is: outcome columns in, a likelihood out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.priors import Prior, check_priors


@dataclass(frozen=True)
class OutcomeScale:
    """Where the linear predictor of a family lives, for default priors.

    Attributes
    ----------
    location : float
        Typical value of the linear predictor.
    spread : float
        Standard deviation that the linear predictor may plausibly have.
    """

    location: float
    spread: float

    @property
    def from_zero(self) -> OutcomeScale:
        """The scale of a predictor without a level: the distance to zero is to be explained."""
        return OutcomeScale(0.0, float(np.hypot(self.location, self.spread)))


class AbstractFamily(ABC):
    """An outcome distribution given a linear predictor ``eta``, one value per group.

    A new family is one file with a frozen dataclass that implements the methods below.
    `roles` names the outcome's columns in the order in which a formula gives them; the field
    `priors` holds priors of the family's own parameters that replace the defaults, by name.
    """

    name: ClassVar[str]
    link: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    # What an effect of every single row cannot be told from; None where it is overdispersion.
    row_variation: ClassVar[str | None] = None

    # Predictor beyond which outcomes cannot be drawn: counts have 64 bits.
    largest_eta: ClassVar[float] = float("inf")

    priors: Mapping[str, Any]
    # Whether outcomes have two values, and which of them counts as one if they are not 0 and 1.
    binary: ClassVar[bool] = False
    event: Any = None

    def __post_init__(self) -> None:
        """Check the priors."""
        check_priors(self.priors, type(self).__name__)

    @property
    def side_columns(self) -> dict[str, str]:
        """Columns that the family reads beside the outcome, by role; most read none."""
        return {}

    @abstractmethod
    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Check the outcome and return it as float64 arrays, shape (group,), by role.

        Parameters
        ----------
        label : str
            Outcome as the formula names it, for messages.
        values : mapping of str to ndarray, shape (group,)
            Finite numbers by role.

        Raises
        ------
        DataError
            The values are not an outcome of this family.
        """

    @abstractmethod
    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Return the scale of what is left of the linear predictor besides its fixed part.

        Parameters
        ----------
        outcome : mapping of str to ndarray, shape (group,)
            From `outcome`.
        offset : ndarray, shape (group,), or float
            Fixed part of the linear predictor.

        Raises
        ------
        DataError
            The fixed part leaves nothing to explain.
        """

    @abstractmethod
    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Return the default priors of the family's own parameters."""

    @abstractmethod
    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the likelihood to the current model and return the observed variable."""

    @abstractmethod
    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the mean of the outcome given `eta`; NumPy arrays that broadcast."""

    @abstractmethod
    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Return the variance of the outcome around `eta` on the link's scale, or None."""
