"""Files that are replaced as a whole, or left as they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path beside the target to write to, and put it in the target's place in one step.

    Parameters
    ----------
    target : Path
        The file; an old one stays as it was if writing fails.

    Yields
    ------
    Path
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
