"""What is assumed about a trial before it is run: arms, outcomes, patients, clusters, a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pymc_mlm.decisions.rules import AbstractRule, All, Custom
from pymc_mlm.decisions.thresholds import check_alpha, marginal_threshold
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.clusters import Clusters
from pymc_mlm.planning.contrasts import linear_contrasts
from pymc_mlm.planning.covariate import Covariate
from pymc_mlm.planning.patterns import Array, correlation_matrix, joint_probabilities
from pymc_mlm.priors.control_prior import ControlPrior


@dataclass(frozen=True)
class TrialDesign:
    r"""A trial with K binary outcomes, and how it will be decided.

    Parameters
    ----------
    arms : mapping of str to sequence of float
        Success probabilities of the K outcomes in each arm; the first arm is the control.
    rule : AbstractRule, default All()
        When a treatment counts as better than the control.
    per_arm : int or sequence of int, optional
        Patients in each arm, one number for all or one each. Left out with `clusters`, and
        where `sample_size` shall find it.
    alpha : float, default 0.05
        One-sided type I error. Several treatments share it equally (Bonferroni).
    correlation : float, matrix or mapping of str to either, default 0
        Correlation of the outcomes within a patient, for all arms or by arm.
    outcomes : sequence of str, optional
        Names, ``y1, y2, ...`` by default.
    dropout : float or sequence of float, default 0
        Share of patients whose outcome stays unknown, for all outcomes or each; at random.
    clusters : Clusters, optional
        Whole clusters are randomised.
    threshold : float, optional
        What the marginal posterior probabilities must exceed; by default :math:`1 - \alpha`, and
        :math:`1 - \alpha / K` for `Any`. See `calibrate`.
    prior : float, default 2
        Even Dirichlet prior of the response patterns, worth this many patients in each arm. The
        default of `MultivariateLogitTrial`: uniform success probabilities.
    borrowing : ControlPrior, optional
        Prior of the control from historical controls, see `pymc_mlm.borrowing`; the other arms
        keep its vague one, and `prior` has no effect.
    covariate : Covariate, optional
        A covariate that predicts the outcomes, and that refits adjust for; the patterns of arms, or
        of clusters, averaged over it are the same, so that other methods are the analysis without
        it.

    Raises
    ------
    SpecificationError
        Probabilities or correlations are impossible (the possible ones are named), or arguments
        do not go together.

    Notes
    -----
    More than two outcomes have the joint distribution of largest entropy among those with the
    given pairwise correlations. With clusters, the patterns' probabilities vary between clusters
    as a Dirichlet variable, which keeps success probabilities, correlations and the intraclass
    correlation exactly.

    Examples
    --------
    >>> design = TrialDesign({"old": (0.4, 0.4), "new": (0.55, 0.6)}, per_arm=150, correlation=0.3)
    >>> design.cutoff, design.effects.round(2).tolist()
    (0.95, [[0.15, 0.2]])
    """

    arms: Mapping[str, Sequence[float] | Array]
    rule: AbstractRule = field(default_factory=All)
    per_arm: int | Sequence[int] | None = None
    alpha: float = 0.05
    correlation: Any = 0.0
    outcomes: Sequence[str] | None = None
    dropout: float | Sequence[float] | Array = 0.0
    clusters: Clusters | None = None
    threshold: float | None = None
    prior: float = 2.0
    borrowing: ControlPrior | None = None
    covariate: Covariate | None = None

    def __post_init__(self) -> None:
        if len(self.arms) < 2:
            raise SpecificationError(
                f"arms={dict(self.arms)!r}: a control and at least one treatment are needed, say "
                "{'control': (0.4, 0.5), 'new': (0.6, 0.6)}."
            )
        # Arrays and lists become tuples: two equal designs compare as equal.
        arms = {str(arm): _row(p, f"arms[{arm!r}]") for arm, p in self.arms.items()}
        object.__setattr__(self, "arms", arms)
        object.__setattr__(self, "correlation", _plain(self.correlation))
        object.__setattr__(self, "dropout", _plain(self.dropout))
        object.__setattr__(self, "per_arm", _plain(self.per_arm))
        object.__setattr__(self, "outcomes", self._names())
        self._check_numbers()
        self._check_borrowing()
        self._check_covariate()
        if not isinstance(self.rule, Custom):
            linear_contrasts(self.rule, self.names)
        self.pattern_probabilities  # noqa: B018  (refuses impossible correlations)
        self.missing  # noqa: B018

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outcomes."""
        return tuple(self.outcomes or ())

    @property
    def control(self) -> str:
        """Name of the control."""
        return next(iter(self.arms))

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the other arms."""
        return tuple(self.arms)[1:]

    @property
    def success(self) -> Array:
        """Success probabilities, shape (arm, outcome)."""
        return np.array(list(self.arms.values()))

    @property
    def effects(self) -> Array:
        """Treatments minus control, shape (treatment, outcome)."""
        return self.success[1:] - self.success[0]

    @property
    def correlations(self) -> Array:
        """Correlations of the outcomes, shape (arm, outcome, outcome)."""
        given = self.correlation
        by_arm = given if isinstance(given, Mapping) else dict.fromkeys(self.arms, given)
        strangers = set(by_arm) ^ set(self.arms)
        if strangers:
            raise SpecificationError(
                f"correlation and arms differ in {', '.join(map(repr, sorted(strangers)))}. Give "
                "one correlation for each arm, or one for all."
            )
        return np.array([correlation_matrix(by_arm[arm], p, arm) for arm, p in self.arms.items()])

    @property
    def pattern_probabilities(self) -> Array:
        """Probabilities of the response patterns, shape (arm, pattern)."""
        pairs = zip(self.arms, self.success, self.correlations, strict=True)
        return np.array([joint_probabilities(p, rho, arm) for arm, p, rho in pairs])

    @property
    def missing(self) -> Array:
        """Share of unknown values, shape (outcome,)."""
        share = np.asarray(self.dropout, dtype=float)
        if share.ndim > 1 or share.size not in (1, len(self.names)):
            raise SpecificationError(
                f"dropout={self.dropout!r}: one number, or one for each of the {len(self.names)} "
                "outcomes, is needed."
            )
        if not ((share >= 0) & (share < 1)).all():
            raise SpecificationError(f"dropout={self.dropout!r} must lie in [0, 1).")
        return np.broadcast_to(share, len(self.names)).copy()

    @property
    def patients(self) -> Array:
        """Patients, shape (arm,)."""
        if self.clusters is not None:
            return np.full(len(self.arms), self.clusters.number * self.clusters.size)
        if self.per_arm is None:
            raise SpecificationError(
                "This design has no number of patients. Write per_arm=, or let sample_size(design) "
                "find it."
            )
        return np.broadcast_to(np.asarray(self.per_arm, dtype=int), len(self.arms)).copy()

    @property
    def icc(self) -> float:
        """Intraclass correlation, probability scale; zero without clusters."""
        return 0.0 if self.clusters is None else self.clusters.intraclass(self.success)

    @property
    def cutoff(self) -> float:
        """What the marginal posterior probabilities must exceed."""
        if self.threshold is not None:
            return float(self.threshold)
        num_contrasts = 1
        if not isinstance(self.rule, Custom):
            num_contrasts = len(linear_contrasts(self.rule, self.names)[1])
        alpha = self.alpha / len(self.treatments)
        return marginal_threshold(self.rule.combine, num_contrasts, alpha)

    @property
    def mixture(self) -> tuple[Array, Array]:
        """Prior weights, shape (component,), and parameters, shape (component, arm, pattern)."""
        if self.borrowing is not None:
            weights = np.array(self.borrowing.weights)
            return weights, self.borrowing.concentration(len(self.arms))
        size = 2 ** len(self.names)
        return np.ones(1), np.full((1, len(self.arms), size), self.prior / size)

    @property
    def planned(self) -> dict[str, Any]:
        """Outcomes, arms, label of the rule and threshold."""
        return {
            "outcomes": list(self.names),
            "arms": list(self.arms),
            "rule": self.rule.label,
            "threshold": self.cutoff,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What a report gives of the design, by label."""
        clusters = {} if self.clusters is None else {"clusters": repr(self.clusters)}
        return {
            "rule": self.rule.label,
            "threshold": self.cutoff,
            "nominal type I error, one-sided": self.alpha,
            "patients": ", ".join(
                f"{n} {arm}" for arm, n in zip(self.arms, self.patients.tolist(), strict=True)
            ),
            **clusters,
            **({} if self.covariate is None else {"covariate": repr(self.covariate)}),
            "correlations": "; ".join(
                f"{arm} {', '.join(f'{r:.3g}' for r in rho[np.triu_indices(len(rho), 1)])}"
                for arm, rho in zip(self.arms, self.correlations, strict=True)
                if len(rho) > 1
            ),
            "dropout": ", ".join(f"{share:g}" for share in self.missing.tolist()),
            **(
                {"prior, patients per arm": self.prior}
                if self.borrowing is None
                else {"prior of the control": self.borrowing.label}
            ),
        }

    @property
    def assumptions(self) -> list[dict[str, Any]]:
        """Success probabilities of the arms, as rows of a table."""
        return [
            {"arm": arm, "outcome": name, "success probability": p}
            for arm, row in self.arms.items()
            for name, p in zip(self.names, row, strict=True)
        ]

    def _names(self) -> tuple[str, ...]:
        lengths = {arm: len(p) for arm, p in self.arms.items()}
        count = next(iter(lengths.values()))
        given = (self.outcomes,) if isinstance(self.outcomes, str) else self.outcomes
        names = tuple(given or (f"y{k + 1}" for k in range(count)))
        if set(lengths.values()) != {len(names)}:
            raise SpecificationError(
                f"The arms have {lengths} success probabilities for {len(names)} outcomes "
                f"{list(names)}. Give one per outcome in each arm."
            )
        if not all(isinstance(name, str) for name in names):
            raise SpecificationError(f"outcomes={names!r}: names of outcomes are text.")
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise SpecificationError(
                f"{twice[0]!r} is the name of two outcomes. Give each a name of its own."
            )
        return names

    def _check_borrowing(self) -> None:
        if self.borrowing is None:
            return
        if not isinstance(self.borrowing, ControlPrior):
            raise SpecificationError(
                f"borrowing={self.borrowing!r} is no prior of the control. Give what "
                "borrowing.robust_map(...) or borrowing.power_prior(...) returns."
            )
        if self.borrowing.outcomes != self.names:
            raise SpecificationError(
                f"borrowing is of the outcomes {', '.join(self.borrowing.outcomes)}, and the "
                f"design has {', '.join(self.names)}. Name them by outcomes=."
            )
        if self.clusters is not None or np.any(self.missing) or isinstance(self.rule, Custom):
            raise SpecificationError(
                "borrowing goes with patients who are randomised one by one, without dropout, and "
                "with any rule but Custom: only then are the posteriors of simulated trials "
                "mixtures of Dirichlet distributions."
            )

    def _check_covariate(self) -> None:
        if self.covariate is None:
            return
        if not isinstance(self.covariate, Covariate):
            raise SpecificationError(
                f"covariate={self.covariate!r} is none. Write planning.Covariate(slopes)."
            )
        self.covariate.check(len(self.names))

    def _check_numbers(self) -> None:
        check_alpha(self.alpha)
        if not isinstance(self.rule, AbstractRule):
            raise SpecificationError(f"rule={self.rule!r} is no rule. Write, say, rules.All().")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise SpecificationError(f"threshold={self.threshold!r} must lie between 0 and 1.")
        if not 0.1 <= self.prior < np.inf:
            raise SpecificationError(
                f"prior={self.prior!r} must be a number of patients, at least 0.1: a smaller one "
                "has nearly all its mass at success probabilities of 0 and 1."
            )
        if self.clusters is not None and self.per_arm is not None:
            raise SpecificationError(
                "per_arm and clusters both say how many patients there are. Leave per_arm out."
            )
        if self.per_arm is None:
            return
        counts = np.asarray(self.per_arm)
        if counts.ndim > 1 or counts.size not in (1, len(self.arms)) or (counts < 1).any():
            raise SpecificationError(
                f"per_arm={self.per_arm!r}: one positive number of patients, or one for each of "
                f"the {len(self.arms)} arms, is needed."
            )
        if (counts != counts.astype(int)).any():
            raise SpecificationError(f"per_arm={self.per_arm!r} must be whole numbers.")


def _row(values: Sequence[float] | Array, where: str) -> tuple[float, ...]:
    p = np.asarray(values, dtype=float)
    if p.ndim != 1 or not p.size or not ((p > 0) & (p < 1)).all():
        raise SpecificationError(
            f"{where}={tuple(np.ravel(p).tolist())} must be probabilities strictly between 0 and "
            "1, one per outcome."
        )
    return tuple(p.tolist())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value
