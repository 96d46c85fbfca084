"""Terms of a call of bmco: what is fixed, what varies by cluster, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymc_mlm.errors import SpecificationError


@dataclass(frozen=True)
class BmcoTerms:
    """Terms of a call of bmco.

    Attributes
    ----------
    fixed, random : tuple of str
        bmco's terms in bmco's order, which is the order of its priors.
    columns : tuple of str
        The same terms in the order of the model's columns.
    covariate : str or None
        Name of the covariate.
    """

    fixed: tuple[str, ...]
    random: tuple[str, ...]
    columns: tuple[str, ...]
    covariate: str | None


def term_names(terms: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return terms given as one name, several or none."""
    return None if terms is None else (terms,) if isinstance(terms, str) else tuple(terms)


def refuse_terms(fixed: Any, random: Any) -> None:
    """Refuse terms in a call that compares response patterns as they are."""
    for name, value in (("fixed", fixed), ("random", random)):
        if value is not None:
            raise SpecificationError(
                f"{name}={value!r} belongs to bglmm. Without x_var and id_var bmco compares the "
                "response patterns as they are."
            )


def read_terms(
    grp: str,
    x_var: str | None,
    id_var: str | None,
    fixed: tuple[str, ...] | None,
    random: tuple[str, ...] | None,
) -> tuple[BmcoTerms, list[str]]:
    """Return the terms and what to say of them, after checking bmco's names."""
    covariate = () if x_var is None else (x_var, f"{grp}_{x_var}")
    possible = ("Intercept", grp, *covariate)
    notes = []
    if id_var is None:
        if random is not None:
            raise SpecificationError(
                f"random={list(random)!r} names what varies by cluster, and id_var is not given. "
                "Name the column of the cluster, or leave random out."
            )
        fixed = possible if fixed is None else fixed
        fixed = fixed if "Intercept" in fixed else ("Intercept", *fixed)
        random = ()
    elif random is None:
        random = ("Intercept", grp)
        notes = [f"random is not given: as in bmco, Intercept and {grp} vary by {id_var}."]
    elif not random:
        raise SpecificationError("random=() lets nothing vary by cluster. Leave id_var out.")
    if fixed is None:
        fixed = covariate
    _check_terms(fixed, random, possible, 1 if x_var is None else -1)
    columns = tuple(term for term in possible if term in (*fixed, *random))
    for term, by in ((x_var, "Intercept"), (f"{grp}_{x_var}", grp)):
        if term in random and by not in random:
            raise SpecificationError(
                f"random={list(random)!r} lets {term} vary without {by}. Slopes are those of the "
                f"centred covariate here, which have no counterpart then. Name {by} in random."
            )
    return BmcoTerms(fixed, random, columns, x_var), notes


def _check_terms(
    fixed: tuple[str, ...], random: tuple[str, ...], possible: tuple[str, ...], optional: int
) -> None:
    asked = (*fixed, *random)
    for term in asked:
        if term not in possible:
            raise SpecificationError(
                f"{term!r} is no term of bmco here; it has {', '.join(possible)}."
            )
        if asked.count(term) > 1:
            raise SpecificationError(
                f"{term!r} is named {asked.count(term)} times in fixed={list(fixed)!r} and "
                f"random={list(random)!r}. A random term has a mean of its own: name it once."
            )
    needed = possible[:optional] if optional < 0 else possible
    missing = [term for term in needed if term not in asked]
    if missing:
        raise SpecificationError(
            f"fixed={list(fixed)!r} and random={list(random)!r} leave out {', '.join(missing)}: "
            "bmco would fit a model without it, and here only the interaction can be left out. "
            "Name it in fixed or random."
        )
