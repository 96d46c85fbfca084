"""A report as data: a title and sections, which become JSON and, from that JSON alone, HTML.

A section is a mapping of headings to parts. A part is one of

- text, a paragraph;
- a list of texts;
- a mapping of labels to values;
- a list of such mappings with the same labels, the rows of a table;
- a `picture`, which names a table of its section.
"""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.reporting.page import page
from pymc_mlm.writing import replacing

FORMAT = "pymc_mlm report"
SCHEMA = 1
PICTURE = "picture of"
LARGEST = 1e300  # differences of such numbers are finite
Section = Mapping[str, Any]
READABLE = {
    "mc_error": "Monte Carlo error",
    "ess_bulk": "bulk ESS",
    "ess_tail": "tail ESS",
    "r_hat": "R-hat",
    "sd_of_sd": "sd of the sd",
}


@dataclass(frozen=True)
class Report:
    """A report of a fit.

    Attributes
    ----------
    title : str
        Heading.
    sections : mapping of str to mapping
        Sections by their headings, in order. Values are text, numbers, truth values or None.
    """

    title: str
    sections: Mapping[str, Section]

    def __repr__(self) -> str:
        return f"Report({self.title!r}: {', '.join(self.sections)})"

    def to_json(self) -> str:
        """Return the report as JSON, numbers with all digits and without a date."""
        document = {"format": FORMAT, "schema": SCHEMA, "title": self.title}
        document |= {"sections": self.sections}
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    def _repr_html_(self) -> str:
        page = html.escape(self.to_html())
        return f'<iframe sandbox srcdoc="{page}" width="100%" height="600"></iframe>'

    def to_html(self) -> str:
        """Return the report as one page of HTML without scripts or links to other files."""
        return page(self.title, self.sections)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as HTML or JSON, by the ending of the path.

        Parameters
        ----------
        path : str or path
            Where to: a name that ends with ``.html`` or ``.json``. An old file is replaced when
            the new one is whole.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        SpecificationError
            The ending is another one.
        DataError
            There is no such folder.
        """
        target = Path(path)
        forms = {".html": self.to_html, ".json": self.to_json}
        if target.suffix not in forms:
            raise SpecificationError(
                f"A report is written to a file that ends with .html or .json, not to "
                f"{str(target)!r}."
            )
        if not target.parent.is_dir():
            raise DataError(f"There is no folder {str(target.parent)!r} to write a report to.")
        text = forms[target.suffix]()
        with replacing(target) as part:
            part.write_bytes(text.encode())
        return target


def written(report: Report, path: str | os.PathLike[str] | None) -> Report:
    """Write a report where a path is given, and return it."""
    if path is not None:
        report.write(path)
    return report


def make_report(title: str, sections: Mapping[str, Section]) -> Report:
    """Return a report whose values are plain: text, numbers, truth values or None.

    Parameters
    ----------
    title : str
    sections : mapping of str to mapping
        Empty parts and sections are left out.
    """
    kept = {name: {k: v for k, v in parts.items() if v} for name, parts in sections.items()}
    return Report(title, {name: plain(parts) for name, parts in kept.items() if parts})


def read_report(path: str | os.PathLike[str]) -> Report:
    """Read a report that was written as JSON.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Report

    Raises
    ------
    DataError
        The file is no report, is damaged, or a newer version wrote it.
    """
    source = Path(path)
    if not source.is_file():
        raise DataError(f"There is no file {str(source)!r}.")
    try:
        document = json.loads(source.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(source)!r} is no JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{str(source)!r} is no report of pymc_mlm. Give one that report() wrote.")
    if document.get("schema") != SCHEMA:
        raise DataError(
            f"{str(source)!r} has schema {document.get('schema')!r}, and this version of pymc_mlm "
            f"reads {SCHEMA}. Use the version that wrote it, or a newer one."
        )
    title, sections = document.get("title"), document.get("sections")
    if not isinstance(title, str) or not _are_sections(sections):
        raise DataError(f"{str(source)!r} is damaged: it has no title, or parts of unknown form.")
    return Report(title, dict(sections))


def picture(table: str, labels: Sequence[str], middle: str) -> dict[str, str]:
    """Return the part that draws the intervals of a table of the same section.

    Parameters
    ----------
    table : str
        Heading of the table, which has columns ``lower`` and ``upper``.
    labels : sequence of str
        Columns that name a row.
    middle : str
        Column of the point between the bounds.
    """
    return {PICTURE: table, "labels": ", ".join(labels), "middle": middle}


def records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a table as mappings, its index first, under names for readers."""
    flat = frame.reset_index().rename(columns=READABLE)
    return [dict(zip(flat.columns, row, strict=True)) for row in flat.values.tolist()]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN is None, and what is no number or text its text.

    Examples
    --------
    >>> plain({"a": [np.float64(0.5), float("nan")], 3: float("inf")})
    {'a': [0.5, None], '3': 'inf'}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    simple = value is None or isinstance(value, (bool, int, float, str))
    return value if simple else str(value)


def _are_sections(sections: Any) -> TypeGuard[dict[str, Section]]:
    return _is_mapping(sections) and all(
        _is_mapping(parts) and all(map(_is_part, parts.values())) for parts in sections.values()
    )


def _is_part(part: Any) -> bool:
    if isinstance(part, list):
        rows = [_is_row(item) for item in part]
        return all(rows) or all(isinstance(item, str) for item in part)
    return isinstance(part, str) or _is_row(part)


def _is_row(part: Any) -> bool:
    return _is_mapping(part) and all(map(_is_value, part.values()))


def _is_value(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return abs(value) <= LARGEST  # neither NaN nor infinite
    return value is None or isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)
