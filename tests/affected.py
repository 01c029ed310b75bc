"""Run the tests that a change may affect, the nearest first, until a time is up.

    python -m tests.affected [--since COMMIT] [--files N] [--seconds N] [--list] [pytest's options]

The change is what differs from the main branch, committed or not; on the main branch without any
change of its own, it is the last commit. A test file is the nearer to a changed module the fewer
imports lie between that module and a name that the test file uses. What takes longer than about
ten seconds is left out, and so is what lies more than `FARTHEST` imports away. Of what is left the
nearest files are taken: of a module that everything uses, collecting all tests takes minutes.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from tests.structure import imported, modules

ROOT = Path(__file__).resolve().parent.parent
FARTHEST = 2
# Read on every run: the layering, and parameters that are scanpy's.
ALWAYS = ("tests/test_architecture.py", "tests/test_signatures.py")
# Tests of what is not Python.
OTHERS = {
    r"(README|docs/.*)\.md": ("tests/test_links.py", "tests/test_readme.py"),
    r"Makefile|\.ci/.*|\.github/.*|pyproject\.toml": ("tests/test_makefile.py",),
    r"examples/.*": ("tests/test_examples.py",),
}
SECONDS = "LAZYOMICS_SECONDS_FOR_TESTS"
_end = float("inf")


def git(*words: str) -> str:
    """Output of git in the checkout; empty where the command fails."""
    run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else ""


def changed_files(since: str | None = None) -> list[str]:
    """Paths of the files that differ from a commit, by default from the main branch.

    Parameters
    ----------
    since
        A commit. By default where the branch left ``origin/main``, or ``main`` if there is no
        such branch; the commit before the last one if nothing differs from that.
    """
    start = since or git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main")
    found = _differing(start or "HEAD")
    return found if found or since else _differing("HEAD~1")


def _differing(start: str) -> list[str]:
    differing = git("diff", "--name-only", start).splitlines()
    new = git("ls-files", "--others", "--exclude-standard").splitlines()
    return sorted({*differing, *new})


def public_names(tree: ast.Module) -> set[str]:
    """Names in ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return {name for name in ast.literal_eval(node.value) if name.isidentifier()}
    return set()


def nearness(changed: Iterable[str], root: Path = ROOT) -> dict[str, int]:
    """Test files that a change may affect.

    Parameters
    ----------
    changed
        Paths of changed files, relative to ``root``.
    root
        The checkout.

    Returns
    -------
    For each path, relative to ``root``, the number of imports between the change and the test:
    0 for what was changed itself.
    """
    changed = list(changed)
    files = sorted((root / "tests").rglob("*.py"))
    tests = {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files}
    found: dict[str, int] = {}

    def add(name: str, distance: int) -> None:
        if Path(name).name.startswith("test_") and (root / name).exists():
            found[name] = min(distance, found.get(name, distance))

    known, public, graph = _package(root)
    names_of = {str(path.relative_to(root)): name for name, path in known.items()}
    for path in changed:
        if path in names_of:
            found[path] = 0  # its doctests
        elif path in tests:
            add(path, 0)
            for name in _users_of(path, tests):
                add(name, 1)
        for pattern, names in OTHERS.items():
            if re.fullmatch(pattern, path):
                for name in names:
                    add(name, 1)
    starts = {names_of[path] for path in changed if path in names_of}
    words = {name: _words(text) for name, text in tests.items()}
    for module, distance in _importers(starts, graph).items():
        for name in _tests_of(module, public[module], words):
            add(name, distance + 1)
    for module in starts:
        part = module.removeprefix("lazyomics").strip(".").partition(".")[0]
        for name in tests:
            if name.startswith(f"tests/{part}/"):
                add(name, FARTHEST)
    for name in ALWAYS:
        add(name, 0)
    return found


def _users_of(path: str, tests: dict[str, str]) -> list[str]:
    """Test files that import a changed module of the tests, or whose fixtures it holds."""
    folder, _, file = path.rpartition("/")
    if file == "conftest.py":
        return [name for name in tests if name.startswith(f"{folder}/")]
    module = path.removesuffix(".py").replace("/", ".")
    package, _, name = module.rpartition(".")
    whole = rf"(?:from|import) {re.escape(module)}\b"
    part = rf"from {re.escape(package)} import .*\b{name}\b"
    line = re.compile(rf"^\s*(?:{whole}|{part})", re.MULTILINE)
    return [name for name, text in tests.items() if line.search(text)]


@cache
def _package(root: Path) -> tuple[dict[str, Path], dict[str, set[str]], dict[str, set[str]]]:
    """Paths, public names and imports of the modules of the package."""
    known = modules(root / "lazyomics")
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in known.items()}
    public = {name: public_names(tree) for name, tree in trees.items()}
    graph = {
        name: imported(tree, known, late=True) - {name}
        for name, tree in trees.items()
        if known[name].name != "__init__.py"
    }
    return known, public, graph


def _importers(starts: set[str], graph: dict[str, set[str]]) -> dict[str, int]:
    """Modules that import the given ones, with the number of imports between: 0 for themselves."""
    distances = dict.fromkeys(starts, 0)
    for distance in range(1, FARTHEST):
        nearer = set(distances)
        distances.update(
            (name, distance) for name, used in graph.items() if name not in nearer and used & nearer
        )
    return distances


def _words(text: str) -> set[str]:
    """Names in a file, dotted ones as a whole and in parts."""
    dotted = set(re.findall(r"[A-Za-z_][\w.]*", text))
    return dotted | {part for name in dotted for part in name.split(".")}


def _tests_of(module: str, public: set[str], words: dict[str, set[str]]) -> list[str]:
    """Test files of the name of a module, and those that use it or what it makes public."""
    stem = module.rpartition(".")[2]
    used = {module, *public}
    return [
        name
        for name, found in words.items()
        if Path(name).name.startswith(f"test_{stem}") or used & found
    ]


def pytest_collection_finish() -> None:
    """Begin to count: importing what tests use takes long on a busy machine."""
    global _end
    _end = time.monotonic() + float(os.environ.get(SECONDS, "inf"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Skip a test for which no time is left."""
    if time.monotonic() >= _end:
        pytest.skip("no time left: make test runs all")


def ordered(changed: list[str], root: Path = ROOT) -> list[str]:
    """Test files that a change may affect, the nearest first, then those of its folder."""
    found = nearness(changed, root)
    homes = [Path(path).parts[1:] for path in changed if path.startswith(("lazyomics/", "tests/"))]

    def away(name: str) -> int:
        """Count the folders, and the name, that a test does not share with what was changed."""
        *folder, file = Path(name).parts[1:]
        own = [*folder, file.removeprefix("test_")]
        return min((_apart(home, own) for home in homes), default=0)

    return sorted(found, key=lambda name: (found[name], away(name), name))


def _apart(home: tuple[str, ...], own: list[str]) -> int:
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(home, own, strict=False))
    return max(len(home), len(own)) - len(list(shared))


def main() -> int:
    """Find the tests and run them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--since", metavar="COMMIT", help="by default where main was left")
    parser.add_argument("--files", type=int, default=20, help="how many, at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time for the tests")
    parser.add_argument("--list", action="store_true", help="only print the test files")
    options, others = parser.parse_known_args()
    changed = changed_files(options.since)
    near = ordered(changed)
    names = near[: options.files]
    print(f"{len(changed)} changed files, the {len(names)} nearest of {len(near)} files of tests")
    sys.stdout.flush()
    if options.list:
        print("\n".join(names))
        return 0
    limit = {SECONDS: str(options.seconds)}
    run = [sys.executable, "-m", "pytest", "-p", "tests.affected", "-q", "-m", "not slow"]
    return subprocess.run(
        [*run, *others, *names], cwd=ROOT, env=os.environ | limit, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
