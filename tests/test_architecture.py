"""Laws of the house, read from the source with `ast`: nothing of the package is imported.

The walls between rooms, the two guarded doors, what must not cost import time, abstract-or-final
classes, no evaluated text. `docs/architecture.md` explains them; a change of a law belongs there
and in the table below. Each law is a function from modules to breaches, so that the last two
tests can show it a breach.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "pymc_mlm"

Modules = dict[str, ast.Module]  # "data/frame.py" -> its syntax tree


@dataclass(frozen=True)
class Wall:
    """What a room may import, besides itself and the standard library."""

    rooms: frozenset[str]
    libraries: frozenset[str]


def wall(rooms: str, libraries: str) -> Wall:
    return Wall(frozenset(rooms.split()), frozenset(libraries.split()))


WALLS = {
    "errors": wall("", "numpy"),
    "intervals": wall("errors", "numpy"),
    "writing": wall("", ""),
    "data": wall("errors", "numpy scipy pandas narwhals formulaic"),
    "approximation": wall("errors data", "numpy scipy"),
    "datasets": wall("errors", "numpy scipy pandas"),
    "codegen": wall("errors", "numpy pytensor numba llvmlite nutpie cachetools"),
    "ops": wall("errors codegen", "numpy scipy pytensor numba jax"),
    "priors": wall("errors ops", "numpy scipy pytensor pymc"),
    "distributions": wall("errors ops", "numpy scipy pytensor pymc"),
    "borrowing": wall("errors data priors", "numpy scipy"),
    "weights": wall("errors ops priors", "numpy scipy pytensor"),
    "families": wall("errors distributions priors", "numpy scipy pytensor pymc"),
    "terms": wall(
        "errors data approximation ops priors weights distributions",
        "numpy scipy pytensor pymc xarray",
    ),
    "inference": wall(
        "errors ops codegen priors",
        "numpy scipy pytensor pymc xarray arviz nutpie numba jax numpyro blackjax rich cachetools",
    ),
    "model": wall(
        "errors data approximation ops priors distributions families terms inference",
        "numpy scipy pytensor pymc",
    ),
    "trial": wall(
        "errors data ops priors distributions terms decisions model fit inference intervals "
        "reporting",
        "numpy scipy pytensor pymc xarray",
    ),
    "integration": wall("errors codegen", "numpy scipy numba"),
    "paths": wall(
        "errors data codegen ops priors terms inference model integration fit",
        "numpy scipy pytensor pymc xarray",
    ),
    "fit": wall("errors", "numpy xarray pymc"),
    "saving": wall(
        "errors data priors weights families terms inference model trial fit writing",
        "numpy pandas xarray",
    ),
    "prediction": wall("errors data fit inference terms reporting", "numpy xarray pymc"),
    "marginal_effects": wall(
        "errors data fit inference intervals prediction reporting trial", "numpy xarray pandas"
    ),
    "counterfactual": wall(
        "errors data fit inference intervals prediction reporting", "numpy pandas xarray"
    ),
    "composition": wall("errors fit intervals reporting terms", "numpy pandas"),
    "log_likelihood": wall("errors codegen ops fit prediction trial", "numpy pytensor xarray pymc"),
    "comparison": wall(
        "errors data codegen fit log_likelihood ops paths prediction reporting",
        "numpy scipy pandas xarray pytensor pymc arviz_stats",
    ),
    "log_prior": wall("ops fit", "numpy xarray pymc"),
    "prior_predictive": wall("ops trial", "xarray pymc"),
    "arviz_groups": wall(
        "errors fit log_likelihood log_prior prediction prior_predictive trial", "numpy xarray"
    ),
    "decisions": wall("errors intervals", "numpy scipy xarray"),
    "reporting": wall(
        "errors fit decisions intervals writing",
        "numpy scipy pandas xarray pymc arviz arviz_base arviz_stats arviz_plots matplotlib rich",
    ),
    "prior_sensitivity": wall("errors fit decisions reporting trial arviz_groups", "numpy xarray"),
    "report": wall(
        "errors prior_sensitivity fit data inference decisions intervals reporting trial "
        "arviz_groups prior_predictive",
        "numpy xarray",
    ),
    "rules": wall("decisions", ""),
    "populations": wall("decisions", ""),
    "aggregations": wall("errors data weights", "numpy"),
    "bml": wall("errors priors weights families terms estimators", ""),
    "planning": wall(
        "errors data priors estimators decisions",
        "numpy scipy pandas xarray joblib matplotlib rich",
    ),
}
# These wire the rooms together, so the table asks one thing of them: who else is out of bounds.
WIRING = {"estimators": {"planning", "__init__", "__main__", "demo", "planner", "warmup"}}
# The types of what methods return. Estimators compute nothing.
WIRING_LIBRARIES = {"pymc", "xarray", "pandas"}
APPLICATIONS = {"__init__", "__main__", "demo", "planner", "warmup"}
ROOMS = {*WALLS, *WIRING, *APPLICATIONS}

SOLE_IMPORTER = {"narwhals": "data/frame.py", "formulaic": "data/population.py"}
# Seconds of import time, or not installed for everyone.
ONLY_INSIDE_FUNCTIONS = frozenset(
    "matplotlib arviz_plots arviz arviz_base arviz_stats nutpie jax numba "
    "numpyro blackjax polars pyarrow shiny sklearn starlette uvicorn".split()
)
# The one file of private names of these libraries. It is imported inside a function.
# Imported inside functions themselves.
KERNELS = (
    "ops/kernels/", "integration/kernels.py", "integration/free_kernels.py",
    "integration/logistic_kernels.py", "codegen/exponential.py",
)  # fmt: skip
PRIVATE_NAMES = "codegen/private.py"
PRIVATE = ("pytensor.link", "numba.core", "nutpie.compile_pymc", "nutpie._lib")
NAMED_TUPLE = {"_make", "_asdict", "_replace", "_fields"}
NO_NOUN = {"utils", "util", "helpers", "misc", "common"}
RUNS_TEXT = {"eval", "exec", "__import__"}
RUNS_BYTES = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}


@dataclass(frozen=True)
class Import:
    """One imported name, absolute; deferred if loading the module does not execute it."""

    name: str
    line: int
    deferred: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        inner = self.name.split(".")[1:2]
        return inner[0] if inner and inner[0] in ROOMS else "__init__"


def room_of(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def absolute(node: ast.ImportFrom, path: str) -> str:
    if not node.level:
        return node.module or ""
    package = ["pymc_mlm", *Path(path).parent.parts]
    parent = package[: len(package) - node.level + 1]
    return ".".join([*parent, node.module] if node.module else parent)


def imports(node: ast.AST, path: str, deferred: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                yield from (Import(alias.name, child.lineno, deferred) for alias in names)
            case ast.ImportFrom(names=names):
                source = absolute(child, path)
                yield from (
                    Import(f"{source}.{alias.name}", child.lineno, deferred) for alias in names
                )
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from imports(child, path, deferred=True)
            case ast.If(test=test, body=body, orelse=orelse) if is_type_checking(test):
                yield from imports(ast.Module(body, []), path, deferred=True)
                yield from imports(ast.Module(orelse, []), path, deferred)
            case _:
                yield from imports(child, path, deferred)


def may_import(room: str, target: Import) -> bool:
    if room in APPLICATIONS or target.top in sys.stdlib_module_names:
        return True
    if target.top == "pymc_mlm" and target.room == room:
        return True
    if room in WIRING:
        if target.top != "pymc_mlm":
            return target.top in WIRING_LIBRARIES
        return target.room not in WIRING[room]
    if target.top == "pymc_mlm":
        return target.room in WALLS[room].rooms
    return target.top in WALLS[room].libraries


def broken_walls(modules: Modules) -> list[str]:
    strangers = [f"{path}: no such room in the table" for path in modules if not known(path)]
    return strangers + [
        f"{path}:{target.line} imports {target.name}"
        for path, tree in modules.items()
        if known(path)
        for target in imports(tree, path)
        if not may_import(room_of(path), target)
    ]


def known(path: str) -> bool:
    return room_of(path) in ROOMS


def second_doors(modules: Modules) -> list[str]:
    return [
        f"{path}:{target.line} imports {target.top}, which only {SOLE_IMPORTER[target.top]} may"
        for path, tree in modules.items()
        for target in imports(tree, path)
        if SOLE_IMPORTER.get(target.top, path) != path
    ]


def slow_imports(modules: Modules) -> list[str]:
    return [
        f"{path}:{target.line} imports {target.top} at module level"
        for path, tree in modules.items()
        for target in imports(tree, path)
        if target.top in ONLY_INSIDE_FUNCTIONS
        and not target.deferred
        # Kernels that call jitted functions are modules of their own, imported by no other
        # module but inside the function that registers them.
        and not (target.top == "numba" and path.startswith((*KERNELS, PRIVATE_NAMES)))
    ]


def private_names(modules: Modules) -> list[str]:
    """List private names of PyTensor, numba and nutpie: imports, and attributes not our own."""
    elsewhere = {path: tree for path, tree in modules.items() if path != PRIVATE_NAMES}
    imported = [
        f"{path}:{target.line} imports {target.name}"
        for path, tree in elsewhere.items()
        for target in imports(tree, path)
        if f"{target.name}.".startswith(tuple(f"{name}." for name in PRIVATE))
        or (target.top in {"pytensor", "numba", "nutpie"} and "._" in target.name)
    ]
    own = {
        name for tree in modules.values() for node in ast.walk(tree) for name in own_names_of(node)
    }
    read = [
        f"{path}:{node.lineno} reads .{node.attr}"
        for path, tree in elsewhere.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own | NAMED_TUPLE
        and ast.unparse(node.value) not in {"self", "cls"}
    ]
    return imported + read


def own_names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Attribute(attr=name, ctx=ast.Store()):
            yield name


def nameless_modules(modules: Modules) -> list[str]:
    return [path for path in modules if NO_NOUN & set(Path(path).with_suffix("").parts)]


def evaluated_input(modules: Modules) -> list[str]:
    calls = [
        f"{path}:{node.lineno} calls {node.func.id}"
        for path, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in RUNS_TEXT
    ]
    pickles = [
        f"{path}:{target.line} imports {target.top}"
        for path, tree in modules.items()
        for target in imports(tree, path)
        if target.top in RUNS_BYTES
    ]
    return calls + pickles


@dataclass(frozen=True)
class Class:
    """A class of the package: which of its bases are the package's own, and is it an ABC."""

    where: str
    name: str
    own_bases: tuple[str, ...]
    is_abc: bool

    @property
    def named_abstract(self) -> bool:
        return is_abstract_name(self.name)


def is_abstract_name(name: str) -> bool:
    return name.startswith("Abstract") or name == "Estimator"


def class_of(node: ast.ClassDef, path: str, own_names: set[str]) -> Class:
    bases = [ast.unparse(base).partition("[")[0] for base in node.bases]
    metaclasses = [ast.unparse(keyword.value) for keyword in node.keywords]
    return Class(
        where=f"{path}:{node.lineno}",
        name=node.name,
        own_bases=tuple(b.split(".")[-1] for b in bases if b.split(".")[0] in own_names),
        is_abc=bool({"ABC", "abc.ABC", "ABCMeta", "abc.ABCMeta"} & {*bases, *metaclasses}),
    )


def classes(modules: Modules) -> Iterator[Class]:
    for path, tree in modules.items():
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        imported = {i.name.split(".")[-1] for i in imports(tree, path) if i.top == "pymc_mlm"}
        own_names = imported | {node.name for node in nodes}
        yield from (class_of(node, path, own_names) for node in nodes)


def neither_abstract_nor_final(modules: Modules) -> list[str]:
    # Exceptions are a hierarchy by nature: `except` clauses catch by base class.
    judged = [c for c in classes(modules) if not c.where.startswith("errors.py")]
    return [
        *(
            f"{c.where} {c.name} extends {base}, which is final"
            for c in judged
            for base in c.own_bases
            if not is_abstract_name(base)
        ),
        *(f"{c.where} {c.name} has two parents" for c in judged if len(c.own_bases) > 1),
        *(f"{c.where} {c.name} is not an ABC" for c in judged if c.named_abstract and not c.is_abc),
        *(f"{c.where} {c.name} is an ABC" for c in judged if c.is_abc and not c.named_abstract),
    ]


@pytest.fixture(scope="module")
def package() -> Modules:
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
    }


def test_a_room_imports_only_what_its_wall_allows(package):
    assert "\n".join(broken_walls(package)) == ""


def test_a_guarded_library_has_one_door(package):
    assert "\n".join(second_doors(package)) == ""


def test_slow_and_optional_libraries_are_imported_inside_functions(package):
    assert "\n".join(slow_imports(package)) == ""


def test_private_names_of_libraries_stand_in_one_file(package):
    assert "\n".join(private_names(package)) == ""


def test_a_module_is_named_after_a_noun(package):
    assert "\n".join(nameless_modules(package)) == ""


def test_a_class_is_abstract_or_final(package):
    assert "\n".join(neither_abstract_nor_final(package)) == ""


def test_nothing_that_is_read_is_executed(package):
    assert "\n".join(evaluated_input(package)) == ""
