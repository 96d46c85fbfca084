"""Priors of a trial: the user's, and the default ones for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.trial_matrix import TrialMatrix
from pymc_mlm.errors import SpecificationError
from pymc_mlm.model.names import is_coefficient
from pymc_mlm.priors import Prior
from pymc_mlm.priors.control_prior import ControlPrior
from pymc_mlm.terms.cluster_effects import LKJ, AbstractClusterPrior, InverseWishart
from pymc_mlm.terms.several_predictors import blocks_of
from pymc_mlm.trial.coefficient_priors import column_priors, whole_prior
from pymc_mlm.trial.design import TrialModelDesign
from pymc_mlm.trial.terms import SCALE

# Log odds per standard deviation of a covariate; rstanarm's scale for logistic regression.
SLOPE_SD = 2.5
MEANINGS = {"weight": "weights", "sd": "sd of effects, log odds", "effect": "effects, log odds"}


@dataclass(frozen=True)
class TrialPriors:
    """Priors of a trial: the user's, and the default ones for the rest.

    Attributes
    ----------
    given : mapping of str to prior
    cluster : AbstractClusterPrior
    """

    given: Mapping[str, Any]
    cluster: AbstractClusterPrior

    def check(self, conjugate: bool, clustered: bool) -> None:
        """Raise a `SpecificationError` for a prior of something that the model lacks."""
        names = ["cell_probability"] if conjugate else ["beta", "cell_probability", "slope"]
        if clustered and isinstance(self.cluster, LKJ):
            names.append("cluster_sd")
        for name in self.given:
            if name not in names and (conjugate or not is_coefficient(name)):
                raise SpecificationError(
                    f"priors: the model has no parameter {name!r}; it has {', '.join(names)}."
                )
        _ = self.slope_sd
        replaced = [name for name in ("cell_probability", "slope") if name in self.given]
        if "beta" in self.given and replaced:
            raise SpecificationError(
                f"priors: a prior of 'beta' is one of all coefficients, so that {replaced[0]!r} "
                "has none. Give 'beta', or 'cell_probability' and 'slope'."
            )

    @property
    def slope_sd(self) -> float:
        """Prior standard deviation of slopes, log odds per standard deviation of a covariate."""
        prior = self.given.get("slope")
        if prior is None:
            return SLOPE_SD
        given = dict(prior.parameters) if isinstance(prior, Prior) else {}
        sd, mean = given.get("sigma", 1.0), given.get("mu", 0.0)
        whole = set(given) <= {"mu", "sigma"} and np.ndim(sd) == np.ndim(mean) == 0
        if not whole or prior.distribution != "Normal" or mean != 0 or not 0 < sd < np.inf:
            raise SpecificationError(
                f"The prior of slope is {prior!r}; it is Prior('Normal', mu=0, sigma=...) with one "
                "number above 0. Give other priors of coefficients by 'beta'."
            )
        return float(sd)

    def beta(self, design: TrialModelDesign) -> Any:
        """Return the user's prior of all coefficients, or None."""
        return whole_prior(self.given, design)

    def columns(self, design: TrialModelDesign) -> dict[int, Prior]:
        """Return the user's priors of columns whose coefficients else have the default."""
        found = column_priors(self.given, design)
        if self.control is not None and 0 in found:
            raise SpecificationError(
                "priors: 'cell_probability' borrows for the control, whose level is the intercept. "
                "Leave the prior of 'beta[Intercept]' out."
            )
        return found

    def clusters(self, matrix: TrialMatrix) -> AbstractClusterPrior:
        """Return the cluster prior with the user's prior of its standard deviations.

        Parameters
        ----------
        matrix : TrialMatrix
            Columns that it is the prior for; those that vary are centred and scaled.
        """
        if "cluster_sd" in self.given and isinstance(self.cluster, LKJ):
            return LKJ(self.cluster.eta, self.given["cluster_sd"])
        if isinstance(self.cluster, InverseWishart) and not self.cluster.standardised:
            return self.cluster.on_standardised(matrix.random_to_original())
        return self.cluster

    def dirichlet(self, num_outcomes: int, has_units: bool = False) -> Any:
        """Return the Dirichlet parameter.

        By default it is worth two persons, so that success probabilities are uniform, or one
        where units have effects, which leave few independent persons.
        """
        prior = self.given.get("cell_probability")
        if prior is None:
            return 2.0 ** (-num_outcomes if has_units else 1 - num_outcomes)
        if not isinstance(prior, Prior) or prior.distribution != "Dirichlet":
            raise SpecificationError(
                f"The prior of cell_probability is {prior!r}; it is Prior('Dirichlet', a=[...]), "
                "one number per response pattern, or borrows: borrowing.power_prior(...) or "
                "borrowing.robust_map(...)."
            )
        a = np.asarray(prior.parameters["a"], dtype=float)
        if a.ndim and a.shape[-1] != 2**num_outcomes:
            raise SpecificationError(
                f"The prior of cell_probability has {a.shape[-1]} numbers in its last axis for "
                f"{2**num_outcomes} response patterns. Give one number per response pattern, from "
                "all ones to all zeros."
            )
        return a

    @property
    def control(self) -> ControlPrior | None:
        """The prior of the control that borrows, if there is one."""
        given = self.given.get("cell_probability")
        return given if isinstance(given, ControlPrior) else None

    def check_control(self, outcomes: tuple[str, ...], dependence: str) -> None:
        """Raise a `SpecificationError` for a borrowing prior of other outcomes."""
        if self.control is None:
            return
        if self.control.outcomes != outcomes:
            raise SpecificationError(
                f"The prior of the control is of the outcomes {', '.join(self.control.outcomes)}, "
                f"and the trial has {', '.join(outcomes)}. Read the historical controls with the "
                "trial's outcomes, in its order."
            )
        if dependence == "pairwise" and len(outcomes) > 2 and len(self.control.weights) > 1:
            raise SpecificationError(
                "A mixture prior of the control needs the constants of its components, which have "
                "no closed form with dependence='pairwise'. Use dependence='saturated', or a power "
                "prior, which has one component."
            )

    def mixture(self, design: TrialModelDesign) -> tuple[np.ndarray, np.ndarray]:
        """Return weights, shape (component,), and parameters, (component, arm, cell)."""
        if self.control is None:
            return np.ones(1), self.concentration(design)[None]
        weights = np.array(self.control.weights)
        return weights, self.control.concentration(len(design.trial.arm))

    def concentration(self, design: TrialModelDesign) -> np.ndarray:
        """Return the Dirichlet parameter of every arm, shape (arm, cell); of one component."""
        if self.control is not None:
            return self.control.concentration(len(design.trial.arm))[0]
        a = self.dirichlet(len(design.trial.outcomes), bool(design.units))
        shape = (len(design.trial.arm), 2 ** len(design.trial.outcomes))
        if np.ndim(a) > 2 or (np.ndim(a) == 2 and len(a) not in (1, shape[0])):
            raise SpecificationError(
                f"The prior of cell_probability has the shape {np.shape(a)} for {shape[0]} arms. "
                "Give one line per arm, the control first, or one for all."
            )
        return np.broadcast_to(a, shape)

    def described(self, design: TrialModelDesign, conjugate: bool) -> list[tuple[str, str, str]]:
        """Return variable, meaning and prior of every parameter, in words."""
        return [*self._of_arms_and_clusters(design, conjugate), *self._of_terms(design)]

    def _of_arms_and_clusters(
        self, design: TrialModelDesign, conjugate: bool
    ) -> list[tuple[str, str, str]]:
        text = self._patterns(design)
        meaning = "probabilities of the response patterns"
        if conjugate:
            return [("cell_probability", meaning, text)]
        beta = self.beta(design)
        if beta is None:
            rows = self._of_columns(design, text, meaning)
        else:
            rows = [("beta", "log odds, covariates as they are", repr(beta))]
        if design.trial.cluster is None:
            return rows
        cluster = self.clusters(design.matrix)
        if isinstance(cluster, LKJ):
            spread = ("cluster_sd", "sd of cluster effects, log odds", repr(cluster.sd))
            size = len(design.matrix.random) * design.trial.basis.shape[1]
            if size == 1:
                return [*rows, spread]
            meaning = "correlations of cluster effects, as partial correlations"
            return [*rows, spread, ("cluster_partial", meaning, f"LKJ(eta={cluster.eta:g})")]
        meaning = "covariance of cluster effects, independent for each predictor"
        return [*rows, ("cluster_variance", meaning, repr(cluster))]

    def _of_columns(
        self, design: TrialModelDesign, patterns: str, meaning: str
    ) -> list[tuple[str, str, str]]:
        """Return the default, and what columns have in its place."""
        own, names, arms = self.columns(design), design.matrix.names, len(design.trial.arm)
        levels = ", ".join(names[j] for j in range(arms) if j in own)
        slopes = ", ".join(names[j] for j in range(arms, len(names)) if j in own)
        rows = []
        if not all(j in own for j in range(arms)):
            where = [] if not len(design.matrix.center) else ["covariates at their means"]
            where += [] if not design.units else [f"effects of {' and '.join(design.units)} zero"]
            where += [f"but for {levels}"] if levels else []
            rows.append(("cell_probability", ", ".join([meaning, *where]), patterns))
        if not all(j in own for j in range(arms, len(names))):
            meaning = "log odds and log odds ratios of the outcomes, per sd of a covariate"
            meaning += ", in each arm" if design.matrix.interactions else ""
            meaning += f", but for {slopes}" if slopes else ""
            rows.append(("slope", meaning, f"Normal(mu=0, sigma={self.slope_sd:g})"))
        meaning = "log odds, covariates as they are"
        return [*rows, *((f"beta[{names[j]}]", meaning, repr(own[j])) for j in sorted(own))]

    def _patterns(self, design: TrialModelDesign) -> str:
        if self.control is not None:
            vague = ", ".join(f"{v:g}" for v in self.control.vague)
            return f"{self.control.label} (control); Dirichlet({vague}) (other arms)"
        a = np.asarray(self.dirichlet(len(design.trial.outcomes), bool(design.units)))
        a = a.ravel()[:1] if (a == a.flat[0]).all() else a
        lines = (", ".join(f"{v:g}" for v in line) for line in np.atleast_2d(a))
        return f"Dirichlet({'; '.join(lines)}) per arm"

    def _of_terms(self, design: TrialModelDesign) -> list[tuple[str, str, str]]:
        rows = []
        for term, part in design.terms:
            blocks, roles = blocks_of(term, part), term.roles(part)
            sds = {f"{block.name}_sd": block for block in blocks}
            for name, prior in term.unit_priors(part, SCALE).items():
                label = sds[name].label if name in sds else term.label
                what = roles[name].kind if name in roles else "parameter"
                what = "sd of effects, log odds" if name in sds else MEANINGS.get(what, what)
                rows.append((name, f"{what} [{label}]", repr(prior)))
            for block in blocks:
                if design.trial.basis.shape[1] * block.Z.shape[1] > 1:
                    meaning = f"correlations of effects, as partial correlations [{block.label}]"
                    rows.append((f"{block.name}_partial", meaning, f"LKJ(eta={block.eta:g})"))
        return rows

    def notes(self, design: TrialModelDesign, conjugate: bool) -> tuple[str, ...]:
        """Return the priors in sentences."""
        return tuple(
            f"Prior of {name} ({meaning}): {prior}."
            for name, meaning, prior in self.described(design, conjugate)
        )
