"""A fit in a file, and a fit from a file: nothing that is read is run or unpickled."""

from pymc_mlm.saving.document import from_dict, to_dict
from pymc_mlm.saving.file import load, save

__all__ = ["from_dict", "load", "save", "to_dict"]
