"""The layering of the package, read from its imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests import structure

PACKAGE = Path(__file__).resolve().parent.parent / "lazyomics"

BASE = {"errors", "config", "importing", "compiled", "logging", "missing", "names", "options"}
BLOCKS = BASE | {"blocks"}
MAY_IMPORT = {
    "errors": set(),
    "config": {"errors"},
    "options": {"config", "importing"},
    "logging": {"errors", "options"},
    "importing": set(),
    "compiled": {"importing"},
    "missing": {"names"},
    "names": set(),
    "progress": set(),
    "blocks": BASE | {"blocks"},
    "kernels": BLOCKS | {"kernels"},
    "lazy": BLOCKS | {"kernels", "progress", "lazy"},
    "container": BLOCKS | {"lazy", "kernels", "container"},
    "io": BLOCKS | {"container", "lazy", "kernels", "io"},
    "get": BLOCKS | {"container", "lazy", "kernels", "get"},
    "graph": BLOCKS | {"lazy", "kernels", "graph"},
    "pp": BLOCKS | {"container", "lazy", "kernels", "graph", "pp"},
    "experimental": BLOCKS | {"container", "lazy", "kernels", "pp", "experimental"},
    "atac": BASE | {"pp", "tl", "atac"},
    "external": BASE | {"container", "pp", "pl", "external"},
    "prot": BLOCKS | {"container", "lazy", "kernels", "pp", "prot"},
    "tl": BLOCKS | {"container", "lazy", "kernels", "graph", "get", "pp", "tl"},
    "metrics": BLOCKS | {"container", "lazy", "kernels", "graph", "pp", "metrics"},
    "pl": BASE | {"container", "get", "graph", "tl", "pl"},
    "ml": BASE | {"container", "lazy", "ml"},
    "datasets": BASE | {"container", "io", "kernels", "datasets"},
    "cli": BASE | {"container", "io", "lazy", "cli"},
    "__main__": {"cli"},
}
ONLY_IN = {
    "h5py": {"io", "datasets"},
    "anndata": {"container/interop.py"},
    "mudata": {"container/mudata/interop.py"},
    "scanpy": set(),
    "dask.array": {"lazy", "container", "io", "blocks/dask.py"},
}
HEAVY = (
    "sklearn",
    "matplotlib",
    "umap",
    "pynndescent",
    "igraph",
    "leidenalg",
    "scanpy",
    "anndata",
    "mudata",
    "dask.array",
    "distributed",
    "fsspec",
    "llvmlite",
    "numba",
    "pooch",
    "sparse",
)
USED_BY_CONTAINERS = ("dask", "h5py", "numpy", "pandas", "scipy")
FORBIDDEN_NAMES = {"utils", "core", "common", "helpers", "misc"}

FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if not top_level_only else _outside_functions(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _outside_functions(tree: ast.Module):
    """Nodes that run on import; what only type checkers see is left out."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_parts_import_only_what_they_may(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    used = {n.split(".")[1] for n in imports(path) if n.startswith("lazyomics.")}
    assert used <= MAY_IMPORT[part], f"{part} must not import {used - MAY_IMPORT[part]}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_outside_packages_stay_where_they_belong(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    for name in imports(path):
        for package, places in ONLY_IN.items():
            if name == package or name.startswith(f"{package}."):
                assert part_of(path) in places or relative in places, f"{name} in {relative}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_names_say_what_is_inside(path: Path) -> None:
    names = {p.removesuffix(".py") for p in path.relative_to(PACKAGE).parts}
    assert not names & FORBIDDEN_NAMES


def test_no_import_cycles() -> None:
    graph = {_module(p): _package_imports(p) for p in FILES}
    state: dict[str, int] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if state.get(module) == 2 or module not in graph:
            return
        assert state.get(module) != 1, f"cycle: {' -> '.join((*trail, module))}"
        state[module] = 1
        for other in graph[module]:
            visit(other, (*trail, module))
        state[module] = 2

    for module in graph:
        visit(module, ())


def test_rings_of_late_imports_are_small() -> None:
    """Imports inside functions and for types count, too: few modules know each other's parts."""
    known = structure.modules(PACKAGE)
    graph = {
        name: structure.imported(ast.parse(path.read_text()), known, late=True) - {name}
        for name, path in known.items()
    }
    assert [ring for ring in structure.cycles(graph) if len(ring) > 5] == []


def _module(path: Path) -> str:
    parts = ["lazyomics", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(p for p in parts if p != "__init__")


MODULES = {_module(path) for path in FILES}


def _package_imports(path: Path) -> set[str]:
    found = set()
    for name in imports(path, top_level_only=True):
        if name in MODULES:
            found.add(name)
        elif name.rpartition(".")[0] in MODULES:
            found.add(name.rpartition(".")[0])
    return found - {_module(path), "lazyomics"}


def printed_by(code: str) -> list[str]:
    """Words that a program prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("asked_for", "heavy"),
    [
        ("lo", {*HEAVY, *USED_BY_CONTAINERS}),
        ("dir(lo), lo.settings, lo.logging, lo.errors", {*HEAVY, *USED_BY_CONTAINERS}),
        ("lo.AnnData, lo.read_h5ad", {*HEAVY}),
    ],
)
def test_import_is_light(asked_for: str, heavy: set[str]) -> None:
    """Heavy packages wait for their first use."""
    code = f"import sys, lazyomics as lo; {asked_for}; print(*sys.modules)"
    assert not heavy & set(printed_by(code))


def test_import_takes_little_time() -> None:
    """Processor time until the import is done, beside what a program that uses dask imports."""
    seconds: dict[str, list[float]] = {"lazyomics": [], "dask.array, pandas, h5py": []}
    for _ in range(3):
        for modules, found in seconds.items():
            code = f"import {modules}; import time; print(time.process_time())"
            found += map(float, printed_by(code))
    ours, theirs = map(median, seconds.values())
    assert ours < 0.4 * theirs  # a twentieth on a quiet machine


def test_public_names_exist() -> None:
    import lazyomics as lo

    for name in lo.__all__:
        assert getattr(lo, name) is not None


VERBS = (
    "atac.pp",
    "atac.tl",
    "datasets",
    "experimental.pp",
    "external.pl",
    "external.pp",
    "prot.pp",
    "get",
    "metrics",
    "ml",
    "pl",
    "pp",
    "tl",
)


def test_functions_are_not_hidden_by_modules_of_their_names() -> None:
    """Importing a module binds its name in the package: of a function, it must stay the function.

    In a process of its own, in which every module is imported, in either order.
    """
    code = (
        "import importlib, inspect, pkgutil, sys, lazyomics\n"
        "for name in sys.argv[1:]:\n"
        "    package = importlib.import_module(f'lazyomics.{name}')\n"
        "    for part in pkgutil.iter_modules(package.__path__):\n"
        "        importlib.import_module(f'lazyomics.{name}.{part.name}')\n"
        "    assert dir(package) == sorted(package.__all__), name\n"
        "    for verb in package.__all__:\n"
        "        found = getattr(package, verb)\n"
        "        assert not inspect.ismodule(found), (name, verb)\n"
        "        assert callable(found) or verb == 'settings', (name, verb)\n"
    )
    run = [sys.executable, "-c", code]
    for names in (VERBS, VERBS[::-1]):
        done = subprocess.run(
            [*run, *names], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
        )
        assert done.returncode == 0, done.stderr


def test_private_names_of_others_are_listed() -> None:
    """What no module of the package defines and has an underscore in front is somebody else's."""
    trees = [ast.parse(path.read_text()) for path in FILES]
    listed = _listed_private_names()
    for path, tree in zip(FILES, trees, strict=True):
        found = private_names_of_libraries(tree)
        assert found <= listed, f"{path} uses {found - listed}, which is not in architecture.md"
    defined = set().union(*map(_defined_names, trees)) - listed
    used, imported = set(), set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr"):
            used |= {a.value for a in node.args[1:2] if isinstance(a, ast.Constant)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            whole = [f"{getattr(node, 'module', '')}.{alias.name}" for alias in node.names]
            imported |= {name for name in whole if not name.startswith("lazyomics.")}
    assert {name for name in used - defined if _is_private(name)} == listed
    assert not [name for name in imported if any(map(_is_private, name.split(".")))]


IMPORTERS = {"__import__", "import_module", "import_whole", "importorskip", "require"}


def private_names_of_libraries(tree: ast.Module) -> set[str]:
    """Names with an underscore in front that a module takes from what it imports.

    Also where the package has a name of its own that is spelled the same.
    """
    libraries, found = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            home = getattr(node, "module", None) or ""
            if not f"{home}.".startswith("lazyomics."):
                for alias in node.names:
                    whole = f"{home}.{alias.name}".strip(".")
                    if whole.partition(".")[0] not in ("lazyomics", "__future__"):
                        libraries.add(alias.asname or whole.rpartition(".")[2])
                        libraries.add(alias.asname or whole.partition(".")[0])
                        found |= set(filter(_is_private, whole.split(".")))
        elif isinstance(node, ast.Call) and _last_name(node.func) in IMPORTERS:
            whole = next((a.value for a in node.args if isinstance(a, ast.Constant)), "")
            if not str(whole).startswith("lazyomics"):
                found |= set(filter(_is_private, str(whole).split(".")))
        elif isinstance(node, ast.Assign) and _last_name(_called(node.value)) in IMPORTERS:
            libraries |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _first_name(node) in libraries:
            found.add(node.attr)
        elif isinstance(node, ast.Call) and _last_name(node.func) in ("getattr", "hasattr"):
            named = node.args[1:2] if _first_name(node.args[0]) in libraries else []
            found |= {a.value for a in named if isinstance(a, ast.Constant)}
    return set(filter(_is_private, found))


def _called(node: ast.AST) -> ast.AST:
    return node.func if isinstance(node, ast.Call) else node


def _first_name(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import numpy as np\nnp._NoValue", {"_NoValue"}),
        ("import pandas\npandas.core._x.y", {"_x"}),
        ("import os.path\nos._exit(1)", {"_exit"}),
        ("from dask import _expr", {"_expr"}),
        ("from dask._expr import Expr", {"_expr"}),
        ("import _imp\nimport importlib._bootstrap as b", {"_imp", "_bootstrap"}),
        ("from importlib import import_module\nimport_module('h5py._hl')", {"_hl"}),
        ("h5py = require('h5py', extra='x')\ngetattr(h5py.File, '_id')", {"_id"}),
        ("from lazyomics.io import files\nfiles._own\nself._own", set()),
        ("import os\nos.__doc__", set()),
    ],
)
def test_private_names_are_found(code: str, found: set[str]) -> None:
    assert private_names_of_libraries(ast.parse(code)) == found


def _listed_private_names() -> set[str]:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    rows = text.split("## Names that other libraries do not publish")[1].splitlines()
    return {n for row in rows if row.startswith("| `") for n in re.findall(r"`(_\w+)`", row)}


def _is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


def _defined_names(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__slots__":
            names |= {c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant)}
    return names
