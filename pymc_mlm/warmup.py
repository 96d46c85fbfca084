"""Compiles the common models once, so that a user's first fit is nearly warm.

Compiled code is kept on disk by PyTensor and numba, keyed by the structure of a model and not
by its data: what is compiled here for a small table serves tables of every size.
"""

from __future__ import annotations

from collections.abc import Callable

import pymc as pm

from pymc_mlm.datasets import coalitions, nested_schools, teaching_trial
from pymc_mlm.estimators import (
    MultipleMembershipModel,
    MultivariateLogitTrial,
    NestedVaryingEffects,
)
from pymc_mlm.inference.compiled_nutpie import compile_model
from pymc_mlm.terms import hm, mm
from pymc_mlm.weights import softmax

Build = Callable[[], pm.Model]

_OUTCOMES = {
    "weibull": "Surv(weeks, ended) ~ 1 + majority",
    "gaussian": "weeks ~ 1 + majority",
    "bernoulli": "ended ~ 1 + majority",
}


def common_models() -> dict[str, Build]:
    """Return the models that `warmup` compiles, by label.

    Returns
    -------
    dict of str to callable
        Each builds a `pm.Model` of a small simulated table.
    """
    models: dict[str, Build] = {}
    for family in _OUTCOMES:
        models[f"multiple membership, {family}, equal weights"] = _membership(family, "1 / n")
        models[f"multiple membership, {family}, estimated weights"] = _membership(family, None)
    models["nested effects, gaussian, two levels"] = _nested
    models["trial, two outcomes, one covariate"] = _trial(cluster=None)
    models["trial, two outcomes, one covariate, clusters"] = _trial(cluster="school")
    return models


def warmup(only: str = "") -> int:
    """Compile the common models into the disk cache, with a progress bar.

    Parameters
    ----------
    only : str
        Compile only the models whose label contains this text.

    Returns
    -------
    int
        Number of models compiled (or found in the cache).
    """
    from rich.progress import track

    chosen = {label: build for label, build in common_models().items() if only in label}
    for build in track(chosen.values(), description="Compiling common models"):
        model = build()
        compile_model(model, [rv.name for rv in model.free_RVs])
    return len(chosen)


def _membership(family: str, weight: str | None) -> Build:
    def build() -> pm.Model:
        parties = mm(
            "party",
            "government",
            covariates="cohesion",
            weight=softmax("seats") if weight is None else weight,
        )
        model = MultipleMembershipModel(_OUTCOMES[family], parties, hm("country"), family=family)
        return model.build(coalitions(governments=30, countries=3))

    return build


def _nested() -> pm.Model:
    pupils = nested_schools(regions=3, schools=8, classes=16, pupils=120)
    return NestedVaryingEffects("score ~ 1 + prior", levels=["region", "school"]).build(pupils)


def _trial(cluster: str | None) -> Build:
    def build() -> pm.Model:
        model = MultivariateLogitTrial(
            ["math", "reading"],
            arm="method",
            control="traditional",
            covariates=["ability"],
            cluster=cluster,
        )
        return model.build(teaching_trial())

    return build
