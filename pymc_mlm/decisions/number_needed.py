"""Number needed to treat: patients for one more success."""

from __future__ import annotations

from pymc_mlm.decisions.draws import Effect
from pymc_mlm.decisions.effects import summarize


def number_needed_to_treat(effect: Effect, prob: float = 0.95) -> dict[str, str]:
    r"""Return how many patients must be treated for one more success, :math:`1 / \delta`.

    Parameters
    ----------
    effect : DataArray or array_like
        Draws of differences of success probabilities, see `effect_draws`.
    prob : float, default 0.95
        Mass of the equal-tailed interval.

    Returns
    -------
    dict of str to str
        By outcome: that of the median effect, and of the ends of the interval of the effect. A
        number of benefit (NNTB) is one of patients for one more success, of harm (NNTH) for one
        success fewer. Where the interval of the effect covers zero, the number runs through
        infinity, from benefit to harm; it has neither mean nor sd.

    References
    ----------
    .. [1] Altman, D. G. (1998). Confidence intervals for the number needed to treat. BMJ 317.

    Examples
    --------
    >>> number_needed_to_treat([[0.1, -0.1], [0.2, 0.2], [0.25, 0.3]], prob=0.9999)
    {'y1': 'NNTB 5.0 (4.0 to 10.0)', 'y2': 'NNTB 5.0 (NNTB 3.3 to inf to NNTH 10.0)'}
    """
    table = summarize(effect, prob)
    rows = zip(
        *(table[name].values.tolist() for name in ("outcome", "lower", "median", "upper")),
        strict=True,
    )
    return {str(name): _shown(low, middle, high) for name, low, middle, high in rows}


def _shown(low: float, middle: float, high: float) -> str:
    if low < 0 < high:
        return f"{_needed(middle)} ({_needed(high)} to inf to {_needed(low)})"
    near, far = sorted((_number(low), _number(high)))
    return f"{_needed(middle)} ({near:.1f} to {far:.1f})"


def _needed(effect: float) -> str:
    return f"NNT{'B' if effect >= 0 else 'H'} {_number(effect):.1f}"


def _number(effect: float) -> float:
    return 1 / abs(effect) if effect else float("inf")
