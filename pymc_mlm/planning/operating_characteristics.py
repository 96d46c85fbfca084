"""Error rates and power of a trial before it is run."""

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
from pymc_mlm.planning.exact import exact_obstacle, exact_road
from pymc_mlm.planning.normal import Road, normal_road
from pymc_mlm.planning.nulls import no_effect, null_designs
from pymc_mlm.planning.refit import refit_statistics
from pymc_mlm.planning.refit_file import file_of
from pymc_mlm.planning.simulation import shares, simulation_road

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("auto", "normal", "exact", "simulation", "refit")


@dataclass(frozen=True)
class OperatingCharacteristics(AbstractCharacteristics):
    """What a design does, in probabilities with their Monte Carlo errors.

    Attributes
    ----------
    design : TrialDesign
        The design.
    method : str
        How the probabilities were found.
    better : mapping of str to Estimate
        Probability that each treatment is found better, under the assumed probabilities.
    power : Estimate
        Probability that at least one is.
    no_decision : Estimate
        Probability that none is.
    type_one_error : Estimate or None
        Probability that at least one treatment is found better where all contrasts are at their
        margins and the control is as assumed; None where there is no such case.
    worst_type_one_error : Estimate or None
        The largest type I error over the nulls of `null_designs`.
    worst_null : TrialDesign or None
        Where it is.
    """

    design: TrialDesign
    method: str
    better: Mapping[str, Estimate]
    power: Estimate
    no_decision: Estimate
    type_one_error: Estimate | None
    worst_type_one_error: Estimate | None
    worst_null: TrialDesign | None

    def table(self) -> pd.DataFrame:
        """Return the probabilities with their Monte Carlo errors, a row each."""
        import pandas as pd

        rows = {name: (e.value, e.error) for name, e in self._named().items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["probability", "mc_error"])

    @property
    def planned(self) -> dict[str, Any]:
        """Outcomes, arms, rule label and threshold that were planned, by these names."""
        return self.design.planned

    @property
    def parts(self) -> dict[str, Any]:
        """Parts of a report's section, by heading."""
        worst = {} if self.worst_null is None else self.worst_null.assumptions
        return {
            "Planned design": {"method": self.method, **self.design.facts},
            "Assumed success probabilities": self.design.assumptions,
            "Probabilities": probability_rows(self._named()),
            "Success probabilities with the largest type I error": worst,
        }

    def __str__(self) -> str:
        design = self.design
        patients = ", ".join(
            f"{arm} {n}" for arm, n in zip(design.arms, design.patients.tolist(), strict=True)
        )
        head = [
            f"Rule {design.rule.label}, threshold {design.cutoff:.4f}, method {self.method}",
            f"Patients: {patients}",
        ]
        lines = [f"  {name:<42} {estimate}" for name, estimate in self._named().items()]
        if self.worst_null is not None:
            null = self.worst_null
            where = ", ".join(
                f"{arm} {tuple(round(x, 3) for x in p)}" for arm, p in null.arms.items()
            )
            rho = null.correlations[0][np.triu_indices(len(null.names), 1)].round(3).tolist()
            lines.append(f"  (at {where}{f', correlation {rho}' if rho else ''})")
        lines += unadjusted(design, self.method)
        return "\n".join([*head, "Probabilities with Monte Carlo errors:", *lines])

    def _named(self) -> dict[str, Estimate]:
        named: dict[str, Estimate | None] = {
            f"{arm} better than {self.design.control}": e for arm, e in self.better.items()
        }
        if len(self.better) > 1:
            named["at least one better (power)"] = self.power
        named |= {
            "no treatment found better": self.no_decision,
            "type I error, control as assumed": self.type_one_error,
            "largest type I error": self.worst_type_one_error,
        }
        return {name: estimate for name, estimate in named.items() if estimate is not None}


def unadjusted(design: TrialDesign, method: str) -> list[str]:
    """Return a line where the analysis leaves out a covariate that the design has."""
    if design.covariate is None or method == "refit":
        return []
    return ["  (analysed without the covariate; method='refit' adjusts for it)"]


def probability_rows(named: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    """Return probabilities with their Monte Carlo errors as rows of a table."""
    return [
        {"what": name, "probability": e.value, "Monte Carlo error": e.error}
        for name, e in named.items()
    ]


def operating_characteristics(
    design: TrialDesign,
    method: str = "auto",
    trials: int = 10_000,
    random_seed: Any = None,
    nulls: bool = True,
    fit: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    progressbar: bool = True,
) -> OperatingCharacteristics:
    """Return power and type I error of a design.

    Parameters
    ----------
    design : TrialDesign
        With a number of patients.
    method : {"auto", "normal", "exact", "simulation", "refit"}
        ``"normal"``: closed formulas. ``"exact"``: the sum over all tables of successes, for rules
        of single outcomes without clusters and dropout. ``"simulation"``: trials with the exact
        posterior of each; clusters are analysed by their means. ``"refit"``:
        `MultivariateLogitTrial` fitted to every trial, through joblib. ``"auto"``: exact where it
        takes seconds, else simulation.
    trials : int, default 10_000
        Simulated trials, of each null as well.
    random_seed : int or Generator, optional
        Seed.
    nulls : bool, default True
        Whether to look for the largest type I error; not done by refits, which take the null with
        the control as assumed only.
    fit : mapping, optional
        Arguments of `MultivariateLogitTrial.fit`, for refits.
    resume : path, optional
        File that keeps the statistics of refits, so that the same call goes on where an earlier
        one stopped. Needs a seed.
    progressbar : bool, default True
        Whether refits show how many are done, and the time left.

    Returns
    -------
    OperatingCharacteristics

    Raises
    ------
    SpecificationError
        The method cannot be used for the design; the message names another.

    Notes
    -----
    The maximum is over a grid, so a null between its points may have a slightly larger error. A
    simulated maximum is taken on one set of trials and reported from another, because the largest
    of several noisy shares is too large.

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=100)
    >>> print(operating_characteristics(design, method="normal").power)
    0.7972 (0.0000)
    """
    if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or trials < 1:
        raise SpecificationError(f"trials={trials!r} must be a positive whole number.")
    method = method_of(design, method)
    file = file_of(method, resume, random_seed, design.rule)
    rng = np.random.default_rng(random_seed)
    size = None if method in ("normal", "exact") else trials

    def found(asked: TrialDesign) -> np.ndarray:
        if method != "refit":
            return road_of(asked, method, trials, rng)(asked.cutoff)
        statistics = refit_statistics(asked, trials, rng, fit, file, progressbar)
        return shares(statistics, asked.cutoff)

    *each, some = found(design)
    null = worst = at = None
    if nulls and not isinstance(design.rule, Custom):
        without = no_effect(design)
        null = None if without is None else Estimate.share(found(without)[-1], size)
        if method != "refit":
            at = max(null_designs(design), key=lambda asked: found(asked)[-1])
            worst = Estimate.share(found(at)[-1], size)
    return OperatingCharacteristics(
        design=design,
        method=method,
        better={
            arm: Estimate.share(p, size) for arm, p in zip(design.treatments, each, strict=True)
        },
        power=Estimate.share(some, size),
        no_decision=Estimate.share(1 - some, size),
        type_one_error=null,
        worst_type_one_error=worst,
        worst_null=at,
    )


def assurance(
    design: TrialDesign, pilot: float, trials: int = 10_000, random_seed: Any = None
) -> Estimate:
    r"""Return the power averaged over a design prior: the assumed probabilities are uncertain.

    In each simulated trial the response patterns of each arm have true probabilities drawn from
    a Dirichlet distribution with the assumed ones as its mean, worth `pilot` patients per arm.

    Parameters
    ----------
    design : TrialDesign
        The design.
    pilot : float
        Patients per arm that the assumed probabilities rest on.
    trials, random_seed
        As in `operating_characteristics`.

    Returns
    -------
    Estimate

    References
    ----------
    .. [1] O'Hagan, A., Stevens, J. W., Campbell, M. J. (2005). Assurance in clinical trial design.
       Pharmaceutical Statistics 4(3).

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=100)
    >>> print(assurance(design, pilot=50, random_seed=1))
    0.5794 (0.0049)
    """
    if not 0 < pilot < np.inf:
        raise SpecificationError(f"pilot={pilot!r} must be a positive number of patients.")
    rng = np.random.default_rng(random_seed)
    some = simulation_road(design, trials, rng, pilot)(design.cutoff)[-1]
    return Estimate.share(some, trials)


def method_of(design: TrialDesign, asked: str) -> str:
    """Return the method, or the best fast one where it is left open."""
    if asked not in METHODS:
        raise SpecificationError(f"method={asked!r} is not known. Use {', '.join(METHODS)}.")
    if asked != "auto":
        return asked
    if isinstance(design.rule, Custom) or exact_obstacle(design) is not None:
        return "simulation"
    return "exact"


def road_of(
    design: TrialDesign,
    method: str,
    trials: int,
    rng: np.random.Generator,
) -> Road:
    """Return probabilities of finding treatments better as a function of the threshold."""
    if method == "normal" and design.borrowing is not None:
        raise SpecificationError(
            "method='normal' has flat priors, and the control borrows. Use method='simulation'."
        )
    if method == "normal":
        return normal_road(design)
    if method == "exact":
        return exact_road(design)
    if method == "simulation":
        return simulation_road(design, trials, rng)
    statistics = refit_statistics(design, trials, rng)
    return lambda threshold: shares(statistics, threshold)
