"""`mm()` and `hm()` of bml, both grammars, as arguments of the terms of this package."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pymc_mlm.bml.aggregation import (
    deviation_weight,
    feature_name,
    is_aggregation,
    kind_of,
    obstacle,
)
from pymc_mlm.bml.expressions import TRUTH, Node, written
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms import AbstractTerm, hm, mm
from pymc_mlm.terms.member_effects import RandomWalk, VaryingCoefficients
from pymc_mlm.weights import Expression
from pymc_mlm.weights.tree import GROUP_SIZE

# Reads positions in the order of bml's own signatures.
_POSITIONS = {
    "mm": ("id", "vars", "fn", "RE", "ar"),
    "hm": ("id", "vars", "name", "type", "showFE", "ar"),
    "fn": ("w", "c"),
    "w": ("formula", "scale"),
    "re": ("formula", "ar", "cor"),
    "fe": ("formula", "showFE"),
}
IGNORED = ("showFE", "name", "labels")
# A walk by participation, until the column that orders the participations is known.
BY_PARTICIPATION = "participation"


class Problems:
    """What could not be translated, with positions; and what a reader should know of the rest."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self.remarks: list[str] = []

    def add(self, node: Node, text: str) -> None:
        """Note a part that has no counterpart."""
        self.found.append((node.position, text))

    def require_none(self) -> None:
        """Raise an error that names all parts, in the order of the text."""
        if self.found:
            lines = [f"- character {at}: {text}" for at, text in sorted(set(self.found))]
            raise SpecificationError("\n".join(["bml call: not translated", *lines]))


@dataclass
class Block:
    """One term: its class, arguments, and where it stands.

    Attributes
    ----------
    kind : {"mm", "hm"}
    ids : tuple of str
        Member and group, or unit.
    options : dict of str to object
        Arguments by name, those that are not defaults.
    covariates : list of str
        Parts of `vars()`, as text.
    parameters : tuple of str
        Free parameters of the weight, in the order of the text.
    node : Node
    feature : str
        Name by which the main formula may refer to it.
    priors : dict of str to prior
    group : str
        Of units with slopes or walks, the column of the groups of which they are the one member.
    """

    kind: str
    ids: tuple[str, ...]
    options: dict[str, Any]
    covariates: list[str]
    parameters: tuple[str, ...]
    node: Node
    feature: str = ""
    priors: dict[str, Any] = field(default_factory=dict)
    group: str = ""

    @property
    def function(self) -> str:
        """Name of the term's function here."""
        return "mm" if self.group else self.kind

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of ids that the function takes."""
        return (*self.ids, self.group) if self.group else self.ids

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments by name."""
        own = {"covariates": self.covariates} if self.covariates else {}
        return {**own, **self.options, **({"priors": self.priors} if self.priors else {})}

    @property
    def has_effects(self) -> bool:
        """Whether members or units have random effects."""
        return self.options.get("effect", "random") == "random"

    def term(self) -> AbstractTerm:
        """Return the term."""
        make: Callable[..., AbstractTerm] = mm if self.function == "mm" else hm
        return make(*self.columns, **self.arguments)


def named(call: Node, function: str) -> dict[str, Node]:
    """Return the arguments of a call by name, also those given by position."""
    order = iter(n for n in _POSITIONS[function] if n not in call.names)
    pairs = zip(call.names, call.parts, strict=True)
    return {name or next(order, f"argument {i + 1}"): part for i, (name, part) in enumerate(pairs)}


def truth(node: Node | None, default: bool) -> bool | None:
    """Return TRUE or FALSE; None if it is neither."""
    if node is None or node.is_name("NULL"):
        return default
    return TRUTH.get(node.value) if node.kind == "name" else None


def summands(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the terms of a sum with their signs."""
    if node.kind == "binary" and node.value in "+-":
        yield from summands(node.parts[0])
        yield node.value, node.parts[1]
    else:
        yield "+", node


def membership_block(call: Node, columns: Collection[str] | None, problems: Problems) -> Block:
    """Translate an `mm()`."""
    given = named(call, "mm")
    _refuse_others(given, (*_POSITIONS["mm"], "w", "FE", *IGNORED), "mm", problems)
    covariates = _covariates(given.get("vars"), problems)
    options: dict[str, Any] = {}
    weight, parameters = _weight(given, options, columns, problems)
    feature = given["name"].value if "name" in given else ""
    if kind_of(given.get("fn")) != "sum":
        own = _aggregated(given, weight, not parameters, options, problems)
        if own is not None:
            weight, covariates = deviation_weight(weight, own[0]), [own[-1]]
            options = {"normalize": False, "name": feature or feature_name(own)}
    if weight not in ("1 / n", "1/n"):
        options = {"weight": weight, **options}
    extra = [p for p in parameters if not _is_default(p)]
    if extra:
        options["parameters"] = extra
    effect = _effects(given, bool(covariates), options, problems)
    if not effect:
        options["effect"] = None
    ids = _ids(given.get("id"), call, 2, problems)
    if truth(given.get("ar"), False):
        options["dynamics"] = RandomWalk(ids[1])
    return Block("mm", ids, options, covariates, parameters, call, feature)


def unit_block(call: Node, problems: Problems) -> tuple[Block, list[str]]:
    """Translate an `hm()`; covariates beside fixed effects go into the main formula."""
    given = named(call, "hm")
    _refuse_others(given, (*_POSITIONS["hm"], "RE", "FE", *IGNORED), "hm", problems)
    covariates = _covariates(given.get("vars"), problems)
    options: dict[str, Any] = {}
    kind = given["type"].value if "type" in given else "RE"
    if kind not in ("RE", "FE"):
        problems.add(given["type"], f"type is 'RE' or 'FE', not {kind!r}")
    _effects(given, False, options, problems, is_unit=True)
    fixed = kind == "FE" or ("FE" in given and truth(given["FE"], True) is not False)
    if fixed:
        options["effect"] = "fixed"
    if truth(given.get("ar"), False):
        options["dynamics"] = BY_PARTICIPATION
    moved = covariates if fixed else []
    own = [] if fixed else covariates
    return Block("hm", _ids(given.get("id"), call, 1, problems), options, own, (), call), moved


def _refuse_others(
    given: dict[str, Node], known: Collection[str], function: str, problems: Problems
) -> None:
    for name, node in given.items():
        if name not in known:
            problems.add(node, f"{function}() of bml has no {name!r} that is known here")


def _ids(node: Node | None, call: Node, count: int, problems: Problems) -> tuple[str, ...]:
    if node is None or not node.is_call("id") or len(node.parts) != count:
        wanted = "id(member, group)" if count == 2 else "id(unit)"
        problems.add(node or call, f"{wanted} is expected")
        return ("member", "group")[:count]
    return tuple(part.value for part in node.parts)


def _covariates(node: Node | None, problems: Problems) -> list[str]:
    """Return the parts of `vars()`, which has no intercept."""
    if node is None or node.is_name("NULL"):
        return []
    if not node.is_call("vars"):
        problems.add(node, "vars(...) is expected")
        return []
    parts = [pair for part in node.parts for pair in summands(part)]
    return [written(part) for sign, part in parts if part.kind != "number" and sign == "+"]


def _aggregated(
    given: dict[str, Node],
    weight: str,
    is_given: bool,
    options: dict[str, Any],
    problems: Problems,
) -> list[str] | None:
    """Return the columns of a variance or covariance; None where it is not translated."""
    node, id_ = given["fn"], given.get("id")
    columns = [p for p in given["vars"].parts for _, p in summands(p)] if "vars" in given else []
    group = id_.parts[-1].value if id_ is not None and id_.parts else "group"
    problem = obstacle(node, group, weight, is_given, "normalize" not in options, columns)
    if problem is None and truth(given.get("RE"), False) is not False:
        problem = (
            f"{written(node, False)} is a feature of the group; members with effects stand in a "
            "block of their own, mm(id(...), RE = TRUE)"
        )
    if problem is not None:
        problems.add(node, problem)
        return None
    return [written(column) for column in columns]


def _weight(
    given: dict[str, Node],
    options: dict[str, Any],
    columns: Collection[str] | None,
    problems: Problems,
) -> tuple[str, tuple[str, ...]]:
    """Return weight and free parameters; add the normalisation to the options."""
    aggregation = given.get("fn")
    is_weight = aggregation is not None and not is_aggregation(aggregation)
    source = given.get("w") or (aggregation if is_weight else None)
    if source is None or source.is_name("NULL"):
        return "1 / n", ()
    function = "w" if source.is_call("w") else "fn"
    own = named(source, function)
    formula = own.get("formula" if function == "w" else "w")
    scaled = truth(own.get("scale" if function == "w" else "c"), True)
    if scaled is None:
        problems.add(source, "whether weights are normalised must be TRUE or FALSE")
    if not scaled:
        options["normalize"] = False
    if formula is None or formula.value != "~":
        problems.add(source, f"{function}() holds a formula, such as w ~ 1 / n")
        return "1 / n", ()
    right = formula.parts[-1]
    text = written(right)
    names = {n.value for n in right.walk() if n.kind == "name"}
    free = [] if columns is None else sorted(
        names - {*columns, GROUP_SIZE, *TRUTH} - {n for n in names if _is_default(n)}
    )  # fmt: skip
    try:
        return text, Expression(text, tuple(free)).parameters
    except SpecificationError as error:
        problems.add(right, f"{error}")
        return "1 / n", ()


def _is_default(name: str) -> bool:
    return name == "b" or (name[:1] == "b" and name[1:].isdigit() and int(name[1:]) <= 12)


def _effects(
    given: dict[str, Node],
    default: bool,
    options: dict[str, Any],
    problems: Problems,
    is_unit: bool = False,
) -> bool:
    """Return whether there are random effects; by default where there are no covariates."""
    fixed = given.get("FE")
    if fixed is not None and fixed.is_call("fe"):
        formula = named(fixed, "fe").get("formula")
        if not is_unit or (formula is not None and written(formula) != "1"):
            problems.add(fixed, f"{written(fixed, False)}: only units of hm() have fixed effects, "
                         "without slopes")  # fmt: skip
    random = given.get("RE")
    if random is None or random.is_name("NULL"):
        return not default
    if not random.is_call("re"):
        is_random = truth(random, True)
        if is_random is None:
            problems.add(random, "RE is TRUE, FALSE or re(...)")
        return bool(is_random)
    own = named(random, "re")
    formula = own.get("formula")
    if formula is not None and written(formula) != "1":
        text, is_correlated = written(formula), truth(own.get("cor"), False)
        slopes = VaryingCoefficients(text, correlated=False)
        options["varying"] = text if is_correlated else slopes
    walk = own.get("ar")
    if walk is not None:
        walks = truth(walk, False)
        if walks is None:
            options["dynamics"] = RandomWalk(walk.value, steps="time")
        elif walks:
            group = "" if is_unit else given["id"].parts[-1].value
            options["dynamics"] = RandomWalk(group) if group else BY_PARTICIPATION
    return True
