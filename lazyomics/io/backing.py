"""The file behind an opened object, and the names that it held when it was opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["FileBacking"]


@dataclass(frozen=True)
class FileBacking:
    """Where an object was opened from, and what was there.

    ``names`` are the keys of each part at that time: a key that is gone from the object and was
    there is removed by a save, one that another process added since stays.
    """

    path: Path
    absolute: str
    shape: tuple[int, int]
    names: dict[str, frozenset[str]]
    group: str = "/"
    is_selection: bool = False

    def is_at(self, path: Path) -> bool:
        """Whether a path, through links or spelled otherwise, leads to this file."""
        if os.path.exists(path) and os.path.exists(self.absolute):
            return os.path.samefile(path, self.absolute)
        return os.path.abspath(path) == self.absolute

    def selected(self) -> FileBacking:
        """The backing of a selection: it cannot be saved in place of what it was selected from."""
        return replace(self, is_selection=True)

    def place(self, name: str) -> str:
        """Name in the file of an element of the object."""
        return f"{self.group}/{name}".strip("/")

    @classmethod
    def of(cls, adata: AnnData, path: str | os.PathLike[str], group: str = "/") -> FileBacking:
        """Note the file and its names for a freshly opened object."""
        names: dict[str, frozenset[str]] = {m.name: frozenset(m) for m in adata._mappings()}
        names["uns"] = frozenset(adata._uns)
        names["obs"] = frozenset(adata._obs.columns)
        names["var"] = frozenset(adata._var.columns)
        names["raw"] = frozenset() if adata._raw is None else frozenset({"X", "var", "varm"})
        return cls(Path(path), os.path.abspath(path), adata.shape, names, group)
