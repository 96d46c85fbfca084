"""What a term of a linear predictor is: `resolve` reads data, `effect` writes graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.data.by_category import category_means
from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.column_scale import mean
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.frame import columns, open_table
from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.unit_block import UnitBlock


class AbstractTerm(ABC):
    """A term of a linear predictor.

    A new term is one file with a frozen dataclass that implements the methods below. A term
    is a specification: it holds column names, never data. `resolve` turns a table into a frozen
    design of NumPy arrays; `effect` writes the term's priors and its contribution into the
    current PyMC model.
    """

    name: str | None
    # What `resolve` returns, where `effect` refuses anything else.
    design_type: ClassVar[type] = object

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that the term reads."""

    @property
    def base_name(self) -> str:
        """Prefix of the term's variables before it is made unique; its first column by default."""
        return self.name or self.columns[0]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of the term's variables begin with."""
        return (self.base_name,)

    @property
    def label(self) -> str:
        """Name of the term in reports."""
        return self.base_name

    @abstractmethod
    def resolve(self, data: Any, known: Any = None, group: Factor | None = None) -> Any:
        """Read a table into a frozen design.

        Parameters
        ----------
        data : dataframe or mapping of str to array_like
            One row per membership, or per observation.
        known : design, optional
            Fitted design; units that it has keep their place, others become new units.
        group : Factor, optional
            Units of observation, where the caller has them already.
        """

    @abstractmethod
    def effect(self, design: Any, scale: float = 1.0) -> Any:
        """Add the term to the current model.

        Parameters
        ----------
        design : design
            From `resolve`.
        scale : float
            Spread of the linear predictor that default priors are scaled to.

        Returns
        -------
        TensorVariable, shape (group,)
            Contribution to the linear predictor.
        """

    def check_design(self, design: Any) -> None:
        """Refuse a design that `resolve` of this term did not return, before it is used.

        Raises
        ------
        SpecificationError
            It is no design, or one of another term.
        """
        name = getattr(design, "name", self.base_name)
        if not isinstance(design, self.design_type):
            found = f"a {type(design).__name__}"
        elif name != self.base_name:
            found = f"the design of a term {name!r}"
        else:
            return
        raise SpecificationError(
            f"[{self.label}] was given {found}. Give effect() the design that resolve(table) of "
            "the same term returns."
        )

    def linear(self, design: Any) -> tuple[LinearPart, ...]:
        """Return how the term's normal effects enter, inside the model after `effect`.

        A path integrates these effects out; a term with other effects has none of them.
        """
        return ()

    def is_of_effect(self, method: str) -> bool:
        """Return whether a method belongs to the term's `effect`.

        It does not where a subclass writes another `effect` and inherits the method, which then
        is a short way to what its parent computes.
        """
        classes = type(self).__mro__
        owner = next(c for c in classes if method in vars(c))
        return not any("effect" in vars(c) for c in classes[: classes.index(owner)])

    def at_mean(self, design: Any) -> Any:
        """Return what the term's covariates contribute at their mean, inside the model.

        The default intercept prior is stated at the mean of all covariates, those of terms
        included; a term without covariates contributes nothing.

        Parameters
        ----------
        design : design
            From `resolve`, after `effect`.

        Returns
        -------
        TensorVariable or float, scalar
        """
        return 0.0

    def fixed_part(self, design: Any) -> Any:
        """Return what the term adds with known coefficients, shape (row,) or zero."""
        return 0.0

    @property
    def id_columns(self) -> tuple[str, ...]:
        """Columns with the ids of the term's units; their names become dimensions."""
        return ()

    def dims(self, design: Any) -> tuple[str, ...]:
        """Return the names that become dimensions of the model."""
        return self.id_columns

    def units(self, design: Any) -> tuple[tuple[str, Any, int], ...]:
        """Return name, labels and number of fitted units of each id column."""
        return ()

    def sizes(self, design: Any) -> dict[str, int]:
        """Return the number of units with random effects, by the name in reports."""
        return {}

    def size(self, design: Any) -> str:
        """Return the number of units in words, for headings."""
        return self.label

    def notes(self, design: Any, scale: float = 1.0) -> tuple[str, ...]:
        """Return what a reader of the summary should know about the term."""
        return ()

    def partitions(self, design: Any) -> list[tuple[str, np.ndarray]]:
        """Return id column and unit of each row, of random effects that rows have one of."""
        return []

    def cautions(self, design: Any) -> tuple[str, ...]:
        """Return what may mislead in the fitted table, a sentence each, to warn of."""
        return ()

    def correlation_priors(self, design: Any) -> dict[str, float]:
        """Return the LKJ shape of correlations of effects by variable name."""
        return {}

    def varying_columns(self, design: Any) -> tuple[str, ...]:
        """Return the columns whose coefficients vary between units, without an intercept."""
        return ()

    def variance(
        self, design: Any, draws: Mapping[str, np.ndarray], at: Mapping[str, float] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the variance that the term gives to the linear predictor, by part.

        Parameters
        ----------
        design : design
            From `resolve`.
        draws : mapping of str to ndarray, shape (draw, ...)
            Draws of the term's parameters.
        at : mapping of str to float, optional
            Values of the columns whose coefficients vary; their means by default.

        Returns
        -------
        dict of str to ndarray, shape (draw,)
            Squared scale of the link; empty for a term without random effects.
        """
        return {}

    def unit_effects(self, design: Any, effects: Any) -> Any:
        """Return draws of the effects of all units, dims (chain, draw, unit, ...).

        Parameters
        ----------
        design : design
            From `resolve`.
        effects : xarray.DataArray
            Draws of one of the term's effects.

        Returns
        -------
        xarray.DataArray
        """
        return effects

    def derived(self, design: Any, posterior: Mapping[str, Any]) -> dict[str, Any]:
        """Return variables that follow from draws and are kept with them, by name."""
        return {}

    def contribution(
        self, design: Any, draws: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray | None:
        """Return draws of the term's part of the linear predictor, where NumPy has a short way.

        Parameters
        ----------
        design : design
            From `resolve`, of fitted or of new data.
        draws : mapping of str to ndarray, shape (chain, draw, ...)
            Draws of the term's variables.
        rng : numpy.random.Generator
            Source of new units.

        Returns
        -------
        ndarray, shape (chain, draw, row), or None
            None: the term's own graph is evaluated.
        """
        return None

    def unit_blocks(self, design: Any) -> tuple[UnitBlock, ...]:
        """Return the units of each observation, where the term is normal effects and no more.

        Such a term can have effects on several linear predictors, correlated between them
        (`pymc_mlm.terms.several_predictors`). It has one block for each kind of unit.
        """
        return ()

    def unit_priors(self, design: Any, scale: float = 1.0) -> dict[str, Any]:
        """Return the priors of the standard deviations of `unit_blocks`, by variable name."""
        return self.priors_used(design, scale)

    @abstractmethod
    def priors_used(self, design: Any, scale: float = 1.0) -> dict[str, Any]:
        """Return the prior of every free parameter by variable name."""

    @abstractmethod
    def roles(self, design: Any) -> dict[str, Role]:
        """Return what each of the term's variables means."""


def numeric_column(data: Any, column: str, group: Factor | None = None) -> np.ndarray:
    """Read a numeric column, one value per unit of observation.

    Parameters
    ----------
    data : dataframe or mapping of str to array_like
        The table.
    column : str
        Its column.
    group : Factor, optional
        Units of observation, where they are not the rows.

    Returns
    -------
    ndarray, shape (unit,)

    Raises
    ------
    DataError
        There is no such column, it holds no numbers, or it varies within a unit of observation.

    Examples
    --------
    >>> numeric_column({"dose": [1, 2, 4]}, "dose")
    array([1., 2., 4.])
    """
    values = columns(open_table(data, [column]), [column])[column]
    if group is not None:
        remedy = f"The term needs one value of {column!r} per {group.name!r}."
        values = constant_within(column, values, group, remedy)
    return as_numbers(column, values)


def add_coords(coords: Mapping[str, Iterable[Any]]) -> None:
    """Add coordinates to the current model, once each."""
    model = pm.modelcontext(None)
    for dim, labels in coords.items():
        values = tuple(labels)
        if dim not in model.coords:
            if dim in model.named_vars:
                raise SpecificationError(
                    f"The model already has a variable {dim!r}, and a dimension of that name is "
                    "needed for a column of the table. PyMC allows each name once: rename the "
                    "column, or give the term another name=."
                )
            model.add_coord(dim, values)
        elif tuple(model.coords[dim] or ()) != values:
            raise SpecificationError(
                f"Dimension {dim!r} already exists with other labels. Give the term another name=, "
                "or rename the column."
            )


def as_names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return column names given as one name, several or none."""
    if value is None:
        return ()
    if isinstance(value, (Mapping, Set)) or not isinstance(value, (str, Iterable)):
        raise SpecificationError(
            f"{value!r} names no columns: give one name, or a list of names in order."
        )
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        check_name("a column", name)
    return names


def check_name(what: str, name: Any, hint: str = "") -> None:
    """Refuse what cannot be the name of one column.

    Raises
    ------
    SpecificationError
        `name` is no text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise SpecificationError(
            f"{name!r} cannot be {what}: one column is named, as text such as 'school'.{hint}"
        )


def contribution_at_mean(
    name: str, X: np.ndarray, counts: np.ndarray | None = None, categories: int = 0
) -> Any:
    """Return coefficients times column means, for the coefficients `name` of the current model.

    With rows for each of some categories it has one element a category.
    """
    if not X.shape[1]:
        return 0.0
    if categories:
        of_each = pytensor.shared(category_means(X, categories), name=f"{name}_means")
        return linear_predictor(of_each, pm.modelcontext(None)[name])
    means = pytensor.shared(mean(X, counts), name=f"{name}_means")
    return pt.sum(pm.modelcontext(None)[name] * means)


def data(name: str, values: np.ndarray) -> Any:
    """Put an array into the current model as data, so that compiled code serves other data."""
    return pm.Data(name, values)
