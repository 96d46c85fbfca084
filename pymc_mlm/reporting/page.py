"""A report as one page of HTML: no scripts, no other files, all text escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10
from typing import Any

from pymc_mlm.reporting.interval_picture import interval_picture
from pymc_mlm.reporting.page_style import STYLE

# Characters that no page may hold.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Nothing is loaded, whatever the page holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page of a report.

    Parameters
    ----------
    title : str
    sections : mapping of str to mapping
        As in `pymc_mlm.reporting.document`.

    Returns
    -------
    str
    """
    shown = escaped(title)
    links = "".join(
        f'<li><a href="#s{i}">{escaped(name)}</a></li>' for i, name in enumerate(sections, 1)
    )
    body = "".join(
        f'<section id="s{i}">\n<h2>{escaped(name)}</h2>\n{"".join(_parts(parts))}</section>\n'
        for i, (name, parts) in enumerate(sections.items(), 1)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{shown}</h1>\n<nav><ol>{links}</ol></nav>\n{body}</body>\n</html>\n"
    )


def escaped(value: Any) -> str:
    """Return a value as text of HTML.

    Examples
    --------
    >>> escaped('<b a="1">'), escaped(0.123456), escaped(None), escaped(True)
    ('&lt;b a=&quot;1&quot;&gt;', '0.1235', '–', 'yes')
    """
    return html.escape(CONTROL.sub("\ufffd", shown(value)))


def shown(value: Any) -> str:
    """Return a value as text: four digits of a number, whole numbers whole."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 10_000:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def aligned(values: Sequence[float | None]) -> list[str]:
    """Return numbers of a column with the same decimals: four digits of the largest of them.

    A number that would be left with fewer than two digits has four of its own.

    Examples
    --------
    >>> aligned([0.95, 0.975, None]), aligned([12.345, 0.001]), aligned([1.0002, 1.0])
    (['0.950', '0.975', '–'], ['12.35', '0.001'], ['1.000', '1.000'])
    """
    given = [abs(v) for v in values if v is not None and v != 0]
    if all(v is None or isinstance(v, int) for v in values) or not given:
        return [shown(v) for v in values]
    decimals = max(0, 3 - floor(log10(max(given))))
    while decimals and all(round(v, decimals - 1) == v for v in given):
        decimals -= 1
    small = 10.0 ** (1 - decimals)
    return [
        shown(float(v)) if v and abs(v) < small else "–" if v is None else f"{v:.{decimals}f}"
        for v in values
    ]


def _parts(parts: Mapping[str, Any]) -> Iterator[str]:
    for heading, part in parts.items():
        yield f"<h3>{escaped(heading)}</h3>\n"
        if isinstance(part, str):
            yield f"<p>{escaped(part)}</p>\n"
        elif isinstance(part, Mapping) and "picture of" in part:
            yield _picture(parts, part)
        elif isinstance(part, Mapping):
            yield _facts(part)
        elif part and isinstance(part[0], Mapping):
            yield _table(part)
        else:
            yield f"<ul>{''.join(f'<li>{escaped(item)}</li>' for item in part)}</ul>\n"


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escaped(label)}</th><td>{escaped(value)}</td></tr>\n'
        for label, value in facts.items()
    )
    return f'<table class="facts"><tbody>\n{rows}</tbody></table>\n'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0])
    cells = {c: [row.get(c) for row in rows] for c in columns}
    numeric = {c for c in columns if all(map(_is_number, cells[c]))}
    texts = [aligned(own) if c in numeric else map(shown, own) for c, own in cells.items()]
    head = "".join(_cell("th", escaped(c), c in numeric) for c in columns)
    body = "".join(
        "<tr>"
        + "".join(_cell("td", escaped(t), c in numeric) for c, t in zip(columns, row, strict=True))
        + "</tr>\n"
        for row in zip(*texts, strict=True)
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
        "</div>\n"
    )


def _cell(tag: str, text: str, numeric: bool) -> str:
    return f"<{tag}{' class="number"' if numeric else ''}>{text}</{tag}>"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _picture(parts: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    rows = parts.get(str(part["picture of"]))
    names = str(part.get("labels", "")).split(", ")
    keys = (str(part.get("middle")), "lower", "upper")
    drawn = [
        (escaped(", ".join(shown(row.get(n)) for n in names)), *(row[k] for k in keys))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping)
        and all(_is_number(row.get(k)) and row.get(k) is not None for k in keys)
    ]
    return interval_picture(drawn) if drawn else ""
