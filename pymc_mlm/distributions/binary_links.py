"""Yes/no outcomes with probit and complementary log-log links, exact in both tails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.distributions.normal_tail import log_normal_tail


def probit_bernoulli(name: str, eta: Any, **kwargs: Any) -> Any:
    r"""Add outcomes with :math:`P(y = 1) = \Phi(\eta)` to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like, shape (row,)
        Linear predictor.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)
    """

    def logp(value: Any, eta: Any) -> Any:
        return log_normal_tail((1.0 - 2.0 * value) * eta)

    return _bernoulli(name, eta, logp, lambda rng, n: -rng.standard_normal(n), kwargs)


def cloglog_bernoulli(name: str, eta: Any, **kwargs: Any) -> Any:
    r"""Add outcomes with :math:`P(y = 1) = 1 - \exp(-e^\eta)` to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like, shape (row,)
        Linear predictor: the log of a cumulative hazard.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)
    """

    def logp(value: Any, eta: Any) -> Any:
        # exp(-300) is 5e-131, whose logarithm is as good as eta itself.
        seen = pt.log(-pt.expm1(-pt.exp(pt.clip(eta, -300.0, 300.0))))
        return pt.switch(pt.eq(value, 1), pt.switch(pt.lt(eta, -300.0), eta, seen), -pt.exp(eta))

    return _bernoulli(name, eta, logp, lambda rng, n: np.log(rng.exponential(size=n)), kwargs)


def _bernoulli(
    name: str, eta: Any, logp: Callable[..., Any], noise: Callable[..., Any], kwargs: Any
) -> Any:
    def random(eta: Any, rng: Any = None, size: Any = None) -> Any:
        """Return whether a latent threshold is below the linear predictor."""
        return (noise(rng, np.shape(eta) if size is None else size) < eta).astype(np.float64)

    return pm.CustomDist(
        name, eta, logp=logp, random=random, signature="()->()", dtype="float64", **kwargs
    )
