r"""A term repeated on each of several linear predictors, with parameters of their own.

.. math:: \eta_{im} \mathrel{+}= f(x_i; \theta_m) - \bar f_m

The mean :math:`\bar f_m` is that of the term's covariates in the fitted data, where it has one
(`AbstractTerm.at_mean`), so that intercepts keep their meaning; zero for other terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pytensor.tensor as pt

from pymc_mlm.data.factor import Factor
from pymc_mlm.terms.base import AbstractTerm


@dataclass(frozen=True, eq=False)
class EachDesign:
    """Designs of a repeated term.

    Attributes
    ----------
    parts : tuple of design
        One for each predictor.
    fitted : tuple of design
        Those of the fitted data.
    """

    parts: tuple[Any, ...]
    fitted: tuple[Any, ...]


@dataclass(frozen=True)
class OnEachPredictor(AbstractTerm):
    """A term on each predictor; `effect` has the shape (row, predictor).

    Parameters
    ----------
    term : AbstractTerm
        Its names begin with `base_name`; ``<base_name>_<predictor>`` takes the place of that.
    predictors : tuple of str
    priors : mapping of str to prior
        By the names of the term's own parameters, for all predictors, or of one predictor's.
    name : str, optional
        Not used: the term has it.
    """

    term: Any
    predictors: tuple[str, ...]
    priors: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    design_type = EachDesign

    @cached_property
    def copies(self) -> tuple[Any, ...]:
        """The term under the name of each predictor."""
        base, out = self.term.base_name, []
        for predictor in self.predictors:
            others = tuple(f"{_of(base, p)}_" for p in self.predictors if p != predictor)
            mine = {k: v for k, v in self.priors.items() if not k.startswith(others)}
            name = _of(base, predictor)
            # Names of one predictor come last: they win over those of all.
            ordered = sorted(mine, key=lambda k: k.startswith(f"{name}_"))
            own = {_named(k, base, name): mine[k] for k in ordered}
            out.append(replace(self.term, name=name, priors=own))
        return tuple(out)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the term."""
        return tuple(self.term.columns)

    @property
    def base_name(self) -> str:
        """That of the term."""
        return str(self.term.base_name)

    @property
    def label(self) -> str:
        """That of the term."""
        return str(self.term.label)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """Those of the term, if it has effects of units."""
        return tuple(self.term.id_columns)

    def units(self, design: EachDesign) -> tuple[tuple[str, Any, int], ...]:
        """Return those of the term."""
        return tuple(self.term.units(design.parts[0]))

    def size(self, design: EachDesign) -> str:
        """Return that of the term."""
        return str(self.term.size(design.parts[0]))

    def notes(self, design: EachDesign, scale: float = 1.0) -> tuple[str, ...]:
        """Return those of each predictor."""
        pairs = zip(self.copies, design.parts, strict=True)
        return tuple(dict.fromkeys(text for t, part in pairs for text in t.notes(part, scale)))

    def has_effects(self, design: EachDesign) -> bool:
        """Tell whether the term has effects of units, which new units have, too."""
        kinds = {role.kind for role in self.roles(design).values()}
        return bool(kinds & {"effect", "sd"})

    def resolve(
        self, data: Any, known: EachDesign | None = None, group: Factor | None = None
    ) -> EachDesign:
        """Read the table for each predictor."""
        before = (None,) * len(self.copies) if known is None else known.parts
        pairs = zip(self.copies, before, strict=True)
        parts = tuple(term.resolve(data, part, group=group) for term, part in pairs)
        return EachDesign(parts, parts if known is None else known.fitted)

    def effect(self, design: EachDesign, scale: float = 1.0) -> Any:
        """Add each predictor's parameters to the current model, shape (row, predictor)."""
        self.check_design(design)
        triples = zip(self.copies, design.parts, design.fitted, strict=True)
        columns = [t.effect(part, scale) - t.at_mean(fitted) for t, part, fitted in triples]
        return pt.stack(columns, axis=1)

    def priors_used(self, design: EachDesign, scale: float = 1.0) -> dict[str, Any]:
        """Return those of each predictor."""
        pairs = zip(self.copies, design.parts, strict=True)
        return {n: p for term, part in pairs for n, p in term.priors_used(part, scale).items()}

    def roles(self, design: EachDesign) -> dict[str, Any]:
        """Return those of each predictor."""
        pairs = zip(self.copies, design.parts, strict=True)
        return {n: role for term, part in pairs for n, role in term.roles(part).items()}


def _of(base: str, predictor: str) -> str:
    """Return the term's name on a predictor; levels have names of their own, and no base."""
    return f"{base}_{predictor}" if base else predictor


def _named(prior: str, base: str, name: str) -> str:
    """Return the name of a prior under the term's new name; short ones stay."""
    if not base or prior.startswith(f"{name}_") or not prior.startswith(f"{base}_"):
        return prior
    return name + prior.removeprefix(base)
