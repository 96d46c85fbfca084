"""Power by fitting the model itself to every simulated trial, through joblib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.estimators import MultivariateLogitTrial
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.patterns import Array, pattern_values
from pymc_mlm.planning.refit_file import RefitFile
from pymc_mlm.priors import Prior

# Trials that a process fits between two lines of the progress bar and writes to the file.
PER_PROCESS = 8
ARM, CLUSTER, COVARIATE = "arm_", "cluster_", "covariate_"


def refit_statistics(
    design: TrialDesign,
    trials: int,
    rng: np.random.Generator,
    fit: Mapping[str, Any] | None = None,
    file: RefitFile | None = None,
    progressbar: bool = False,
) -> Array:
    """Return what is compared with the threshold in each simulated and fitted trial.

    Parameters
    ----------
    design : TrialDesign
        What is simulated and how it is decided.
    trials : int
        Number of trials.
    rng : Generator
        Source of randomness; each trial gets its own stream, whatever process runs it.
    fit : mapping, optional
        Arguments of `MultivariateLogitTrial.fit`, say ``{"draws": 500, "chains": 2}``.
    file : RefitFile, optional
        Refits that are done; what is fitted now is added.
    progressbar : bool, default False
        Whether to show how many trials are fitted, and the time left.

    Returns
    -------
    ndarray, shape (trial, treatment)

    Notes
    -----
    Trials run one after another unless joblib is told otherwise: ``with
    joblib.parallel_config(n_jobs=-1)``, or ``backend="dask"`` and the like.
    """
    return refit_looks(design, design.patients[None], trials, rng, fit, file, progressbar)[:, 0]


def refit_looks(
    design: TrialDesign,
    patients: Array,
    trials: int,
    rng: np.random.Generator,
    fit: Mapping[str, Any] | None = None,
    file: RefitFile | None = None,
    progressbar: bool = False,
) -> Array:
    """Return the statistics at looks, each fitted to the patients of each arm so far.

    Parameters
    ----------
    design, trials, rng, fit, file, progressbar
        As in `refit_statistics`.
    patients : ndarray of int, shape (look, arm)
        Patients at each look; whole clusters where there are clusters.

    Returns
    -------
    ndarray, shape (trial, look, treatment)
    """
    from joblib import Parallel, delayed, effective_n_jobs
    from rich.progress import Progress

    options = {"progressbar": False, **(fit or {})}
    file = file or RefitFile(None)
    children = {
        file.key(number, design, patients.tolist(), sorted(options.items()), *_stream(child)): child
        for number, child in enumerate(rng.spawn(trials))
    }
    found = {key: file.done[key] for key in children if key in file.done}
    left = [key for key in children if key not in found]
    run, size = delayed(_at_looks), PER_PROCESS * effective_n_jobs(Parallel().n_jobs)
    with Progress(disable=not progressbar) as progress:
        task = progress.add_task("Fitting simulated trials", total=trials, completed=len(found))
        for first in range(0, len(left), size):
            some = left[first : first + size]
            each = Parallel()(run(design, patients, children[key], options) for key in some)
            done = dict(zip(some, each, strict=True))
            file.add(done)
            found |= done
            progress.advance(task, len(some))
    return np.array([found[key] for key in children])


def _stream(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return what tells the random numbers of a trial from those of others."""
    seed = rng.bit_generator.seed_seq
    return getattr(seed, "entropy", None), getattr(seed, "spawn_key", None)


def simulated_table(design: TrialDesign, rng: np.random.Generator) -> dict[str, Array]:
    """Simulate the table of one trial: a row per patient, NaN where an outcome is unknown.

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4,), "new": (0.6,)}, per_arm=2)
    >>> list(simulated_table(design, np.random.default_rng(1)))
    ['y1', 'arm_']
    """
    phi, size = design.pattern_probabilities, design.patients
    arm = np.repeat(np.arange(len(size)), size)
    unit, cluster = arm, None
    if design.clusters is not None:
        unit = cluster = np.arange(len(arm)) // design.clusters.size
        phi = phi[arm[:: design.clusters.size]]
        if design.icc > 0:
            gamma = rng.standard_gamma(np.maximum(phi * (1 / design.icc - 1), 1e-3)) + 1e-300
            phi = gamma / gamma.sum(axis=1, keepdims=True)
    own, x = phi[unit], np.zeros(len(arm))
    if design.covariate is not None:
        x = rng.standard_normal(len(arm))
        own = design.covariate.given(phi, x, unit)
    pattern = (rng.random((len(arm), 1)) > own.cumsum(axis=1)[:, :-1]).sum(axis=1)
    y = pattern_values(len(design.names))[pattern]
    y[rng.random(y.shape) < design.missing] = np.nan
    table = {name: y[:, k] for k, name in enumerate(design.names)}
    table[ARM] = np.array(list(design.arms))[arm]
    table |= {} if cluster is None else {CLUSTER: cluster}
    return table if design.covariate is None else table | {COVARIATE: x}


def _at_looks(
    design: TrialDesign, patients: Array, rng: np.random.Generator, options: dict[str, Any]
) -> list[list[float]]:
    table = simulated_table(design, rng)
    # Rows come by arm, in the order of the patients.
    size = design.patients
    place = np.concatenate([np.arange(n) for n in size])
    arm = np.repeat(np.arange(len(size)), size)
    found = []
    for so_far in patients:
        here = place < so_far[arm]
        seen = {name: values[here] for name, values in table.items()}
        found.append(_fitted(design, seen, int(rng.integers(2**31)), options))
    return found


def _fitted(
    design: TrialDesign, table: dict[str, Array], seed: int, options: dict[str, Any]
) -> list[float]:
    even = Prior("Dirichlet", a=design.mixture[1][0, 0])
    model = MultivariateLogitTrial(
        design.names,
        ARM,
        control=design.control,
        covariates=None if design.covariate is None else [COVARIATE],
        cluster=None if design.clusters is None else CLUSTER,
        priors={"cell_probability": design.borrowing or even},
        missing="drop",  # a patient who dropped out on every outcome
    )
    model.fit(table, random_seed=seed, **options)
    decisions = [model.probability(design.rule, treatment=arm) for arm in design.treatments]
    return [decision.evidence[0].statistic for decision in decisions]
