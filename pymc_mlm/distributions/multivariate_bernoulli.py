"""Joint distribution of several binary outcomes, for use in anyone's `pm.Model`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.dist_math import check_parameters
from pymc.distributions.distribution import Discrete
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.ops.base import register_draw
from pymc_mlm.ops.multivariate_bernoulli import multivariate_bernoulli_logp

# PyMC makes variables of NaN among observed values, and may store integers in 32 bits. No coding
# of outcomes has this value.
UNOBSERVED = int(np.iinfo(np.int32).min)


class MultivariateBernoulliRV(RandomVariable):
    """Draws of K binary outcomes from the logits of their 2**K - 1 free cells."""

    name = "multivariate_bernoulli"
    signature = "(c)->(k)"
    dtype = "int64"
    _print_name = ("MultivariateBernoulli", "\\operatorname{MultivariateBernoulli}")

    def _supp_shape_from_params(self, dist_params: Any, param_shapes: Any = None) -> Any:
        """K from 2**K - 1; as a constant where it is known, which dims often leave open."""
        free = dist_params[0].type.shape[-1]
        if free is not None:
            return (pt.constant(_num_outcomes(free), dtype="int64"),)
        shape = dist_params[0].shape if param_shapes is None else param_shapes[0]
        return (pt.round(pt.log2(shape[-1] + 1)).astype("int64"),)

    @classmethod
    def rng_fn(cls, rng: np.random.Generator, logits: Any, size: Any = None) -> Any:
        """Draw a cell by the Gumbel-max trick and write down its digits."""
        if size is not None:
            logits = np.broadcast_to(logits, (*size, logits.shape[-1]))
        psi = np.concatenate([logits, np.zeros((*logits.shape[:-1], 1))], axis=-1)
        cell = (psi + rng.gumbel(size=psi.shape)).argmax(axis=-1)
        free = logits.shape[-1]
        digits = np.arange(_num_outcomes(free) - 1, -1, -1)
        return ((free - cell)[..., None] >> digits) & 1


multivariate_bernoulli = MultivariateBernoulliRV()


class MultivariateBernoulli(Discrete):
    r"""Joint distribution of K binary outcomes, by the logits of their response patterns.

    .. math::
        \Pr(y) = e^{\psi_{c(y)}} \Big/ \sum_c e^{\psi_c}, \qquad \psi_{0 \cdots 0} = 0

    Support is :math:`\{0, 1\}^K`. Any dependence between the outcomes is possible; they are
    independent if each logit is the sum of its outcomes' own log odds.

    Parameters
    ----------
    name : str
        Name of the variable in the model.
    logits : tensor_like of float, shape (..., 2**K - 1)
        Log odds of every response pattern against the all-zero one, in descending binary order:
        11, 10, 01 for two outcomes. These are conditional log odds, not those of the marginal
        success probabilities. One logit (K = 1) is a Bernoulli distribution.
    observed : array_like of 0 and 1, shape (..., K), optional
        Outcomes in the order of the digits; booleans are fine. NaN is an outcome that was not
        observed: the probabilities of all response patterns that fit the others are added up, and
        the observed variable holds the least 32-bit integer in its place. Not in shared data.
    **kwargs
        `dims`, `shape` and the like, as for every PyMC distribution.

    Raises
    ------
    DataError
        If `observed` has values other than 0, 1 and NaN, or is shared and has missing entries.
    SpecificationError
        If the number of logits is not 2**K - 1.

    References
    ----------
    .. [1] Dai, B., Ding, S., Wahba, G. (2013). Multivariate Bernoulli distribution.
       Bernoulli 19(4), 1465-1483.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> Y = np.array([[1, 1], [1, 0], [0, 0]])
    >>> with pm.Model() as model:
    ...     logits = pm.Normal("logits", shape=3)
    ...     y = MultivariateBernoulli("y", logits, observed=Y)
    >>> y.type.ndim
    2
    """

    rv_type = MultivariateBernoulliRV
    rv_op = multivariate_bernoulli

    def __new__(cls, name: str, logits: Any, *, observed: Any = None, **kwargs: Any) -> Variable:
        """Add the distribution to the model on the stack; refuse data it cannot have made."""
        logits = pt.as_tensor_variable(logits)
        if observed is not None:
            observed = _as_observed(name, observed, logits)
        return super().__new__(cls, name, logits, observed=observed, **kwargs)

    @classmethod
    def dist(cls, logits: Any, **kwargs: Any) -> Variable:
        """Create the distribution outside a model."""
        register_draw(MultivariateBernoulliRV, _draw)
        logits = pt.as_tensor_variable(logits)
        if logits.ndim == 0:
            raise SpecificationError(
                "logits of MultivariateBernoulli is a scalar; its last axis must hold the "
                "2**K - 1 free cells. Give one outcome's logits the shape (..., 1)."
            )
        if logits.type.shape[-1] is not None:
            _num_outcomes(logits.type.shape[-1])
        return super().dist([logits], **kwargs)

    def support_point(rv: Variable, size: Any, logits: Variable) -> Variable:  # noqa: N805
        """All outcomes zero: a point every parameter allows."""
        return pt.zeros_like(rv)

    def logp(value: Variable, logits: Variable) -> Variable:  # noqa: N805
        """Log probability of each vector of outcomes; -inf outside {0, 1}."""
        if isinstance(value, Constant) and (value.data == UNOBSERVED).any():
            return _partial_logp(np.asarray(value.data), logits)
        free = _static_free(value, logits)
        if free is None:
            free = logits.shape[-1]
        possible = pt.all(pt.eq(value, 0) | pt.eq(value, 1), axis=-1)
        digit = 2 ** pt.arange(value.shape[-1])[::-1]
        cell = pt.switch(possible, free - pt.sum(value.astype("int64") * digit, axis=-1), free)
        # A cell beyond the table would be read from other memory: where the sizes are not known
        # now, they are compared at run time.
        cell = check_parameters(
            cell,
            pt.eq(2 ** value.shape[-1], logits.shape[-1] + 1),
            msg="K outcomes need 2**K - 1 logits",
            can_be_replaced_by_ninf=False,
        )
        rows = multivariate_bernoulli_logp(
            pt.broadcast_to(logits, (*cell.shape, free)).reshape((-1, free)),
            cell.ravel(),
            pt.eye(free + 1, dtype="bool"),
        )
        return pt.switch(possible, rows.reshape(cell.shape, ndim=cell.ndim), -np.inf)


def _partial_logp(values: np.ndarray, logits: Variable) -> Variable:
    """Return the log probability of what was observed, shape of `values` less its last axis."""
    outcomes = values.shape[-1]
    free = 2**outcomes - 1
    rows = values.reshape(-1, outcomes)
    seen, pattern = np.unique(rows, axis=0, return_inverse=True)
    cells = (np.arange(free, -1, -1)[:, None] >> np.arange(outcomes - 1, -1, -1)) & 1
    possible = np.isin(seen, (0, 1, UNOBSERVED)).all(axis=1)
    compatible = ((seen[:, None] == cells) | (seen[:, None] == UNOBSERVED)).all(axis=-1)
    found = multivariate_bernoulli_logp(
        pt.broadcast_to(logits, (*values.shape[:-1], free)).reshape((-1, free)),
        pattern.ravel(),
        compatible | ~possible[:, None],
    )
    found = pt.switch(possible[pattern.ravel()], found, -np.inf)
    return found.reshape(values.shape[:-1], ndim=values.ndim - 1)


def _static_free(value: Variable, logits: Variable) -> int | None:
    if logits.type.shape[-1] is not None:
        return int(logits.type.shape[-1])
    num_outcomes = value.type.shape[-1]
    return None if num_outcomes is None else 2**num_outcomes - 1


def _num_outcomes(free: int) -> int:
    num_outcomes = int(free + 1).bit_length() - 1
    if free < 1 or 2**num_outcomes != free + 1:
        raise SpecificationError(
            f"logits of MultivariateBernoulli has {free} entries in its last axis; K outcomes "
            "have 2**K - 1 free cells (1, 3, 7, 15, ...)."
        )
    return num_outcomes


def _as_observed(name: str, observed: Any, logits: Variable) -> Any:
    """Return observed outcomes as integers; refuse what the variable cannot be."""
    is_data = isinstance(observed, Variable)
    if is_data and not hasattr(observed, "get_value"):
        return observed
    values = np.ma.filled(_as_floats(name, observed.get_value() if is_data else observed), np.nan)
    free = logits.type.shape[-1] if logits.ndim else None
    if free is not None and values.ndim and 2 ** values.shape[-1] != free + 1:
        raise SpecificationError(
            f"observed of {name!r} has {values.shape[-1]} outcomes in its last axis and logits "
            f"{free} entries; K outcomes need 2**K - 1 logits, here {2 ** values.shape[-1] - 1}."
        )
    missing = np.isnan(values)
    if is_data and missing.any():
        first = tuple(np.argwhere(missing)[0].tolist())
        raise DataError(
            f"observed of {name!r} is a shared variable with {missing.sum()} missing entries, the "
            f"first at {first}. Which ones are missing must be known beforehand: "
            "give an array."
        )
    strange = np.argwhere((values != 0) & (values != 1) & ~missing)
    if len(strange):
        first = tuple(strange[0].tolist())
        raise DataError(
            f"observed of {name!r} is {values[first].item()!r} at {first}; outcomes of "
            "MultivariateBernoulli must be 0 or 1, or NaN where one is missing. Recode the data."
        )
    return observed if is_data else np.where(missing, UNOBSERVED, values).astype(np.int64)


def _as_floats(name: str, observed: Any) -> Any:
    try:
        return np.ma.asarray(observed).astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"observed of {name!r} is not numeric ({error}). Outcomes of MultivariateBernoulli "
            "must be 0, 1 or booleans, or NaN where one is missing. Recode the data."
        ) from error


def _draw(rng: Any, logits: Any, out: Any = None) -> Any:
    """One draw by inversion, cell by cell from the first."""
    free = logits.shape[0]
    outcomes = 0
    while 2**outcomes < free + 1:
        outcomes += 1
    if out is None:
        out = np.empty(outcomes, np.int64)
    shift = 0.0
    for c in range(free):
        shift = max(shift, logits[c])
    mass = np.exp(-shift)
    for c in range(free):
        mass += np.exp(logits[c] - shift)
    left = rng.random() * mass
    cell = free
    for c in range(free):
        left -= np.exp(logits[c] - shift)
        if left < 0.0:
            cell = c
            break
    for k in range(outcomes):
        out[k] = ((free - cell) >> (outcomes - 1 - k)) & 1
    return out
