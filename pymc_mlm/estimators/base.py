"""The interface that every model class shares: fit a table, then report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pymc_mlm.arviz_groups import Extension, extended
from pymc_mlm.errors import NotFittedError, warn_of_data, warn_user
from pymc_mlm.estimators.marginal_effects import AbstractMarginalEffects
from pymc_mlm.fit import K_HAT, Fit
from pymc_mlm.inference import Run, as_sampler, as_seed, interruption
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.paths.fitting import PATHS, fit, path_of
from pymc_mlm.paths.laplace import certificate
from pymc_mlm.prior_predictive import sample_prior_predictive
from pymc_mlm.reporting import graph
from pymc_mlm.reporting.diagnostics import ConvergenceWarning, diagnose
from pymc_mlm.reporting.effects import unit_table
from pymc_mlm.reporting.priors import priors_table
from pymc_mlm.reporting.ranking import ranking
from pymc_mlm.reporting.summary import Table
from pymc_mlm.saving import load, save

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr


class Estimator(AbstractMarginalEffects, ABC):
    """A model specification that can be fitted.

    A subclass stores its constructor's arguments verbatim and translates them in `specification`.
    The only fitted attribute is `result_`, a frozen `Fit`; every report is a function of it.
    """

    result_: Fit

    def fit(
        self,
        data: Any,
        draws: int | None = None,
        tune: int | None = None,
        chains: int = 4,
        random_seed: Any = None,
        progressbar: bool = True,
        sampler: Any = "nutpie",
        path: str = "auto",
        initvals: Mapping[str, Any] | None = None,
        target_accept: float | None = None,
        cores: int | None = None,
    ) -> Self:
        """Fit the model to a table.

        Parameters
        ----------
        data : dataframe
            pandas, Polars or PyArrow table, or a mapping of columns; one row per observation, or
            per membership where the model has `mm` terms.
        draws : int, optional
            Kept draws per chain: 1,000; or 100,000 in all where a posterior is drawn directly.
        tune : int, optional
            Warm-up draws per chain: 1,000; or 150 in a table of 20,000 rows and more, where chains
            start at a mode that is searched first, and step in units of the deviations there.
        chains : int
            Chains.
        random_seed : int, sequence of int, numpy.random.Generator or None
            Seed. The same seed gives the same draws only on the same machine and versions.
        progressbar : bool
            Whether to show progress.
        sampler : str or AbstractSampler
            "nutpie" with the settings that suit the model, "pymc", "numpyro", "blackjax", or an
            object such as ``Nutpie(target_accept=0.95)``. With another than "nutpie", with
            `target_accept` and with `initvals`, path="auto" samples.
        path : str
            How the draws are made: "auto" for the best exact way, "sampled" for plain sampling,
            "certified" for effects integrated out, or sampling where the draws get no certificate,
            "collapsed" for effects of a Gaussian outcome integrated out, "dirichlet" for
            a trial without covariates, "fused" for any other trial (the likelihood of all persons
            in one term), "laplace" for effects integrated out by Laplace's method, with a
            certificate (docs/laplace.md).
        initvals : mapping of str to array_like, optional
            Where chains start, before a small jitter: values by parameter name, in the units of
            the parameter. Others start where the model puts them.
        target_accept : float, optional
            Acceptance rate of the sampler; higher means smaller steps. Other settings stay.
        cores : int, optional
            Chains that run at the same time. Other settings stay.

        Returns
        -------
        self
            With the attribute `result_`, a frozen `Fit`.

        Raises
        ------
        DataError
            The table does not fit the model.
        SpecificationError
            An argument is not understood, or the path cannot be taken.

        Warns
        -----
        ConvergenceWarning
            R-hat, effective sample size or divergences show that the draws may mislead, those of
            path="laplace" are approximate, or sampling was interrupted (Ctrl-C) and the fit holds
            the draws up to there.

        Notes
        -----
        An interrupt before the first draw after warm-up ends the fit with `KeyboardInterrupt`, and
        leaves `result_` as it was.
        """
        spec = self.specification
        engine = as_sampler(sampler).with_options(target_accept=target_accept, cores=cores)
        engine = engine.with_default(spec.target_accept)
        direct = "dirichlet" in spec.paths and path in ("auto", "dirichlet")
        count = (100_000 if direct else 1000) if draws is None else draws
        run = Run(
            count,
            1000 if tune is None else tune,
            chains,
            as_seed(random_seed),
            bool(progressbar),
            {} if initvals is None else initvals,
            is_chosen=target_accept is not None or sampler != "nutpie",
            is_tune_open=tune is None,
        )
        # The fit is whole before anything warns: a warning may have been turned into an error.
        self.result_ = fit(spec, data, engine, run, path)
        for text in spec.cautions(self.result_.design):
            warn_of_data(text)
        problems = [f"{text[0].upper()}{text[1:]}." for text in interruption(self.idata)]
        is_weighted = K_HAT in self.result_.posterior.attrs
        if not (is_weighted or PATHS[self.result_.path].is_direct):
            problems += diagnose(self.result_).problems()
        if self.result_.is_approximate:
            figures = certificate(self.idata)
            problems.append(
                f"The draws are approximate, because their weights vary too much ({figures}). "
                "path='sampled' samples the exact posterior."
            )
        if problems:
            warn_user("\n".join(problems), ConvergenceWarning)
        return self

    def __repr__(self) -> str:
        """Print the constructor's arguments, and whether the fit is approximate."""
        fitted = getattr(self, "result_", None)
        is_approximate = fitted is not None and fitted.is_approximate
        return super().__repr__() + ("  # approximate fit" if is_approximate else "")

    def build(self, data: Any, path: str = "auto") -> pm.Model:
        """Return the `pm.Model` of a table without sampling it.

        Parameters
        ----------
        data : dataframe
            The table.
        path : str
            As in `fit`: "sampled" for the model with all effects, and with the outcomes of a trial
            as an observed variable.

        Returns
        -------
        pm.Model
            To look at, to extend, or to sample in another way.
        """
        return self._build(self._design(data), path)

    @property
    def idata(self) -> xr.DataTree:
        """Draws and observed data, for ArviZ."""
        return self._fitted().idata

    def priors(self, data: Any = None) -> Table:
        """List the prior of every parameter.

        Parameters
        ----------
        data : dataframe, optional
            Table that the default priors are scaled to; the fitted one by default.

        Returns
        -------
        Table
            Columns: variable name (the key in ``priors=``), what it is, and its prior.
        """
        if data is None:
            return priors_table(self._fitted().spec, self._fitted().design)
        return priors_table(self.specification, self._design(data))

    def sample_prior_predictive(
        self, data: Any, draws: int = 500, random_seed: Any = None
    ) -> xr.DataTree:
        """Draw parameters, effects and outcomes from the priors alone.

        Parameters
        ----------
        data : dataframe
            Table with the outcome, whose scale the default priors take.
        draws : int
            Number of draws.
        random_seed : int, optional
            Seed.

        Returns
        -------
        xarray.DataTree
            Groups ``prior`` and ``prior_predictive``.
        """
        design = self._design(data)
        return sample_prior_predictive(self.specification, design, draws, as_seed(random_seed))

    def extend(
        self,
        *groups: str,
        random_seed: Any = None,
        likelihood: str = "conditional",
        most_draws: int = 4000,
        prior_draws: int = 500,
    ) -> xr.DataTree:
        """Return a copy of `idata` with the further groups that functions of ArviZ read.

        Parameters
        ----------
        *groups : str
            "log_likelihood" for ``az.loo`` and ``az.compare``, "log_prior" with it for
            ``az.psense_summary``, "posterior_predictive" for ``az.plot_ppc_dist``, "prior",
            "prior_predictive". All of them if none is named.
        random_seed : int, optional
            Seed of predictive and prior draws.
        likelihood : {"conditional", "marginal"}
            One log likelihood per row, or person of a trial, given all effects; or one per
            innermost nested unit of a Gaussian model, its own effects integrated out and all
            others given.
        most_draws : int
            Where a chain has more draws, all groups of the copy hold so many, evenly spaced.
        prior_draws : int
            Draws of "prior" and "prior_predictive".

        Returns
        -------
        xarray.DataTree
            ``log_likelihood`` and the predictive groups have the variable ``outcome``
            (``outcomes`` of a trial). ``log_prior`` holds top-level priors only. Durations have
            their events in ``constant_data``, where ``az.plot_ppc_censored`` looks for them.

        Raises
        ------
        SpecificationError
            No such group, or effects cannot be integrated out.

        Examples
        --------
        >>> az.loo(model.extend("log_likelihood"))  # doctest: +SKIP
        """
        extension = Extension(groups, likelihood, most_draws, prior_draws)
        return extended(self._fitted(), extension, as_seed(random_seed))

    @abstractmethod
    def effect_draws(self, term: str | None = None) -> xr.DataArray:
        """Return draws of the effects of units, dims (chain, draw, unit, ...)."""

    def effects(self, term: str | None = None, ci_prob: float = CI_PROB) -> pd.DataFrame:
        """Tabulate the effects of the units of a term, of a nested level, or of clusters.

        Parameters
        ----------
        term : str, optional
            Name of the term, level or cluster column; the first term by default, of nested levels
            the innermost.
        ci_prob : float
            Probability inside the equal-tailed intervals.

        Returns
        -------
        pandas.DataFrame
            A row per unit, sorted by posterior mean; or per unit and coefficient, in the order of
            the units. Posterior mean, sd and interval, on the scale of the link.

        Raises
        ------
        SpecificationError
            No such term, or it has no effects.
        """
        return unit_table(self.effect_draws(term), ci_prob)

    def ranking(
        self, term: str | None = None, best: str = "highest", ci_prob: float = CI_PROB
    ) -> Table:
        """Rank the units of a term by their effects, with the uncertainty of the ranks.

        Parameters
        ----------
        term : str, optional
            As in `effects`.
        best : {"highest", "lowest"}
            Which effect has rank 1.
        ci_prob : float
            Probability inside the equal-tailed intervals.

        Returns
        -------
        Table
            A row per unit, sorted by expected rank, with its interval and the probability of
            rank 1; and mean, sd and interval of the effect.
        """
        return ranking(self.effect_draws(term), best, ci_prob)

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
        return graph.to_graphviz(self._fitted(), **kwargs)

    def save(self, path: Any) -> Path:
        """Write the fit to a netCDF file or Zarr store: draws, columns read and specification.

        Parameters
        ----------
        path : str or path
            Where to: ``"fit.nc"``, or ``"fit.zarr"`` for a Zarr store, a folder. A fit that is
            there is replaced when the new one is whole. It holds the columns that the model
            reads.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        SpecificationError
            A prior or term of a class of your own has no form as text; it is named. Or zarr is
            needed and not installed.
        """
        return save(self._fitted(), path)

    @classmethod
    def load(cls, path: Any) -> Self:
        """Return a fitted model from a file that `save` wrote; nothing in it is run.

        Parameters
        ----------
        path : str or path
            The file, or the folder of a Zarr store.

        Raises
        ------
        DataError
            The file is none of a fit of this model, is damaged, or a newer version wrote it.
        """
        loaded = load(path)
        model = cls._from_specification(loaded.spec)
        model.result_ = loaded
        return model

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` has run."""
        return hasattr(self, "result_")

    def _design(self, data: Any, known: Any = None) -> Any:
        spec = self.specification
        design = spec.read(data, known)
        for text in () if known is not None else spec.cautions(design):
            warn_of_data(text)
        return design

    def _build(self, design: Any, path: str = "auto") -> pm.Model:
        spec = self.specification
        return path_of(spec, design, path).model(spec, design)

    def _fitted(self) -> Fit:
        if not hasattr(self, "result_"):
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet. Call fit(data) first."
            )
        return self.result_
