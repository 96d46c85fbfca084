"""Prints the table of docs/borrowing.md: type I error and power with historical controls.

``python scripts/borrowing_table.py`` takes about a minute.
"""

from pymc_mlm import borrowing, planning, rules

STUDIES = borrowing.HistoricalControls(
    ("relief", "function"),
    {"Lima 2019": (20, 14, 12, 34), "Oslo 2021": (28, 22, 20, 40), "Pune 2022": (17, 10, 11, 22)},
)
PRIORS = {
    "none": None,
    "power .3": borrowing.power_prior(STUDIES, 0.3),
    "power 1": borrowing.power_prior(STUDIES, 1.0),
    "MAP": borrowing.robust_map(STUDIES, 0.0),
    "robust .2": borrowing.robust_map(STUDIES, 0.2),
    "robust .5": borrowing.robust_map(STUDIES, 0.5),
}
CONTROL = (0.25, 0.35, 0.4, 0.45, 0.5, 0.55, 0.65)
EFFECT, PER_ARM, TRIALS = 0.15, 100, 10_000


def fires(control: float, effect: float, prior: object) -> float:
    """Return how often the rule finds the treatment better."""
    design = planning.TrialDesign(
        {"control": (control,) * 2, "new": (control + effect,) * 2},
        rule=rules.Any(),
        per_arm=PER_ARM,
        correlation=0.3,
        outcomes=("relief", "function"),
        borrowing=prior,
    )
    found = planning.operating_characteristics(
        design, "simulation", TRIALS, random_seed=1, nulls=False
    )
    return found.power.value


print("| control | " + " | ".join(PRIORS) + " |")
print("|---:|" + "---:|" * len(PRIORS))
for control in CONTROL:
    pairs = [
        f"{fires(control, 0.0, prior):.3f} / {fires(control, EFFECT, prior):.3f}"
        for prior in PRIORS.values()
    ]
    print(f"| {control:g} | " + " | ".join(pairs) + " |")
for name, prior in PRIORS.items():
    if prior is not None:
        sizes = [prior.effective_sample_size(method)["relief"] for method in ("elir", "moment")]
        print(f"{name}: ESS {sizes[0]:.1f}, by moments {sizes[1]:.1f}")
