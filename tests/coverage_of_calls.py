"""Count which calls of public notebooks have a counterpart here that takes their arguments.

    python -m tests.coverage_of_calls [TABLE.tsv.gz] [--missing 40]

The table has a line for each call: repository, file, ``call`` (of a function) or ``set`` (of an
attribute), dotted name (``scanpy.pp.log1p``, ``AnnData.write``), number of positional arguments,
and keywords with commas between them. Lines of any other kind do not count.
"""

from __future__ import annotations

import argparse
import gzip
import inspect
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lazyomics as lo
from lazyomics.container import Raw

ROOTS = {"scanpy": lo, "anndata": lo, "mudata": lo, "muon": lo}
CLASSES = {"AnnData": lo.AnnData, "MuData": lo.MuData, "Raw": Raw}
FEWEST_CALLS = 5  # of a file that counts
TABLE = Path(__file__).with_name("calls_of_notebooks.tsv.gz")


class Call(NamedTuple):
    """One call of a notebook or script."""

    repository: str
    file: str
    kind: str
    name: str
    n_positional: int
    keywords: tuple[str, ...]


def read_calls(path: Path) -> Iterator[Call]:
    """Read the table of calls."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            repository, file, kind, name, n, keywords = line.rstrip("\n").split("\t")
            given = tuple(k for k in keywords.split(",") if k)
            if kind in ("call", "set"):
                yield Call(repository, file, kind, name, int(n), given)


def counterpart(name: str) -> Any:
    """Return what stands under a name here; None if nothing does."""
    root, *path = name.split(".")
    found: Any = ROOTS.get(root, CLASSES.get(root))
    for part in path:
        found = getattr(found, part, None)
        if found is None:
            return None
    if root == "muon":
        return getattr(found, "of_modalities", found)
    return found


def is_taken(call: Call) -> bool:
    """Whether the counterpart takes the arguments."""
    try:
        found = counterpart(call.name)
    except ImportError:
        return False
    if found is None:
        return False
    if call.kind != "call":
        return True
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return callable(found)
    is_method = call.name.partition(".")[0] in CLASSES and inspect.isfunction(found)
    positional = [None] * (call.n_positional + is_method)
    try:
        signature.bind(*positional, **dict.fromkeys(call.keywords))
    except TypeError:
        return False
    return True


def named(call: Call) -> str:
    """Name of a call that is not taken, with its keywords where only these are not."""
    try:
        is_there = counterpart(call.name) is not None
    except ImportError:
        is_there = False
    return f"{call.name}({', '.join(call.keywords)})" if is_there else call.name


def main() -> None:
    """Print the shares, and the names that are called most often and are not taken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, nargs="?", default=TABLE)
    parser.add_argument("--missing", type=int, default=30)
    arguments = parser.parse_args()
    known: dict[tuple[Any, ...], bool] = {}
    by_repository: dict[str, list[bool]] = defaultdict(list)
    by_file: dict[tuple[str, str], list[bool]] = defaultdict(list)
    missing: Counter[str] = Counter()
    for call in read_calls(arguments.table):
        key = call[2:]
        if key not in known:
            known[key] = is_taken(call)
        by_repository[call.repository].append(known[key])
        by_file[call.repository, call.file].append(known[key])
        if not known[key]:
            missing[named(call)] += 1
    everything = [taken for calls in by_repository.values() for taken in calls]
    shares = [sum(calls) / len(calls) for calls in by_repository.values()]
    long = [calls for calls in by_file.values() if len(calls) >= FEWEST_CALLS]
    print(f"calls that are taken: {sum(everything) / len(everything):.1%} of {len(everything):,}")
    print(f"mean over {len(shares)} repositories: {sum(shares) / len(shares):.1%}")
    whole = sum(map(all, long)) / len(long)
    print(f"files of {FEWEST_CALLS} calls or more without a failure: {whole:.1%} of {len(long)}")
    for name, n in missing.most_common(arguments.missing):
        print(f"{n:6} {name}")


if __name__ == "__main__":
    main()
