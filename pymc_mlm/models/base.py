"""The interface that every model class shares: fit a table, then ask."""

from __future__ import annotations

import inspect
import platform
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.errors import NotFittedError, SpecificationError, warn_user
from pymc_mlm.fit import Fit
from pymc_mlm.inference import AbstractSampler, Nutpie, Run, as_sampler, as_seed
from pymc_mlm.reporting.diagnostics import ConvergenceWarning, diagnose
from pymc_mlm.reporting.summary import MODEL_KINDS, Table, summary

# `priors` is also a question that every model answers, so the argument is kept under another name.
_ATTRIBUTES = {"priors": "priors_given"}


class Estimator(ABC):
    """A model specification that can be fitted.

    A subclass stores its constructor's arguments verbatim and implements `_design` (table to
    NumPy), `_build` (NumPy to `pm.Model`) and `_roles`. The only fitted attribute is `result_`.
    """

    result_: Fit

    @abstractmethod
    def _design(self, data: Any, known: Any = None) -> Any:
        """Read a table into a frozen design; new data are read as the `known` design was."""

    @abstractmethod
    def _build(self, design: Any) -> pm.Model:
        """Write the model of a design."""

    @abstractmethod
    def _roles(self, design: Any) -> dict[str, Any]:
        """Say what each variable means."""

    @abstractmethod
    def _title(self, design: Any) -> str:
        """Return the heading of reports."""

    @abstractmethod
    def _notes(self, design: Any) -> tuple[str, ...]:
        """Return what a reader of the summary should know besides the numbers."""

    def _default_sampler(self) -> AbstractSampler:
        """Return nutpie with the settings that suit the model."""
        return Nutpie()

    def _finished(self, fit: Fit, seed: int | None) -> Fit:
        """Return the fit with what the sampler did not draw, such as integrated-out effects."""
        return fit

    def _starts(self, design: Any) -> dict[str, Any]:
        """Return starting values of parameters whose prior has no useful centre, by name."""
        return {}

    def fit(
        self,
        data: Any,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_seed: Any = None,
        progressbar: bool = True,
        sampler: Any = "nutpie",
    ) -> Self:
        """Fit the model to a table.

        Parameters
        ----------
        data : dataframe
            pandas, Polars or PyArrow table, or a mapping of columns; one row per membership.
        draws, tune, chains : int
            Kept and warm-up draws per chain, and chains.
        random_seed : int, sequence of int, numpy.random.Generator or None
            Seed. The same seed gives the same draws only on the same machine and versions.
        progressbar : bool
            Whether to show progress.
        sampler : str or AbstractSampler
            "nutpie" with the settings that suit the model, "pymc", "numpyro", "blackjax", or an
            object such as ``Nutpie(target_accept=0.95)``.

        Returns
        -------
        self
            With the attribute `result_`, a frozen `Fit`.

        Raises
        ------
        DataError
            The table does not fit the model.

        Warns
        -----
        ConvergenceWarning
            R-hat, effective sample size or divergences say that the draws may mislead.
        """
        engine = self._default_sampler() if sampler == "nutpie" else as_sampler(sampler)
        run = Run(draws, tune, chains, as_seed(random_seed), bool(progressbar))
        design = self._design(data)
        model = self._build(design)
        free = [rv.name for rv in model.free_RVs]
        for name, value in self._starts(design).items():
            model.set_initval(model[name], np.broadcast_to(value, model[name].shape.eval()))
        idata = engine.sample(model, free, run)
        # Starting values have done their work; PyMC refuses log likelihoods of a model with some.
        for variable in model.rvs_to_initial_values:
            model.rvs_to_initial_values[variable] = None
        roles = {n: r for n, r in self._roles(design).items() if n in idata["posterior"]}
        fit = Fit(
            model=model,
            idata=idata,
            design=design,
            roles=roles,
            title=self._title(design),
            notes=self._notes(design),
            versions=_versions(),
        )
        # The fit is whole before anything warns: a warning may have been turned into an error.
        self.result_ = self._finished(fit, run.random_seed)
        problems = diagnose(self.result_).problems()
        if problems:
            warn_user("\n".join(problems), ConvergenceWarning)
        return self

    def build(self, data: Any) -> pm.Model:
        """Return the `pm.Model` of a table without sampling it.

        Parameters
        ----------
        data : dataframe
            The table.

        Returns
        -------
        pm.Model
            To look at, to extend, or to sample in another way.
        """
        return self._build(self._design(data))

    @property
    def idata(self) -> xr.DataTree:
        """Draws and observed data, for ArviZ."""
        return self._fitted().idata

    def summary(self, kinds: tuple[str, ...] = MODEL_KINDS, ci_prob: float = 0.89) -> Table:
        """Summarise the posterior by role; see `pymc_mlm.reporting.summary`.

        Parameters
        ----------
        kinds : tuple of str
            "coefficient", "weight", "sd", "family", "effect".
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
        """
        return summary(self._fitted(), kinds, ci_prob)

    def to_graphviz(self, **kwargs: Any) -> Any:
        """Draw the fitted model's graph with Graphviz.

        Needs Graphviz and its Python package: ``pip install "pymc-mlm[graphviz]"``.

        Parameters
        ----------
        **kwargs
            Passed to `pymc.model_to_graphviz`.

        Returns
        -------
        graphviz.Digraph
        """
        return pm.model_to_graphviz(self._fitted().model, **kwargs)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name, as scikit-learn does."""
        arguments = list(inspect.signature(type(self).__init__).parameters.values())[1:]
        names = [a.name for a in arguments if a.kind is not a.VAR_POSITIONAL]
        return {name: getattr(self, _ATTRIBUTES.get(name, name)) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Replace constructor arguments and return self.

        Raises
        ------
        SpecificationError
            The model has no such argument, or the constructor refuses the new ones.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise SpecificationError(
                    f"{type(self).__name__} has no argument {name!r}; it has: {', '.join(known)}."
                )
        # The constructor checks all of them together; a refused change changes nothing.
        vars(self).update(vars(type(self)(**(known | params))))
        return self

    def __repr__(self) -> str:
        """Print the constructor's arguments."""
        shown = (f"{k}={v!r}" for k, v in self.get_params().items() if v is not None and v != ())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy with the same arguments."""
        clone = object.__new__(type(self))
        for name, value in self.get_params().items():
            setattr(clone, _ATTRIBUTES.get(name, name), value)
        return clone

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` has run."""
        return hasattr(self, "result_")

    def _fitted(self) -> Fit:
        if not hasattr(self, "result_"):
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet. Call fit(data) first."
            )
        return self.result_


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("pymc", "pytensor", "nutpie", "numba", "arviz")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
