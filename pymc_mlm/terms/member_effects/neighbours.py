"""Graphs of neighbours: connected parts, and the scaled covariance that they imply."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.data.labelled_matrix import LabelledMatrix, labelled_matrix
from pymc_mlm.data.values import show
from pymc_mlm.errors import SpecificationError

Array = np.ndarray[Any, Any]


def neighbours(given: Any) -> LabelledMatrix:
    """Read a graph.

    Parameters
    ----------
    given : pandas.DataFrame, mapping of mappings, or mapping to lists of neighbours
        Zero where two members are no neighbours, else a positive weight, usually one.

    Raises
    ------
    SpecificationError
        An entry is negative, a member is its own neighbour, or nobody has a neighbour.

    Examples
    --------
    >>> neighbours({"a": ["b"], "b": ["a", "c"], "c": ["b"]}).values.sum(axis=1)
    array([1., 2., 1.])
    """
    found = labelled_matrix("neighbours", given)
    W = found.values
    if (W < 0).any():
        i, j = np.argwhere(W < 0)[0]
        raise SpecificationError(
            f"neighbours has {W[i, j]:g} for {show(found.labels[i])} and {show(found.labels[j])}; "
            "entries are zero, or positive where two members are neighbours. A covariance goes "
            "into covariance= as it is."
        )
    if np.diag(W).any():
        own = found.labels[int(np.flatnonzero(np.diag(W))[0])]
        raise SpecificationError(
            f"neighbours: {show(own)} is a neighbour of itself. The diagonal is zero."
        )
    if not W.any():
        raise SpecificationError(
            "neighbours: nobody has a neighbour, and effects are independent. Leave it out."
        )
    return found


def parts(W: Array) -> list[Array]:
    """Return the members of each connected part of the graph."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    count, of_member = connected_components(csr_array(W), directed=False)
    return [np.flatnonzero(of_member == k) for k in range(count)]


def intrinsic_root(W: Array) -> Array:
    r"""Return F with :math:`F F'` the scaled covariance of intrinsic autoregressive effects.

    That of a connected part is the generalised inverse of its Laplacian :math:`D - W`, divided by
    the geometric mean of its diagonal, so that the standard deviation means the same in all graphs
    [1]_, [2]_. A member without neighbours is independent, with variance one.

    Parameters
    ----------
    W : ndarray, shape (member, member)

    Returns
    -------
    ndarray, shape (member, z)
        One column less than members for each connected part of two or more.

    References
    ----------
    .. [1] Riebler, Sørbye, Simpson and Rue (2016). An intuitive Bayesian spatial model for disease
       mapping that accounts for scaling. Statistical Methods in Medical Research 25, 1145-1165.
    .. [2] Freni-Sterrantino, Ventrucci and Rue (2018). A note on intrinsic conditional
       autoregressive models for disconnected graphs. Spatial and Spatio-temporal Epidemiology 26,
       25-34.
    """
    columns = []
    for members in parts(W):
        own = W[np.ix_(members, members)]
        if len(members) == 1:
            block = np.ones((1, 1))
        else:
            values, vectors = np.linalg.eigh(np.diag(own.sum(axis=1)) - own)
            block = vectors[:, 1:] / np.sqrt(values[1:])
            block = block / np.exp(0.5 * np.log((block**2).sum(axis=1)).mean())
        whole = np.zeros((len(W), block.shape[1]))
        whole[members] = block
        columns.append(whole)
    return np.hstack(columns)
