"""What files and objects should hold, in plain dictionaries: leaves by their paths."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Held", "Stored", "merge"]

Path = tuple[str, ...]
Leaves = dict[Path, Any]
MISSING = object()


@dataclass
class Stored:
    """The file.

    Attributes
    ----------
    names
        Names of the rows of each object in it: of the whole under ``()``, of a modality under its
        name.
    leaves
        Values of columns, arrays, matrices and entries of uns.
    rows_since
        Which time the rows were replaced or re-ordered, or the file by another program.
    foreign_since
        Which time another program replaced the file.
    """

    names: dict[Path, list[str]]
    leaves: Leaves
    rows_since: int = 0
    foreign_since: int = 0


@dataclass
class Held:
    """An object: the state that it was opened at, and what it is now."""

    base: Stored
    now: Leaves
    names: dict[Path, list[str]]
    rows: list[int] | None = None
    read: set[Path] = field(default_factory=set)
    actor: int = 0

    @classmethod
    def of(cls, stored: Stored, actor: int) -> Held:
        """Return what an object that is opened now holds."""
        return cls(deepcopy(stored), deepcopy(stored.leaves), deepcopy(stored.names), actor=actor)

    def twin(self) -> Held:
        """Return what a copy holds."""
        return deepcopy(self)

    def changed(self) -> set[Path]:
        """Return the leaves that this object changed."""
        base = self.base_leaves()
        return {
            path
            for path in {*base, *self.now}
            if base.get(path, MISSING) != self.now.get(path, MISSING)
        }

    def base_leaves(self) -> Leaves:
        """Return the leaves of base, cut as the object is."""
        if self.rows is None:
            return self.base.leaves
        return {path: cut(path, value, self.rows) for path, value in self.base.leaves.items()}


def cut(path: Path, value: Any, rows: Iterable[int]) -> Any:
    """Return a leaf of a selection of rows."""
    return value if "uns" in path else [value[row] for row in rows]


def merge(held: Held, stored: Stored) -> tuple[Leaves, set[Path]]:
    """Merge the changes of an object with a file.

    Returns
    -------
    The leaves, and those that both changed differently.
    """
    base, mine = held.base_leaves(), held.now
    theirs = stored.leaves
    if held.rows is not None:
        theirs = {path: cut(path, value, held.rows) for path, value in theirs.items()}
    merged: Leaves = {}
    conflicts: set[Path] = set()
    for path in {*base, *mine, *theirs}:
        before, now, there = (leaves.get(path, MISSING) for leaves in (base, mine, theirs))
        value = there if now == before else now
        if now != before and there not in (before, now):
            conflicts.add(path)
        if value is not MISSING:
            merged[path] = value
    return merged, conflicts
