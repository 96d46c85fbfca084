"""A call of bml as a model of this package."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pymc_mlm.bml.blocks import (
    BY_PARTICIPATION,
    Block,
    Problems,
    membership_block,
    summands,
    unit_block,
)
from pymc_mlm.bml.code import model_code
from pymc_mlm.bml.expressions import Node, parse_call, refuse, written
from pymc_mlm.bml.parameters import Parameters
from pymc_mlm.bml.priors import number, stated_priors
from pymc_mlm.estimators import MultipleMembershipModel
from pymc_mlm.families import Cox
from pymc_mlm.terms.member_effects import RandomWalk

FAMILIES = {
    "gaussian": "gaussian", "binomial": "bernoulli", "bernoulli": "bernoulli",
    "weibull": "weibull", "cox": "cox",
}  # fmt: skip
# Of both grammars: what a fit is asked for, and what is not taken over, with the reason.
SETTINGS = {
    "n.chains": "chains", "n_chains": "chains", "chains": "chains", "seed": "random_seed",
}  # fmt: skip
LEFT_OUT = {
    **dict.fromkeys(
        ("n.iter", "n.burnin", "n.thin", "n_iter", "n_burnin", "n_thin", "iter", "warmup", "thin"),
        "draws of NUTS are hardly correlated; fit() draws 1,000 per chain after 1,000 to adapt",
    ),
    **dict.fromkeys(("parallel", "cores"), "chains run in parallel"),
    **dict.fromkeys(("run",), "model.build(data) gives the model without sampling"),
    **dict.fromkeys(("monitor", "modelfile"), "all draws are kept"),
}
READ = {"formula", "data", "family", "priors", "prior", "inits", "cox_intervals"}
DEFAULTS = (
    "Parameters without a prior above have the defaults of pymc_mlm, not those of bml "
    "(docs/migrating_from_bml.md has both)."
)


@dataclass(frozen=True)
class BmlCall:
    """A call of bml, translated; prints the code and what was decided on the way.

    Attributes
    ----------
    model : MultipleMembershipModel
        The model.
    fit_arguments : dict of str to object
        Chains, seed and initial values: ``call.model.fit(table, **call.fit_arguments)``.
    code : str
        The model as Python.
    notes : tuple of str
        Each prior as it was stated and as it is here, and what was not taken over.
    """

    model: MultipleMembershipModel
    code: str
    fit_arguments: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Print the code and the notes."""
        return "\n".join([self.code, *self.notes])

    __repr__ = __str__


def from_bml(text: str, columns: Collection[str] | None = None) -> BmlCall:
    """Translate a call of the R package bml, given as text.

    Parameters
    ----------
    text : str
        R code with one call of ``bml()``, in the grammar of bml 0.9 or of 0.10 and 0.11. What
        stands around the call, and what is done to its data, is not read.
    columns : collection of str, optional
        Columns of the table. In a weight every other name is then a free parameter, as in bml
        0.10; without them only ``b``, ``b0``, ... are.

    Returns
    -------
    BmlCall

    Raises
    ------
    SpecificationError
        The text is no such call, or parts of it have no counterpart; all are named with their
        characters.

    Examples
    --------
    >>> call = from_bml('''bml(y ~ 1 + x + mm(id = id(pid, gid), vars = vars(z),
    ...     fn = fn(w ~ 1/n^exp(b*s), c = TRUE), RE = TRUE), family = "Gaussian", data = d,
    ...     priors = list("b.w.1 ~ dnorm(0, 1)"))''')
    >>> print(call.code)
    mlm.MultipleMembershipModel(
        "y ~ 1 + x",
        mlm.mm(
            "pid",
            "gid",
            covariates=["z"],
            weight="1 / n^exp(b * s)",
            priors={"b": mlm.Prior("Normal", mu=0, sigma=1)},
        ),
        family="gaussian",
    )
    """
    call = parse_call(text, "bml")
    problems = Problems()
    given = _arguments(call, problems)
    formula, blocks = _formula(given.get("formula", call), columns, problems)
    family = _family(given, problems)
    parameters = Parameters(formula, blocks, problems)
    for name in ("priors", "prior"):
        for stated in stated_priors(given[name]) if name in given else ():
            parameters.add(stated)
    problems.require_none()
    model = MultipleMembershipModel(
        formula.text, *(b.term() for b in blocks), family=family, priors=parameters.priors or None
    )
    initvals = parameters.initvals(model, given.get("inits"))
    problems.require_none()
    notes = [*parameters.notes, *formula.notes, *problems.remarks]
    for reason in dict.fromkeys(LEFT_OUT[n] for n in given if n in LEFT_OUT):
        own = [f"{n} = {written(given[n], False)}" for n in given if LEFT_OUT.get(n) == reason]
        notes.append(f"{', '.join(own)}: not taken over, because {reason}.")
    settings: dict[str, Any] = {
        SETTINGS[n]: int(number(given[n])) for n in given
        if n in SETTINGS and not given[n].is_name("NULL")
    }  # fmt: skip
    settings |= {"initvals": initvals} if initvals else {}
    code = model_code(formula.text, blocks, family, parameters.priors)
    return BmlCall(model, code, settings, (*notes, DEFAULTS))


@dataclass(frozen=True)
class MainFormula:
    """The formula apart from blocks.

    Attributes
    ----------
    text : str
    parts : tuple of Node
        Terms with estimated coefficients.
    has_intercept : bool
    notes : tuple of str
        What was moved into it.
    """

    text: str
    parts: tuple[Node, ...]
    has_intercept: bool
    notes: tuple[str, ...] = ()


def _arguments(call: Node, problems: Problems) -> dict[str, Node]:
    """Return the arguments by name; a second one by position is the table or the family."""
    given: dict[str, Node] = {}
    for name, node in zip(call.names, call.parts, strict=True):
        second = "data" if node.kind == "name" else "family"
        own = name or ("formula" if "formula" not in given else second)
        if own in given or own not in {*READ, *SETTINGS, *LEFT_OUT}:
            problems.add(node, f"bml() has no argument {name or written(node, False)!r} known here")
        given[own] = node
    return given


def _formula(
    node: Node, columns: Collection[str] | None, problems: Problems
) -> tuple[MainFormula, list[Block]]:
    """Split the formula into its main part and the blocks."""
    if node.value != "~" or len(node.parts) != 2:
        refuse(node.position, "bml() takes a formula first, such as y ~ 1 + x + mm(...).")
    outcome, right = node.parts
    blocks: list[Block] = []
    main: list[tuple[str, Node]] = []
    moved: list[str] = []
    for sign, part in summands(right):
        if part.is_call("mm"):
            blocks.append(membership_block(part, columns, problems))
        elif part.is_call("hm"):
            block, own = unit_block(part, problems)
            blocks.append(block)
            moved += own
        else:
            main.append((sign, part))
    features = {b.feature for b in blocks} - {""}
    for _, part in main:
        for inner in part.walk():
            if inner.kind == "name" and inner.value in features:
                problems.add(inner, f"{inner.value!r} is the feature of a block, and interactions "
                             "with those are not translated")  # fmt: skip
            if inner.is_call("mm", "hm"):
                problems.add(inner, f"{inner.value}() stands inside another term")
    _join(blocks, problems)
    _skip_missing(blocks)
    terms = [f"{sign} {written(part)}" for sign, part in main] + [f"+ {text}" for text in moved]
    text = " ".join(terms).removeprefix("+ ") or "1"
    is_without = any(_is_without(sign, part) for sign, part in main)
    free = tuple(p for s, p in main if s == "+" and p.kind != "number" and not p.is_call("fix"))
    notes = (
        (f"{', '.join(moved)} of hm(type = 'FE') stands in the formula: its fixed effects leave "
         "only what varies within the units.",) if moved else ()
    )  # fmt: skip
    return MainFormula(f"{written(outcome)} ~ {text}", free, not is_without, notes), blocks


def _is_without(sign: str, part: Node) -> bool:
    if part.kind == "unary" and part.value == "-":
        return written(part.parts[0]) == "1"
    return (sign, written(part)) in (("+", "0"), ("-", "1"))


def _join(blocks: list[Block], problems: Problems) -> None:
    """Write units with slopes or walks as the one member of each group."""
    group = next((b.ids[1] for b in blocks if b.kind == "mm"), None)
    for block in blocks:
        if block.kind == "hm" and {"varying", "dynamics"} & {*block.options}:
            if group is None:
                problems.add(
                    block.node,
                    "units of hm() with slopes or walks are written as the one member of each "
                    "group, and the call has no mm() with a column of groups; write mm(unit, row) "
                    "with a column that numbers the rows",
                )
            else:
                block.group = group
                if block.options.get("dynamics") == BY_PARTICIPATION:
                    block.options["dynamics"] = RandomWalk(group)


def _skip_missing(blocks: list[Block]) -> None:
    """Let rows be those of one kind of members, where there are several: others are missing."""
    members = [b for b in blocks if b.kind == "mm"]
    if len({b.ids[0] for b in members}) > 1:
        for block in members:
            block.options["missing"] = "skip"


def _family(given: dict[str, Node], problems: Problems) -> Any:
    node = given.get("family")
    name = "gaussian" if node is None else node.value.rpartition(":")[2].lower()
    if name not in FAMILIES:
        assert node is not None
        problems.add(node, f"the family {node.value!r} is none of bml: {', '.join(FAMILIES)}")
        return "gaussian"
    if name != "cox":
        return FAMILIES[name]
    intervals = given.get("cox_intervals")
    if node is not None and node.kind == "call":
        intervals = dict(zip(node.names, node.parts, strict=True)).get("intervals", intervals)
    every = intervals is None or intervals.is_name("NULL")
    return Cox("all") if every else Cox(int(number(intervals)))  # type: ignore[arg-type]
