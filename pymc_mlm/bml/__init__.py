"""Calls of the R package bml, pasted as text, translated into models of this package."""

from pymc_mlm.bml.call import BmlCall, from_bml

__all__ = ["BmlCall", "from_bml"]
