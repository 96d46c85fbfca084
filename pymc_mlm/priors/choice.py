"""Priors that a user names, in place of the defaults: of whole parameters and of their elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors.prior import with_element


def pick_priors(
    where: str,
    defaults: Mapping[str, Any],
    short: Mapping[str, str],
    given: Mapping[str, Any],
    elements: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> dict[str, Any]:
    """Return the defaults with the given priors in their place.

    Parameters
    ----------
    where : str
        Term, for messages.
    defaults : mapping of str to prior
        By full variable name.
    short : mapping of str to str
        Short name of each full one, also accepted in `given`.
    given : mapping of str to prior
        The user's; ``"beta[age]"`` is that of one element of a vector, or of one column of a
        matrix, whose elements have names such as ``"beta[11, age]"``.
    elements : mapping of str to sequence of sequence of str, optional
        Names of the elements of vectors and matrices, along each axis, by full variable name.

    Raises
    ------
    SpecificationError
        A given name is not a parameter of the term.
    """
    full = {alias: name for name, alias in short.items()}
    chosen = dict(defaults)
    of_elements: dict[str, Any] = {}
    for name, prior in given.items():
        target = full.get(name, name)
        of = chosen if target in chosen else of_elements
        of[target] = prior
    for name, prior in of_elements.items():
        vector, _, element = name.removesuffix("]").partition("[")
        target = full.get(vector, vector)
        if target not in chosen or target not in (elements or {}) or not name.endswith("]"):
            raise SpecificationError(
                f"{where} has no parameter {name!r}; its priors are named "
                f"{', '.join(short.get(n, n) for n in defaults) or '(none)'}."
            )
        names = (elements or {})[target]
        chosen[target] = with_element(f"{where}, {name}", chosen[target], names, element, prior)
    return chosen
