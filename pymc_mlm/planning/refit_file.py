"""A file of refits that are done, so that a run that stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

from pymc_mlm.decisions.rules import Custom
from pymc_mlm.errors import DataError, SpecificationError

FIELDS = {"refit", "statistics"}


@dataclass(frozen=True)
class RefitFile:
    """Statistics of refits by key, one JSON object in a line; without a path they are not kept.

    A key is a digest of all that a refit depends on: design, looks, arguments of `fit`, the
    random numbers of the trial and the version of the package. A file may hold the refits of
    several designs, and those of another design are never taken for this one's.

    Attributes
    ----------
    path : Path or None
    done : dict of str to list
        What the file held when it was opened.
    """

    path: Path | None
    done: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Any, random_seed: Any) -> RefitFile:
        """Read a file; one that does not exist holds nothing.

        Raises
        ------
        SpecificationError
            Without a seed each run simulates other trials, and nothing could be taken from a file.
            Or the path is a folder, or in none.
        DataError
            The file holds something else.
        """
        if path is None:
            return cls(None)
        if isinstance(random_seed, bool) or not isinstance(random_seed, Integral):
            raise SpecificationError(
                f"resume={str(path)!r} needs a random_seed that is a whole number, the same in "
                f"every run, and it is {random_seed!r}: other seeds simulate other trials."
            )
        found = Path(path)
        if found.is_dir() or not found.parent.is_dir():
            raise SpecificationError(
                f"resume={str(path)!r} is no file in a folder that exists. Name one, such as "
                "'refits.jsonl'."
            )
        return cls(found, _read(found) if found.exists() else {})

    def key(self, *parts: Any) -> str:
        """Return the digest of what a refit depends on."""
        text = "\n".join(map(repr, (version("pymc-mlm"), *parts)))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def add(self, found: Mapping[str, Sequence[Any]]) -> None:
        """Append statistics to the file."""
        if self.path is None:
            return
        lines = [json.dumps({"refit": key, "statistics": found[key]}) + "\n" for key in found]
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(lines)


def _read(path: Path) -> dict[str, Any]:
    """Return what the lines hold; a last line that a crash cut off is dropped from the file."""
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    done = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or set(entry) != FIELDS:
            raise DataError(
                f"Line {number} of {str(path)!r} is no refit of a simulated trial. Name a file "
                "that resume= wrote, or a new one."
            )
        done[entry["refit"]] = entry["statistics"]
    if whole != text:
        if not done:
            raise DataError(
                f"{str(path)!r} has no whole line of a refit. Name a file that resume= wrote, or a "
                "new one."
            )
        path.write_text(whole, encoding="utf-8")
    return done


def file_of(method: str, path: Any, random_seed: Any, rule: Any) -> RefitFile:
    """Return the file of a method; only refits take long enough to need one."""
    if path is not None and isinstance(rule, Custom):
        raise SpecificationError(
            f"resume={str(path)!r} cannot tell the function of {rule.label} from another of that "
            "name. Leave resume out, or use a rule of mlm.rules without a function."
        )
    if path is not None and method != "refit":
        raise SpecificationError(
            f"resume={str(path)!r} keeps refits, and method={method!r} has none. Leave resume out, "
            "or use method='refit'."
        )
    return RefitFile.open(path, random_seed)
