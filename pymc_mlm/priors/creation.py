"""Variables of a model from priors, of the shape and on the half line that a parameter needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor
from pymc.distributions.transforms import _default_transform
from pymc.logprob.transforms import LogTransform
from pytensor.tensor import TensorVariable

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.priors.prior import BY_NUMPY, Prior, as_data, as_printed, distribution_of

# A density is looked at below zero in these places, whatever the unit of the parameter.
_MAGNITUDES = 10.0 ** np.arange(-8, 9)


def create(
    prior: Any,
    name: str,
    dims: str | tuple[str, ...] | None = None,
    positive: bool = False,
    most: float | None = None,
    **kwargs: Any,
) -> Any:
    """Create a variable from one of our priors or a foreign one.

    Lengths come from `dims` alone, never from static shapes: compiled code then serves tables
    of other sizes.

    Parameters
    ----------
    prior : Prior or object with ``create_variable(name)``
        What to create.
    name : str
        Name of the variable.
    dims : str or tuple of str, optional
        Dimensions of the variable, all of them in the current model; scalar by default.
    positive : bool
        Whether the parameter is a scale, a shape or another positive number. The created
        distribution is checked, whatever it is called and wherever it comes from.
    most : float, optional
        What a positive parameter may be at most.
    **kwargs
        Passed to our priors, for example ``shape``.

    Raises
    ------
    SpecificationError
        The prior is discrete, or allows values below zero where the parameter is `positive`, or
        has another shape than the parameter. Or the model has a variable of that name.
    """
    model = pm.modelcontext(None)
    if model.name_for(name) in model.named_vars:
        raise SpecificationError(
            f"The model has a variable {name!r} already. A term writes its variables once: give "
            "the other term a name= of its own."
        )
    shape = tuple(len(model.coords[d]) for d in _names(dims))
    if not isinstance(prior, Prior):
        variable = prior.create_variable(name)
        if not isinstance(variable, TensorVariable):
            raise SpecificationError(
                f"The prior of {name!r}: create_variable returned {type(variable).__name__}, not a "
                "variable of PyMC."
            )
    else:
        variable = _create_own(prior, name, dims, shape, **kwargs)
    if variable.dtype not in ("float32", "float64"):
        raise SpecificationError(
            f"The prior of {name!r} is {as_printed(prior)}, which is discrete; samplers that "
            "follow gradients need a continuous distribution. Use, say, Normal, or Gamma for a "
            "positive parameter."
        )
    if positive:
        _check_positive(prior, name, variable)
    if most is not None and _reaches(pm.modelcontext(None), variable, most + _MAGNITUDES, most):
        raise SpecificationError(
            f"The prior of {name!r} is {as_printed(prior)}, which allows values above {most:g}. "
            "Use Uniform or Beta, or cut the distribution: Prior('TruncatedNormal', mu=..., "
            f"sigma=..., lower=0, upper={most:g})."
        )
    check_shape(prior, name, variable, shape)
    return variable


def _names(dims: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if dims is None else (dims,) if isinstance(dims, str) else dims


def _create_own(prior: Prior, name: str, dims: Any, wanted: Any, **kwargs: Any) -> Any:
    try:
        return prior.create_variable(name, dims=dims, **kwargs)
    except (ValueError, TypeError) as error:
        raise SpecificationError(
            f"The prior of {name!r} is {prior!r}, which does not fit the shape {wanted} of "
            f"{name!r}: {error}"
        ) from None


def check_shape(prior: Any, name: str, variable: Any, shape: tuple[int, ...]) -> None:
    """Refuse a variable that has another shape than the model's parameter.

    Parameters
    ----------
    prior : Prior or object with ``create_variable(name)``
        Where the variable comes from.
    name : str
        Name of the parameter.
    variable : TensorVariable
        What the prior created.
    shape : tuple of int
        Shape that the model needs; ``()`` for a single number.

    Raises
    ------
    SpecificationError
        The shapes differ, or the parameters of the distribution do not fit each other.
    """
    found = _shape(variable)
    if found == shape and isinstance(prior, Prior):
        # PyMC finds out that an array does not fit its size when it is evaluated.
        own = _shape(distribution_of(prior.distribution).dist(**prior.parameters))
        found = shape if own is not None and _fits(own, shape) else own
    if found != shape:
        shown = "arrays of lengths that do not fit" if found is None else f"the shape {found}"
        wanted = f"the shape {shape}" if shape else "no dimensions: it is a single number"
        raise SpecificationError(
            f"The prior of {name!r} is {as_printed(prior)} and has {shown}; {name!r} has {wanted}. "
            "Give one distribution for all entries, or parameters with one value for each."
        )


def _shape(variable: Any) -> tuple[int, ...] | None:
    """Return the shape of a variable, or None if its parameters do not fit each other."""
    known = variable.type.shape
    if None not in known:
        return tuple(known)
    try:
        # Rewritten, the shape needs no draw, which Flat does not have.
        return tuple(int(n) for n in variable.shape.eval(mode=uncompiled()))
    except (ValueError, AssertionError):
        return None


def _fits(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Tell whether an array spreads over a shape."""
    sides = zip(own[::-1], shape[::-1], strict=False)
    return len(own) <= len(shape) and all(n in (1, wanted) for n, wanted in sides)


def _check_positive(prior: Any, name: str, variable: Any) -> None:
    """Refuse a distribution that a sampler could follow below zero."""
    model = pm.modelcontext(None)
    # The usual positive distributions are sampled as logarithms, and need no look at numbers.
    if isinstance(model.rvs_to_transforms.get(variable), LogTransform):
        return
    wrong = "allows negative values" if _reaches(model, variable, -_MAGNITUDES) else None
    if wrong is None and (_prior_draws(variable) == 0).sum() > 1:
        wrong = "gives zero a probability of its own"
    if wrong:
        raise SpecificationError(
            f"The prior of {name!r} is {as_printed(prior)}, which {wrong}; {name!r} is positive. "
            "Use HalfNormal, Exponential, Gamma or LogNormal, or cut the distribution at zero: "
            "Prior('TruncatedNormal', mu=..., sigma=..., lower=0)."
        )


def _reaches(model: pm.Model, variable: Any, places: np.ndarray, most: float = np.inf) -> bool:
    """Tell whether draws, or the density at some places, lie below zero or above `most`."""
    drawn = _prior_draws(variable)
    if (drawn < 0).any() or (drawn > most).any():
        return True
    if variable not in model.free_RVs:
        return False
    value = variable.type()
    density = pytensor.function([value], pm.logp(variable, value), mode=BY_NUMPY)
    # Rewritten, the shape needs no draw, which Flat does not have.
    shape = variable.shape.eval(mode=uncompiled())
    return any((density(np.full(shape, v, variable.dtype)) > -np.inf).any() for v in places)


def _prior_draws(variable: Any) -> np.ndarray:
    """Return some draws; none of a distribution without a finite integral, such as Flat."""
    try:
        return np.asarray(pm.draw(variable, 50, random_seed=1, mode=BY_NUMPY))
    except NotImplementedError:
        return np.empty(0)


def on_real_line(prior: Any) -> bool:
    """Tell whether a prior is one of ours, of single numbers without bounds."""
    if not isinstance(prior, Prior):
        return False
    dist = distribution_of(prior.distribution).dist(**prior.parameters)
    op = dist.owner.op
    is_elementwise = dist.dtype in ("float32", "float64") and op.ndim_supp == 0
    return is_elementwise and _default_transform(op, dist) is None


def parts_of(prior: Prior, name: str, dims: str | None = None) -> tuple[Any, dict[str, Any]]:
    """Return a prior's distribution and its parameters as data of the variable `name`.

    Raises
    ------
    SpecificationError
        The parameters have another length than the dimension.
    """
    coords = pm.modelcontext(None).coords
    shape = tuple(len(coords[d]) for d in _names(dims))
    unnamed = distribution_of(prior.distribution).dist(**prior.parameters)
    # One distribution for all entries fits every shape.
    if unnamed.ndim:
        check_shape(prior, name, unnamed, shape)
    values = {k: as_data(f"{name}_{k}", v) for k, v in prior.parameters.items()}
    return distribution_of(prior.distribution), values


def support_point(prior: Any) -> Any:
    """Return where sampling starts under a prior: its centre, as PyMC defines it."""
    dist = distribution_of(prior.distribution).dist(**prior.parameters)
    return pm.distributions.distribution.support_point(dist).eval()
