"""The flagship model on the built-in table: a first look at the package."""

from __future__ import annotations

import time
from pathlib import Path

from pymc_mlm.datasets import coalitions
from pymc_mlm.estimators import MultipleMembershipModel
from pymc_mlm.reporting.diagnostics import diagnose
from pymc_mlm.terms import hm, mm
from pymc_mlm.weights import softmax

PLOTS = ("forest", "weights", "effects", "trace")


def run_demo(output: Path, seed: int = 1) -> None:
    """Fit simulated coalition governments, print the answer, write pictures and tables.

    Parameters
    ----------
    output : pathlib.Path
        Folder for pictures and tables; made if absent.
    seed : int
        Seed of the sampler.
    """
    table = coalitions()
    print(
        f"How long do coalition governments last? {table['government'].nunique()} simulated "
        f"governments of {table['party'].nunique()} parties in {table['country'].nunique()} "
        "countries.\nDo parties with more seats weigh more? (truth: weight b = "
        f"{table.attrs['truth']['weight b']:g}, equal weights: b = 0)\n"
    )
    model = MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mm("party", "government", covariates="cohesion", weight=softmax("seats")),
        hm("country"),
        family="weibull",
    )
    start = time.perf_counter()
    print("Compiling (the first time takes longest), then sampling 4 chains ...", flush=True)
    model.fit(table, random_seed=seed)
    seconds = time.perf_counter() - start
    print(f"\n{model.summary()}\n\n{model.variance_decomposition()}\n")
    truth = ", ".join(f"{name} {value:g}" for name, value in table.attrs["truth"].items())
    figures = diagnose(model.result_)
    print(f"Truth of the simulation: {truth}")
    print(
        f"{seconds:.1f} s from table to answer; smallest effective sample size "
        f"{figures.min_ess:.0f} of {figures.chains * figures.draws} draws "
        f"({figures.min_ess_parameter}), largest R-hat {figures.max_rhat:.3f}.\n"
    )
    _write(model, output)


def _write(model: MultipleMembershipModel, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.txt").write_text(f"{model.summary()}\n\n{model.variance_decomposition()}\n")
    model.summary().frame.to_csv(output / "summary.csv")
    model.weights().to_csv(output / "weights.csv", index=False)
    model.effects().to_csv(output / "effects.csv")
    for kind in PLOTS:
        model.plot(kind).savefig(output / f"{kind}.png", dpi=150, bbox_inches="tight")
    names = ["summary.txt", "summary.csv", "weights.csv", "effects.csv"]
    print(f"Written to {output}: {', '.join(names + [f'{p}.png' for p in PLOTS])}")
