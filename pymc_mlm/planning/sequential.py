"""Operating characteristics of a trial with interim looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.decisions.characteristics import AbstractCharacteristics
from pymc_mlm.decisions.rules import Custom
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.estimate import Estimate
from pymc_mlm.planning.looks import Looks, statistics_at_looks
from pymc_mlm.planning.nulls import no_effect, null_designs
from pymc_mlm.planning.operating_characteristics import probability_rows, unadjusted
from pymc_mlm.planning.patterns import Array
from pymc_mlm.planning.refit import refit_looks
from pymc_mlm.planning.refit_file import file_of

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("simulation", "refit")
KEPT = 200  # simulated trials whose trajectories are kept for the picture


@dataclass(frozen=True, eq=False)
class SequentialCharacteristics(AbstractCharacteristics):
    """What a trial with looks does, in probabilities with their Monte Carlo errors.

    Attributes
    ----------
    design : TrialDesign
    looks : Looks
    better : mapping of str to Estimate
        Probability that each treatment is found better, at any look.
    power : Estimate
        Probability that at least one is.
    type_one_error, worst_type_one_error : Estimate or None
        As in `OperatingCharacteristics`, over all looks, stops for futility included.
    worst_null : TrialDesign or None
        Where the largest type I error is.
    expected_patients, expected_patients_null : Estimate
        Patients in all arms together, under the assumed probabilities and without an effect.
    by_look : pandas.DataFrame
        A row per treatment and look: patients in the treatment, threshold, and the probabilities
        of stopping there for efficacy and for futility, with their Monte Carlo errors.
    trajectories : ndarray, shape (trial, look, treatment)
        The statistic in the first simulated trials, as if none had stopped.
    method : {"simulation", "refit"}
        How the statistics were found.
    """

    design: TrialDesign
    looks: Looks
    better: Mapping[str, Estimate]
    power: Estimate
    type_one_error: Estimate | None
    worst_type_one_error: Estimate | None
    worst_null: TrialDesign | None
    expected_patients: Estimate
    expected_patients_null: Estimate | None
    by_look: pd.DataFrame
    trajectories: Array
    method: str = "simulation"

    @property
    def planned(self) -> dict[str, Any]:
        """Outcomes, arms, rule label and threshold of the last look, by these names."""
        last = self.looks.efficacy[-1]  # type: ignore[index]
        return self.design.planned | {"threshold": last}

    @property
    def parts(self) -> dict[str, Any]:
        """Parts of a report's section, by heading."""
        looks = {
            "looks, shares of the patients": ", ".join(f"{at:g}" for at in self.looks.at),
            "thresholds": ", ".join(f"{p:.4f}" for p in self.looks.efficacy),  # type: ignore[union-attr]
            "futility": self.looks.futility,
        }
        facts = {k: v for k, v in self.design.facts.items() if k != "threshold"}
        sizes = {
            "patients expected": self.expected_patients,
            "patients expected without an effect": self.expected_patients_null,
        }
        return {
            "Planned design": {"method": self.method, **facts, **looks},
            "Assumed success probabilities": self.design.assumptions,
            "Probabilities": probability_rows(self._named()),
            "Size": [
                {"what": name, "patients": e.value, "Monte Carlo error": e.error}
                for name, e in sizes.items()
                if e is not None
            ],
            "Looks": [
                dict(zip(self.by_look.reset_index().columns, row, strict=True))
                for row in self.by_look.reset_index().values.tolist()
            ],
        }

    def __str__(self) -> str:
        patients = int(self.design.patients.sum())
        text = [f"  {name:<42} {e}" for name, e in self._named().items()]
        expected = f"Expected patients (of {patients}): {_counted(self.expected_patients)}"
        if self.expected_patients_null is not None:
            expected += f"; without an effect {_counted(self.expected_patients_null)}"
        return "\n".join(
            [
                f"Rule {self.design.rule.label}, {len(self.looks.at)} looks; probabilities with "
                "Monte Carlo errors:",
                *text,
                *unadjusted(self.design, self.method),
                expected,
                self.by_look.round(4).to_string(),
            ]
        )

    def _named(self) -> dict[str, Estimate]:
        lines = {f"{arm} better than {self.design.control}": p for arm, p in self.better.items()}
        lines |= {"at least one better (power)": self.power} if len(self.better) > 1 else {}
        errors = {
            "type I error, control as assumed": self.type_one_error,
            "largest type I error": self.worst_type_one_error,
        }
        return lines | {name: e for name, e in errors.items() if e is not None}

    def plot(self) -> Any:
        """Draw thresholds with trajectories of simulated trials, and when the trials stop.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from pymc_mlm.planning.looks_plot import plot_looks

        return plot_looks(self)


def sequential_characteristics(
    design: TrialDesign,
    looks: Looks,
    trials: int = 10_000,
    random_seed: Any = None,
    nulls: bool = True,
    method: str = "simulation",
    fit: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    progressbar: bool = True,
) -> SequentialCharacteristics:
    """Return power, type I error and expected size of a trial with looks, by simulation.

    Parameters
    ----------
    design : TrialDesign
        Its patients, or clusters, are those at the last look.
    looks : Looks
        With thresholds; see `calibrate_looks`.
    trials, random_seed, nulls
        As in `operating_characteristics`.
    method : {"simulation", "refit"}
        ``"refit"`` fits the model to the patients of every look, with the covariate where the
        design has one; then the only null is that with the control as assumed.
    fit : mapping, optional
        Arguments of `MultivariateLogitTrial.fit`, for refits.
    resume, progressbar
        As in `operating_characteristics`.

    Returns
    -------
    SequentialCharacteristics

    Notes
    -----
    A treatment stops at its first look above the threshold, or below futility; the others go on,
    and the control does as long as any treatment does.

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4,), "new": (0.6,)}, per_arm=100)
    >>> found = sequential_characteristics(design, Looks((0.5, 1), efficacy=0.97), random_seed=1)
    >>> found.expected_patients.value < 200
    True
    """
    if looks.efficacy is None:
        raise SpecificationError(
            "These looks have no thresholds. Write efficacy=, or take "
            "calibrate_looks(design, looks)."
        )
    if method not in METHODS:
        raise SpecificationError(f"method={method!r} is not known. Use {' or '.join(METHODS)}.")
    file = file_of(method, resume, random_seed, design.rule)
    rng = np.random.default_rng(random_seed)

    def drawn(asked: TrialDesign) -> Array:
        if method == "refit":
            return refit_looks(asked, looks.patients(asked), trials, rng, fit, file, progressbar)
        return statistics_at_looks(asked, looks, trials, rng)

    def run(asked: TrialDesign) -> _Stops:
        return _stops(drawn(asked), looks)

    statistics = drawn(design)
    stops = _stops(statistics, looks)
    null = worst = at = idle = None
    if nulls and not isinstance(design.rule, Custom):
        without = no_effect(design)
        if without is not None:
            stopped = run(without)
            null = Estimate.share(stopped.better.any(axis=1).mean(), trials)
            idle = _expected(design, looks, stopped)
    if nulls and method != "refit" and not isinstance(design.rule, Custom):
        at = max(null_designs(design), key=lambda asked: run(asked).better.any(axis=1).mean())
        worst = Estimate.share(run(at).better.any(axis=1).mean(), trials)
    return SequentialCharacteristics(
        design=design,
        looks=looks,
        better={
            arm: Estimate.share(stops.better[:, i].mean(), trials)
            for i, arm in enumerate(design.treatments)
        },
        power=Estimate.share(stops.better.any(axis=1).mean(), trials),
        type_one_error=null,
        worst_type_one_error=worst,
        worst_null=at,
        expected_patients=_expected(design, looks, stops),
        expected_patients_null=idle,
        by_look=_by_look(design, looks, stops),
        trajectories=statistics[:KEPT],
        method=method,
    )


@dataclass(frozen=True, eq=False)
class _Stops:
    """Where each treatment of each trial stopped, and whether it was found better."""

    look: Array  # (trial, treatment)
    better: Array


def _stops(statistics: Array, looks: Looks) -> _Stops:
    above = statistics > np.array(looks.efficacy)[:, None]
    out = above | (statistics < looks.futility)
    out[:, -1] = True
    look = out.argmax(axis=1)
    return _Stops(look, np.take_along_axis(above, look[:, None], axis=1)[:, 0])


def _expected(design: TrialDesign, looks: Looks, stops: _Stops) -> Estimate:
    patients = looks.patients(design)
    treated = sum(patients[stops.look[:, i], i + 1] for i in range(stops.look.shape[1]))
    total = treated + patients[stops.look.max(axis=1), 0]
    return Estimate(float(total.mean()), float(total.std() / np.sqrt(len(total))))


def _by_look(design: TrialDesign, looks: Looks, stops: _Stops) -> pd.DataFrame:
    import pandas as pd

    patients, trials = looks.patients(design), len(stops.look)
    rows = {}
    for i, arm in enumerate(design.treatments):
        for j, threshold in enumerate(looks.efficacy or ()):  # type: ignore[arg-type]
            here = stops.look[:, i] == j
            good = Estimate.share((here & stops.better[:, i]).mean(), trials)
            bad = Estimate.share((here & ~stops.better[:, i]).mean(), trials)
            rows[arm, j + 1] = {
                "patients": int(patients[j, i + 1]),
                "threshold": threshold,
                "efficacy": good.value,
                "efficacy_error": good.error,
                "not better": bad.value,
                "not better_error": bad.error,
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["treatment", "look"])


def _counted(estimate: Estimate) -> str:
    return f"{estimate.value:.1f} ({estimate.error:.1f})"
