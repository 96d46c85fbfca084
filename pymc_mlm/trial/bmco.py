"""Reads a call of the R package bmco into a model and the question that bmco asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pymc_mlm.decisions import All, Compensatory, Range, TruncatedNormal, Value
from pymc_mlm.decisions import Any as AnyRule
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior
from pymc_mlm.terms.cluster_effects import InverseWishart

ALTERNATIVES = {"right_sided": "greater", "left_sided": "less", "two_sided": "two-sided"}
# bmco's defaults: precisions of the coefficients, degrees of freedom and scale of the
# inverse-Wishart, Dirichlet parameters.
PRECISION = 0.1
SCALE = 0.1
DIRICHLET = 0.5
PRIORS = ("b_mu0", "b_sigma0", "g_mu0", "g_sigma0", "nu0", "tau0", "prior_a", "prior_b")


def read_bmco(
    grp: str,
    grp_a: Any,
    grp_b: Any,
    y_vars: Sequence[str],
    x_var: str | None = None,
    x_method: str = "Empirical",
    x_def: Any = (-np.inf, np.inf),
    id_var: str | None = None,
    fixed: Sequence[str] | None = None,
    random: Sequence[str] | None = None,
    test: str = "right_sided",
    rule: str = "All",
    w: Sequence[float] | None = None,
    priors: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Translate a call of ``bmvb``, ``bglm`` or ``bglmm``.

    Parameters
    ----------
    grp : str
        Column of the group.
    grp_a, grp_b : label
        Control and treatment.
    y_vars : sequence of str
        Outcomes; bmco takes two, here any number.
    x_var : str, optional
        Covariate.
    x_method : {"Empirical", "Value", "Analytical"}
        How effects are averaged over the covariate.
    x_def : float or pair of float
        The value, or the bounds.
    id_var : str, optional
        Cluster.
    fixed, random : sequence of str, optional
        bmco's terms: "Intercept", the group, the covariate, and ``group_covariate``. A random
        term has a population mean, so it is a term of the model as well.
    test : {"right_sided", "left_sided", "two_sided"}
        Direction.
    rule : {"All", "Any", "Comp"}
        Decision rule.
    w : sequence of float, optional
        Weights of "Comp".
    priors : mapping, optional
        ``b_mu0, b_sigma0, g_mu0, g_sigma0`` (means and, as bmco's code has it although its
        manual says otherwise, precisions), ``nu0, tau0, prior_a, prior_b``.

    Returns
    -------
    arguments : dict
        Of `MultivariateLogitTrial`.
    question : dict
        Of `MultivariateLogitTrial.probability`: bmco's rule, population and estimand.

    Raises
    ------
    SpecificationError
        A term, rule, method or prior that bmco does not have.

    Notes
    -----
    bmco averages each arm over its own persons and, with clusters, over the observed ones. The
    question asks for that, to compare; ask without ``covariate_rows`` and ``estimand`` for the
    answer that a trial wants. Random slopes of a covariate are those of the standardised one
    here, so that their prior is not bmco's; random intercepts agree where nothing else varies.
    """
    given = dict(priors or {})
    for name in given:
        if name not in PRIORS:
            raise SpecificationError(f"bmco has no prior {name!r}; it has {', '.join(PRIORS)}.")
    arguments: dict[str, Any] = {
        "outcomes": list(y_vars),
        "arm": grp,
        "control": grp_a,
        "treatment": grp_b,
    }
    question: dict[str, Any] = {
        "rule": _rule(rule, w),
        "alternative": _one_of("test", test, ALTERNATIVES),
    }
    if x_var is None and id_var is None:
        a, b = given.get("prior_a", DIRICHLET), given.get("prior_b", DIRICHLET)
        cells = 2 ** len(arguments["outcomes"])
        both = np.stack([np.broadcast_to(np.asarray(v, dtype=float), cells) for v in (a, b)])
        arguments["priors"] = {"cell_probability": Prior("Dirichlet", a=both)}
        return arguments, question
    terms = _terms(grp, x_var, fixed, random, id_var)
    arguments |= {
        "covariates": None if x_var is None else [x_var],
        "interactions": x_var is not None and f"{grp}_{x_var}" in terms,
        "priors": {"beta": _coefficient_prior(terms, len(random or ()) if id_var else 0, given)},
    }
    if x_var is not None:
        question["population"] = _population(x_var, x_method, x_def)
    question["covariate_rows"] = "arm"
    if id_var is not None:
        varying = ["Intercept"] if random is None else list(random)
        names = {"Intercept": "1", grp: "arm"}
        if x_var is not None:
            names |= {x_var: x_var, f"{grp}_{x_var}": f"arm:{x_var}"}
        asked = [names[term] for term in varying]
        arguments |= {
            "cluster": id_var,
            "random": " + ".join(asked if "1" in asked else ["0", *asked]),
            "cluster_prior": InverseWishart(given.get("nu0"), float(given.get("tau0", SCALE))),
        }
        question["estimand"] = "observed_clusters"
    return arguments, question


def _rule(rule: str, w: Sequence[float] | None) -> Any:
    if rule in ("All", "Any"):
        return All() if rule == "All" else AnyRule()
    if rule != "Comp":
        raise SpecificationError(f"rule={rule!r} is not known. bmco has 'All', 'Any' and 'Comp'.")
    if w is None:
        raise SpecificationError("rule='Comp' needs weights: w=(0.7, 0.3), one per outcome.")
    return Compensatory(tuple(w))


def _one_of(name: str, value: Any, known: Mapping[str, str]) -> str:
    if value not in known:
        raise SpecificationError(f"{name}={value!r} is not known. bmco has {', '.join(known)}.")
    return known[value]


def _terms(
    grp: str,
    x_var: str | None,
    fixed: Sequence[str] | None,
    random: Sequence[str] | None,
    id_var: str | None,
) -> list[str]:
    """Return all terms, in the order of the model's columns, after checking bmco's names."""
    possible = ["Intercept", grp, *([] if x_var is None else [x_var, f"{grp}_{x_var}"])]
    asked = [*(fixed or ()), *((random or ()) if id_var else ())]
    for term in asked:
        if term not in possible:
            raise SpecificationError(
                f"{term!r} is no term of bmco here; it has {', '.join(possible)}."
            )
    if not asked or fixed is None:
        return possible
    needed = possible if x_var is None else possible[:-1]
    missing = [t for t in needed if t not in asked and not (t == "Intercept" and random is None)]
    if missing:
        raise SpecificationError(
            f"fixed and random leave out {', '.join(missing)}; only the interaction "
            f"{grp}_{x_var} can be left out here. Name them in fixed."
        )
    return [t for t in possible if t in asked or t == "Intercept"]


def _coefficient_prior(terms: list[str], num_random: int, given: Mapping[str, Any]) -> Prior:
    mean = given.get("b_mu0", 0.0), given.get("g_mu0", 0.0)
    precision = given.get("b_sigma0", PRECISION), given.get("g_sigma0", PRECISION)
    if all(np.ndim(v) == 0 for v in (*mean, *precision)) and mean[0] == mean[1]:
        if precision[0] == precision[1]:
            return Prior("Normal", mu=float(mean[0]), sigma=float(precision[0]) ** -0.5)
    if num_random > 1 or any(np.ndim(v) > 0 for v in (*mean, *precision)):
        raise SpecificationError(
            "Priors that differ between coefficients are given here by priors={'beta': "
            "Prior('Normal', mu=[...], sigma=[...])}, one number per column; bmco's b_mu0, "
            "b_sigma0, g_mu0 and g_sigma0 are numbers."
        )
    # One random term, the intercept, has the mean and precision that bmco calls g.
    pick = [1 if term == "Intercept" and num_random else 0 for term in terms]
    return Prior(
        "Normal",
        mu=np.array([float(mean[i]) for i in pick]),
        sigma=np.array([float(precision[i]) ** -0.5 for i in pick]),
    )


def _population(x_var: str, x_method: str, x_def: Any) -> Any:
    if x_method == "Value":
        return Value(**{x_var: float(np.ravel(x_def)[0])})
    low, high = (float(v) for v in x_def)
    if x_method == "Empirical":
        return Range(x_var, low, high)
    if x_method == "Analytical":
        return TruncatedNormal(x_var, low, high)
    raise SpecificationError(
        f"x_method={x_method!r} is not known. bmco has 'Empirical', 'Value' and 'Analytical'."
    )
