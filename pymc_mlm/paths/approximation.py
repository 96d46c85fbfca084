"""The mode of the hyperparameters of a model, effects integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymc_mlm.integration.effect_mode import CHEAP_FACTOR
from pymc_mlm.integration.gaussian import is_exact
from pymc_mlm.integration.importance import IntegrationError, Mode, find_mode
from pymc_mlm.integration.log_densities import LOG_DENSITIES
from pymc_mlm.integration.rows import Rows
from pymc_mlm.integration.second_order import corrected_mode
from pymc_mlm.paths.conditional import MOST_HYPERPARAMETERS, Conditional, conditional
from pymc_mlm.paths.log_marginal import LogMarginal
from pymc_mlm.paths.without_effects import start_without_effects
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.terms.imputed import Imputed


@dataclass(frozen=True, eq=False)
class Approximation:
    """A model and where its hyperparameters are.

    Attributes
    ----------
    density : LogMarginal
        Log posterior of the hyperparameters.
    mode : Mode
        Its mode and covariance, with the second order.
    """

    density: LogMarginal
    mode: Mode


def approximate(spec: Any, design: Any, informed: bool = False) -> Approximation:
    """Find the mode of the hyperparameters.

    Parameters
    ----------
    spec, design, informed
        As in `conditional`.

    Raises
    ------
    IntegrationError
        They are too many, or the effects cannot be integrated out.
    """
    model = conditional(spec, design, informed)
    if len(model.start) > MOST_HYPERPARAMETERS:
        raise IntegrationError(
            f"the model has {len(model.start)} parameters beside the random effects, and "
            f"importance sampling serves {MOST_HYPERPARAMETERS} at most"
        )
    return approximate_split(model)


def approximate_split(model: Conditional) -> Approximation:
    """Find the mode of the hyperparameters of a model that is already split."""
    density = LogMarginal(model)
    # Where cross products serve, rows are not read again, and gradients are cheap.
    start = (model.start,) if model.linear is not None else start_without_effects(model)
    mode = find_mode(density, *start)
    density(mode.point)
    if is_exact(model.rows):
        return Approximation(density, mode)
    # Rounds of points adapt to what one step leaves, where each evaluation is dear.
    steps = 1 if is_large(model.rows) else 2
    return Approximation(density, corrected_mode(density, density.second_order, mode, steps))


def is_large(rows: Rows) -> bool:
    """Return whether factors are dear."""
    return rows.size - rows.num_front > CHEAP_FACTOR


def family_obstacle(family: Any) -> str | None:
    """Return why the log density of a family is not known beside its graph."""
    if family.name in LOG_DENSITIES and family.is_standard:
        return None
    return (
        f"no derivatives are known of the log density of {type(family).__name__!r}; those of the "
        f"package's {', '.join(LOG_DENSITIES)} are"
    )


def effects_obstacle(design: Any) -> str | None:
    """Return why effects cannot be integrated out of a model, whatever its family."""
    if any(isinstance(term, Imputed) for term, _ in design.terms):
        return "missing covariates are unknowns beside the effects (impute=)"
    with_effects = [(term, part) for term, part in design.terms if term.sizes(part)]
    strange = [term.label for term, _ in with_effects if not _is_linear(term)]
    if strange:
        return f"the term {strange[0]!r} does not say how its effects enter (`linear`)"
    if not with_effects:
        return "the model has no random effects to integrate out"
    return None


def obstacle(spec: Any, design: Any) -> str | None:
    """Return why effects cannot be integrated out, exactly or by Laplace's method."""
    return family_obstacle(spec.family) or effects_obstacle(design)


def _is_linear(term: Any) -> bool:
    return type(term).linear is not AbstractTerm.linear and term.is_of_effect("linear")
