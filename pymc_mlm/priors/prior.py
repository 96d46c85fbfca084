"""Priors as values: a distribution that gets its name later.

Wherever the package takes a prior it takes a `Prior`, or any object with a method
``create_variable(name)`` that returns a PyMC variable, such as ``pymc_extras.prior.Prior``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pymc as pm
import pytensor
from pymc.logprob.utils import ParameterValueError
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable

from pymc_mlm.errors import SpecificationError

# Distributions are looked at once, with numbers: rewriting and compiling would cost more.
BY_NUMPY = Mode(linker="py", optimizer=None)


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
        found = distribution_of(distribution)
        # PyMC ignores misspelt parameters, so they are looked up first.
        known = [p for p in inspect.signature(found.dist).parameters if p not in ("args", "kwargs")]
        wrong = [name for name in parameters if name not in known]
        if wrong:
            raise SpecificationError(
                f"{distribution} does not take the parameter {wrong[0]!r}; it has "
                f"{', '.join(known)}."
            )
        try:
            _let_pymc_look(distribution, parameters)
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
        values = {k: as_data(f"{name}_{k}", v) for k, v in self.parameters.items()}
        return getattr(pm, self.distribution)(name, **values, dims=dims, **kwargs)


def _as_numbers(parameters: Mapping[str, Any]) -> tuple[tuple[str, type, Any], ...] | None:
    """Return parameters as a key by which answers are kept; None unless all are numbers.

    With their types: 1 and True are equal, and a distribution may take one of them only.
    """
    if all(isinstance(value, (int, float, np.number)) for value in parameters.values()):
        return tuple((name, type(value), value) for name, value in parameters.items())
    return None


def _let_pymc_look(distribution: str, parameters: Mapping[str, Any]) -> None:
    """Make the distribution once, which raises where PyMC refuses the parameters."""
    numbers = _as_numbers(parameters)
    if numbers is None:
        distribution_of(distribution).dist(**parameters)
    else:
        _look_at(distribution, numbers)


@lru_cache(maxsize=1024)
def _look_at(distribution: str, parameters: tuple[tuple[str, type, Any], ...]) -> None:
    """Look at numbers once: a fit makes its default priors a dozen times."""
    distribution_of(distribution).dist(**{name: value for name, _, value in parameters})


def _content(value: Any) -> Any:
    """Return what tells a parameter from others: shape and numbers, or the object itself."""
    if isinstance(value, Variable):
        return value
    array = np.asarray(value)
    return (array.shape, *array.ravel().tolist()) if array.dtype.kind in "biuf" else repr(value)


def with_element(
    what: str, whole: Any, names: Sequence[Sequence[str]], element: str, prior: Any
) -> Prior:
    """Return the prior of a vector or matrix with that of some elements in its place.

    Parameters
    ----------
    what : str
        What is replaced, for messages.
    whole : prior
        Prior of the vector or matrix.
    names : sequence of sequence of str
        Names along each axis.
    element : str
        The one to replace: a name on each axis, with commas between them, or a name on the last
        axis for all elements that have it.
    prior : prior
        Its own prior, of the distribution that the whole has.

    Raises
    ------
    SpecificationError
        No such element, or another distribution.

    Examples
    --------
    >>> with_element(
    ...     "beta[b]",
    ...     Prior("Normal", mu=0, sigma=2),
    ...     [["a", "b"]],
    ...     "b",
    ...     Prior("Normal", mu=1, sigma=5),
    ... ).parameters["sigma"]
    array([2., 5.])
    """
    place = find_element(what, names, element)
    if not (isinstance(whole, Prior) and isinstance(prior, Prior)) or (
        whole.distribution != prior.distribution
        or whole.parameters.keys() != prior.parameters.keys()
    ):
        raise SpecificationError(
            f"{what}: the elements of a vector have one distribution with one set of parameters; "
            f"the others have {whole!r}, and this is {prior!r}. Give one like it, or a prior of "
            "the whole vector."
        )
    shape = tuple(map(len, names))
    parameters = {}
    for key, value in whole.parameters.items():
        own = np.array(_spread(f"{what}, {key} of {whole!r}", value, shape))
        own[place] = _spread(f"{what}, {key}", prior.parameters[key], own[place].shape)
        parameters[key] = own
    return Prior(whole.distribution, parameters)


def find_element(what: str, names: Sequence[Sequence[str]], element: str) -> tuple[Any, ...]:
    """Return the place of what is named of a vector or matrix, as an index.

    Parameters are those of `with_element`.

    Examples
    --------
    >>> find_element("beta[age]", [["11", "10"], ["old", "age"]], "age")
    (Ellipsis, 1)
    >>> find_element("beta[10, old]", [["11", "10"], ["old", "age"]], "10, old")
    (1, 0)
    """
    last = {name: (..., i) for i, name in enumerate(names[-1])}
    each = ([*enumerate(axis)] for axis in names)
    one = {", ".join(n for _, n in at): tuple(i for i, _ in at) for at in product(*each)}
    # A name on the last axis that reads like a single element stands for all that have it.
    places: dict[str, tuple[Any, ...]] = {**one, **last}
    if element in places:
        return places[element]
    known = {**last, **one}
    raise SpecificationError(f"{what}: there is no {element!r}; there are {', '.join(known)}.")


def _spread(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.broadcast_to(np.asarray(value, dtype=float), shape)
    except ValueError:
        raise SpecificationError(
            f"{what}: the shape {np.shape(value)} does not fit {shape}. Give one value, or one "
            "for each element."
        ) from None


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
    numbers = _as_numbers(prior.parameters)
    if numbers is None:
        why = _why_no_distribution(prior.distribution, prior.parameters)
    else:
        why = _why_not(prior.distribution, numbers)
    if why:
        raise SpecificationError(f"{what} is {prior!r}, {why}")


@lru_cache(maxsize=1024)
def _why_not(distribution: Any, parameters: tuple[tuple[str, type, Any], ...]) -> str:
    """Keep the answers for numbers: a default prior is looked at again with every model."""
    return _why_no_distribution(distribution, {k: value for k, _, value in parameters})


def _why_no_distribution(distribution: Any, parameters: Mapping[str, Any]) -> str:
    """Return why parameters give no distribution; empty where they give one."""
    dist = distribution_of(distribution).dist(**parameters)
    point = pm.distributions.distribution.support_point(dist)
    try:
        density = pm.logp(dist, point).eval(mode=BY_NUMPY)
    except (ParameterValueError, ValueError, np.linalg.LinAlgError) as error:
        return f"which is no distribution: {error}. Correct its parameters."
    if np.isnan(density).any():
        return "whose density is not a number. Its parameters must be finite."
    return ""


def as_data(name: str, value: Any) -> Any:
    """Keep numbers that come from the data out of compiled code, which then serves other data.

    Zero and one stay constants: they are never scaled to data, and they simplify the graph.
    """
    if isinstance(value, (float, np.floating, np.ndarray)) and not np.isin(value, (0.0, 1.0)).all():
        return pytensor.shared(np.asarray(value, dtype=np.float64), name=name)
    return value


def as_printed(prior: Any) -> str:
    """Return a prior as printed; one that prints its address by its class."""
    text = repr(prior)
    return type(prior).__name__ if " object at 0x" in text else text


def distribution_of(name: Any) -> Any:
    """Return PyMC's distribution of a name, or refuse a name that it does not have."""
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
