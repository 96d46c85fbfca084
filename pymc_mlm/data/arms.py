"""Arms and clusters of a trial: which rows are control, and how clusters lie to the arms."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.data.few_units import FEWEST_UNITS
from pymc_mlm.data.membership import Membership
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ClusterDesign:
    """Clusters of a trial, and how they lie to its arms.

    Attributes
    ----------
    factor : Factor
        Clusters and the cluster of each row.
    arm : ndarray of int, shape (cluster,)
        Arm of a cluster whose rows are all in one arm; ``-1`` for a cluster in several arms.
    sizes : ndarray of int, shape (cluster,)
        Rows of each cluster.
    """

    factor: Factor
    arm: Array
    sizes: Array

    @property
    def nested(self) -> bool:
        """Whether every cluster lies in one arm, as in a cluster-randomised trial."""
        return bool((self.arm != UNKNOWN).all())


def check_roles(outcomes: Sequence[str], roles: Sequence[str]) -> None:
    """Refuse a trial without outcomes, and a column with two roles."""
    if not outcomes:
        raise SpecificationError("outcomes is empty; name at least one column of 0/1 values.")
    twice = [name for name in dict.fromkeys(roles) if roles.count(name) > 1]
    if twice:
        raise SpecificationError(
            f"Column {twice[0]!r} is named {roles.count(twice[0])} times among outcomes, arm and "
            "cluster. Give every role a column of its own."
        )


def order_arms(found: Factor, control: Any, treatment: Any) -> Factor:
    """Put the control first and leave out the arms that were not asked for."""
    labels = list(found.labels)
    many = isinstance(treatment, (list, tuple, np.ndarray))
    treatments = [] if treatment is None else list(treatment) if many else [treatment]
    named = [("treatment", label) for label in treatments]
    for role, label in [*named, *([] if control is None else [("control", control)])]:
        if not isinstance(label, Hashable) or label not in labels:
            raise _absent_arm(found.name, role, label, labels)
    if len(labels) < 2:
        raise DataError(
            f"Arm column {found.name!r} has {len(labels)} arm(s) ({_listing(labels)}); at least "
            "two are needed. Check the column, or filters applied to the table before."
        )
    if control is None:
        control = _default_control(found.name, labels, treatments)
    if control in treatments:
        raise SpecificationError(
            f"{show(control)} is both control and treatment. Name two different arms of "
            f"{found.name!r}: {_listing(labels)}."
        )
    order = [control, *(treatments or [label for label in labels if label != control])]
    position = {label: code for code, label in enumerate(order)}
    recode = np.array([*(position.get(label, UNKNOWN) for label in labels), UNKNOWN])
    ordered = np.empty(len(order), dtype=object)
    ordered[:] = order
    return Factor(found.name, ordered, recode[found.codes], len(order))


def check_arms(arms: Factor, dropped: Mapping[str, int]) -> None:
    """Refuse an arm whose rows were all dropped."""
    size = np.bincount(arms.codes, minlength=len(arms))
    if (size == 0).any():
        raise DataError(
            f"Arm {show(arms.labels[int(np.argmin(size))])} of column {arms.name!r} has no row "
            f"left; rows dropped: {dict(dropped)}. Fill in the missing values or leave the arm "
            "out."
        )


def cluster_design(factor: Factor, arms: Factor) -> ClusterDesign:
    """Find the arm and the size of each cluster."""
    size = np.bincount(factor.codes, minlength=len(factor))
    low = np.full(len(factor), len(arms))
    high = np.full(len(factor), UNKNOWN)
    np.minimum.at(low, factor.codes, arms.codes)
    np.maximum.at(high, factor.codes, arms.codes)
    return ClusterDesign(factor, np.where(low == high, high, UNKNOWN), size)


def cluster_notes(cluster: ClusterDesign) -> list[str]:
    """Say what the layout of the clusters means for the estimands."""
    notes = []
    one_arm, total = int((cluster.arm != UNKNOWN).sum()), len(cluster.factor)
    if one_arm:
        notes.append(
            f"{one_arm} of {total} clusters ({cluster.factor.name!r}) lie in one arm only: an "
            "arm's clusters are a sample. Averages of each arm over its own observed clusters "
            "(covariate_rows='arm', as bmco) leave out that sampling; the default does not."
        )
    single = int((cluster.sizes == 1).sum())
    if single:
        notes.append(
            f"{single} of {total} clusters ({cluster.factor.name!r}) have one row; they say "
            "little about the variation between clusters."
        )
    return notes


def few_clusters(cluster: ClusterDesign, arms: Factor) -> list[str]:
    """Name the arms whose clusters are too few to tell how clusters differ."""
    return [
        f"Arm {show(label)} has rows in {count} cluster(s) of {cluster.factor.name!r}, fewer than "
        f"{FEWEST_UNITS}. So few say little about how clusters differ: standard deviations of "
        "cluster effects, and effects in new clusters with them, rest on the prior. Compare "
        "results under several priors of cluster_sd."
        for label, count in _few(cluster.factor.codes, arms.codes, arms)
    ]


def few_in_arms(term: str, name: str, links: Membership, arms: Factor) -> list[str]:
    """Name the arms whose units of a term are too few to tell how units differ.

    Parameters
    ----------
    term : str
        Label of the term.
    name : str
        Its name, as in the names of its parameters.
    links : Membership
        Units of each person.
    arms : Factor
        Arm of each person.
    """
    return [
        f"Arm {show(label)} has rows in {count} unit(s) of [{term}], fewer than {FEWEST_UNITS}. So "
        "few say little about how units differ: standard deviations of their effects, and effects "
        f"with new units, rest on the prior. Compare results under several priors of {name}_sd."
        for label, count in _few(links.member.codes, arms.codes[links.group], arms)
    ]


def _few(unit: Array, arm: Array, arms: Factor) -> list[tuple[Any, int]]:
    """Return arms with fewer than five units, and the number of these."""
    pairs = np.unique(np.stack([arm, unit]), axis=1)
    counts = np.bincount(pairs[0], minlength=len(arms)).tolist()
    return [(a, n) for a, n in zip(arms.labels, counts, strict=True) if n < FEWEST_UNITS]


def dense(factor: Factor) -> Factor:
    """Forget units whose rows were all dropped."""
    used = np.zeros(len(factor), dtype=bool)
    used[factor.codes] = True
    code = np.cumsum(used) - 1
    return Factor(factor.name, factor.labels[used], code[factor.codes], int(used.sum()))


def take(factor: Factor, rows: Array) -> Factor:
    """Return the factor of some rows."""
    return Factor(factor.name, factor.labels, factor.codes[rows], factor.num_known)


def _default_control(name: str, labels: list[Any], treatments: list[Any]) -> Any:
    candidates = [label for label in labels if label not in treatments]
    if len(candidates) == 1:
        return candidates[0]
    if not treatments and labels == [0, 1]:  # also False and True
        return labels[0]
    raise SpecificationError(
        f"control is not named, and {name!r} has the arms {_listing(candidates)}. An alphabet "
        f"does not know which is the control: write, say, control={show(candidates[0])}."
    )


def _absent_arm(column: str, role: str, label: Any, labels: list[Any]) -> DataError:
    by_text = {str(found): found for found in labels}
    near = difflib.get_close_matches(str(label), by_text, n=1, cutoff=0.5)
    hint = f" Did you mean {show(by_text[near[0]])}?" if near else ""
    return DataError(
        f"{role}={show(label)} is no arm of column {column!r}; its arms are {_listing(labels)}."
        f"{hint}"
    )


def _listing(labels: Sequence[Any], most: int = 10) -> str:
    shown = ", ".join(show(label) for label in labels[:most])
    return shown if len(labels) <= most else f"{shown}, ... ({len(labels)} in all)"
