"""The file behind an opened object, and the names that it held when it was opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lazyomics.container.urls import local_name
from lazyomics.errors import UnsupportedError
from lazyomics.io.remote.address import RemotePath

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["FileBacking", "backing_name", "places", "refuse_remote"]


@dataclass(frozen=True)
class FileBacking:
    """Where an object was opened from, and what was there.

    ``names`` are the keys of each part at that time: a key that is gone from the object and was
    there is removed by a save, one that another process added since stays.
    """

    path: Path | RemotePath
    absolute: str
    shape: tuple[int, int]
    names: dict[str, frozenset[str]]
    group: str = "/"
    is_selection: bool = False

    def is_at(self, path: Path) -> bool:
        """Whether a path, through links or spelled otherwise, leads to this file."""
        if isinstance(self.absolute, RemotePath):
            return False
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
        return cls(*places(path), adata.shape, names, group)


def backing_name(path: str | os.PathLike[str], found: Path | RemotePath) -> str:
    """What an opened object calls its file: as it was given, a local URL as a path."""
    if isinstance(found, RemotePath):
        return found
    local = local_name(path)
    return os.fspath(path) if local is None else local


def places(name: str | os.PathLike[str]) -> tuple[Path | RemotePath, str]:
    """A file as it is shown, and as it is found from anywhere.

    What is shown of a remote one opens it anew, in whatever state it is then.
    """
    if isinstance(name, RemotePath):
        return name.opened_as(None), name
    return Path(name), os.path.abspath(name)


def refuse_remote(backing: object) -> None:
    """Raise an error for saving into a file on a server.

    Raises
    ------
    UnsupportedError
        If the backing is one.
    """
    if isinstance(backing, FileBacking) and isinstance(backing.absolute, RemotePath):
        raise UnsupportedError(
            f"{backing.path} is on a server and read-only: nothing can be saved into it. Write "
            "a local file with write_h5ad(path), or write_h5mu(path), or go on with "
            "copy(filename=path)."
        )
