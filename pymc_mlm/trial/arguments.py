"""Checks of a trial's arguments when it is constructed: what no table is needed for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from pymc_mlm.data.arms import check_roles
from pymc_mlm.data.cells import logit_basis
from pymc_mlm.data.trial_matrix import check_random
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior
from pymc_mlm.trial.design import TrialColumns

# What a plot of arviz-plots takes beside its own arguments.
OF_COLLECTION = ("aes", "cols", "rows", "col_wrap", "figure_kwargs")


def column_name(role: str, value: Any) -> str:
    """Return the name of a column, or refuse what was given in its place."""
    if not isinstance(value, str):
        raise SpecificationError(
            f"{role}={value!r} is no column: name it, for example {role}={role!r}. Terms such as "
            "mm() and hm() go into terms=."
        )
    return value


def outcome_names(outcomes: Any) -> tuple[str, ...]:
    """Return the names of the outcomes, given as one name or several."""
    if isinstance(outcomes, str):
        return (outcomes,)
    if not isinstance(outcomes, Sequence) and not hasattr(outcomes, "tolist"):
        raise SpecificationError(
            f"outcomes={outcomes!r} names no columns. Write outcomes=['math', 'reading']."
        )
    return tuple(column_name("outcomes", name) for name in outcomes)


def check_arguments(spec: TrialColumns, interactions: Any, cluster_prior: Any) -> None:
    """Refuse arguments that no table fits, or that would have no effect.

    Parameters
    ----------
    spec : TrialColumns
        Which columns play which part.
    interactions : object
        As the user gave it.
    cluster_prior : object
        As the user gave it.

    Raises
    ------
    SpecificationError
        A column has two roles; a word is not known; an argument has no effect here.
    """
    cluster = () if spec.cluster is None else (column_name("cluster", spec.cluster),)
    check_roles(spec.outcomes, [*spec.outcomes, column_name("arm", spec.arm), *cluster])
    logit_basis(len(spec.outcomes), spec.dependence)
    if not isinstance(interactions, bool):
        raise SpecificationError(f"interactions={interactions!r} must be True or False.")
    if not interactions and spec.formula is None:
        raise SpecificationError(
            "interactions=False leaves out products of arms and covariates, and the trial has no "
            "covariates. Leave it out, or name covariates=."
        )
    if spec.cluster is not None:
        check_random(spec.random, spec.arm, spec.covariates)
    elif str(spec.random).strip() != "1":
        raise SpecificationError(
            f"random={spec.random!r} lets coefficients vary by cluster, and cluster= is not "
            "given. Name the column of the cluster, or leave random= out."
        )
    elif cluster_prior != "lkj":
        raise SpecificationError(
            f"cluster_prior={cluster_prior!r} is a prior of cluster effects, and cluster= is not "
            "given. Name the column of the cluster, or leave cluster_prior= out."
        )


def check_coefficient_prior(prior: Prior, shape: tuple[int, int], names: Sequence[str]) -> None:
    """Refuse a prior whose parameters fit neither the columns nor all coefficients.

    Parameters
    ----------
    prior : Prior
        Of `beta`.
    shape : tuple of int
        Predictors and columns.
    names : sequence of str
        The columns.
    """
    for parameter, value in prior.parameters.items():
        sizes = np.shape(value)
        whole = all(s in (1, n) for s, n in zip(sizes[::-1], shape[::-1], strict=False))
        # A covariance has columns on both axes.
        covariance = prior.distribution == "MvNormal" and sizes == (shape[1], shape[1])
        if len(sizes) > 2 or not (whole or covariance):
            raise SpecificationError(
                f"The prior of 'beta' has {' x '.join(map(str, sizes))} values of {parameter!r}, "
                f"and the model has {shape[1]} columns ({', '.join(names)}) in each of "
                f"{shape[0]} predictor(s). Give one value, or one for each column."
            )


def check_plot_arguments(
    kind: str, given: Collection[str], questions: Collection[str], *functions: Callable[..., Any]
) -> None:
    """Refuse arguments that a plot does not have.

    Parameters
    ----------
    kind : str
        Which plot.
    given : collection of str
        The names that the user gave, those of the question left out.
    questions : collection of str
        Names that say what is asked.
    *functions : callable
        What draws it; the first argument is what is drawn.
    """
    own = [name for f in functions for name in list(inspect.signature(f).parameters)[1:]]
    own = [name for name in own if name not in ("kwargs", "pc_kwargs")]
    passed = OF_COLLECTION if len(functions) > 1 else ()
    for name in given:
        if name not in (*own, *questions, *passed):
            raise SpecificationError(
                f"plot({kind!r}) has no argument {name!r}; it has "
                f"{', '.join(dict.fromkeys([*questions, *own]))}. The kind of plot is the first "
                "argument, kind=."
            )
