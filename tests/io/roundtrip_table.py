"""Open, compare and round-trip every real file; print the result as a table.

``python -m tests.io.roundtrip_table FOLDER`` reads each file with lazyomics, compares it element by
element with what the installed anndata or mudata reads, streams it to a new file, and compares what
these read from the new file with what they read from the old one.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lazyomics as lo
from tests.io.differences import differences
from tests.io.scverse_parts import (
    element_parts,
    lazyomics_parts,
    object_parts,
    read_by_scverse,
    rewritten_by_scverse,
    silent,
)

__all__ = ["Outcome", "check_file", "data_files"]

SUFFIXES = (".h5ad", ".h5mu", ".h5")

# What a difference says, and why it is meant.
MEANT = {
    "order of what is stored": "lazy matrices sort each line",
    "instead of str_ ": "numpy's single values become Python's",
    "instead of int64 int64 np.": "numpy's single values become Python's",
    "instead of float64 float64 np.": "numpy's single values become Python's",
    "instead of bool bool np.": "numpy's single values become Python's",
    "object instead of <U": "text of fixed length becomes text of any length",
}
MEANT_IN = {
    ("Rmudata_miniacc_1208d314.h5mu", "/var index"): "R leaves the table of all features empty, "
    "here it has their names",
}
# Meant only where anndata does the same when it writes.
DONE_BY_BOTH = {"Categorical category": "repeated text becomes categories"}


@dataclass
class Outcome:
    """What became of a file; lists of differences are empty where there is none."""

    name: str
    opens: str = "yes"
    reference: str = "whole"
    equals: list[str] = field(default_factory=list)
    round_trips: list[str] = field(default_factory=list)
    as_scverse: bool = False

    @property
    def unexplained(self) -> list[str]:
        """Differences that nothing in the table of meant ones explains."""
        found = [*self.equals, *([] if self.as_scverse else self.round_trips)]
        return [text for text in found if not self._meant(text)]

    def row(self) -> str:
        """A line of the table."""
        whole = "" if self.reference == "whole" else " (by elements)"
        return (
            f"| {self.name} | {self.opens} | {self._cell(self.equals)}{whole} | "
            f"{self._cell(self.round_trips)}{whole} |"
        )

    def _meant(self, text: str) -> str:
        here = (why for (n, part), why in MEANT_IN.items() if n == self.name and part in text)
        return _reason(text, MEANT) or next(here, "")

    def _cell(self, found: list[str]) -> str:
        if not found:
            return "yes"
        reasons = {self._meant(t) or _reason(t, DONE_BY_BOTH) or t for t in found}
        start = (
            "as anndata writes it: " if found is self.round_trips and self.as_scverse else "but "
        )
        return start + "; ".join(sorted(reasons)[:4])


def _reason(text: str, known: dict[str, str]) -> str:
    return next((reason for part, reason in known.items() if part in text), "")


def data_files(folder: Path) -> list[Path]:
    """Files of the kinds that can be opened, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def check_file(path: Path, scratch: Path) -> Outcome:
    """Open, compare and round-trip one file."""
    outcome = Outcome(path.name)
    suffix = ".h5mu" if path.suffix == ".h5mu" else ".h5ad"
    copy = scratch / f"copy{suffix}"
    try:
        opened = lo.read_10x_h5(path, gex_only=False) if path.suffix == ".h5" else lo.read(path)
        repr(opened)
    except Exception as error:
        outcome.opens = f"{type(error).__name__}: {error}"
        return outcome
    opened.write(copy)
    theirs, again = _read_both(path, copy, outcome)
    ours = lazyomics_parts(path)
    if outcome.reference == "whole":
        whole, before, after = theirs, object_parts(theirs), object_parts(again)
        outcome.equals = differences(ours, {k: before[k] for k in ours})
        outcome.round_trips = differences(after, before)
        if outcome.round_trips:
            plain = object_parts(rewritten_by_scverse(whole, scratch / f"theirs{suffix}"))
            left = differences(after, plain)
            outcome.as_scverse = all(_reason(text, MEANT) for text in left)
    else:
        outcome.equals = differences(_without_empty(ours["mod"]), theirs["mod"])
        outcome.round_trips = differences(again, theirs)
    return outcome


def _read_both(path: Path, copy: Path, outcome: Outcome) -> tuple[Any, Any]:
    """The original and the copy: by mudata or, where it cannot read either, by elements."""
    try:
        return read_by_scverse(path), read_by_scverse(copy)
    except Exception:
        if path.suffix != ".h5mu":
            raise
        outcome.reference = "elements"
        return element_parts(path), element_parts(copy)


def _without_empty(mods: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {k: v for k, v in parts.items() if not (isinstance(v, dict) and not v)}
        for name, parts in mods.items()
    }


def main(folder: Path) -> None:
    """Print the table."""
    packages = ("anndata", "mudata", "pandas", "h5py")
    named = ", ".join(f"{name} {version(name)}" for name in packages)
    print(f"Python {platform.python_version()}, {named}\n")
    print("| file | opens | equals | round-trips |\n|---|---|---|---|")
    for path in data_files(folder):
        with tempfile.TemporaryDirectory() as scratch, silent():
            print(check_file(path, Path(scratch)).row(), flush=True)


if __name__ == "__main__":
    import hdf5plugin  # noqa: F401 (anndata does not look for it)

    main(Path(sys.argv[1]))
