"""A translated model as Python code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pymc_mlm.bml.blocks import Block
from pymc_mlm.families import Cox
from pymc_mlm.priors import Prior

WIDTH, INDENT = 88, "    "


def model_code(
    formula: str, blocks: Sequence[Block], family: Any, priors: Mapping[str, Any]
) -> str:
    """Return the call of `MultipleMembershipModel` as code."""
    parts = [value_code(formula)]
    parts += [
        _call(f"mlm.{b.function}", [*map(value_code, b.columns), *_keywords(b.arguments)])
        for b in blocks
    ]
    more = {"family": family, **({"priors": dict(priors)} if priors else {})}
    return _call("mlm.MultipleMembershipModel", [*parts, *_keywords(more)], most=0)


def _keywords(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value_code(value)}" for name, value in values.items()]


def value_code(value: Any) -> str:
    """Return a value as code: text in double quotes, priors and families by their classes."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Prior():
            inside = [value_code(value.distribution), *_keywords(value.parameters)]
            return _call("mlm.Prior", inside)
        case Cox():
            return f"mlm.Cox({value_code(value.intervals)})"
        case Mapping():
            pairs = [f"{value_code(k)}: {value_code(v)}" for k, v in value.items()]
            return _inside("{", pairs, "}")
        case list():
            return _inside("[", [value_code(v) for v in value], "]")
        case None | bool() | int() | float():
            return repr(value)
    return f"mlm.{value!r}"


def _call(name: str, parts: Sequence[str], most: int = WIDTH) -> str:
    return _inside(f"{name}(", parts, ")", most)


def _inside(begin: str, parts: Sequence[str], end: str, most: int = WIDTH) -> str:
    """Write parts in one line where they fit, else a line each."""
    line = f"{begin}{', '.join(parts)}{end}"
    if len(line) <= most and "\n" not in line:
        return line
    body = [INDENT + line for part in parts for line in f"{part},".split("\n")]
    return "\n".join([begin, *body, end])
