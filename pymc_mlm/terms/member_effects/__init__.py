"""Distributions of members' effects: independent, along time, correlated, with varying slopes."""

from pymc_mlm.terms.member_effects.autoregression import AR1
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects
from pymc_mlm.terms.member_effects.bym2 import BYM2
from pymc_mlm.terms.member_effects.car import CAR
from pymc_mlm.terms.member_effects.covariance import KnownCovariance
from pymc_mlm.terms.member_effects.icar import ICAR
from pymc_mlm.terms.member_effects.independent import Independent
from pymc_mlm.terms.member_effects.random_walk import RandomWalk
from pymc_mlm.terms.member_effects.varying import VaryingCoefficients

__all__ = [
    "AR1",
    "BYM2",
    "CAR",
    "ICAR",
    "AbstractMemberEffects",
    "Independent",
    "KnownCovariance",
    "RandomWalk",
    "VaryingCoefficients",
]
