"""Parameters of bml by their names in JAGS or their classes, as those of this package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pymc_mlm.bml.blocks import Block, Problems, summands
from pymc_mlm.bml.expressions import Node, written
from pymc_mlm.bml.priors import DEVIATION, PRECISION, REAL, Stated, number, short, translated
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.member_effects import VaryingCoefficients

_OF_BLOCK = re.compile(r"(b\.mm|b\.hm|b\.w|tau\.mm|tau\.hm|sigma\.mm|sigma\.hm)\.(\d+)")
# Where a prior goes: the model or a block, the key there, and the scale of what is stated.
Target = tuple[Block | None, str, str]


class Parameters:
    """Priors and initial values, at the places where they belong."""

    def __init__(self, formula: Any, blocks: Sequence[Block], problems: Problems) -> None:
        self.formula, self.problems = formula, problems
        self.members = [b for b in blocks if b.kind == "mm"]
        self.units = [b for b in blocks if b.kind == "hm"]
        self.blocks = list(blocks)
        self.priors: dict[str, Any] = {}
        self.notes: list[str] = []

    def add(self, stated: Stated) -> None:
        """Translate a prior, and put it where it belongs."""
        node = Node("name", stated.parameter, position=stated.position)
        if stated.parameter == "cor" and stated.distribution.value == "lkj":
            self._add_correlation(stated, node)
            return
        try:
            targets = list(
                self.of_jags(stated.parameter, stated.index)
                if stated.is_of_jags
                else self.of_class(stated)
            )
        except LookupError as error:
            self.problems.add(node, f"{stated.text!r}: {error.args[0]}")
            return
        for block, key, scale in targets:
            try:
                prior = translated(stated, scale)
            except SpecificationError as error:
                self.problems.add(node, str(error).partition(": ")[2])
                return
            (self.priors if block is None else block.priors)[key] = prior
            where = "" if block is None else f" of {block.kind}({', '.join(block.ids)})"
            self.notes.append(f"{stated.text}: {key}{where} ~ {prior!r}")

    def _add_correlation(self, stated: Stated, node: Node) -> None:
        """Set the shape of the LKJ prior of correlated slopes."""
        eta = short(number(stated.distribution.parts[0]))
        blocks = [b for b in self.blocks if isinstance(b.options.get("varying"), str)]
        if not blocks:
            self.problems.add(node, f"{stated.text!r}: no block has correlated slopes")
        for block in blocks:
            block.options["varying"] = VaryingCoefficients(block.options["varying"], eta)
            where = f"{block.kind}({', '.join(block.ids)})"
            self.notes.append(f"{stated.text}: LKJ(eta={eta:g}) of {where}")

    def of_jags(self, name: str, index: int | None) -> Iterator[Target]:
        """Yield what a name of JAGS, and an element of it, is here."""
        if name == "b":
            yield from self._coefficients(index)
        elif name in ("tau", "sigma"):
            yield None, "sigma", PRECISION if name == "tau" else DEVIATION
        elif name == "shape":
            yield None, "shape", DEVIATION
        else:
            found = _OF_BLOCK.fullmatch(name)
            if found is None:
                raise LookupError(f"{name!r} is no parameter with a counterpart here")
            yield from self._of_block(found[1], int(found[2]), index)

    def _of_block(self, family: str, count: int, index: int | None) -> Iterator[Target]:
        kind, _, level = family.partition(".")
        blocks = self.units if level == "hm" else self.members
        if kind in ("tau", "sigma") and level == "mm":
            # Counted by member ids, of which one block each has effects.
            ids = list(dict.fromkeys(b.ids[0] for b in self.members))
            chosen = ids[count - 1 : count]
            blocks = [b for b in self.members if b.ids[0] in chosen and b.has_effects]
            count = 1
        if not 0 < count <= len(blocks):
            raise LookupError(f"the call has {len(blocks)} such block(s)")
        block = blocks[count - 1]
        if kind in ("tau", "sigma"):
            yield block, "sd", PRECISION if kind == "tau" else DEVIATION
        elif level == "w":
            yield from ((block, p, REAL) for p in _element(block.parameters, index))
        elif index is None or block.covariates:
            yield block, _beta(block.covariates, index), REAL
        else:
            raise LookupError("the block has no covariates")

    def _coefficients(self, index: int | None) -> Iterator[Target]:
        """Yield the intercept and the coefficients of the main formula, in the order of R."""
        columns = self.columns()
        if index is None:
            names = (["Intercept"] if self.formula.has_intercept else []) + ["beta"] * bool(columns)
        else:
            own = ["Intercept"] if self.formula.has_intercept else []
            names = _element((*own, *(_key(c) for c in columns)), index)
        yield from ((None, name, REAL) for name in names)

    def columns(self) -> list[Node]:
        """Return the terms of the formula, products after their parts."""
        parts = [p for term in self.formula.parts for p in _expanded(term)]
        return sorted({written(p): p for p in parts}.values(), key=lambda p: written(p).count(":"))

    def of_class(self, stated: Stated) -> Iterator[Target]:
        """Yield what a class of `prior()` is here."""
        group, coef = stated.group, stated.coef
        blocks = [b for b in self.blocks if _is_in(b, group, self)]
        match stated.parameter:
            case "Intercept" | "sigma" | "shape" as name:
                yield None, name, REAL if name == "Intercept" else DEVIATION
            case "b" if coef:
                yield from self._named(coef)
            case "b":
                if self.columns():
                    yield None, "beta", REAL
                yield from ((b, "beta", REAL) for b in self.blocks if b.covariates)
            case "sd":
                for block in (b for b in blocks if b.has_effects):
                    yield block, _sd(block, coef), DEVIATION
            case "w":
                for block in blocks:
                    yield from ((block, p, REAL) for p in block.parameters if coef in ("", p))
            case name:
                raise LookupError(f"the class {name!r} has no counterpart here")

    def _named(self, coef: str) -> Iterator[Target]:
        """Yield a coefficient by the label of its term, or of a block's feature, as A_x."""
        plain = coef.partition("_")[2] if coef.startswith("A_") else None
        if coef == "Intercept":
            yield None, "Intercept", REAL
        elif coef in [written(c, quote=False) for c in self.columns()]:
            yield None, f"beta[{coef}]", REAL
        else:
            named = [b for b in self.members if b.options.get("name") == coef]
            if named:
                yield named[0], "beta", REAL
                return
            found = [b for b in self.members if plain in b.covariates]
            if not found:
                raise LookupError(f"{coef!r} is no coefficient of the call")
            place = found[0].covariates.index(str(plain)) + 1
            yield found[0], _beta(found[0].covariates, place), REAL

    def initvals(self, model: Any, node: Node | None) -> dict[str, Any]:
        """Return initial values by variable name, those of precisions as standard deviations."""
        if node is None or node.is_name("NULL"):
            return {}
        found: dict[str, Any] = {}
        for name, part in zip(node.names, node.parts, strict=True):
            values = [number(p) for p in (part.parts if part.is_call("c") else (part,))]
            try:
                found |= self._initial(model, name, values)
            except LookupError as error:
                self.problems.add(part, f"inits of {name!r}: {error.args[0]}")
        return found

    def _initial(self, model: Any, name: str, values: list[float]) -> dict[str, Any]:
        prefixes = [t.base_name for t in model.specification.named]
        own = dict(zip(map(id, self.blocks), prefixes, strict=True))
        if name == "b" and self.formula.has_intercept:
            rest = {"beta": values[1:]} if values[1:] else {}
            return {"Intercept": values[0], **rest}
        targets = list(self.of_jags(name, None))
        found: dict[str, Any] = {}
        for (block, key, scale), value in zip(
            targets, values if len(targets) > 1 else [values], strict=True
        ):
            plain: Any = value[0] if isinstance(value, list) and key != "beta" else value
            short = key in ("sd", "beta")
            full = key if block is None else f"{own[id(block)]}_{'' if short else 'weight_'}{key}"
            found[full] = float(plain) ** -0.5 if scale == PRECISION else plain
        return found


def _sd(block: Block, coef: str) -> str:
    """Return the standard deviation of intercepts or of a slope."""
    if "varying" in block.options:
        return f"sd[{coef}]" if coef else "sd"
    if coef not in ("", "Intercept"):
        raise LookupError(f"{block.kind}({', '.join(block.ids)}) has no slope of {coef!r}")
    return "sd"


def _is_in(block: Block, group: str, parameters: Parameters) -> bool:
    kind, _, count = group.partition(".")
    same = parameters.members if block.kind == "mm" else parameters.units
    return not group or (kind == block.kind and (not count or same[int(count) - 1] is block))


def _element(names: Sequence[str], index: int | None) -> list[str]:
    if index is None:
        return list(names)
    if not 0 < index <= len(names):
        raise LookupError(f"it has {len(names)} element(s)")
    return [names[index - 1]]


def _beta(covariates: Sequence[str], index: int | None) -> str:
    free = [c for c in covariates if not c.startswith("fix(")]
    if index is None:
        return "beta"
    (name,) = _element(free, index)
    if not re.fullmatch(r"[\w.`]+(:[\w.`]+)*", name):
        raise LookupError(f"which column {name!r} becomes depends on the table")
    return "beta" if len(free) == 1 else f"beta[{name.replace('`', '')}]"


def _key(node: Node) -> str:
    """Return the name of the coefficient of a plain column, or of a product of such."""
    parts = [node] if node.kind == "name" else [p for p in node.walk() if p.kind == "name"]
    text = ":".join(p.value for p in parts)
    if written(node, quote=False) != text:
        raise LookupError(f"which column {written(node)!r} becomes depends on the table")
    return f"beta[{text}]"


def _expanded(node: Node) -> list[Node]:
    """Return the terms of a product a * b: a, b and a:b."""
    if node.kind == "paren":
        return [p for _, part in summands(node.parts[0]) for p in _expanded(part)]
    if node.kind != "binary" or node.value != "*":
        return [node]
    left, right = (_expanded(part) for part in node.parts)
    both = [Node("binary", ":", (a, b), position=a.position) for a in left for b in right]
    return [*left, *right, *both]
