"""What a save writes to a file and removes from it, and what the object takes over from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lazyomics import graph
from lazyomics.container.deferred import Cut, CutFrame
from lazyomics.io.backing import FileBacking
from lazyomics.io.save_records import INDEX
from lazyomics.io.saving.frames import FrameChange

__all__ = ["Changes", "in_file", "is_at", "stored_place"]


def stored_place(value: Any) -> tuple[Any, str] | None:
    """Return file and name of the stored element that a held value is, whole or cut."""
    base = value.base if isinstance(value, Cut | CutFrame) else value
    if hasattr(base, "snapshot") and hasattr(base, "name"):
        return base.snapshot.path, str(base.name).strip("/")
    recipe = graph.recipe_of(value)
    if recipe is None or not recipe.is_plain:
        return None
    place: tuple[Any, str] | None = getattr(recipe.source, "element", None)
    return place


def is_at(value: Any, path: str, names: set[str]) -> bool:
    """Tell whether a held value is a stored element of one of these names, unchanged."""
    place = stored_place(value)
    return place is not None and place[0] == path and place[1] in names


def in_file(value: Any, backing: FileBacking, name: str) -> bool:
    """Tell whether a held value is the file's own element, unchanged and unselected."""
    if isinstance(value, Cut):
        return False
    places = {backing.place(name), backing.place(name.replace("raw/", "raw."))}
    return is_at(value, backing.absolute, places)


@dataclass
class Changes:
    """What a save does to a stored object.

    Attributes
    ----------
    frames
        Changes of tables by their names.
    removed
        Elements to delete.
    written
        Elements to write, by their names.
    raw
        Whether raw is written as a whole.
    taken
        Elements that others changed and this object did not: it shows them as they are in the
        file after the save. Columns, and entries of uns at any depth, by their names.
    conflicts
        Elements that both changed, differently.
    """

    frames: dict[str, FrameChange] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    written: dict[str, Any] = field(default_factory=dict)
    raw: bool = False
    taken: set[str] = field(default_factory=set)
    conflicts: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the file holds everything already."""
        frames = any(not change.is_empty for change in self.frames.values())
        return not (frames or self.removed or self.written or self.raw)

    def elements(self) -> Iterator[str]:
        """Return the names of what is written or removed, as records of saves have them."""
        for name, change in self.frames.items():
            if change.is_legacy:
                yield name
            yield from (f"{name}/{column}" for column in (*change.columns, *change.removed))
            if change.index:
                yield f"{name}/{INDEX}"
        yield from self.removed
        yield from self.written
        if self.raw:
            yield from ("raw", "raw.X", "raw.var", "raw.varm")

    def replaced(self) -> Iterator[str]:
        """Return the names of what is deleted or written anew, tables as a whole too."""
        yield from self.elements()
        yield from (name for name, change in self.frames.items() if change.whole)
