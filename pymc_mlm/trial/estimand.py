"""The estimand of a trial by the five attributes of ICH E9(R1): as stated, and as analysed.

References
----------
.. [1] ICH E9(R1) (2019). Addendum on estimands and sensitivity analysis in clinical trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc_mlm.decisions import (
    AbstractRule,
    All,
    Compensatory,
    Custom,
    Equivalence,
    Margins,
    Single,
)
from pymc_mlm.decisions import Any as AnyRule
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.justified_priors import NOT_STATED

ATTRIBUTES = ("population", "variable", "treatment", "intercurrent_events", "summary_measure")
ENDPOINTS: dict[type[AbstractRule], str] = {
    All: "co-primary endpoints: success on every one",
    AnyRule: "multiple primary endpoints: success on at least one",
    Compensatory: "weighted endpoints: one may make up for another",
    Single: "one primary endpoint",
    Margins: "co-primary endpoints with a margin each",
    Equivalence: "equivalence on every endpoint",
    Custom: "an event of the author's own",
}


def endpoints(rule: AbstractRule) -> str:
    """Return what a rule asks of the endpoints, in the terms of trials."""
    return ENDPOINTS.get(type(rule), f"{rule.combine} endpoint of a rule of the author's own")


def estimand_rows(
    fit: Fit, population: str, attributes: Mapping[str, Any] | None = None
) -> list[dict[str, str]]:
    """Return the attributes, rows of a table.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    population : str
        Sentence: what the effects are averaged over.
    attributes : mapping of str to str, optional
        The author's words, by `ATTRIBUTES`. Intercurrent events may be a mapping of each event to
        its strategy.

    Raises
    ------
    SpecificationError
        An attribute is none of the five, or no text.
    """
    stated = {name: _words(name, value) for name, value in (attributes or {}).items()}
    trial = fit.design.trial
    control, *treatments = map(str, trial.arm.labels.tolist())
    analysed = {
        "population": f"{len(trial.arm.codes)} analysed {fit.design.unit}. {population}",
        "variable": ", ".join(
            map(_variable, trial.outcomes, map(trial.events.get, trial.outcomes))
        ),
        "treatment": f"{' and '.join(treatments)} against {control}, as assigned in the column "
        f"{trial.arm.name}",
        "intercurrent_events": "outcomes are taken as they stand in the table; missing ones are "
        "taken as missing at random given arm, covariates and the other outcomes",
        "summary_measure": "difference of the success probabilities, and their ratio and odds "
        "ratio",
    }
    return [
        {
            "attribute": name.replace("_", " "),
            "stated by the author": stated.get(name, NOT_STATED),
            "in this analysis": analysed[name],
        }
        for name in ATTRIBUTES
    ]


def _variable(name: str, event: Any) -> str:
    return name if event is None else f"{name} (success: {event})"


def _words(name: str, value: Any) -> str:
    if name not in ATTRIBUTES:
        raise SpecificationError(
            f"attributes: {name!r} is no attribute of an estimand; these are "
            f"{', '.join(ATTRIBUTES)}."
        )
    if isinstance(value, Mapping):
        value = "; ".join(f"{event}: {strategy}" for event, strategy in value.items())
    if not isinstance(value, str) or not value.strip():
        raise SpecificationError(f"attributes: {name!r} is {value!r}; it is text.")
    return value
