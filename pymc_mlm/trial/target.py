"""What an answer about a trial is averaged over: population, clusters and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymc_mlm.decisions.populations import as_populations
from pymc_mlm.errors import SpecificationError

ESTIMANDS = ("typical_cluster", "observed_clusters", "new_cluster")


@dataclass(frozen=True)
class Target:
    """What an effect is averaged over.

    Attributes
    ----------
    population : object
        Population, several, or None for the sample.
    estimand : str or None
        One of `ESTIMANDS`; None for the default.
    weights : {"bayesian_bootstrap"} or None
        Whether the population is the sample itself (None) or what it was drawn from.
    covariate_rows : {"both", "arm"}
        Whether both arms are evaluated on the same rows, or each on its own (bmco).
    """

    population: Any = None
    estimand: str | None = None
    weights: str | None = None
    covariate_rows: str = "both"

    def check(self, clustered: bool) -> None:
        """Raise a `SpecificationError` for words that are not known."""
        if self.estimand is not None and self.estimand not in ESTIMANDS:
            raise SpecificationError(
                f"estimand={self.estimand!r} is not known. Use one of {', '.join(ESTIMANDS)}."
            )
        if self.estimand is not None and not clustered:
            raise SpecificationError(
                f"estimand={self.estimand!r} is about clusters, and the model has none. Leave "
                "it out, or fit with cluster=."
            )
        if self.weights not in (None, "bayesian_bootstrap"):
            raise SpecificationError(
                f"weights={self.weights!r} is not known. Use 'bayesian_bootstrap', or None for "
                "the sample as it is."
            )
        if self.covariate_rows not in ("both", "arm"):
            raise SpecificationError(
                f"covariate_rows={self.covariate_rows!r} is not known. Use 'both' (default), or "
                "'arm' to average each arm over its own persons, as bmco does."
            )


def described(target: Target, clustered: bool, members: bool = False) -> str:
    """Describe a target in a sentence, with clusters, members of terms, or both."""
    population = " and ".join(p.label for p in as_populations(target.population))
    rows = "both arms on the same covariate rows"
    if not clustered and not members:
        return f"Population: {population}; {rows}."
    estimand = target.estimand or "new_cluster"
    units = " and ".join([*["clusters"] * clustered, *["members"] * members])
    meaning = {
        "new_cluster": f"averaged over {units} that are still to come",
        "observed_clusters": f"averaged over the observed {units} only",
        "typical_cluster": f"with {units} whose effects are zero",
    }[estimand]
    return f"Population: {population}; {rows}, {meaning} (estimand {estimand!r})."
