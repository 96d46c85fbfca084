"""Each law of `test_architecture` sees a breach, and lets the rest pass."""

import ast
from collections.abc import Callable

import pytest

from tests.test_architecture import (
    Modules,
    broken_walls,
    evaluated_input,
    nameless_modules,
    neither_abstract_nor_final,
    private_names,
    second_doors,
    slow_imports,
)

Law = Callable[[Modules], list[str]]


BREACHES: list[tuple[Law, str, str]] = [
    (broken_walls, "data/x.py", "import pymc"),
    (broken_walls, "weights/x.py", "import pandas as pd"),
    (broken_walls, "terms/x.py", "def f():\n    from pymc_mlm.families import gaussian"),
    (broken_walls, "terms/x.py", "from ..estimators import membership"),
    (broken_walls, "terms/x.py", "from .. import estimators"),
    (broken_walls, "estimators/x.py", "from pymc_mlm.planning import power"),
    (broken_walls, "estimators/x.py", "import numpy as np"),
    (broken_walls, "reporting/x.py", "import pymc_mlm.terms.membership"),
    (broken_walls, "ops/x.py", "from pymc_mlm import MultipleMembershipModel"),
    (broken_walls, "attic/x.py", ""),
    (second_doors, "data/factor.py", "import narwhals as nw"),
    (second_doors, "estimators/x.py", "def f():\n    from formulaic import Formula"),
    (slow_imports, "reporting/x.py", "import matplotlib.pyplot as plt"),
    (slow_imports, "reporting/x.py", "class Plot:\n    import arviz_plots"),
    (slow_imports, "ops/x.py", "try:\n    import jax\nexcept ImportError:\n    jax = None"),
    (private_names, "ops/x.py", "def f():\n    from pytensor.link.numba.dispatch import basic"),
    (private_names, "ops/x.py", "from pytensor.graph.replace import _vectorize_node"),
    (private_names, "inference/x.py", "def f():\n    from nutpie import compile_pymc"),
    (private_names, "inference/x.py", "size = compiled._n_dim"),
    (nameless_modules, "data/utils.py", ""),
    (nameless_modules, "helpers/x.py", ""),
    (neither_abstract_nor_final, "terms/x.py", "class A: ...\nclass B(A): ..."),
    (neither_abstract_nor_final, "terms/x.py", "from .hm import HM\nclass B(HM[int]): ..."),
    (
        neither_abstract_nor_final,
        "terms/x.py",
        "from pymc_mlm import terms\nclass B(terms.HM): ...",
    ),
    (neither_abstract_nor_final, "terms/x.py", "class AbstractTerm: ..."),
    (neither_abstract_nor_final, "terms/x.py", "class Term(ABC): ..."),
    (
        neither_abstract_nor_final,
        "terms/x.py",
        "class AbstractA(ABC): ...\nclass AbstractB(ABC): ...\nclass C(AbstractA, AbstractB): ...",
    ),
    (evaluated_input, "weights/x.py", "w = eval(text)"),
    (evaluated_input, "fit.py", "def load(path):\n    import pickle"),
]


ALLOWED: list[tuple[Law, str, str]] = [
    (broken_walls, "terms/x.py", "import math\nimport pymc as pm\nfrom pymc_mlm.data import frame"),
    (broken_walls, "terms/x.py", "from . import base\nfrom ..ops import group_sum"),
    (broken_walls, "estimators/x.py", "import xarray\nfrom pymc_mlm.terms import mm"),
    (broken_walls, "demo.py", "from pymc_mlm import planning"),
    (second_doors, "data/frame.py", "import narwhals as nw"),
    (slow_imports, "reporting/x.py", "def plot():\n    import arviz_plots"),
    (private_names, "codegen/private.py", "from numba.core.caching import FunctionCache"),
    (private_names, "data/x.py", "values = pair._asdict()"),
    (slow_imports, "ops/x.py", "if TYPE_CHECKING:\n    import jax"),
    (
        neither_abstract_nor_final,
        "terms/x.py",
        "class AbstractT(ABC): ...\nclass A(AbstractT): ...",
    ),
    (
        neither_abstract_nor_final,
        "terms/x.py",
        "class AbstractA(ABC): ...\nclass AbstractB(AbstractA, ABC): ...",
    ),
    (neither_abstract_nor_final, "ops/x.py", "class A(Op): ...\nclass B(Op): ..."),
    (evaluated_input, "weights/x.py", "value = tensor.eval()"),
]


@pytest.mark.parametrize(("law", "path", "source"), BREACHES)
def test_a_law_sees_its_breach(law, path, source):
    assert len(law({path: ast.parse(source)})) == 1


@pytest.mark.parametrize(("law", "path", "source"), ALLOWED)
def test_a_law_lets_the_rest_pass(law, path, source):
    assert law({path: ast.parse(source)}) == []
