"""Yes/no outcomes with probit link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pymc_mlm.distributions.binary_links import probit_bernoulli
from pymc_mlm.families.binary import AbstractBinary


@dataclass(frozen=True)
class Probit(AbstractBinary):
    r"""Binary outcome with probit link, :math:`P(y = 1) = \Phi(\eta)`.

    A latent normal variable of sd 1 around ``eta`` is above zero. Coefficients are about 1.7 times
    smaller than those of `Bernoulli`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.
    event : object, optional
        The value of the outcome that counts as one, for example ``"yes"``. Needed unless the
        outcome is 0/1 or boolean.

    Examples
    --------
    >>> Probit().link
    'probit'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)
    event: Any = None

    name: ClassVar[str] = "probit"
    link: ClassVar[str] = "probit"
    # A logistic variable has 1.7 times the spread of a normal one of the same middle.
    spread: ClassVar[float] = 0.6

    @staticmethod
    def probability(eta: Any) -> Any:
        """Return the normal distribution function."""
        from scipy.special import ndtr

        return ndtr(eta)

    @staticmethod
    def predictor(share: float) -> float:
        """Return the normal quantile."""
        from scipy.special import ndtri

        return float(ndtri(share))

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the binary outcome."""
        return probit_bernoulli(name, eta, observed=outcome["value"], dims=dims)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the latent standard normal distribution, one."""
        return 1.0
