"""Predictions of groups with other members than they had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.counterfactual.change import Change, Layout, changed_table
from pymc_mlm.data.by_category import CATEGORY
from pymc_mlm.data.frame import columns
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.inference import as_seed
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.prediction import analysed_table, predict
from pymc_mlm.reporting.plots import plot_members
from pymc_mlm.reporting.summary import Table, posterior_table

KINDS = {"mean": "expected outcome", "eta": "linear predictor"}


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """Draws of groups as they were and with other members; prints the average as a table.

    Attributes
    ----------
    observed, changed : DataArray, dims (chain, draw, group)
        Draws of the groups that change; of an unordered outcome with a further dim ``category``.
    title : str
        The change in words.
    notes : tuple of str
        What was skipped, and how to read the numbers.
    weights : ndarray, shape (group,), or None
        How much each of these groups counts in averages; alike by default.
    """

    observed: xr.DataArray
    changed: xr.DataArray
    title: str
    notes: tuple[str, ...]
    weights: np.ndarray | None = None

    @property
    def difference(self) -> xr.DataArray:
        """Changed less observed, dims (chain, draw, group)."""
        return (self.changed - self.observed).rename("difference")

    def of_category(self, category: Any) -> Counterfactual:
        """Return the part of one category of an unordered outcome.

        Parameters
        ----------
        category : object
            One of its labels, such as ``"b"``.

        Raises
        ------
        SpecificationError
            There is no such category, or the outcome has none.
        """
        labels = self._categories
        if category not in labels:
            raise SpecificationError(
                f"of_category({category!r}): the categories are {', '.join(map(str, labels))}."
                if labels
                else f"of_category({category!r}): the outcome of this model has no categories."
            )
        before, after = (
            p.sel({CATEGORY: category}, drop=True) for p in (self.observed, self.changed)
        )
        title = f"{self.title}, {category}"
        return Counterfactual(before, after, title, self.notes, self.weights)

    @property
    def _categories(self) -> list[Any]:
        has = CATEGORY in self.observed.dims
        return self.observed[CATEGORY].values.tolist() if has else []

    def _of_each_category(self, method: str, ci_prob: float) -> Table:
        """Put the tables of the categories together, the category the first of the index."""
        import pandas as pd

        tables = {c: getattr(self.of_category(c), method)(ci_prob) for c in self._categories}
        frame = pd.concat({c: t.frame for c, t in tables.items()}, names=[CATEGORY])
        return Table(self.title, frame, next(iter(tables.values())).notes)

    def average(self, ci_prob: float = CI_PROB) -> Table:
        """Tabulate the averages over the groups that change.

        Parameters
        ----------
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
            Rows observed, changed and difference: posterior mean, sd and interval.
        """
        if self._categories:
            return self._of_each_category("average", ci_prob)
        dim = str(self.observed.dims[2])
        parts = {"observed": self.observed, "changed": self.changed, "difference": self.difference}
        own = np.ones(self.observed.sizes[dim]) if self.weights is None else self.weights
        shares = xr.DataArray(own / own.sum(), dims=dim)
        flat = np.stack([(p * shares).sum(dim).values.ravel() for p in parts.values()], axis=1)
        weighted = "" if self.weights is None else ", weighted as in the fit"
        count = f"Average of the {self.observed.sizes[dim]} groups that change{weighted}."
        return Table(self.title, posterior_table(flat, [*parts], ci_prob), (count, *self.notes))

    def table(self, ci_prob: float = CI_PROB) -> Table:
        """Tabulate each group that changes.

        Parameters
        ----------
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
            A row per group: means observed and changed, and mean, sd and interval of the
            difference.
        """
        import pandas as pd

        if self._categories:
            return self._of_each_category("table", ci_prob)
        dim = str(self.observed.dims[2])
        index = pd.Index(self.observed[dim].values, name=dim)
        means = {n: p.mean(("chain", "draw")).values
                 for n, p in (("observed", self.observed), ("changed", self.changed))}  # fmt: skip
        flat = self.difference.values.reshape(-1, len(index))
        of_difference = posterior_table(flat, index, ci_prob).rename(columns={"mean": "difference"})
        frame = pd.concat([pd.DataFrame(means, index=index), of_difference], axis=1)
        return Table(self.title, frame, self.notes)

    def plot(self, most: int = 40, **kwargs: Any) -> Any:
        """Draw the differences of the groups that stand out most, with intervals.

        Parameters
        ----------
        most : int
            Number of groups: half with the highest, half with the lowest posterior means.
        **kwargs
            Passed to `arviz_plots.plot_forest`.

        Returns
        -------
        arviz_plots.PlotCollection
        """
        if self._categories:
            raise SpecificationError(
                "plot() shows the differences of one category: of_category("
                f"{self._categories[0]!r}).plot()."
            )
        return plot_members(self.difference, self.title, most, what="difference", **kwargs)

    def __str__(self) -> str:
        """Print the averages."""
        return str(self.average())

    __repr__ = __str__


def counterfactual(
    fit: Fit,
    change: Change,
    member: str | None = None,
    kind: str = "mean",
    random_seed: Any = None,
) -> Counterfactual:
    r"""Predict the fitted groups with members added, removed or replaced.

    .. math:: g(x, m') - g(x, m)

    per posterior draw and group, with `m` the members that it had, `m'` those that it has then, and
    all else as it was. Weights are computed anew from the members that are there, so that they sum
    to one again where they are normalised.

    Parameters
    ----------
    fit : Fit
        A fitted model with a multiple-membership term.
    change : Change
        What changes.
    member : str, optional
        Column of the members, where the terms have several.
    kind : {"mean", "eta"}
        Expected outcome or linear predictor.
    random_seed : int, optional
        Seed of members that the fitted table lacked.

    Returns
    -------
    Counterfactual

    Raises
    ------
    SpecificationError
        The model has no such members, or the change is not possible.
    """
    if kind not in KINDS:
        raise SpecificationError(f"kind is 'mean' or 'eta', not {kind!r}.")
    layout = layout_of(fit, member)
    table = columns(analysed_table(fit), list(fit.spec.predictors))
    new, groups, skipped = changed_table(table, layout, change)
    seed = as_seed(random_seed)
    before, after = (predict(fit, t, kind, seed) for t in (table, new))
    place = {label: i for i, label in enumerate(before[layout.group].values.tolist())}
    chosen = {layout.group: [place[g] for g in groups]}
    known = set(table[layout.member].tolist())
    unknown = [m for m in [*change.add, *change.replace.values()] if m not in known]
    notes = [f"{text[0].upper()}{text[1:]}." for text in skipped]
    if unknown:
        notes.append(
            f"{', '.join(map(str, unknown))}: not in the fitted table, so that the effect is drawn "
            "from the distribution of all members."
        )
    notes.append(f"The scale is that of the {KINDS[kind]}; all else is as it was.")
    weights = fit.design.weights
    if weights is not None:
        own = dict(zip(fit.design.rows.labels.tolist(), weights.tolist(), strict=True))
        weights = np.array([own[g] for g in groups])
    parts = before.isel(chosen), after.isel(chosen)
    return Counterfactual(*parts, change.label, tuple(notes), weights)


def layout_of(fit: Fit, member: str | None = None) -> Layout:
    """Return what the columns of a table of memberships are.

    Raises
    ------
    SpecificationError
        The model has no such members, or several and none is named.
    """
    terms = [t for t in getattr(fit.spec, "named", ()) if hasattr(t, "weight_function")]
    names = list(dict.fromkeys(t.member for t in terms))
    if not names or (member is None and len(names) > 1) or member not in (None, *names):
        raise SpecificationError(
            f"member={member!r}: name the column of the members that change, one of "
            f"{', '.join(names) or 'none: the model has no mm() term'}."
        )
    chosen = names[0] if member is None else member
    of_groups = {terms[0].group, *fit.spec.population().columns}
    ids = {c for t in fit.spec.named for c in t.id_columns} | of_groups
    own = [c for t in terms if t.member == chosen for c in t.columns if c not in ids]
    others = tuple(n for n in names if n != chosen)
    return Layout(chosen, terms[0].group, tuple(dict.fromkeys(own)), others)
