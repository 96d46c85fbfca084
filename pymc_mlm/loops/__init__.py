"""Loops: a PyTensor graph becomes the source of one numba function.

PyTensor's own numba linker makes one function of each node, each with wrappers, and numba infers,
optimises and links every one of them: 100 trivial nodes cost 20 seconds before the first draw.
Here the nodes are written out as scalar statements and loops of a single function:

- a view (slice, reshape, new axis) is arithmetic on indices and costs nothing;
- an elementwise result that is read once is computed inside the loop that reads it;
- lengths are read from the data, so other tables run the same code;
- whatever is not known here is called as PyTensor's numba function, this package's Ops included.

`program.py` has the state, `scalars.py` the expressions, the other files one family of Ops each.
"""

from __future__ import annotations

from pymc_mlm.loops import calls, elementwise, indexing, joining, shapes  # noqa: F401  (registers)
from pymc_mlm.loops.part import part
from pymc_mlm.loops.program import FAULT, Program, write_graph
from pymc_mlm.loops.value import Value, in_memory

__all__ = ["FAULT", "Program", "Value", "in_memory", "part", "write_graph"]
