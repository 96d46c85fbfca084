"""Trials with several binary outcomes: a joint model, and decisions by its draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from pymc_mlm.data.cells import Dependence
from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.estimators.arguments import as_tuple, refuse_specification
from pymc_mlm.estimators.questions import AbstractTrialEstimator
from pymc_mlm.priors import as_priors
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.terms.cluster_effects import AbstractClusterPrior
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.trial.arguments import outcome_names

if TYPE_CHECKING:
    from pymc_mlm.trial.bmco import BmcoCall


class MultivariateLogitTrial(AbstractTrialEstimator):
    r"""Joint model of several binary outcomes of a trial, for decisions between its arms.

    .. math:: \log \frac{P(y_i = c)}{P(y_i = 0 \cdots 0)} = \sum_m A_{cm} \eta_{im}, \qquad
        \eta_{im} = x_i'\beta_m + z_i'u_{j(i) m}

    A multinomial logit over the :math:`2^K` response patterns: any dependence between the
    outcomes is possible. Without covariates and clusters the posterior is Dirichlet and drawn
    directly.

    Parameters
    ----------
    outcomes : str or sequence of str
        Columns of 0/1 outcomes, or of any two values with `event`. A row with some outcomes
        missing is kept.
    arm : str
        Column of the arm.
    control : label, optional
        The arm that others are compared with; needed unless arms are coded 0/1.
    treatment : label or list of labels, optional
        Arms to compare with it, all others by default.
    covariates : sequence of str or str, optional
        Columns, or the right-hand side of a formula such as ``"age + C(site)"``.
    interactions : bool, default True
        Whether the effect of an arm depends on the covariates.
    cluster : str, optional
        Column of the cluster.
    random : str, default "1"
        Terms whose coefficients vary by cluster: ``"1"``, ``"1 + arm"``, ``"1 + arm + age"``.
    dependence : {"saturated", "pairwise", "independent"}
        Which associations between the outcomes are free.
    cluster_prior : {"lkj", "inverse_wishart"} or object
        Correlated effects by default; bmco's prior for comparison.
    priors : mapping of str to prior, optional
        ``cell_probability``, a Dirichlet of the response patterns in each arm, covariates at
        their means; ``slope``, a normal with mean 0, per standard deviation of a covariate;
        ``cluster_sd``; or ``beta``, of all coefficients of the columns as they are, in place of
        the first two. ``beta[age]`` is that of one column, and ``beta[11, age]``, beside it or
        ``beta``, that of one predictor.
    event : object or mapping of str to object, optional
        The value that counts as one, of all outcomes or by outcome, for example ``"yes"`` or
        ``{"recovered": "yes", "relapse": "no"}``. Needed unless outcomes are 0/1 or booleans.
    missing : {"error", "drop"}
        Whether a person without arm, cluster, a covariate or any outcome is refused, or left out
        and counted in the notes.
    terms : sequence of AbstractTerm, optional
        Terms: `mm`, `hm`, `nested` or your own. Units have an effect on every predictor,
        correlated between predictors; other terms are repeated on each predictor. The weights of
        an `mm` term are shared by all predictors. With `mm` the table has
        a row for each membership, and its group is the column of persons.
    row_weights : FrequencyWeights, optional
        ``FrequencyWeights("n")`` for rows that stand for n persons. With `mm` terms, whose table
        has persons of several rows, it is refused.

    Attributes
    ----------
    result_ : Fit
        After `fit`: the model, its draws and its design.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).
    .. [2] Kavelaars, X., Mulder, J., Kaptein, M. (2023). Bayesian multilevel multivariate
       logistic regression for superiority decision-making under observable treatment
       heterogeneity. BMC Medical Research Methodology 23.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> table = {"y1": [1, 0, 1, 1, 0, 0], "y2": [1, 1, 0, 1, 0, 1], "new": [1, 1, 1, 0, 0, 0]}
    >>> trial = mlm.MultivariateLogitTrial(["y1", "y2"], arm="new").fit(table, random_seed=1)
    >>> round(trial.probability(mlm.rules.All()).joint_probability, 1)
    0.4
    """

    def __init__(
        self,
        outcomes: str | Sequence[str],
        arm: str,
        control: Any = None,
        treatment: Any = None,
        covariates: str | Sequence[str] | None = None,
        interactions: bool = True,
        cluster: str | None = None,
        random: str = "1",
        dependence: Dependence = "saturated",
        cluster_prior: str | AbstractClusterPrior = "lkj",
        priors: Mapping[str, Any] | None = None,
        event: Any = None,
        missing: str = "error",
        terms: Sequence[AbstractTerm] = (),
        row_weights: AbstractRowWeights | None = None,
    ) -> None:
        self.outcomes = outcomes
        self.arm = arm
        self.control = control
        self.treatment = treatment
        self.covariates = covariates
        self.interactions = interactions
        self.cluster = cluster
        self.random = random
        self.dependence = dependence
        self.cluster_prior = cluster_prior
        self.priors_given = priors
        self.event = event
        self.missing = missing
        self.terms = terms
        self.row_weights = row_weights
        self.specification  # noqa: B018  (refuses what does not go together)

    @property
    def specification(self) -> TrialSpecification:
        """The trial apart from data."""
        return TrialSpecification(
            outcome_names(self.outcomes),
            self.arm,
            self.control,
            self.treatment,
            self.covariates,
            self.interactions,
            self.cluster,
            self.random,
            self.dependence,
            self.cluster_prior,
            as_priors(self.priors_given, type(self).__name__),
            self.event,
            self.missing,
            as_tuple(self.terms, "terms", "[mm('clinician', 'patient')]"),
            self.row_weights,
        )

    @classmethod
    def _from_specification(cls, spec: Any) -> Self:
        refuse_specification(spec, cls, TrialSpecification)
        return cls(**{field.name: getattr(spec, field.name) for field in fields(spec)})

    @classmethod
    def from_bmco(cls, *args: Any, **kwargs: Any) -> BmcoCall:
        """Translate a call of bmco; see `pymc_mlm.trial.bmco.read_bmco`.

        Parameters
        ----------
        *args, **kwargs
            Arguments of ``bmvb``, ``bglm`` or ``bglmm`` under their names in R. Those without a
            counterpart are explained in the `notes` of what is returned.

        Returns
        -------
        BmcoCall
            Unpacks as the model with bmco's priors, and the arguments of bmco's decision.

        Raises
        ------
        SpecificationError
            An argument that bmco does not have there, or that has no translation.

        Examples
        --------
        >>> trial, question = MultivariateLogitTrial.from_bmco(
        ...     grp="method", grp_a="old", grp_b="new", y_vars=["math", "reading"], rule="All"
        ... )
        >>> trial.arm, question["rule"].label
        ('method', 'All')
        """
        from pymc_mlm.trial.bmco import read_bmco

        return read_bmco(cls, *args, **kwargs)
