"""Designs without an effect, over which the type I error is largest somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pymc_mlm.decisions.rules import Compensatory
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.contrasts import is_separable, linear_contrasts
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.patterns import Array, frechet_bounds

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def no_effect(design: TrialDesign) -> TrialDesign | None:
    """Return the design with every contrast at its margin and the control as assumed.

    The correlations in all arms are the control's, as near as they are possible there. There is
    no such design, and None is returned, where probabilities would leave (0, 1) and where no
    effect is at all margins, as at both ends of a region of equivalence.
    """
    slope, margin = linear_contrasts(design.rule, design.names)
    if not np.allclose(slope @ np.linalg.pinv(slope) @ margin, margin):
        return None
    try:
        return _at(design, design.success[0], design.correlations[0], slope, margin)
    except SpecificationError:
        return None


def null_designs(design: TrialDesign) -> list[TrialDesign]:
    """Return the designs over which the type I error is maximised.

    Where every contrast must pass, the error is largest with one contrast at its margin and the
    others beyond doubt: the contrast is decided alone. Where any contrast suffices, all are at
    their margins. The control's success probability runs from .05 to .95, the same for all
    outcomes, besides the assumed ones; correlations are the lowest possible, zero, the highest
    possible and the assumed ones.
    """
    slope, margin = linear_contrasts(design.rule, design.names)
    if design.rule.combine == "any":
        parts = [(design, slope, margin)]
    else:
        alone = zip(slope, margin, strict=True)
        parts = [(_alone(design, row, float(m)), *_reduced(row, m)) for row, m in alone]
    found = [null for part in parts for null in _grid(*part)]
    if not found:
        raise SpecificationError(
            f"Rule {design.rule.label} has no null: no success probabilities of the arms differ by "
            "its margin. Choose a smaller margin."
        )
    return found


def _alone(design: TrialDesign, row: Array, margin: float) -> TrialDesign:
    """Return a design that one contrast decides, without the outcomes that do not enter."""
    used = np.flatnonzero(row)
    correlations = design.correlations[:, used[:, None], used]
    return replace(
        design,
        arms={arm: design.success[i, used] for i, arm in enumerate(design.arms)},
        outcomes=tuple(design.names[k] for k in used),
        correlation=dict(zip(design.arms, correlations, strict=True)),
        dropout=design.missing[used],
        rule=Compensatory(tuple(row[used].tolist()), margin),
        threshold=design.cutoff,
    )


def _reduced(row: Array, margin: float) -> tuple[Array, Array]:
    return row[np.flatnonzero(row)][None], np.array([margin])


def _grid(design: TrialDesign, slope: Array, margin: Array) -> Iterator[TrialDesign]:
    assumed, rho = design.success[0], design.correlations[0]
    count = len(assumed)
    single = count == 1 or (design.rule.combine == "every" and is_separable(slope))
    for success in [assumed, *(np.full(count, p) for p in LEVELS)]:
        given = [rho] if single else [rho, *(np.full_like(rho, r) for r in (-1.0, 0.0, 1.0))]
        for correlation in given:
            try:
                yield _at(design, success, correlation, slope, margin)
            except SpecificationError:
                continue  # an effect at the margin leaves (0, 1), or no such joint distribution


def _at(
    design: TrialDesign, success: Array, correlation: Array, slope: Array, margin: Array
) -> TrialDesign:
    treated = success + np.linalg.pinv(slope) @ margin
    arms = {arm: success if arm == design.control else treated for arm in design.arms}
    return replace(
        design,
        arms=arms,
        correlation={arm: _possible(correlation, np.asarray(p)) for arm, p in arms.items()},
        threshold=design.cutoff,
    )


def _possible(correlation: Array, success: Array) -> Array:
    """Bring each correlation inside its bounds."""
    p = np.clip(success, 1e-9, 1 - 1e-9)
    bounds = np.array([[frechet_bounds(a, b) for b in p] for a in p])
    inside = np.clip(correlation, bounds[..., 0], bounds[..., 1])
    np.fill_diagonal(inside, 1.0)
    return np.asarray(inside)
