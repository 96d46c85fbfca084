"""Reads a call of the R package bmco into a model and the arguments of its decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.decisions import All, Compensatory, Decision, Range, Sample, TruncatedNormal, Value
from pymc_mlm.decisions import Any as AnyRule
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior
from pymc_mlm.trial.bmco_priors import cluster_prior, coefficient_prior
from pymc_mlm.trial.bmco_terms import BmcoTerms, read_terms, refuse_terms, term_names

ALTERNATIVES = {"right_sided": "greater", "left_sided": "less", "two_sided": "two-sided"}
# Jeffreys' prior of the response patterns of two outcomes, bmco's default.
DIRICHLET = 0.5
# Which priors belong to which of bmco's three functions.
PRIORS = {
    "bmvb": ("prior_a", "prior_b"),
    "bglm": ("b_mu0", "b_sigma0"),
    "bglmm": ("b_mu0", "b_sigma0", "g_mu0", "g_sigma0", "nu0", "tau0"),
}
# Arguments of `fit` here, by bmco's name.
RUN = {"n_burn": "tune", "n_it": "draws", "n_chain": "chains"}
NOT_NEEDED = {
    "n_thin": "every draw is kept, and those of NUTS are nearly independent",
    "start": "every chain finds a starting point of its own",
    "return_thinned": "every draw is kept",
    "return_diagnostics": "trial.summary() reports R-hat, effective sample sizes and divergences",
    "return_diagnostic_plots": "ask trial.plot('trace')",
    "return_samples": "draws: trial.idata; of effects: trial.treatment_effect(**question)",
}


@dataclass(frozen=True, eq=False)
class BmcoCall:
    """A call of bmco in the terms of this package; unpacks as ``trial, question``.

    Attributes
    ----------
    trial : MultivariateLogitTrial
        The model with bmco's priors.
    question : dict
        Of `MultivariateLogitTrial.probability`: bmco's rule, population and estimand.
    fit_arguments : dict
        Of `MultivariateLogitTrial.fit`: what `n_burn`, `n_it` and `n_chain` become.
    data : dataframe or None
        The table, if the call had one.
    notes : tuple of str
        What became of arguments that have no counterpart, and which defaults of bmco were taken.
    """

    trial: Any
    question: dict[str, Any]
    fit_arguments: dict[str, Any]
    data: Any
    notes: tuple[str, ...]

    def decide(self, data: Any = None, **fit_arguments: Any) -> Decision:
        """Fit the model and ask bmco's question.

        Parameters
        ----------
        data : dataframe, optional
            The table; that of the call by default.
        **fit_arguments
            Of `MultivariateLogitTrial.fit`, in place of those of the call.

        Returns
        -------
        Decision
            Its joint probability is what bmco prints.
        """
        table = self.data if data is None else data
        if table is None:
            raise SpecificationError("The call names no data. Write decide(data).")
        self.trial.fit(table, **(self.fit_arguments | fit_arguments))
        return self.trial.probability(**self.question)

    def __iter__(self) -> Iterator[Any]:
        """Unpack as ``trial, question``."""
        return iter((self.trial, self.question))

    def __getitem__(self, index: int) -> Any:
        """Return the trial (0) or the question (1)."""
        return (self.trial, self.question)[index]

    def __repr__(self) -> str:
        """Print the model, the question, the arguments of `fit`, and the notes."""
        lines = {"trial": self.trial, "question": self.question, "fit": self.fit_arguments}
        return "\n".join([*(f"{name}: {value!r}" for name, value in lines.items()), *self.notes])


def read_bmco(
    model: Callable[..., Any],
    grp: str,
    grp_a: Any,
    grp_b: Any,
    y_vars: str | Sequence[str],
    x_var: str | None = None,
    x_method: str = "Empirical",
    x_def: Any = (-np.inf, np.inf),
    id_var: str | None = None,
    fixed: str | Sequence[str] | None = None,
    random: str | Sequence[str] | None = None,
    test: str = "right_sided",
    rule: str = "All",
    w: Sequence[float] | None = None,
    priors: Mapping[str, Any] | None = None,
    data: Any = None,
    **others: Any,
) -> BmcoCall:
    """Translate a call of ``bmvb``, ``bglm`` or ``bglmm``.

    Parameters
    ----------
    model : type
        `MultivariateLogitTrial`.
    grp : str
        Column of the group.
    grp_a, grp_b : label
        Control and treatment.
    y_vars : str or sequence of str
        Outcomes; bmco takes two, here any number.
    x_var : str, optional
        Covariate.
    x_method : {"Empirical", "Value", "Analytical"}
        How effects are averaged over the covariate.
    x_def : float or pair of float
        The value, or the bounds.
    id_var : str, optional
        Cluster.
    fixed, random : str or sequence of str, optional
        bmco's terms: "Intercept", the group, the covariate, and ``group_covariate``. A random
        term has a population mean, so it is a term of the model as well. With clusters bmco's
        defaults are the covariate and the interaction, and the intercept and the group.
    test : {"right_sided", "left_sided", "two_sided"}
        Direction.
    rule : {"All", "Any", "Comp"}
        Decision rule.
    w : sequence of float, optional
        Weights of "Comp"; equal by default.
    priors : mapping, optional
        Priors by bmco's names, which can also be arguments.
    data : dataframe, optional
        Kept for `BmcoCall.decide`.
    **others
        Priors ``b_mu0, b_sigma0, g_mu0, g_sigma0`` (means and, as bmco's code has it although its
        manual says otherwise, precisions: numbers, vectors or matrices), ``nu0, tau0, prior_a,
        prior_b``; ``n_burn, n_it, n_chain``, which become arguments of `fit`; and ``n_thin,
        start, return_thinned, return_diagnostics, return_diagnostic_plots, return_samples``,
        which are not needed.

    Returns
    -------
    BmcoCall

    Raises
    ------
    SpecificationError
        An argument, term, rule, method or prior that bmco does not have there, or that has no
        translation.

    Notes
    -----
    bmco averages each arm over its own persons and, with clusters, over the observed ones. The
    question asks for that, to compare; ask without ``covariate_rows`` and ``estimand`` for the
    answer for a trial. bmco drops persons with a missing outcome; here they count for the
    outcomes that they have.
    """
    outcomes = [y_vars] if isinstance(y_vars, str) else list(y_vars)
    function = "bglmm" if id_var is not None else "bmvb" if x_var is None else "bglm"
    others = {name: value for name, value in others.items() if value is not None}
    if priors is not None and not hasattr(priors, "items"):
        raise SpecificationError(
            f"priors is {priors!r}; give bmco's numbers by name, such as {{'b_mu0': 0.0}}."
        )
    given = _priors(function, dict(priors or {}), others)
    fit_arguments, notes = _run(function, others)
    rule_asked, rule_notes = _rule(rule, w, len(outcomes))
    question: dict[str, Any] = {
        "rule": rule_asked,
        "alternative": _one_of("test", test, ALTERNATIVES),
        **_population(x_var, x_method, x_def),
    }
    names = {
        "outcomes": outcomes, "arm": grp, "control": grp_a, "treatment": grp_b, "missing": "drop"
    }  # fmt: skip
    if function == "bmvb":
        refuse_terms(fixed, random)
        arguments = names | {"priors": {"cell_probability": _dirichlet(given, len(outcomes))}}
    else:
        terms, term_notes = read_terms(grp, x_var, id_var, term_names(fixed), term_names(random))
        notes += term_notes
        arguments = names | _model(terms, grp, id_var, given)
        question["covariate_rows"] = "arm"
    if id_var is not None:
        question["estimand"] = "observed_clusters"
    return BmcoCall(model(**arguments), question, fit_arguments, data, (*notes, *rule_notes))


def _model(
    terms: BmcoTerms, grp: str, id_var: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    x = terms.covariate
    arguments: dict[str, Any] = {
        "covariates": None if x is None else [x],
        "interactions": x is None or f"{grp}_{x}" in terms.columns,
        "priors": {"beta": coefficient_prior(terms, given)},
    }
    if id_var is None:
        return arguments
    ours = {"Intercept": "1", grp: "arm", x: x, f"{grp}_{x}": f"arm:{x}"}
    varying = [str(ours[term]) for term in terms.columns if term in terms.random]
    return arguments | {
        "cluster": id_var,
        "random": " + ".join(varying if "1" in varying else ["0", *varying]),
        "cluster_prior": cluster_prior(terms, given),
    }


def _priors(function: str, given: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Return the priors of a call, after checking that bmco's function has them."""
    known = {name for names in PRIORS.values() for name in names}
    for name in given:
        if name not in known:
            raise SpecificationError(f"bmco has no prior {name!r}; it has {', '.join(known)}.")
        if name in others:
            raise SpecificationError(f"{name} is given twice, also in priors. Give it once.")
    for name in others:
        if name not in (*known, *RUN, *NOT_NEEDED):
            raise SpecificationError(
                f"bmco has no argument {name!r}. Known beside those of the model are "
                f"{', '.join([*sorted(known), *RUN, *NOT_NEEDED])}."
            )
    given |= {name: value for name, value in others.items() if name in known}
    for name in given:
        if name not in PRIORS[function]:
            where = ", ".join(f for f, names in PRIORS.items() if name in names)
            raise SpecificationError(
                f"{name} is a prior of {where}, and this call is one of {function} (x_var and "
                f"id_var tell which). Its priors are {', '.join(PRIORS[function])}."
            )
    return given


def _run(function: str, others: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return arguments of `fit`, and sentences about those that are not needed."""
    found = {RUN[name]: _whole(name, value) for name, value in others.items() if name in RUN}
    notes = [f"{name} is not needed: {NOT_NEEDED[name]}." for name in others if name in NOT_NEEDED]
    if function == "bmvb":
        notes += [
            f"{name} is not needed: the posterior is drawn directly."
            for name in ("n_burn", "n_chain")
            if name in others
        ]
        found = {name: value for name, value in found.items() if name == "draws"}
    return found, notes


def _whole(name: str, value: Any) -> int:
    """Return a count; R writes 10,000 as 1e4."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or number != np.floor(number) or number < 1:
        raise SpecificationError(f"{name} must be a positive whole number, not {value!r}.")
    return int(number)


def _rule(rule: str, w: Sequence[float] | None, outcomes: int) -> tuple[Any, list[str]]:
    if rule in ("All", "Any"):
        unused = [] if w is None else [f"w is not needed: rule={rule!r} has no weights."]
        return (All() if rule == "All" else AnyRule()), unused
    if rule != "Comp":
        raise SpecificationError(f"rule={rule!r} is not known. bmco has 'All', 'Any' and 'Comp'.")
    if w is None:
        equal = f"w is not given: equal weights, 1/{outcomes} for every outcome, as in bmco."
        return Compensatory((1 / outcomes,) * outcomes), [equal]
    weights = np.atleast_1d(np.asarray(w, dtype=float))
    if weights.shape != (outcomes,) or not (weights >= 0).all() or not weights.any():
        raise SpecificationError(
            f"w={weights.tolist()!r} must have one weight of zero or more for each of the "
            f"{outcomes} outcomes, such as w=(0.7, 0.3)."
        )
    return Compensatory(tuple(weights.tolist())), []


def _one_of(name: str, value: Any, known: Mapping[str, str]) -> str:
    if value not in known:
        raise SpecificationError(f"{name}={value!r} is not known. bmco has {', '.join(known)}.")
    return known[value]


def _dirichlet(given: Mapping[str, Any], outcomes: int) -> Prior:
    cells, both = 2**outcomes, []
    for name in ("prior_a", "prior_b"):
        a = np.asarray(given.get(name, DIRICHLET), dtype=float)
        if a.ndim > 1 or a.size not in (1, cells) or not (a > 0).all():
            raise SpecificationError(
                f"{name}={a.tolist()!r} must be a positive number, or one for each of the {cells} "
                "response patterns, from all ones to all zeros."
            )
        both.append(np.broadcast_to(a.ravel(), cells))
    return Prior("Dirichlet", a=np.stack(both))


def _population(x_var: str | None, x_method: str, x_def: Any) -> dict[str, Any]:
    if x_method not in ("Empirical", "Value", "Analytical"):
        raise SpecificationError(
            f"x_method={x_method!r} is not known. bmco has 'Empirical', 'Value' and 'Analytical'."
        )
    asked = np.ravel(np.asarray(x_def, dtype=object))
    everybody = x_method == "Empirical" and list(asked) == [-np.inf, np.inf]
    if x_var is None:
        if not everybody:
            raise SpecificationError(
                f"x_method={x_method!r} and x_def={x_def!r} need a covariate. Name it in x_var."
            )
        return {}
    if len(asked) != (1 if x_method == "Value" else 2):
        raise SpecificationError(
            f"x_def={x_def!r} does not fit x_method={x_method!r}: 'Value' takes one value, "
            "'Empirical' and 'Analytical' take a lower and an upper bound."
        )
    if x_method == "Value":
        return {"population": Value(**{x_var: asked[0]})}
    if everybody:
        return {"population": Sample()}
    low, high = (float(v) for v in asked)
    kind = Range if x_method == "Empirical" else TruncatedNormal
    return {"population": kind(x_var, low, high)}
