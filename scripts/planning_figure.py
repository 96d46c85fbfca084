"""Draws docs/images/planning.png: power by rule and size, type I error and its calibration.

``python scripts/planning_figure.py`` takes a few seconds.
"""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pymc_mlm import planning, rules

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "planning.png"
DESIGN = planning.TrialDesign(
    {"control": (0.4, 0.4), "new": (0.55, 0.6)}, per_arm=150, correlation=0.3
)
RULES = {
    "Compensatory": rules.Compensatory((0.5, 0.5)),
    "Any": rules.Any(),
    "Single (y1)": rules.Single("y1"),
    "All": rules.All(),
}


def power(rule, per_arm, method):
    """Return the power of a rule with so many patients per arm."""
    sized = replace(DESIGN, rule=rule, per_arm=int(per_arm))
    found = planning.operating_characteristics(sized, method, random_seed=1, nulls=False)
    return found.power.value


def type_one_error(p, threshold):
    """Return the exact type I error of one outcome with 100 patients per arm."""
    null = planning.TrialDesign({"a": (p,), "b": (p,)}, per_arm=100, threshold=threshold)
    return planning.operating_characteristics(null, "exact", nulls=False).power.value


figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
for name, rule in RULES.items():
    line = np.arange(20, 261, 8)
    (drawn,) = left.plot(line, [power(rule, n, "normal") for n in line], label=name)
    dots = np.arange(30, 261, 30)
    simulated = [power(rule, n, "simulation") for n in dots]
    left.plot(dots, simulated, "o", color=drawn.get_color(), markersize=4)
left.axhline(0.8, color="0.7", linewidth=0.8)
left.set(xlabel="patients per arm", ylabel="power", ylim=(0, 1))
left.legend(frameon=False)

one = planning.TrialDesign({"a": (0.5,), "b": (0.5,)}, per_arm=100)
calibrated = planning.calibrate(one, method="exact").threshold
p = np.linspace(0.02, 0.98, 97)
for threshold, name in ((0.95, "threshold .95"), (calibrated, f"calibrated: {calibrated:.3f}")):
    right.plot(p, [type_one_error(x, threshold) for x in p], label=name)
right.axhline(0.05, color="0.7", linewidth=0.8)
right.set(xlabel="success probability in both arms", ylabel="type I error", ylim=(0, 0.08))
right.legend(frameon=False)
figure.savefig(IMAGE, dpi=120)

looks = planning.Looks((0.4, 0.7, 1.0), spending="obrien_fleming", futility=0.3)
looks = planning.calibrate_looks(DESIGN, looks, random_seed=1)
found = planning.sequential_characteristics(DESIGN, looks, random_seed=1)
print(found)
found.plot().savefig(IMAGE.with_name("looks.png"), dpi=110)
