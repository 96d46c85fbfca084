"""Code generation: a PyTensor graph becomes the source of one numba function.

PyTensor's own numba linker makes one function of each node, each with wrappers, and numba infers,
optimises and links every one of them: 100 trivial nodes cost 20 seconds before the first draw.
Here the nodes are written out as scalar statements and loops of a single function:

- a view (slice, reshape, new axis) is arithmetic on indices and costs nothing;
- an elementwise result that is read once is computed inside the loop that reads it;
- lengths are read from the data, so other tables run the same code;
- whatever is not known here is called as PyTensor's numba function, this package's Ops included.

`program.py` has the state, `scalars.py` the expressions, `function.py` the numba function around
them, `private.py` every private name of PyTensor, numba and nutpie, and the other files one family
of Ops each; `graph.py` gathers them. The package fits models without `private.py` too, slower.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from pymc_mlm.errors import warn_user

_PRIVATE = "pymc_mlm.codegen.private"


@cache
def host() -> Any:
    """Return the module of private names; None, with one warning, where it cannot be imported.

    The libraries change these names without notice, so everything that needs them has another way.
    """
    try:
        return import_module(_PRIVATE)
    except (ImportError, AttributeError) as error:
        warn_user(
            "The compiled kernels of pymc_mlm do not fit the installed PyTensor, numba or nutpie "
            f"({type(error).__name__}: {error}). Models are sampled by public functions alone, "
            "with the same results, more slowly. The versions in the package's constraints.txt "
            "are tested.",
            RuntimeWarning,
        )
        return None
