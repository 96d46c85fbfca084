"""Distributions that anyone's `pm.Model` may use."""

from pymc_mlm.distributions.multivariate_bernoulli import MultivariateBernoulli

__all__ = ["MultivariateBernoulli"]
