"""Priors as values: a distribution that gets its name later.

Wherever the package takes a prior it takes a `Prior`, or any object with a method
``create_variable(name)`` that returns a PyMC variable, such as ``pymc_extras.prior.Prior``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pymc as pm
import pytensor
from pymc.distributions.transforms import _default_transform
from pymc.logprob.transforms import LogTransform
from pymc.logprob.utils import ParameterValueError
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable
from pytensor.tensor import TensorVariable

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.base import uncompiled

# Distributions are looked at once, with numbers: rewriting and compiling would cost more.
_BY_NUMPY = Mode(linker="py", optimizer=None)
# A density is looked at below zero in these places, whatever the unit of the parameter.
_MAGNITUDES = 10.0 ** np.arange(-8, 9)


@runtime_checkable
class SupportsCreateVariable(Protocol):
    """Anything that can put a named random variable into the current model."""

    def create_variable(self, name: str) -> Any:
        """Create the variable `name` and return it."""


@dataclass(frozen=True, init=False, eq=False)
class Prior:
    """A distribution of PyMC by name, with its parameters.

    Parameters
    ----------
    distribution : str
        Name of a class in `pymc`, for example ``"Normal"``.
    parameters : mapping of str to array_like, optional
        Its parameters; numbers, or arrays with one entry per element of the variable.
    **named
        The same by keyword; they win over those of the mapping.

    Raises
    ------
    SpecificationError
        PyMC has no such distribution, or it refuses the parameters.

    Examples
    --------
    >>> prior = Prior("Normal", mu=0, sigma=2.5)
    >>> prior
    Normal(mu=0, sigma=2.5)
    >>> from dataclasses import replace
    >>> replace(prior, sigma=5)
    Normal(mu=0, sigma=5)
    """

    distribution: str
    parameters: dict[str, Any]

    def __init__(
        self, distribution: str, parameters: Mapping[str, Any] | None = None, **named: Any
    ) -> None:
        parameters = {**(parameters or {}), **named}
        found = _distribution(distribution)
        # PyMC ignores misspelt parameters, so they are looked up first.
        known = [p for p in inspect.signature(found.dist).parameters if p not in ("args", "kwargs")]
        wrong = [name for name in parameters if name not in known]
        if wrong:
            raise SpecificationError(
                f"{distribution} does not take the parameter {wrong[0]!r}; it has "
                f"{', '.join(known)}."
            )
        try:
            found.dist(**parameters)
        except (TypeError, ValueError) as error:
            raise SpecificationError(
                f"{distribution} does not take these parameters: {error}"
            ) from None
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(self, "parameters", parameters)

    def __eq__(self, other: object) -> bool:
        """Compare by distribution and parameters."""
        return isinstance(other, Prior) and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash by distribution and parameters."""
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.distribution, *(
            (k, _content(self.parameters[k])) for k in sorted(self.parameters)
        )

    def __repr__(self) -> str:
        """Print the distribution as in a paper; arrays by their range."""
        inside = ", ".join(f"{k}={_short(v)}" for k, v in self.parameters.items())
        return f"{self.distribution}({inside})"

    def create_variable(
        self, name: str, dims: Sequence[str] | str | None = None, **kwargs: Any
    ) -> Any:
        """Create the random variable in the current model.

        Parameters
        ----------
        name : str
            Name of the variable.
        dims : str or sequence of str, optional
            Named dimensions; scalar by default.
        **kwargs
            Passed to the distribution, for example ``shape`` or ``transform``.

        Returns
        -------
        TensorVariable
        """
        values = {k: _as_data(f"{name}_{k}", v) for k, v in self.parameters.items()}
        return getattr(pm, self.distribution)(name, **values, dims=dims, **kwargs)


def _content(value: Any) -> Any:
    """Return what tells a parameter from others: shape and numbers, or the object itself."""
    if isinstance(value, Variable):
        return value
    array = np.asarray(value)
    return (array.shape, *array.ravel().tolist()) if array.dtype.kind in "biuf" else repr(value)


def with_element(what: str, vector: Any, names: Sequence[str], element: str, prior: Any) -> Prior:
    """Return the prior of a vector with that of one element in its place.

    Parameters
    ----------
    what : str
        What is replaced, for messages.
    vector : prior
        Prior of the vector.
    names : sequence of str
        Names of its elements.
    element : str
        The one to replace.
    prior : prior
        Its own prior, of the distribution that the vector has.

    Raises
    ------
    SpecificationError
        No such element, or another distribution.

    Examples
    --------
    >>> with_element(
    ...     "beta[b]",
    ...     Prior("Normal", mu=0, sigma=2),
    ...     ["a", "b"],
    ...     "b",
    ...     Prior("Normal", mu=1, sigma=5),
    ... ).parameters["sigma"]
    array([2., 5.])
    """
    if element not in names:
        raise SpecificationError(f"{what}: there is no {element!r}; there are {', '.join(names)}.")
    if not (isinstance(vector, Prior) and isinstance(prior, Prior)) or (
        vector.distribution != prior.distribution
        or vector.parameters.keys() != prior.parameters.keys()
    ):
        raise SpecificationError(
            f"{what}: the elements of a vector have one distribution with one set of parameters; "
            f"the others have {vector!r}, and this is {prior!r}. Give one like it, or a prior of "
            "the whole vector."
        )
    parameters = {}
    for key, value in vector.parameters.items():
        own = np.array(np.broadcast_to(np.asarray(value, dtype=float), len(names)))
        own[list(names).index(element)] = prior.parameters[key]
        parameters[key] = own
    return Prior(vector.distribution, parameters)


def as_priors(priors: Any, where: str) -> dict[str, Any]:
    """Return priors by name as a dict, empty for None, or refuse what is no mapping of priors."""
    if priors is None:
        return {}
    check_priors(priors, where)
    return dict(priors)


def check_priors(priors: Any, where: str) -> None:
    """Refuse anything that is not a mapping of names to priors.

    Raises
    ------
    SpecificationError
        `priors` is no mapping, or one of its values cannot create a variable.
    """
    if not hasattr(priors, "items"):
        raise SpecificationError(
            f"{where}: priors is a mapping such as {{'beta': Prior('Normal', mu=0, sigma=1)}}."
        )
    for name, prior in priors.items():
        if not isinstance(prior, SupportsCreateVariable):
            raise SpecificationError(
                f"{where}: the prior of {name!r} is {prior!r}; give Prior('Normal', mu=0, "
                "sigma=1) or any object with create_variable(name)."
            )
        if isinstance(prior, Prior):
            _check_parameters(prior, f"{where}: the prior of {name!r}")


def _check_parameters(prior: Prior, what: str) -> None:
    """Refuse parameters without a distribution, such as a negative sigma, before any sampling."""
    dist = _distribution(prior.distribution).dist(**prior.parameters)
    point = pm.distributions.distribution.support_point(dist)
    try:
        density = pm.logp(dist, point).eval(mode=_BY_NUMPY)
    except (ParameterValueError, ValueError, np.linalg.LinAlgError) as error:
        raise SpecificationError(
            f"{what} is {prior!r}, which is no distribution: {error}. Correct its parameters."
        ) from None
    if np.isnan(density).any():
        raise SpecificationError(
            f"{what} is {prior!r}, whose density is not a number. Its parameters must be finite."
        )


def create(
    prior: Any,
    name: str,
    dims: str | tuple[str, ...] | None = None,
    positive: bool = False,
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
    **kwargs
        Passed to our priors, for example ``shape``.

    Raises
    ------
    SpecificationError
        The prior is discrete, or allows values below zero where the parameter is `positive`, or
        has another shape than the parameter.
    """
    shape = tuple(len(pm.modelcontext(None).coords[d]) for d in _names(dims))
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
            f"The prior of {name!r} is {_shown(prior)}, which is discrete; samplers that follow "
            "gradients need a continuous distribution. Use, say, Normal, or Gamma for a positive "
            "parameter."
        )
    if positive:
        _check_positive(prior, name, variable)
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
        own = _shape(_distribution(prior.distribution).dist(**prior.parameters))
        found = shape if own is not None and _fits(own, shape) else own
    if found != shape:
        shown = "arrays of lengths that do not fit" if found is None else f"the shape {found}"
        wanted = f"the shape {shape}" if shape else "no dimensions: it is a single number"
        raise SpecificationError(
            f"The prior of {name!r} is {_shown(prior)} and has {shown}; {name!r} has {wanted}. "
            "Give one distribution for all entries, or parameters with one value for each."
        )


def _shape(variable: Any) -> tuple[int, ...] | None:
    """Return the shape of a variable, or None if its parameters do not fit each other."""
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
    wrong = "allows negative values" if _reaches_below_zero(model, variable) else None
    if wrong is None and (_prior_draws(variable) == 0).sum() > 1:
        wrong = "gives zero a probability of its own"
    if wrong:
        raise SpecificationError(
            f"The prior of {name!r} is {_shown(prior)}, which {wrong}; {name!r} is positive. Use "
            "HalfNormal, Exponential, Gamma or LogNormal, or cut the distribution at zero: "
            "Prior('TruncatedNormal', mu=..., sigma=..., lower=0)."
        )


def _reaches_below_zero(model: pm.Model, variable: Any) -> bool:
    if (_prior_draws(variable) < 0).any():
        return True
    if variable not in model.free_RVs:
        return False
    value = variable.type()
    density = pytensor.function([value], pm.logp(variable, value), mode=_BY_NUMPY)
    # Rewritten, the shape needs no draw, which Flat does not have.
    shape = variable.shape.eval(mode=uncompiled())
    return any((density(np.full(shape, -v, variable.dtype)) > -np.inf).any() for v in _MAGNITUDES)


def _prior_draws(variable: Any) -> np.ndarray:
    """Return some draws; none of a distribution without a finite integral, such as Flat."""
    try:
        return np.asarray(pm.draw(variable, 50, random_seed=1, mode=_BY_NUMPY))
    except NotImplementedError:
        return np.empty(0)


def on_real_line(prior: Any) -> bool:
    """Tell whether a prior is one of ours, of single numbers without bounds."""
    if not isinstance(prior, Prior):
        return False
    dist = _distribution(prior.distribution).dist(**prior.parameters)
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
    unnamed = _distribution(prior.distribution).dist(**prior.parameters)
    # One distribution for all entries fits every shape.
    if unnamed.ndim:
        check_shape(prior, name, unnamed, shape)
    values = {k: _as_data(f"{name}_{k}", v) for k, v in prior.parameters.items()}
    return _distribution(prior.distribution), values


def support_point(prior: Any) -> Any:
    """Return where sampling starts under a prior: its centre, as PyMC defines it."""
    dist = _distribution(prior.distribution).dist(**prior.parameters)
    return pm.distributions.distribution.support_point(dist).eval()


def _as_data(name: str, value: Any) -> Any:
    """Keep numbers that come from the data out of compiled code, which then serves other data.

    Zero and one stay constants: they are never scaled to data, and they simplify the graph.
    """
    if isinstance(value, (float, np.floating, np.ndarray)) and not np.isin(value, (0.0, 1.0)).all():
        return pytensor.shared(np.asarray(value, dtype=np.float64), name=name)
    return value


def _shown(prior: Any) -> str:
    """Return a prior as printed; one that prints its address by its class."""
    text = repr(prior)
    return type(prior).__name__ if " object at 0x" in text else text


def _distribution(name: Any) -> Any:
    found = getattr(pm, name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, pm.Distribution)):
        raise SpecificationError(
            f"PyMC has no distribution {name!r}. Use a class name such as 'Normal', "
            "'HalfNormal', 'Exponential' or 'StudentT'."
        )
    return found


def _short(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.4g}" if array.dtype.kind == "f" else repr(array.item())
    if array.size <= 4:
        return "[" + ", ".join(f"{v:.4g}" for v in array.ravel()) + "]"
    return f"[{array.min():.4g} .. {array.max():.4g}]"
