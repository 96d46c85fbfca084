"""Power prior: the likelihood of historical controls to a power between 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from pymc_mlm.borrowing.historical import HistoricalControls
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors.control_prior import ControlPrior


def power_prior(
    historical: HistoricalControls,
    a0: float | Mapping[str, float],
    vague: Sequence[float] | None = None,
) -> ControlPrior:
    r"""Return the power prior of the control's response patterns, with fixed powers.

    .. math:: p(\phi) \propto p_0(\phi) \prod_h L(\phi \mid n_h)^{a_{0h}}
        = \operatorname{Dirichlet}\Big(\alpha + \sum_h a_{0h} n_h\Big)

    Parameters
    ----------
    historical : HistoricalControls
    a0 : float or mapping of str to float
        Power, of all studies or by study: a historical person counts as so much of a person of
        the trial. 0 borrows nothing, 1 pools.
    vague : sequence of float, optional
        :math:`\alpha`, one number per pattern; by default worth two persons, spread evenly.

    Returns
    -------
    ControlPrior
        For ``priors={"cell_probability": ...}`` of `MultivariateLogitTrial`.

    Raises
    ------
    SpecificationError
        A power lies outside [0, 1], or is for no study.

    References
    ----------
    .. [1] Ibrahim, J. G., Chen, M.-H. (2000). Power prior distributions for regression models.
       Statistical Science 15(1).

    Examples
    --------
    >>> earlier = HistoricalControls(("y",), {"Lima 2019": (24, 16)})
    >>> power_prior(earlier, a0=0.5).components
    ((13.0, 9.0),)
    """
    powers = dict.fromkeys(historical.counts, a0) if not isinstance(a0, Mapping) else dict(a0)
    if set(powers) != set(historical.counts):
        raise SpecificationError(
            f"a0 has powers of {', '.join(map(repr, powers))}; the studies are "
            f"{', '.join(map(repr, historical.counts))}. Give one power for each, or one for all."
        )
    for study, power in powers.items():
        if isinstance(power, bool) or not isinstance(power, Real) or not 0 <= power <= 1:
            raise SpecificationError(
                f"a0={power!r} of {study!r} must lie in [0, 1]: 0 borrows nothing, and with 1 a "
                "historical person counts as one of the trial's."
            )
    base = vague_parameters(historical, vague)
    each = np.array([float(powers[study]) for study in historical.counts])
    a = base + each @ historical.table
    shown = ", ".join(f"{k} {float(v):g}" for k, v in powers.items())
    return ControlPrior(
        historical.outcomes,
        (1.0,),
        (tuple(a.tolist()),),
        tuple(base.tolist()),
        f"power prior, a0 {shown}",
    )


def vague_parameters(historical: HistoricalControls, vague: Any) -> np.ndarray:
    """Return the Dirichlet parameters without historical data, shape (pattern,)."""
    size = 2 ** len(historical.outcomes)
    given = np.asarray(2.0 / size if vague is None else vague, dtype=float)
    if given.ndim > 1 or given.size not in (1, size) or not (given > 0).all():
        raise SpecificationError(
            f"vague={vague!r} must be positive, one number or one for each of the {size} patterns."
        )
    return np.array(np.broadcast_to(given, size))
