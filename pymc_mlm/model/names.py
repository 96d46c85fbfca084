"""Names of terms, variables and dimensions: each is taken once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.terms.population import COVARIATE

if TYPE_CHECKING:
    from pymc_mlm.model.design import Design
    from pymc_mlm.model.specification import Specification

# Dimensions that draws have, whatever the model.
DRAWS = ("chain", "draw")
# A column may have any name, a bracket and a new line included.
ONE_COEFFICIENT = re.compile(r"beta\[.*\]", re.DOTALL)


def is_coefficient(prior: str) -> bool:
    """Tell whether a prior is named as one of all coefficients, or of one of them.

    Examples
    --------
    >>> [is_coefficient(name) for name in ("beta", "beta[age]", "school_beta")]
    [True, True, False]
    """
    return prior == "beta" or ONE_COEFFICIENT.fullmatch(prior) is not None


def uniquely_named(
    terms: Sequence[AbstractTerm], priors: Mapping[str, Any]
) -> tuple[AbstractTerm, ...]:
    """Give each term a prefix of its own, and the model's priors for its variables.

    Parameters
    ----------
    terms : sequence of AbstractTerm
        As the user gave them.
    priors : mapping of str to prior
        The model's priors; those of the term itself win.

    Returns
    -------
    tuple of AbstractTerm

    Raises
    ------
    SpecificationError
        A name that was given is that of another term, too.
    """
    bases = [term.base_name for term in terms]
    for term in terms:
        if term.name is not None and bases.count(term.name) > 1:
            raise SpecificationError(
                f"Two terms have the name {term.name!r}. Give each a name= of its own."
            )
    taken: dict[str, int] = {}
    named: list[Any] = []
    for term in terms:
        base = term.base_name
        taken[base] = taken.get(base, 0) + 1
        name = base if taken[base] == 1 else f"{base or 'nested'}_{taken[base]}"
        named.append(replace(term, name=name or None))  # type: ignore[type-var]
    prefixes = [p for term in named for p in term.prefixes]
    return tuple(replace(t, priors={**_owned(t, priors, prefixes), **t.priors}) for t in named)


def _owned(term: Any, priors: Mapping[str, Any], prefixes: Sequence[str]) -> dict[str, Any]:
    """Return the priors whose longest matching prefix is the term's.

    ``party_2_sd`` is a parameter of the term ``party_2`` and not of ``party``.
    """
    own = {}
    for key, prior in priors.items():
        fitting = [p for p in prefixes if key.startswith(f"{p}_")]
        if fitting and max(fitting, key=len) in term.prefixes:
            own[key] = prior
    return own


def refuse_taken_names(spec: Specification, design: Design) -> None:
    """Refuse id columns whose dimension would have a name that the model uses otherwise.

    Raises
    ------
    SpecificationError
        The column is named.
    """
    prefixes = spec.nested.prefixes if spec.nested else ()
    dims = [design.rows.name] if spec.observation else []
    of_terms = [d for term, part in design.terms for d in term.dims(part)]
    own = {COVARIATE, *DRAWS, *(("coef",) if spec.nested else ())}
    own |= set() if spec.observation else {design.rows.name}
    own |= {*spec.family.own_dims}
    own |= {f"{p}_{what}" for p in prefixes for what in ("coef", "pair")}
    variables = {"outcome", "eta", "covariates", "offset", *spec.roles(design)}
    variables |= {*spec.priors_used(design)}
    refuse_slashes([*dims, *of_terms, *variables])
    levels = spec.nested.levels if spec.nested else ()
    for name in [*dims, *of_terms]:
        if name in levels and [*dims, *of_terms].count(name) > 1:
            raise SpecificationError(
                f"Column {name!r} is a nested level and the unit of another term, too: their "
                "effects cannot be told apart. Leave one of them out."
            )
        if name in own:
            raise SpecificationError(
                f"Column {name!r} would name a dimension that the model uses itself. Rename "
                "the column."
            )
        if name in variables:
            raise SpecificationError(
                f"Column {name!r} would name a dimension, but the model already has a variable "
                "of that name, and PyMC allows each name once. Rename the column."
            )


def refuse_slashes(names: Sequence[str]) -> None:
    """Refuse names of variables and dimensions that draws cannot be kept under.

    Raises
    ------
    SpecificationError
        The name is given.
    """
    for name in names:
        if "/" in name:
            raise SpecificationError(
                f"{name!r} would be a name in the draws, where '/' stands between groups "
                "(xarray.DataTree). Rename the column, or give the term a name=."
            )
