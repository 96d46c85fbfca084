"""Words of a formula, each with the character at which it begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from pymc_mlm.data.formula_tree import is_word_character
from pymc_mlm.errors import SpecificationError

MAX_LENGTH = 4_000  # characters
MAX_DEPTH = 40  # open brackets

BAR_HINT = (
    " Varying effects such as (1 | unit) are terms after the formula: hm('unit'), mm('member', "
    "'group')."
)
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_OPERATOR = re.compile(r"\*\*|<=|>=|==|!=|[-+*/:^()\[\]{}<>,=~]")
_QUOTED = re.compile(r"`([^`]+)`")
_TEXT = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_HINTS = {
    "|": f"'|' is incorrectly used.{BAR_HINT}",
    "%": "a is inside b is written a:b; the remainder of a division is a column to compute first",
    ".": "'.' stands for no column here: name the columns",
    "`": "a name in backquotes needs a second backquote",
    "'": "text needs a second quote, and has no backslash",
    '"': "text needs a second quote, and has no backslash",
    "&": "products of covariates are written a:b",
    "@": "products of covariates are written a:b",
}


@dataclass(frozen=True)
class Token:
    """A word of the formula; `position` is its first character, counted from 1."""

    kind: str
    text: str
    position: int


def unreadable(formula: str, reason: str) -> SpecificationError:
    """Say why a formula cannot be read, and offer backquotes for names with spaces."""
    plain = _TEXT.sub("''", _QUOTED.sub(",", formula))
    words = re.search(r"[^\W\d]\w*(?:[ \t]+\w+)+", plain)
    hint = f" A column name with spaces is written in backquotes: `{words[0]}`." if words else ""
    return SpecificationError(
        f"The formula {shown(formula)} cannot be read: {reason.rstrip('.')}.{hint}"
    )


def refuse(formula: str, position: int, problem: str) -> NoReturn:
    """Raise the error that names the formula, the character and the problem."""
    raise unreadable(formula, f"at character {position}, {problem}")


def shown(formula: str) -> str:
    """Return a formula in quotes, shortened."""
    return repr(formula if len(formula) <= 300 else f"{formula[:120]}...")


def tokenize(formula: str) -> list[Token]:
    """Cut a formula into words, and refuse what is too long, too deep or no word."""
    _check_size(formula)
    tokens: list[Token] = []
    start = 0
    while start < len(formula):
        if formula[start].isspace():
            start += 1
            continue
        token, start = _next(formula, start)
        tokens.append(token)
    return tokens


def _next(formula: str, start: int) -> tuple[Token, int]:
    position = start + 1
    if found := _QUOTED.match(formula, start):
        return Token("column", found[1], position), found.end()
    if found := _TEXT.match(formula, start):
        return Token("text", found[1] or found[2] or "", position), found.end()
    end = _end_of_name(formula, start)
    if found := _NUMBER.match(formula, start):
        end = _end_of_name(formula, found.end(), inside=True)
        if end > found.end():
            name = formula[start:end]
            refuse(formula, position, f"a name that begins with a digit needs backquotes: `{name}`")
        if not float(found[0]) < float("inf"):
            refuse(formula, position, f"{found[0]} is too large a number")
        return Token("number", found[0], position), found.end()
    if end > start:
        return Token("name", formula[start:end], position), end
    if found := _OPERATOR.match(formula, start):
        return Token("operator", "**" if found[0] == "^" else found[0], position), found.end()
    strange = f"{formula[start]!r} has no place in a formula; odd names go into backquotes"
    refuse(formula, position, _HINTS.get(formula[start], strange))


def _end_of_name(formula: str, start: int, inside: bool = False) -> int:
    end = start
    first = start + (formula[start : start + 1] == "." and not inside)
    if not inside and not formula[first : first + 1].isidentifier():
        return start
    while end < len(formula) and is_word_character(formula[end]):
        end += 1
    return end


def _check_size(formula: str) -> None:
    if len(formula) > MAX_LENGTH:
        raise SpecificationError(
            f"The formula has {len(formula)} characters; the limit is {MAX_LENGTH}. Name fewer "
            "columns."
        )
    plain = _TEXT.sub("", _QUOTED.sub("", formula))
    open_brackets = deepest = 0
    for character in plain:
        open_brackets += (character in "([{") - (character in ")]}")
        deepest = max(deepest, open_brackets)
        if open_brackets < 0:
            break
    if deepest > MAX_DEPTH or open_brackets != 0:
        deep = f"nests deeper than {MAX_DEPTH} brackets"
        what = deep if deepest > MAX_DEPTH else "has unbalanced brackets"
        raise SpecificationError(f"The formula {what}: {formula[:60]!r}. Simplify it.")
    if re.search(r"__\w+__", plain):
        raise SpecificationError(
            "Names with double underscores on both sides are not columns of a formula; rename "
            "the column or write it in backquotes."
        )
