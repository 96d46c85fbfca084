"""Equivalence, mixed margins and the number needed to treat."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from pymc_mlm.decisions import (
    AbstractRule,
    Equivalence,
    Margins,
    decide,
    number_needed_to_treat,
)
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning import TrialDesign, operating_characteristics

CLOSE = {"y1": (-0.1, 0.1), "y2": (-0.2, 0.1)}


def test_equivalence_is_two_one_sided_tests_per_outcome(rng):
    effect = rng.normal([0.02, -0.05], [0.04, 0.06], size=(20_000, 2))
    found = decide(Equivalence(CLOSE), effect)
    marginal = found.evidence[0].marginal
    assert set(marginal) == {"y1 > -0.1", "y1 < 0.1", "y2 > -0.2", "y2 < 0.1"}
    assert marginal["y1 < 0.1"] == pytest.approx(stats.norm.cdf(0.1, 0.02, 0.04), abs=0.01)
    inside = ((effect > [-0.1, -0.2]) & (effect < 0.1)).all(axis=1).mean()
    assert found.joint_probability == inside
    assert found.conclusion == "equivalent" and "practically equivalent" in str(found)
    assert decide(Equivalence(CLOSE), effect + 0.1).conclusion == "not decided"


@dataclass(frozen=True)
class Near(AbstractRule):
    """A rule of a user: the mean effect is near zero."""

    has_direction = False
    label = "Near"
    combine = "every"

    def contrasts(self, effect):
        """Return the distance that is left."""
        return {"near": 0.5 - np.abs(effect.values.mean(axis=-1))}


def test_a_rule_without_a_direction_is_about_equivalence():
    found = decide(Near(), np.zeros((9, 2)))
    assert found.conclusion == "equivalent" and "arms are equivalent" in str(found)
    assert Near().side("two-sided") == "greater"
    with pytest.raises(SpecificationError, match=r"equivalence has no direction"):
        decide(Near(), np.zeros((9, 2)), alternative="less")


def test_a_trial_of_equivalence_is_planned():
    design = TrialDesign({"a": (0.5,), "b": (0.5,)}, Equivalence({"y1": (-0.1, 0.1)}), per_arm=500)
    normal = operating_characteristics(design, "normal")
    shift = 0.1 / np.sqrt(0.5 / 500) - stats.norm.ppf(0.95)
    assert normal.power.value == pytest.approx(2 * stats.norm.cdf(shift) - 1, abs=1e-4)
    simulated = operating_characteristics(design, "simulation", 4000, 1, nulls=False)
    assert simulated.power.value == pytest.approx(normal.power.value, abs=0.03)
    assert normal.worst_type_one_error.value == pytest.approx(0.05, abs=1e-3)


def test_superiority_and_non_inferiority_mix():
    rule = Margins.mixed(["pain"], {"cough": -0.05})
    assert rule == Margins({"pain": 0.0, "cough": -0.05})


def test_margins_of_the_wrong_sign_are_named():
    with pytest.raises(SpecificationError, match=r"margin 0.05 for 'cough'.*is negative"):
        Margins.mixed("pain", {"cough": 0.05})
    with pytest.raises(SpecificationError, match=r"'pain' is in superior and in not_inferior"):
        Margins.mixed("pain", {"pain": -0.05})
    for region in ((0.05, 0.1), (0.1, -0.1), (-0.1, 0.0)):
        with pytest.raises(SpecificationError, match=r"negative low and a positive high"):
            Equivalence({"y1": region})
    with pytest.raises(SpecificationError, match=r"names no outcome"):
        Equivalence({})
    with pytest.raises(SpecificationError, match=r"'pane' is no outcome"):
        Equivalence({"pane": (-0.1, 0.1)}).joint_probability(np.zeros((3, 2)))
    with pytest.raises(SpecificationError, match=r"equivalence has no direction"):
        decide(Equivalence(CLOSE), np.zeros((9, 2)), alternative="two-sided")


def test_the_number_needed_runs_through_infinity_where_the_effect_covers_zero(rng):
    effect = rng.normal([0.2, -0.2, 0.02], [0.02, 0.02, 0.05], size=(100_000, 3))
    found = number_needed_to_treat(effect)
    ends = stats.norm.ppf([0.025, 0.975], 0.2, 0.02)
    assert found["y1"] == f"NNTB 5.0 ({1 / ends[1]:.1f} to {1 / ends[0]:.1f})"
    assert found["y2"] == f"NNTH 5.0 ({1 / ends[1]:.1f} to {1 / ends[0]:.1f})"
    assert "to inf to NNTH" in found["y3"]
