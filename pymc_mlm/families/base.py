"""What an outcome family is: outcome columns in, a likelihood out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.priors import Prior, check_priors

# Role of the weights of rows in an outcome, beside the roles of the family.
ROW_WEIGHT = "row_weight"
LOWEST = -1e30


@dataclass(frozen=True)
class OutcomeScale:
    """Where the linear predictor of a family lives, for default priors.

    Attributes
    ----------
    location : float or ndarray, shape (category,)
        Typical value of the linear predictor; of unordered categories of each.
    spread : float
        Standard deviation that the linear predictor may plausibly have.
    baseline : float
        Typical value of what takes the place of the intercept, if something does.
    """

    location: Any
    spread: float
    baseline: float = 0.0

    @property
    def from_zero(self) -> OutcomeScale:
        """The scale of a predictor without a level: the distance to zero is to be explained."""
        return OutcomeScale(0.0, float(np.hypot(self.location, self.spread)), self.baseline)


class AbstractFamily(ABC):
    """An outcome distribution given a linear predictor ``eta``, one value per group.

    A new family is one file with a frozen dataclass that implements the methods below.
    `roles` names the outcome's columns in the order in which a formula gives them; the field
    `priors` holds priors of the family's own parameters that replace the defaults, by name.
    """

    name: ClassVar[str]
    link: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    # Scale of the residual variance, where it is not that of the link.
    latent: ClassVar[str | None] = None
    # What an effect of every single row cannot be told from; None where it is overdispersion.
    row_variation: ClassVar[str | None] = None

    # Predictor beyond which outcomes cannot be drawn: counts have 64 bits.
    largest_eta: ClassVar[float] = float("inf")

    priors: Mapping[str, Any]
    # Why the default prior of each own parameter is what it is, as in docs/priors.md.
    reasons: ClassVar[Mapping[str, str]] = {}
    # Whether outcomes have two values, and which of them counts as one if they are not 0 and 1.
    binary: ClassVar[bool] = False
    event: Any = None

    # Own parameter, a vector, that takes the place of the intercept, and its dimensions.
    baseline: ClassVar[str | None] = None
    own_dims: ClassVar[tuple[str, ...]] = ()
    # Entries of the outcome that the fitted table sets once, for new data, too.
    constants: ClassVar[tuple[str, ...]] = ()
    # Whether a row has a predictor for each category of its outcome but the reference.
    has_categories: ClassVar[bool] = False
    # Whether a duration may have a start of observation.
    is_left_truncated: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the priors."""
        check_priors(self.priors, type(self).__name__)

    @property
    def is_standard(self) -> bool:
        """Whether the log density is the package's own of that name, and closed forms are for it.

        A subclass with a likelihood or a name of its own is another family.
        """
        owner: Any = next(c for c in type(self).__mro__ if "likelihood" in vars(c))
        return bool(owner.__module__.startswith("pymc_mlm.families.") and owner.name == self.name)

    def num_predictors(self, outcome: Mapping[str, Any]) -> int:
        """Return how many linear predictors a row has."""
        return len(outcome["labels"]) - 1 if self.has_categories else 1

    @property
    def side_columns(self) -> dict[str, str]:
        """Columns that the family reads beside the outcome, by role; most read none."""
        return {}

    def notes(self, outcome: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Return what a reader of the summary should know about the outcome."""
        return ()

    def near_mode(self, outcome: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return values of own parameters that are near enough to their mode, by name."""
        return {}

    def add_baseline(
        self, outcome: Mapping[str, np.ndarray], prior: Any, at_mean: Any, centre: Any
    ) -> None:
        """Add the parameter that takes the place of the intercept to the current model.

        Parameters
        ----------
        outcome : mapping of str to ndarray
            From `outcome`.
        prior : prior
            Its prior.
        at_mean : TensorVariable or float, scalar
            What covariates contribute at their mean, where the default prior is stated.
        centre : tuple or None
            Where an intercept beside `near_mode` is given the coefficients, and its sd there.
        """
        raise NotImplementedError(f"{type(self).__name__} has no baseline.")

    def level(self, outcome: Mapping[str, np.ndarray]) -> Any:
        """Return how far the baseline of the current model is above `near_mode`, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no baseline.")

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

    def weighted_likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the likelihood, each row's log density times its weight where rows have weights.

        The observed variable stays that of one row of weight 1, for predictions.
        """
        own = {role: values for role, values in outcome.items() if role != ROW_WEIGHT}
        observed = self.likelihood(name, eta, own, priors, dims)
        if ROW_WEIGHT in outcome:
            model = pm.modelcontext(None)
            density = pm.logp(observed, model.rvs_to_values[observed])
            # An impossible row has minus infinity by the likelihood itself; a multiple of it here
            # would be the other infinity, or no number.
            more = pt.sum((outcome[ROW_WEIGHT] - 1.0) * pt.maximum(density, LOWEST))
            pm.Potential(f"{name}_weighted", more)
        return observed

    @abstractmethod
    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the mean of the outcome given `eta`; NumPy arrays that broadcast."""

    @abstractmethod
    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Return the variance of the outcome around `eta` on the link's scale, or None."""
