"""A trial with several binary outcomes, apart from its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.data.arms import few_clusters, few_in_arms
from pymc_mlm.data.cells import Dependence
from pymc_mlm.data.confounded import confounded
from pymc_mlm.data.formula import Formula
from pymc_mlm.data.missing import check_rule
from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.model import AbstractSpecification
from pymc_mlm.model.names import is_coefficient, uniquely_named
from pymc_mlm.priors import check_priors
from pymc_mlm.terms.base import AbstractTerm
from pymc_mlm.terms.cluster_effects import AbstractClusterPrior, as_cluster_prior
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.several_predictors import roles_on_predictors
from pymc_mlm.trial.arguments import check_arguments
from pymc_mlm.trial.design import (
    TrialColumns,
    TrialModelDesign,
    covariate_formula,
    read_trial,
    reread_trial,
)
from pymc_mlm.trial.graph import fused_model, refuse_taken_names, trial_model
from pymc_mlm.trial.priors import TrialPriors
from pymc_mlm.trial.row_weights import check_row_weights
from pymc_mlm.trial.terms import SCALE, all_blocks, check_terms

OWN_PRIORS = ("cell_probability", "slope")


def is_own(prior: str) -> bool:
    """Tell whether a prior is one of the trial itself, whatever its terms are called."""
    return prior in OWN_PRIORS or is_coefficient(prior)


@dataclass(frozen=True)
class TrialSpecification(AbstractSpecification):
    """Outcomes, arms, covariates, clusters and priors of a trial.

    Parameters
    ----------
    outcomes : tuple of str
    arm : str
    control, treatment : label
        Arms as the user named them.
    covariates : str, sequence of str or None
    interactions : bool
    cluster : str or None
    random : str
        What varies by cluster.
    dependence : {"saturated", "pairwise", "independent"}
    cluster_prior : str or AbstractClusterPrior
    priors : mapping of str to prior
    event : object or mapping of str to object
        The value that counts as one.
    missing : {"error", "drop"}
        Whether persons without arm, cluster, a covariate or any outcome are refused, or left out.
    terms : tuple of AbstractTerm
        Terms that enter every predictor, with effects or coefficients of their own.
    row_weights : FrequencyWeights, optional
        How many persons each row stands for.

    Raises
    ------
    SpecificationError
        The parts do not go together.
    """

    outcomes: tuple[str, ...]
    arm: str
    control: Any
    treatment: Any
    covariates: Any
    interactions: bool
    cluster: str | None
    random: str
    dependence: Dependence
    cluster_prior: str | AbstractClusterPrior = "lkj"
    priors: Mapping[str, Any] = field(default_factory=dict)
    event: Any = None
    missing: str = "error"
    terms: tuple[AbstractTerm, ...] = ()
    row_weights: AbstractRowWeights | None = None

    def __post_init__(self) -> None:
        """Refuse what can be refused before there are data."""
        as_cluster_prior(self.cluster_prior)
        check_priors(self.priors, "priors")
        check_rule(self.missing)
        check_terms(self.terms, (*self.outcomes, self.arm), self.cluster)
        check_row_weights(self.row_weights, self.named)
        check_arguments(self.parts, self.interactions, self.cluster_prior)
        self.trial_priors.check(self.is_conjugate, self.cluster is not None)
        self.trial_priors.check_control(self.outcomes, self.dependence)
        if self.is_conjugate and self.trial_priors.control is None:
            self.trial_priors.dirichlet(len(self.outcomes))

    @cached_property
    def formula(self) -> Formula | None:
        """Covariates as a formula."""
        return covariate_formula(self.covariates)

    @cached_property
    def named(self) -> tuple[AbstractTerm, ...]:
        """The terms under unique names, with the trial's priors for their variables."""
        clusters = () if self.cluster is None else ("cluster_sd",)
        of_terms = {k: v for k, v in self.priors.items() if not is_own(k) and k not in clusters}
        return uniquely_named(self.terms, of_terms)

    @cached_property
    def trial_priors(self) -> TrialPriors:
        """The user's priors, and the default ones for the rest; without those of terms."""
        of_terms = {name for term in self.named for name in term.priors}  # type: ignore[attr-defined]
        given = {n: v for n, v in self.priors.items() if is_own(n) or n not in of_terms}
        return TrialPriors(given, as_cluster_prior(self.cluster_prior))

    @property
    def is_conjugate(self) -> bool:
        """Whether the posterior of the response patterns is Dirichlet."""
        bare = self.formula is None and self.cluster is None and not self.terms
        by_pattern = self.dependence == "saturated" and not any(map(is_coefficient, self.priors))
        return bare and by_pattern

    @property
    def parts(self) -> TrialColumns:
        """Which columns play which part."""
        return TrialColumns(
            self.outcomes, self.arm, self.control, self.treatment, self.cluster, self.formula,
            bool(self.interactions), self.random, self.dependence, self.event,
            self.missing,
            self.named,
            self.row_weights,
        )  # fmt: skip

    @property
    def label(self) -> str:
        """The outcomes."""
        return f"the trial of {', '.join(self.outcomes)}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Outcomes, arm, covariates, cluster, and what terms read."""
        cluster = () if self.cluster is None else (self.cluster,)
        names = [*self.outcomes, self.arm, *self.parts.covariates, *cluster, *self.parts.of_terms]
        names += [] if self.row_weights is None else [self.row_weights.column]
        return tuple(dict.fromkeys(names))

    @property
    def paths(self) -> tuple[str, ...]:
        """Direct draws where the posterior is Dirichlet, else sampling with all persons in one."""
        return (*(("dirichlet",) if self.is_conjugate else ()), "fused", "sampled")

    def read(self, data: Any, known: TrialModelDesign | None = None) -> TrialModelDesign:
        """Read a table."""
        if known is not None:
            return reread_trial(data, self.parts, known)
        design = read_trial(data, self.parts)
        refuse_taken_names(design, self.roles(design))
        self.priors_used(design)  # refuses priors of parameters that terms do not have
        return design

    def build(self, design: TrialModelDesign) -> pm.Model:
        """Write the model, with the outcomes of each person as an observed variable."""
        return trial_model(design, self.trial_priors, self.is_conjugate)

    def build_fused(self, design: TrialModelDesign) -> pm.Model:
        """Write the same model with the likelihood of all persons in one term."""
        return fused_model(design, self.trial_priors, self.is_conjugate)

    def priors_used(self, design: TrialModelDesign) -> dict[str, Any]:
        """Return the priors in words, by variable name."""
        found = self.trial_priors.described(design, self.is_conjugate)
        return {name: prior for name, _, prior in found}

    def prior_rows(self, design: TrialModelDesign) -> list[tuple[str, str, str]]:
        """Return variable, meaning and prior of every parameter."""
        return self.trial_priors.described(design, self.is_conjugate)

    def roles(self, design: TrialModelDesign) -> dict[str, Role]:
        """Coefficients, or response patterns, and what belongs to clusters."""
        if self.is_conjugate:
            return {"cell_probability": Role("coefficient", None)}
        clusters = {} if self.cluster is None else as_cluster_prior(self.cluster_prior).roles()
        roles = {"beta": Role("coefficient", None)} | clusters
        for term, part in design.terms:
            roles |= roles_on_predictors(term, part)
        return roles

    def title(self, design: TrialModelDesign) -> str:
        """Return outcomes, kind of model and sizes."""
        trial = design.trial
        size = np.bincount(trial.arm.codes, minlength=len(trial.arm))
        arms = ", ".join(f"{n} {a}" for n, a in zip(size, trial.arm.labels, strict=True))
        kind = "multilevel multinomial logit" if design.units else "multinomial logit"
        kind = "Dirichlet" if self.is_conjugate else kind
        clusters = "" if trial.cluster is None else f", {len(trial.cluster.factor)} clusters"
        clusters += "".join(f", {term.size(part)}" for term, part in design.terms)
        return f"Trial of {', '.join(trial.outcomes)}: {kind} model ({arms}{clusters})"

    def notes(self, design: TrialModelDesign) -> tuple[str, ...]:
        """Return rows left out or kept in part, and the priors in sentences."""
        trial = design.trial
        notes = [f"{n} {design.unit} left out: {reason}." for reason, n in trial.dropped.items()]
        partial = int(trial.partial.sum())
        if partial:
            notes.append(
                f"{partial} {design.unit} lack some outcomes; they are kept and count for those "
                "they have."
            )
        if self.row_weights is not None:
            notes.insert(0, f"A row of the table stands for {self.row_weights.column!r} persons.")
        own = [text for term, part in design.terms for text in term.notes(part, SCALE)]
        priors = self.trial_priors.notes(design, self.is_conjugate)
        return (*notes, *trial.notes, *self._few(design), *own, *priors)

    def cautions(self, design: TrialModelDesign) -> tuple[str, ...]:
        """Return where clusters and units of terms are too few, or cannot be told apart."""
        trial = design.trial
        partitions = [part for term, found in design.terms for part in term.partitions(found)]
        if trial.cluster is not None:
            partitions.append((trial.cluster.factor.name, trial.cluster.factor.codes))
        alike = confounded(partitions, "person", "the chance in outcomes of one person")
        clusters = [] if trial.cluster is None else few_clusters(trial.cluster, trial.arm)
        return (*clusters, *self._few(design), *alike)

    def _few(self, design: TrialModelDesign) -> list[str]:
        arms = design.trial.arm
        return [
            text
            for block in all_blocks(design.terms)
            for text in few_in_arms(block.label, block.name, block.links, arms)
        ]

    def observed(self, design: TrialModelDesign) -> xr.Dataset:
        """Return the outcomes as observed, dims (person, outcome)."""
        trial = design.trial
        dim = design.row_dim
        coords = {dim: design.row_labels, "outcome": list(trial.outcomes)}
        values = xr.DataArray(trial.observed, dims=(dim, "outcome"), coords=coords)
        return values.to_dataset(name="outcomes")
