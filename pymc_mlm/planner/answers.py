"""What the page shows: power along the size, error rates, and the size that is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planner.choices import Choices
from pymc_mlm.planning import TrialDesign, operating_characteristics, sample_size

POINTS, TRIALS, SEED = 24, 4000, 1


def text(choices: Choices) -> str:
    """Return power and error of the chosen size, and the size that the power needs."""
    design = choices.design()
    formula = operating_characteristics(design, "normal", nulls=False)
    lines = [f"Power by formula      {formula.power.value:.3f}"]
    if choices.simulates:
        found = operating_characteristics(design, "simulation", TRIALS, SEED, nulls=False)
        lines.append(
            f"Power, {TRIALS:,} trials  {found.power.value:.3f} (error {found.power.error:.3f})"
        )
    lines += [
        f"Threshold             {design.cutoff:.4f}",
        f"Patients              {int(design.patients.sum())}",
    ]
    try:
        lines.append(f"For power {choices.power:g}: {sample_size(design, choices.power)}")
    except SpecificationError as error:
        lines.append(str(error))
    return "\n".join(lines)


def worst_error(choices: Choices) -> str:
    """Return power and type I errors of the design: as assumed, and the largest."""
    method = "simulation" if choices.simulates else "normal"
    return str(operating_characteristics(choices.design(), method, TRIALS, SEED))


def power_curve(choices: Choices) -> Any:
    """Draw power against patients or clusters per arm, by formula, and by simulation at the size.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    design = choices.design()
    least = 2 if choices.cluster_size else 5
    sizes = np.unique(np.linspace(least, max(2 * choices.number, least + 20), POINTS).astype(int))
    power = [_power(_resized(design, int(n)), "normal") for n in sizes]
    figure = Figure(figsize=(7, 4.2), layout="tight")  # the layout that Shiny keeps
    axes = figure.subplots()
    axes.plot(sizes, power, color="C0", label="formula")
    if choices.simulates:
        axes.plot(choices.number, _power(design, "simulation"), "o", color="C1", label="simulation")
    axes.axhline(choices.power, color="0.6", linewidth=0.8, linestyle="--")
    axes.axvline(choices.number, color="0.6", linewidth=0.8, linestyle="--")
    unit = "clusters" if choices.cluster_size else "patients"
    axes.set(xlabel=f"{unit} per arm", ylabel="power", ylim=(0, 1.02))
    axes.set_title(f"rule {design.rule.label}")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _power(design: TrialDesign, method: str) -> float:
    found = operating_characteristics(design, method, TRIALS, SEED, nulls=False)
    return found.power.value


def _resized(design: TrialDesign, number: int) -> TrialDesign:
    if design.clusters is not None:
        return replace(design, clusters=replace(design.clusters, number=number))
    return replace(design, per_arm=number)
