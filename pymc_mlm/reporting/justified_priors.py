"""Priors with their justification: the default's reason, or the user's.

The reasons of defaults are those of docs/priors.md, word for word; a test holds that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit

HALF_NORMAL = (
    "as wide as the prior of a coefficient, so that units may differ as much as categories"
)
UNIFORM = "uniform over correlation matrices; Lewandowski, Kurowicka and Joe (2009)"
COEFFICIENT = "a column's sd moves the outcome by less than 5 of its sds, with 95% probability"
ON_SD = "half-normal or half-t on the sd, and no inverse gamma on the variance: Gelman (2006)"
WEIGHT = "the same on a standardised column"
LITERAL, LITERAL_PRIOR = "taken literally", "Normal(mu=0, sigma=1)"
# By the whole name of a variable.
REASONS = {
    "cell_probability": "its density is that of imaginary persons, spread evenly over the "
    "patterns, a conditional means prior (Bedrick, Christensen and Johnson 1996): two per arm, so "
    "that success probabilities are uniform, or one where clusters or members have "
    "effects, which leave few independent persons (Berger, Bernardo and Sun 2015)",
    "slope": "rstanarm's scale",
    "cluster_sd": "two clusters one sd apart may differ by a factor of 50 in the odds (95% of the "
    "prior); Gelman (2006)",
    "Intercept": "the level of the linear predictor at a typical group, not at zero of all columns",
    "beta": COEFFICIENT,
}
# By the last word of the name of a variable of a term; of mm terms of one predictor apart.
OF_TERMS = {
    "beta": COEFFICIENT,
    "sd": HALF_NORMAL,
    "effect": "a difference from the first unit",
    "partial": UNIFORM,
    "corr": UNIFORM,
}
IMPUTATION = (
    "weak, on the scale of the covariate: as coefficients and residual of a Gaussian outcome; the "
    "rows that have the covariate outweigh it"
)
# The same for trials, where they differ.
OF_TRIALS = {"sd": "that of `cluster_sd` on what all members add to a person"}
DEFAULT, GIVEN = "default", "the user's"
NOT_STATED = "not stated"


def justified_priors(
    fit: Fit, reasons: Mapping[str, str] | None = None, own: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return the prior of every parameter with its origin and reason, rows of a table.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    reasons : mapping of str to str, optional
        The user's reasons, by variable; they come before those of the defaults.
    own : mapping of str to str, optional
        Reasons of the kind of model, by the last word of a variable of a term.

    Returns
    -------
    list of dict
        With variable, meaning, prior, origin and reason.

    Raises
    ------
    SpecificationError
        A reason is for no prior of the model.
    """
    rows = fit.spec.prior_rows(fit.design)
    defaults = _default_rows(fit)
    given = dict(reasons or {})
    known = [name for name, _, _ in rows]
    for name in given:
        if name not in known:
            raise SpecificationError(
                f"reasons: the model has no prior of {name!r}; it has {', '.join(known)}."
            )
    found = []
    for name, meaning, prior in rows:
        prior = without_address(prior)
        origin = DEFAULT if defaults.get(name) == prior else GIVEN
        reason = reason_of(name, prior, fit, own or {}) if origin == DEFAULT else NOT_STATED
        found.append(
            {
                "variable": name,
                "meaning": meaning,
                "prior": prior,
                "origin": origin,
                "reason": given.get(name, reason),
            }
        )
    return found


def without_address(text: str) -> str:
    """Return code or a prior without the memory addresses of objects that do not print themselves.

    Examples
    --------
    >>> without_address("<priors.Own object at 0x7f17>")
    '<priors.Own>'
    """
    return re.sub(r" object at 0x[0-9a-fA-F]+(?=>)", "", text)


def reason_of(name: str, prior: str, fit: Fit, own: Mapping[str, str]) -> str:
    """Return the reason of a default prior, stated as text."""
    by_name = REASONS | getattr(getattr(fit.spec, "family", None), "reasons", {})
    if name in by_name:
        return by_name[name]
    role = fit.roles.get(name)
    if role is not None and role.kind == "weight":
        return LITERAL if prior == LITERAL_PRIOR else WEIGHT
    if role is not None and role.kind == "imputation":
        return IMPUTATION
    last = name.rpartition("_")[2]
    if last == "sd" and not own and role is not None and role.term.startswith("mm "):
        return ON_SD
    return {**OF_TERMS, **own}.get(last, NOT_STATED)


def _default_rows(fit: Fit) -> dict[str, str]:
    """Return the priors that the model has where none is given."""
    spec: Any = fit.spec
    pairs = [(_without_priors(term), part) for term, part in fit.design.terms]
    change: dict[str, Any] = {"priors": {}, "terms": tuple(map(_without_priors, spec.terms))}
    if hasattr(spec, "family"):
        change["family"] = replace(spec.family, priors={})
    if hasattr(spec, "cluster_prior"):
        change["cluster_prior"] = "lkj"
    plain = replace(spec, **change)
    rows = plain.prior_rows(replace(fit.design, terms=tuple(pairs)))
    return {name: without_address(prior) for name, _, prior in rows}


def _without_priors(term: Any) -> Any:
    return replace(term, priors={}) if getattr(term, "priors", None) else term
