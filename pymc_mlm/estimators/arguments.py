"""The arguments of a model: kept as given, read by name, written as JSON."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.model import AbstractSpecification
from pymc_mlm.saving import from_dict, to_dict

# Methods of every model have these names, so the arguments are kept under others.
ATTRIBUTES = {"priors": "priors_given"}


class AbstractArguments(ABC):
    """Constructor arguments, kept verbatim, and their translation into a specification."""

    @property
    @abstractmethod
    def specification(self) -> AbstractSpecification:
        """The model apart from data; arguments that do not go together are refused here."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name, as scikit-learn does."""
        return {name: getattr(self, ATTRIBUTES.get(name, name)) for name in self._arguments()}

    def set_params(self, **params: Any) -> Self:
        """Replace constructor arguments and return self.

        Raises
        ------
        SpecificationError
            The model has no such argument, or the constructor refuses the new ones.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise SpecificationError(
                    f"{type(self).__name__} has no argument {name!r}; it has: {', '.join(known)}."
                )
        # The constructor checks all of them together; a refused change changes nothing.
        vars(self).update(vars(type(self)(**(known | params))))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the model, not its fit, as JSON: to keep with a protocol or to send.

        Returns
        -------
        dict of str to object
            For `json.dumps`; `from_dict` makes the model again.

        Raises
        ------
        SpecificationError
            A prior or term of a class of your own has no form as text; it is named.
        """
        return to_dict(self.specification)

    @classmethod
    def from_dict(cls, document: Any) -> Self:
        """Return an unfitted model from what `to_dict` wrote; nothing in it is run.

        Parameters
        ----------
        document : dict of str to object
            As `json.loads` returns it.

        Raises
        ------
        DataError
            The document is none of this class, is damaged, or has another schema.
        """
        return cls._from_specification(from_dict(document))

    @classmethod
    @abstractmethod
    def _from_specification(cls, spec: Any) -> Self:
        """Return an unfitted model with a specification, or refuse that of another class."""

    def __repr__(self) -> str:
        """Print the constructor's arguments."""
        shown = (f"{k}={v!r}" for k, v in self.get_params().items() if v is not None and v != ())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy with the same arguments."""
        return type(self)(**self.get_params())

    @classmethod
    def _arguments(cls) -> list[str]:
        """Return the names of the constructor's arguments."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        named = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
        return [name for name in named if name != "self"]


def as_tuple(value: Any, where: str, example: str) -> tuple[Any, ...]:
    """Return several values given as a sequence, or refuse what is none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence):
        raise SpecificationError(f"{where} is {value!r}; give a list, such as {example}.")
    return tuple(value)


def refuse_specification(spec: Any, cls: type, kind: type) -> None:
    """Refuse the specification of another model.

    Raises
    ------
    DataError
        Names what to load the file with.
    """
    if not isinstance(spec, kind):
        raise DataError(
            f"The file holds the fit of another model ({type(spec).__name__}), not of "
            f"{cls.__name__}. Load it with the class that saved it, or with pymc_mlm.load(path)."
        )
