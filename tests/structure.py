"""Measure the structure of the package: modules, cycles, and the files that a call passes through.

    python -m tests.structure [--root CHECKOUT]

Two checkouts can be compared: `--root` names the folder that holds the package ``lazyomics``.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CALLS = {
    "adata.X": "adata.X",
    "adata[mask].copy(filename=)": "adata[mask].copy(filename=target)",
}
TRACED = """
import sys, json, numpy as np, lazyomics as lo
path, target, call = sys.argv[1:]
lo.read_h5ad(path)[::2].copy(filename=target)  # imports what the call needs
lo.read_h5ad(path).X
adata = lo.read_h5ad(path)
mask = np.arange(adata.n_obs) % 2 == 0
files = set()
def see(frame, event, argument):
    if event == "call" and "/lazyomics/" in frame.f_code.co_filename:
        files.add(frame.f_code.co_filename)
import threading
threading.setprofile(see)
sys.setprofile(see)
eval(call)
sys.setprofile(None)
print(json.dumps(len(files)))
"""


def modules(package: Path) -> dict[str, Path]:
    """Paths of the modules by their dotted names."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = ["lazyomics", *path.relative_to(package).with_suffix("").parts]
        found[".".join(p for p in parts if p != "__init__")] = path
    return found


def imported(tree: ast.AST, known: dict[str, Path], *, late: bool) -> set[str]:
    """Modules of the package that a module imports; ``late`` adds what does not run on import."""
    found: set[str] = set()
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        is_late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        if is_late and not late:
            continue
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.update(n for n in (name if name in known else node.module,) if n in known)
    return found


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of two modules or more, the largest first."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for other in graph[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    reach = {name: reachable(name) for name in graph}
    found, done = [], set()
    for name in graph:
        together = sorted(n for n in reach[name] if name in reach[n])
        if name not in done and len(together) > 1:
            found.append(together)
        done.update(together)
    return sorted(found, key=len, reverse=True)


def lengths_of_functions(trees: list[ast.Module]) -> Iterator[int]:
    """Lines of each function, without its docstring."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node, clean=False)
                yield (
                    (node.end_lineno or 0) - node.lineno + 1 - (text.count("\n") + 1 if text else 0)
                )


def comments(path: Path) -> int:
    """Count the comments of a file."""
    with path.open("rb") as file:
        return sum(token.type == tokenize.COMMENT for token in tokenize.tokenize(file.readline))


def passed_through(root: Path, call: str, folder: Path) -> int:
    """Count the files of the package in which functions run while a call is evaluated."""
    import numpy as np
    import scipy.sparse as sp

    path = folder / "small.h5ad"
    if not path.exists():
        sys.path.insert(0, str(root))
        import lazyomics as lo

        lo.AnnData(sp.random(40, 10, 0.3, format="csr", dtype=np.float32)).write_h5ad(path)
    run = subprocess.run(
        [sys.executable, "-c", TRACED, str(path), str(folder / "copy.h5ad"), call],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(json.loads(run.stdout))


def measure(root: Path, folder: Path) -> dict[str, object]:
    """Measure a checkout."""
    known = modules(root / "lazyomics")
    trees = {name: ast.parse(path.read_text()) for name, path in known.items()}
    lines = {name: len(path.read_text().splitlines()) for name, path in known.items()}
    total = sum(lines.values())
    functions = list(lengths_of_functions(list(trees.values())))
    anys = sum(
        isinstance(node, ast.Name) and node.id == "Any"
        for tree in trees.values()
        for node in ast.walk(tree)
    )
    bases = [p.stem for p in known.values() if p.stem != "__init__"]
    longest = max(lines, key=lambda name: lines[name])
    graphs = {
        late: {name: imported(trees[name], known, late=late) - {name} for name in known}
        for late in (False, True)
    }
    return {
        "modules": len(known),
        "lines": total,
        "longest module": f"{longest}: {lines[longest]}",
        "median lines of a function": statistics.median(functions),
        "functions above 60 lines, %": round(
            100 * sum(n > 60 for n in functions) / len(functions), 2
        ),
        "Any per 1,000 lines": round(1000 * anys / total, 1),
        "comments per 1,000 lines": round(1000 * sum(map(comments, known.values())) / total, 1),
        "base names used twice": len({b for b in bases if bases.count(b) > 1}),
        "cycles at run time": [len(c) for c in cycles(graphs[False])],
        "cycles with what is imported late or for types": [len(c) for c in cycles(graphs[True])],
        **{
            f"files behind {name}": passed_through(root, call, folder)
            for name, call in CALLS.items()
        },
    }


def main() -> None:
    """Print what is measured."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measure(arguments.root.resolve(), Path(folder)).items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
