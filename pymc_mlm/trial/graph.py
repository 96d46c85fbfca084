"""Writes the PyMC model of a trial, or draws its posterior directly where that is exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.data.trial_matrix import TrialMatrix
from pymc_mlm.distributions.coefficients import (
    linear_map,
    preconditioned,
    standardized_normal,
)
from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.multinomial_logit import multinomial_logit_loglik
from pymc_mlm.priors import Prior, check_shape, create
from pymc_mlm.terms.cluster_effects import (
    DIMENSION,
    LKJ,
    SLOPE,
    AbstractClusterPrior,
    InverseWishart,
)
from pymc_mlm.trial.arguments import check_coefficient_prior
from pymc_mlm.trial.design import TrialModelDesign

# Log odds, of centred and scaled columns; rstanarm's scale for logistic regression.
COEFFICIENT_SD = 2.5
VARIABLES = ("beta", "cluster_sd", "cluster_z", "cluster_partial", "cluster_variance",
             "cluster_chain", "cell_probability")  # fmt: skip
DIMS = ("predictor", "covariate", SLOPE, DIMENSION, "chain", "draw", "outcome", "arm", "cell",
        "row")  # fmt: skip


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
        names = ["cell_probability"] if conjugate else ["beta"]
        if clustered and isinstance(self.cluster, LKJ):
            names.append("cluster_sd")
        for name in self.given:
            if name not in names:
                raise SpecificationError(
                    f"priors: the model has no parameter {name!r}; it has {', '.join(names)}."
                )

    def standardized_sd(self, columns: int) -> np.ndarray:
        """Return the default prior's standard deviations, shape (column,)."""
        return np.full(columns, COEFFICIENT_SD)

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

    def dirichlet(self, num_outcomes: int) -> Any:
        """Return the Dirichlet parameter; by default success probabilities are uniform."""
        prior = self.given.get("cell_probability")
        if prior is None:
            return 2.0 ** (1 - num_outcomes)
        if not isinstance(prior, Prior) or prior.distribution != "Dirichlet":
            raise SpecificationError(
                f"The prior of cell_probability is {prior!r}; without covariates and clusters it "
                "is Prior('Dirichlet', a=[...]), one number per response pattern."
            )
        a = np.asarray(prior.parameters["a"], dtype=float)
        if a.ndim and a.shape[-1] != 2**num_outcomes:
            raise SpecificationError(
                f"The prior of cell_probability has {a.shape[-1]} numbers in its last axis for "
                f"{2**num_outcomes} response patterns. Give one number per response pattern, from "
                "all ones to all zeros."
            )
        return a

    def described(self, design: TrialModelDesign, conjugate: bool) -> list[tuple[str, str, str]]:
        """Return variable, meaning and prior of every parameter, in words."""
        if conjugate:
            a = np.unique(np.asarray(self.dirichlet(len(design.trial.outcomes))))
            text = f"Dirichlet({', '.join(f'{v:g}' for v in a)}) per arm"
            return [("cell_probability", "probabilities of the response patterns", text)]
        beta = self.given.get("beta")
        meaning = "log odds, covariates as they are"
        text = repr(beta)
        if beta is None:
            meaning = "log odds, covariates centred and scaled"
            text = f"Normal(mu=0, sigma={COEFFICIENT_SD})"
        rows = [("beta", meaning, text)]
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

    def notes(self, design: TrialModelDesign, conjugate: bool) -> tuple[str, ...]:
        """Return the priors in sentences."""
        return tuple(
            f"Prior of {name} ({meaning}): {prior}."
            for name, meaning, prior in self.described(design, conjugate)
        )


def trial_model(design: TrialModelDesign, priors: TrialPriors, conjugate: bool) -> pm.Model:
    """Write the model of a design.

    Parameters
    ----------
    design : TrialModelDesign
        The table.
    priors : TrialPriors
        Priors.
    conjugate : bool
        Whether the response patterns have a Dirichlet prior in each arm.

    Returns
    -------
    pymc.Model
    """
    return _cell_model(design, priors) if conjugate else _logit_model(design, priors)


def _cell_model(design: TrialModelDesign, priors: TrialPriors) -> pm.Model:
    trial = design.trial
    num_cells = 2 ** len(trial.outcomes)
    a = np.broadcast_to(priors.dirichlet(len(trial.outcomes)), (len(trial.arm), num_cells))
    coords = {"arm": tuple(trial.arm.labels), "cell": trial.cells}
    with pm.Model(coords=coords, model=None) as model:
        phi = pm.Dirichlet("cell_probability", a, shape=a.shape, dims=("arm", "cell"))
        seen = pt.dot(phi, trial.compatible.T.astype(float))
        counts = trial.pattern_counts()
        used = counts > 0
        pm.Potential("loglik", pt.sum(counts[used] * pt.log(seen[used])))
    return model


def _logit_model(design: TrialModelDesign, priors: TrialPriors) -> pm.Model:
    trial, rows = design.trial, design.collapse()
    predictors, columns = trial.basis.shape[1], len(design.matrix.names)
    coords: dict[str, Any] = {"predictor": trial.predictors, "covariate": design.matrix.names}
    if trial.cluster is not None:
        _refuse_colliding_name(trial.cluster.factor.name)
        coords |= {
            SLOPE: design.matrix.random_names,
            DIMENSION: tuple(
                f"{s}, {p}" for s in design.matrix.random_names for p in trial.predictors
            ),
            trial.cluster.factor.name: tuple(trial.cluster.factor.labels),
        }
    X = design.X[rows.first]
    with pm.Model(coords=coords, model=None) as model:
        beta = _coefficients(design, priors, X, rows.count, (predictors, columns))
        effect: Any = np.zeros((1, 0))
        Z = np.zeros((len(X), 0))
        if trial.cluster is not None:
            Z = design.matrix.random_rows(X)
            effect = priors.clusters(design.matrix).effects(
                trial.cluster.factor.name, len(trial.cluster.factor), Z.shape[1], predictors
            )
        loglik = multinomial_logit_loglik(
            beta,
            effect,
            pm.Data("X", X),
            pm.Data("Z", Z),
            pm.Data("cluster_code", design.cluster_codes[rows.first]),
            pm.Data("basis", trial.basis),
            pm.Data("pattern", trial.pattern[rows.first]),
            pm.Data("compatible", trial.compatible),
            pm.Data("count", rows.count),
        )
        pm.Potential("loglik", loglik)
    return model


def _coefficients(
    design: TrialModelDesign,
    priors: TrialPriors,
    X: np.ndarray,
    count: np.ndarray,
    shape: tuple[int, int],
) -> Any:
    sd = priors.standardized_sd(shape[1])
    root = linear_map("root", design.matrix.preconditioner(X, count, sd))
    kwargs = {"shape": shape, "dims": ("predictor", "covariate")}
    prior = priors.given.get("beta")
    if prior is None:
        standard = linear_map("standard", design.matrix.to_original)
        return standardized_normal("beta", pm.Data("prior_sd", sd), standard, root, **kwargs)
    if isinstance(prior, Prior):
        check_coefficient_prior(prior, shape, design.matrix.names)
        unnamed = getattr(pm, prior.distribution).dist(**prior.parameters, shape=shape)
        check_shape(prior, "beta", unnamed, shape)
        return preconditioned("beta", unnamed, root, **kwargs)
    return create(prior, "beta", ("predictor", "covariate"))


def _refuse_colliding_name(cluster: str) -> None:
    if cluster in (*VARIABLES, *DIMS):
        raise SpecificationError(
            f"The cluster column {cluster!r} would name a dimension, but that name is taken in "
            "the model. Rename the column."
        )
