"""Words of a weight expression, and the order that they may stand in.

Text, length and nesting are judged here, before Python's parser sees anything; every error has
the character at which the text goes wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights.tree import FUNCTIONS, KEYWORDS, OF_TWO

MAX_LENGTH = 2000  # characters
MAX_NESTING = 50  # open parentheses

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<quoted>`[^`]+`)
      | (?P<operator>\*\*|<=|>=|==|!=|[-+*/^()<>&|~,])""",
    re.ASCII | re.VERBOSE,
)
_PREFIX = {"+", "-", "not"}

_SECOND = {
    "pow": "write pow(x, 2)",
    "quantile": "write quantile(x, 0.75)",
    "first": "rows have no order of their own: write first(x, year), by a column that orders them",
    "last": "rows have no order of their own: write last(x, year), by a column that orders them",
}
_HINTS = {
    ".": "write a column whose name has a dot in backquotes, `like.this`",
    "=": "write == to compare; functions take no keywords",
    "!": "write `not` for negation",
    "`": "a name in backquotes needs a second backquote",
}


@dataclass(frozen=True)
class Token:
    """A word of the text; `position` is its first character, counted from 1."""

    kind: str
    text: str
    position: int


def refuse(text: str, position: int, problem: str) -> NoReturn:
    """Raise the error that names the text, the character and the problem."""
    raise SpecificationError(f"weight {_shown(text)!r}, character {position}: {problem}.")


def _shown(text: str) -> str:
    return text if len(text) <= 200 else text[:60] + "..."


def nearest(name: str, known: Collection[str]) -> str:
    """Return " Did you mean ...?" for the known name that is most alike, or nothing."""
    folded = {candidate.casefold(): candidate for candidate in known}
    match = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[match[0]]!r}" if match else ""


def tokenize(text: str) -> list[Token]:
    """Cut the text into tokens, without spaces and without the head ``w ~``."""
    if len(text) > MAX_LENGTH:
        refuse(
            text,
            MAX_LENGTH + 1,
            f"the text has {len(text)} characters and only {MAX_LENGTH} are read; compute a column "
            "of the table first and name it in the weight",
        )
    tokens, start = [], 0
    while start < len(text):
        found = _TOKEN.match(text, start)
        if found is None:
            character = text[start]
            hint = _HINTS.get(character, "write columns with unusual names in backquotes")
            refuse(text, start + 1, f"{character!r} has no place in a weight; {hint}")
        if found.lastgroup == "quoted" and not found.group().isprintable():
            refuse(text, start + 1, "the name in backquotes has unprintable characters")
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found.group(), start + 1))
        start = found.end()
    if [token.text for token in tokens[:2]] == ["w", "~"]:
        tokens = tokens[2:]
    return tokens


def check_order(text: str, tokens: Sequence[Token]) -> None:
    """Check that values and operators alternate and parentheses match, before Python parses."""
    opened: list[int] = []
    # The function of each open parenthesis, and how many arguments it still takes.
    calls: list[tuple[str, int]] = []
    function = ""
    value_expected = True
    for i, token in enumerate(tokens):
        word = token.text
        is_call = token.kind == "name" and i + 1 < len(tokens) and tokens[i + 1].text == "("
        if token.kind != "operator" and word not in KEYWORDS:
            if not value_expected:
                refuse(text, token.position, f"an operator is missing before {word!r}")
            if is_call and word not in FUNCTIONS:
                refuse(
                    text,
                    token.position,
                    f"unknown function {word!r}{nearest(word, FUNCTIONS)}; "
                    f"known functions are {', '.join(FUNCTIONS)}",
                )
            value_expected = is_call
            function = word if is_call else ""
        elif word == "(":
            if not value_expected:
                refuse(text, token.position, "an operator is missing before '('")
            opened.append(token.position)
            calls.append((function, 1 + (function in OF_TWO)))
            function = ""
            if len(opened) > MAX_NESTING:
                refuse(text, token.position, f"more than {MAX_NESTING} open parentheses")
        elif value_expected:
            if word not in _PREFIX:
                refuse(text, token.position, f"a value is missing before {word!r}")
        elif word == ")":
            if not opened:
                refuse(text, token.position, "')' closes nothing")
            opened.pop()
            called, missing = calls.pop()
            if missing > 1:
                refuse(text, token.position, f"{called}() takes two arguments; {_SECOND[called]}")
        elif word == ",":
            called, missing = calls[-1] if calls else ("", 1)
            if missing < 2:
                count = "two arguments" if called in OF_TWO else "one argument"
                takes = f"takes {count}" if called else "has no place outside of a function"
                refuse(text, token.position, f"{called + '()' if called else repr(word)} {takes}")
            calls[-1] = (called, missing - 1)
            value_expected = True
        elif word in ("not", "~"):
            refuse(text, token.position, f"{word!r} has no place after a value")
        else:
            value_expected = True
    if value_expected:
        refuse(text, len(text) + 1, "the text ends where a value is expected")
    if opened:
        refuse(text, opened[-1], "'(' is never closed")
