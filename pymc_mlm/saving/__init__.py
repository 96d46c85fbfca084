"""A fit in a file, and a fit from a file: nothing that is read is run or unpickled."""

from pymc_mlm.saving.file import load, save

__all__ = ["load", "save"]
