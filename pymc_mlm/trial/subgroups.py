r"""Treatment effects in subgroups that share information.

Subgroups are clusters whose treatment effect varies (``random="1 + arm"``): with coefficients
:math:`u_j \sim N(0, \Sigma)` the effect of a subgroup is drawn towards the others', the more the
fewer its persons are and the less subgroups differ.

References
----------
.. [1] Jones, H. E., Ohlssen, D. I., Neuenschwander, B., Racine, A., Branson, M. (2011). Bayesian
   models for subgroup analysis in clinical trials. Clinical Trials 8(2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from pymc_mlm.decisions import AbstractPopulation, AbstractRule, decide
from pymc_mlm.decisions import success_probability as of_cells
from pymc_mlm.decisions.populations import PopulationRows
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.decision_curve import decision_table
from pymc_mlm.trial.questions import arms_of, measure_of, outcomes, target_cells
from pymc_mlm.trial.target import Target


@dataclass(frozen=True, eq=False)
class Persons(AbstractPopulation):
    """Some of the analysed persons.

    Attributes
    ----------
    included : ndarray of bool, shape (person,)
    name : str
    """

    included: np.ndarray
    name: str
    order: ClassVar[int] = 2

    def apply(self, rows: PopulationRows, sample: Mapping[str, np.ndarray]) -> PopulationRows:
        """Keep these persons' rows."""
        return rows.take(np.flatnonzero(self.included[rows.person]))

    @property
    def label(self) -> str:
        """Name of the population."""
        return self.name


def subgroup_effects(fit: Fit, treatment: Any = None, measure: str = "difference") -> xr.DataArray:
    """Return draws of the effect in each subgroup, dims (chain, draw, subgroup, outcome)."""
    compare = measure_of(measure)
    control, chosen = arms_of(fit, treatment)
    factor = _subgroups(fit)
    found = []
    for code, label in enumerate(factor.labels.tolist()):
        persons = Persons(factor.codes == code, f"{factor.name} {label}")
        cells = target_cells(fit, Target(persons, "observed_clusters"))
        found.append(compare(of_cells(cells, outcomes(fit)), chosen, control))
    places = xr.DataArray(factor.labels.tolist(), dims=factor.name, name=factor.name)
    joined = xr.concat(found, dim=places)
    return joined.transpose("chain", "draw", factor.name, "outcome").rename("treatment_effect")


def subgroup_decisions(
    fit: Fit,
    rule: AbstractRule,
    treatment: Any = None,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
) -> Any:
    """Return a table of the evidence for a rule in each subgroup."""
    effects = subgroup_effects(fit, treatment)
    dim = str(effects.dims[2])
    decisions = [
        decide(rule, effects.isel({dim: i}, drop=True), alpha, alternative)
        for i in range(effects.sizes[dim])
    ]
    return decision_table(dim, effects[dim].values.tolist(), decisions)


def _subgroups(fit: Fit) -> Any:
    """Return the clusters, where the effect of an arm varies between them."""
    cluster, matrix = fit.design.trial.cluster, fit.design.matrix
    arm = f"{fit.spec.arm}["
    if cluster is None or not any(name.startswith(arm) for name in matrix.random_names):
        raise SpecificationError(
            "Effects of subgroups that share information need clusters whose treatment effect "
            "varies. Fit with cluster='subgroup' and random='1 + arm'. For subgroups apart, name "
            "the column among covariates= and ask for population=Value(subgroup=...)."
        )
    return cluster.factor
