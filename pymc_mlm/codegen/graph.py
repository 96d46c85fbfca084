"""The writers of all families of Ops, and what a caller needs to write a graph with them."""

from __future__ import annotations

from pymc_mlm.codegen import calls, elementwise, indexing, joining, shapes  # noqa: F401  (registers)
from pymc_mlm.codegen.part import part
from pymc_mlm.codegen.program import FAULT, Program, write_graph
from pymc_mlm.codegen.value import Value, in_memory

__all__ = ["FAULT", "Program", "Value", "in_memory", "part", "write_graph"]
