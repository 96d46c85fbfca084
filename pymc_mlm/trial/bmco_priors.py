"""Priors of bmco in the terms of this package: vectors and precision matrices, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior
from pymc_mlm.terms.cluster_effects import InverseWishart
from pymc_mlm.trial.bmco_terms import BmcoTerms

Array = np.ndarray[Any, Any]

# bmco's defaults: precisions of the coefficients, and the scale of the inverse-Wishart.
PRECISION = 0.1
SCALE = 0.1


def coefficient_prior(terms: BmcoTerms, given: Mapping[str, Any]) -> Prior:
    """Join bmco's priors of fixed coefficients and of the means of random ones.

    Parameters
    ----------
    terms : BmcoTerms
        Which columns they belong to.
    given : mapping
        ``b_mu0, b_sigma0, g_mu0, g_sigma0``: a number, a vector, or for the precisions a matrix.

    Returns
    -------
    Prior
        Normal where the precisions are diagonal, otherwise a multivariate normal in each row.

    Raises
    ------
    SpecificationError
        A length does not fit the terms, or a precision is not positive definite.
    """
    order = [(*terms.fixed, *terms.random).index(term) for term in terms.columns]
    mean, precision = np.zeros(0), np.zeros((0, 0))
    for letter, names in (("b", terms.fixed), ("g", terms.random)):
        own = _matrix(f"{letter}_sigma0", given.get(f"{letter}_sigma0"), names, PRECISION)
        mean = np.append(mean, _vector(f"{letter}_mu0", given.get(f"{letter}_mu0"), names))
        size = len(precision), len(own)
        above = np.hstack([precision, np.zeros(size)])
        precision = np.vstack([above, np.hstack([np.zeros(size[::-1]), own])])
    mean, precision = mean[order], precision[np.ix_(order, order)]
    if (precision != np.diag(np.diag(precision))).any():
        return Prior("MvNormal", mu=mean, cov=np.linalg.inv(precision))
    sigma = np.diag(precision) ** -0.5
    if len(set(mean)) == len(set(sigma)) == 1:
        return Prior("Normal", mu=float(mean[0]), sigma=float(sigma[0]))
    return Prior("Normal", mu=mean, sigma=sigma)


def cluster_prior(terms: BmcoTerms, given: Mapping[str, Any]) -> InverseWishart:
    """Translate ``nu0`` and ``tau0``; bmco states them for the covariate as it is."""
    names = [term for term in terms.columns if term in terms.random]
    order = [terms.random.index(term) for term in names]
    scale = _matrix("tau0", given.get("tau0"), terms.random, SCALE)[np.ix_(order, order)]
    plain = (scale == scale[0, 0] * np.eye(len(scale))).all()
    # Intercept and group come first, and are the same columns here.
    slopes = set(terms.random) & set(terms.columns[2:])
    return InverseWishart(
        given.get("nu0"), float(scale[0, 0]) if plain else scale, standardised=not slopes
    )


def _vector(name: str, value: Any, terms: tuple[str, ...]) -> Array:
    vector = np.asarray(0.0 if value is None else value, dtype=float)
    if vector.ndim > 1 or vector.size not in (1, len(terms)) or not np.isfinite(vector).all():
        raise _wrong(name, value, terms, "a finite number, or one for each of them")
    if value is not None and not terms:
        raise _wrong(name, value, terms, "nothing")
    return np.broadcast_to(vector.ravel(), len(terms)) if terms else np.zeros(0)


def _matrix(name: str, value: Any, terms: tuple[str, ...], default: float) -> Array:
    """Return a matrix from a number or a vector, its diagonal, or from a matrix."""
    if not terms:
        if value is not None:
            raise _wrong(name, value, terms, "nothing")
        return np.zeros((0, 0))
    given = np.asarray(default if value is None else value, dtype=float)
    matrix = given
    if given.ndim < 2 and given.size in (1, len(terms)):
        matrix = np.diag(np.broadcast_to(given.ravel(), len(terms)))
    what = "a positive number, one for each of them, or a positive definite matrix"
    if matrix.shape != (len(terms), len(terms)) or not np.isfinite(matrix).all():
        raise _wrong(name, value, terms, what)
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() <= 0:
        raise _wrong(name, value, terms, what)
    return matrix


def _wrong(name: str, value: Any, terms: tuple[str, ...], what: str) -> SpecificationError:
    kind = "fixed" if name.startswith("b") else "random"
    shown, names = np.asarray(value).tolist(), ", ".join(terms) or "(none)"
    return SpecificationError(
        f"{name}={shown!r} does not fit the {kind} terms {names}: it must be {what}, in their "
        "order."
    )
