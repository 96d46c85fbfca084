"""What was made last, kept by what it was made from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Recent:
    """A mapping that forgets what was not asked for longest.

    Parameters
    ----------
    size : int
        Number of values kept.

    Examples
    --------
    >>> recent = Recent(2)
    >>> for key in "abc":
    ...     recent.put(key, key.upper())
    >>> recent.get("a") is None, recent.get("c")
    (True, 'C')
    """

    def __init__(self, size: int) -> None:
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._size, self._lock = size, threading.Lock()

    def get(self, key: Hashable) -> Any:
        """Return the value of a key; None where there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
