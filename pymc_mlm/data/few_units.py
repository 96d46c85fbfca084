"""Notes of units that are too few to estimate how units differ."""

from __future__ import annotations

from collections.abc import Mapping

# bmco, too, warns of random effects of fewer clusters.
FEWEST_UNITS = 5


def few_units(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each term or level with fewer than five units.

    Parameters
    ----------
    counts : mapping of str to int
        Number of units with random effects, by term or level.

    Examples
    --------
    >>> few_units({"country": 3, "party": 40})[0][:50]
    '[country] has 3 units, fewer than 5: its standard '
    """
    return [
        f"[{name}] has {count} units, fewer than {FEWEST_UNITS}: its standard deviation and "
        "results for new units rest on the prior. Compare results under several."
        for name, count in counts.items()
        if count < FEWEST_UNITS
    ]
