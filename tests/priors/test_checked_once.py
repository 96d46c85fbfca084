"""Parameters of priors are checked, and those of default priors not again with every model."""

import inspect

import numpy as np
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior
from pymc_mlm.priors.prior import check_priors


@pytest.fixture
def looked_at(monkeypatch):
    """Distributions whose support point has been asked for."""
    seen = []
    found = pm.distributions.distribution.support_point

    def watched(dist, *args, **kwargs):
        seen.append(dist)
        return found(dist, *args, **kwargs)

    monkeypatch.setattr(pm.distributions.distribution, "support_point", watched)
    return seen


def test_a_second_trial_of_the_same_kind_checks_no_prior(looked_at):
    mlm.MultivariateLogitTrial(["a", "b"], "arm", control="old", cluster="site")
    looked_at.clear()
    mlm.MultivariateLogitTrial(["c", "d"], "arm", control="old", cluster="site")
    assert looked_at == []


@pytest.mark.parametrize("sigma", [-1.0, np.float64(-1.0), float("nan"), np.array([1.0, -1.0])])
def test_wrong_parameters_are_refused_each_time(sigma):
    for _ in range(2):
        with pytest.raises(SpecificationError, match="prior of 'b' is Normal"):
            check_priors({"b": Prior("Normal", mu=0, sigma=sigma)}, "here")


def test_arrays_of_another_content_are_checked_anew(looked_at):
    given = np.array([1.0, 2.0])
    prior = Prior("Normal", mu=0, sigma=given)
    check_priors({"b": prior}, "here")
    given[1] = -2.0
    with pytest.raises(SpecificationError):
        check_priors({"b": prior}, "here")
    assert len(looked_at) == 2


def test_equal_numbers_are_given_to_pymc_once_and_refused_each_time(monkeypatch):
    made = []
    dist = pm.Gumbel.dist

    def watched(*args, **kwargs):
        made.append(kwargs)
        return dist(*args, **kwargs)

    watched.__signature__ = inspect.signature(dist)
    monkeypatch.setattr(pm.Gumbel, "dist", watched)
    priors = [Prior("Gumbel", mu=0.125, beta=3) for _ in range(3)]
    assert made == [{"mu": 0.125, "beta": 3}]
    assert priors[0] == priors[2]
    Prior("Gumbel", mu=0.125, beta=3.0)
    assert len(made) == 2
    for _ in range(2):
        with pytest.raises(SpecificationError, match="does not take these parameters"):
            Prior("TruncatedNormal", mu=0, sigma=1, tau=2)
