"""Priors of bml, in JAGS or as `prior()`, as priors of this package."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymc_mlm.bml.expressions import Node, parse, refuse, written
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import PrecisionGamma, Prior

_CUT = re.compile(r"\s*[TI]\s*\(\s*([^,()]*)\s*,\s*([^,()]*)\s*\)\s*$")
PRECISION, DEVIATION, REAL = "precision", "deviation", "real"


@dataclass(frozen=True)
class Stated:
    """A prior as a call states it.

    Attributes
    ----------
    parameter : str
        Name in JAGS, such as ``b.w.1``; or a class of `prior()`.
    index : int or None
        Which element, from 1; None for all.
    distribution : Node
        Call of a distribution.
    cut : tuple of (float or None)
        Bounds of a truncation.
    position : int
        Where it stands.
    text : str
        As it was written.
    coef, group : str
        What `prior()` narrows it to.
    """

    parameter: str
    index: int | None
    distribution: Node
    cut: tuple[float | None, float | None]
    position: int
    text: str
    coef: str = ""
    group: str = ""

    @property
    def is_of_jags(self) -> bool:
        """Whether the distribution is one of JAGS, whose normal has a precision."""
        return self.distribution.value.startswith("d")


def stated_priors(node: Node) -> list[Stated]:
    """Return the priors of an argument: texts of JAGS, or calls of `prior()`."""
    if node.is_name("NULL"):
        return []
    if node.is_call("list", "c"):
        pairs = zip(node.names, node.parts, strict=True)
        return [one for name, part in pairs for one in _each(name, part)]
    return _each("", node)


def _each(name: str, node: Node) -> list[Stated]:
    if node.is_call("prior"):
        return [_of_class(node)]
    if node.kind != "text":
        refuse(node.position, "a prior is a text such as 'b[1] ~ dnorm(0, 1)', or prior(...).")
    text = f"{name} ~ {node.value}" if name else node.value
    return [_of_jags(text, node.position - (len(name) + 3 if name else 0))]


def _of_jags(text: str, offset: int) -> Stated:
    cut: tuple[float | None, float | None] = (None, None)
    found = _CUT.search(text)
    body = text[: found.start()] if found else text
    if found:
        cut = (_bound(found[1]), _bound(found[2]))
    tree = parse(body, offset)
    is_prior = tree.kind == "binary" and tree.value == "~" and tree.parts[1].kind == "call"
    if not is_prior or tree.parts[0].kind not in ("name", "index"):
        refuse(tree.position, f"{text!r} is no prior: write 'parameter ~ distribution(...)'.")
    target, distribution = tree.parts
    index = None
    if target.kind == "index":
        index = int(number(target.parts[0]))
    parameter = target.value.removesuffix("[")
    return Stated(parameter, index, distribution, cut, tree.position, text)


def _of_class(node: Node) -> Stated:
    given = dict(zip([n or "dist" for n in node.names], node.parts, strict=True))
    kind, coef, group = (given[n].value if n in given else d
                         for n, d in (("class", "b"), ("coef", ""), ("group", "")))  # fmt: skip
    dist = given.get("dist")
    if dist is None or dist.kind != "call":
        refuse(node.position, "prior() takes a distribution first, such as normal(0, 1).")
    return Stated(kind, None, dist, (None, None), node.position, written(node, False), coef, group)


def _bound(text: str) -> float | None:
    return number(parse(text)) if text.strip() else None


def number(node: Node) -> float:
    """Return a number, or arithmetic of numbers; anything else is refused with its position."""
    match node.kind:
        case "number":
            return float(node.value)
        case "paren":
            return number(node.parts[0])
        case "unary" if node.value in "+-":
            return number(node.parts[0]) * (-1 if node.value == "-" else 1)
        case "binary" if node.value in _ARITHMETIC:
            return _ARITHMETIC[node.value](*(number(part) for part in node.parts))
    refuse(node.position, f"a number is expected, and {written(node, False)!r} stands there.")


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else float("inf"), "^": lambda a, b: float(a**b),
}  # fmt: skip


def translated(prior: Stated, scale: str) -> Any:
    """Return a prior of this package.

    Parameters
    ----------
    prior : Stated
    scale : {"real", "deviation", "precision"}
        What the parameter of bml is; the result is that of a standard deviation for the last two.

    Raises
    ------
    SpecificationError
        The distribution has no counterpart; the position is named.
    """
    dist = prior.distribution
    values = [short(number(part)) for part in dist.parts]
    try:
        if scale == PRECISION and prior.is_of_jags:
            return _of_precision(dist.value, values, prior)
        table = _JAGS if prior.is_of_jags else _BRMS
        made = table[dist.value](*values)
        if scale == DEVIATION and not prior.is_of_jags:
            made = _half(made)
        return _cut(made, prior)
    except (KeyError, TypeError, ZeroDivisionError, SpecificationError):
        refuse(
            prior.position,
            f"{written(dist, False)!r} has no counterpart as a prior of {prior.parameter!r}; "
            "leave it out, and give a Prior of your own.",
        )


def _of_precision(name: str, values: list[Any], prior: Stated) -> Any:
    """Return the prior of a standard deviation from that of its precision."""
    if prior.cut != (None, None):
        raise KeyError(name)
    if name == "dscaled.gamma":
        sd, df = values
        return Prior("HalfCauchy", beta=sd) if df == 1 else Prior("HalfStudentT", nu=df, sigma=sd)
    if name == "dgamma":
        return PrecisionGamma(*values)
    raise KeyError(name)


def short(value: float) -> float | int:
    """Return a whole number without its point."""
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def _sd(precision: float) -> float | int:
    return short(round(float(precision) ** -0.5, 12))


_JAGS: dict[str, Callable[..., Prior]] = {
    "dnorm": lambda m, t: Prior("Normal", mu=m, sigma=_sd(t)),
    "dt": lambda m, t, k: Prior("StudentT", nu=k, mu=m, sigma=_sd(t)),
    "dlogis": lambda m, t: Prior("Logistic", mu=m, s=short(1 / t)),
    "ddexp": lambda m, t: Prior("Laplace", mu=m, b=short(1 / t)),
    "dunif": lambda a, b: Prior("Uniform", lower=a, upper=b),
    "dexp": lambda r: Prior("Exponential", lam=r),
    "dgamma": lambda a, r: Prior("Gamma", alpha=a, beta=r),
    "dlnorm": lambda m, t: Prior("LogNormal", mu=m, sigma=_sd(t)),
    "dbeta": lambda a, b: Prior("Beta", alpha=a, beta=b),
}
_BRMS: dict[str, Callable[..., Prior]] = {
    "normal": lambda m, s: Prior("Normal", mu=m, sigma=s),
    "student_t": lambda k, m, s: Prior("StudentT", nu=k, mu=m, sigma=s),
    "cauchy": lambda m, s: Prior("Cauchy", alpha=m, beta=s),
    "exponential": lambda r: Prior("Exponential", lam=r),
    "gamma": lambda a, r: Prior("Gamma", alpha=a, beta=r),
    "uniform": lambda a, b: Prior("Uniform", lower=a, upper=b),
}


def _half(prior: Prior) -> Prior:
    """Return the upper half of a distribution around zero, as a scale's prior means it."""
    p = prior.parameters
    match prior.distribution:
        case "Normal" if p["mu"] == 0:
            return Prior("HalfNormal", sigma=p["sigma"])
        case "StudentT" if p["mu"] == 0:
            return Prior("HalfStudentT", nu=p["nu"], sigma=p["sigma"])
        case "Cauchy" if p["alpha"] == 0:
            return Prior("HalfCauchy", beta=p["beta"])
        case "Normal":
            return Prior("TruncatedNormal", {**p, "lower": 0})
        case "StudentT" | "Cauchy":
            raise KeyError(prior.distribution)
    return prior


def _cut(prior: Prior, stated: Stated) -> Prior:
    low, high = stated.cut
    if (low, high) == (None, None):
        return prior
    if prior.distribution != "Normal":
        raise KeyError(prior.distribution)
    bounds = {k: short(v) for k, v in (("lower", low), ("upper", high)) if v is not None}
    if prior.parameters["mu"] == 0 and bounds == {"lower": 0}:
        return Prior("HalfNormal", sigma=prior.parameters["sigma"])
    return Prior("TruncatedNormal", {**prior.parameters, **bounds})
