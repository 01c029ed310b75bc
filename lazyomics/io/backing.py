"""The file behind an opened object, and what it held when it was opened."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from lazyomics.container.annotated import local_name
from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings import frame_index, frame_length, has_member, open_member
from lazyomics.io.encodings.kinds import text
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.save_records import SaveRecord
from lazyomics.io.snapshot import Snapshot
from lazyomics.io.transaction.file_object import WeakIdSet
from lazyomics.lazy.indexer import Selector, compose

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = [
    "NAMES_READ",
    "FileBacking",
    "backing_name",
    "names_of_parts",
    "objects_of",
    "refuse_remote",
    "sampled_names",
    "shown_path",
]

NAMES_READ = 512  # when a file is opened, at most, of each axis
_RUNS = 4

_objects: WeakIdSet[Any] = WeakIdSet()


@dataclass(frozen=True)
class FileBacking:
    """Where an object was opened from, and what was there.

    Attributes
    ----------
    path
        The file, as an absolute path or a URL.
    snapshot
        Its state when it was opened, or saved last by the object itself.
    shape
        Shape of the stored object.
    names
        Keys of each part at that time: a key that is gone from the object and was there is removed
        by a save, one that another process added since stays.
    axes
        For obs and var what tells one set of row names from another without reading all of them:
        their number, and a checksum of those that were read when the file was opened.
    group
        The group that holds the object: the root, or a modality.
    selection
        Rows and columns of the stored object that this one has, None for all.
    own_saves
        Time stamps of saves by the object itself since then.
    """

    path: Path | RemotePath
    snapshot: Snapshot
    shape: tuple[int, int]
    names: dict[str, frozenset[str]]
    axes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    group: str = "/"
    selection: tuple[Selector, Selector] | None = None
    own_saves: frozenset[int] = frozenset()

    @property
    def absolute(self) -> str:
        """The file, as it is found from any working directory."""
        return self.snapshot.path

    @property
    def is_selection(self) -> bool:
        """Whether the object has some of the stored rows and columns, or others in their order."""
        return self.selection is not None

    def is_at(self, path: Path) -> bool:
        """Tell whether a path, through links or spelled otherwise, leads to this file."""
        if isinstance(self.absolute, RemotePath):
            return False
        if os.path.exists(path) and os.path.exists(self.absolute):
            return os.path.samefile(path, self.absolute)
        return os.path.abspath(path) == self.absolute

    def selected(self, rows: Selector, cols: Selector) -> FileBacking:
        """Return the backing of a selection, which is not saved in place of the whole."""
        before = self.selection
        joined = (rows, cols)
        if before is not None:
            joined = (compose(before[0], rows), compose(before[1], cols))
        return replace(self, selection=joined)

    def remember(self, opened: Any) -> None:
        """Remember an object that may still need parts of the file as it was opened."""
        if self.snapshot.state is not None:
            _objects.add(opened)

    def saves_since(self, file: h5py.File) -> tuple[SaveRecord, ...] | None:
        """Return what others saved since; None if another program changed the file."""
        saves = self.snapshot.saves_since(file)
        if saves is None:
            return None
        return tuple(save for save in saves if save.stamp not in self.own_saves)

    def place(self, name: str) -> str:
        """Return the name in the file of an element of the object."""
        return f"{self.group}/{name}".strip("/")

    @classmethod
    def of(
        cls, adata: AnnData, path: str | os.PathLike[str], snapshot: Snapshot, group: h5py.Group
    ) -> FileBacking:
        """Note the file and its names for a freshly opened object, and remember that one."""
        axes = {name: sampled_names(group, name, snapshot) for name in ("obs", "var")}
        made = cls(
            shown_path(path), snapshot, adata.shape, names_of_parts(adata), axes, str(group.name)
        )
        made.remember(adata)
        return made


def names_of_parts(adata: AnnData) -> dict[str, frozenset[str]]:
    """Return the keys of each part of a freshly opened object."""
    names: dict[str, frozenset[str]] = {m.name: frozenset(m) for m in adata._mappings()}
    names["uns"] = frozenset(adata._uns)
    names["obs"] = frozenset(adata._obs.columns)
    names["var"] = frozenset(adata._var.columns)
    if not adata._x.is_absent:
        names["X"] = frozenset({"X"})
    if adata._raw is None:
        names["raw"] = frozenset()
    else:
        names["raw"] = frozenset({"X", "var", "varm"})
        names["raw/var"] = frozenset(adata._raw.var.columns)
        names["raw/varm"] = frozenset(adata._raw.varm)
    return names


def objects_of(path: str) -> Iterator[Any]:
    """Return the living objects of this process that were opened from a file, or selected of it."""
    for opened in _objects:
        backing = opened._backing
        if isinstance(backing, FileBacking) and backing.absolute == path:
            yield opened


def sampled_names(group: h5py.Group, name: str, snapshot: Snapshot) -> tuple[int, int] | None:
    """Return the number of row names and a checksum of some; None where they cannot be read."""
    if snapshot.state is None or not has_member(group, name):
        return None
    try:
        table = open_member(group, name)
        length = frame_length(table)
        if length <= NAMES_READ:
            read = [np.asarray(frame_index(table), dtype=object)]
        else:
            names = open_member(table, text(table.attrs["_index"]))
            step = NAMES_READ // _RUNS
            starts = np.linspace(0, length - step, _RUNS).astype(int)
            read = [names[start : start + step] for start in starts.tolist()]
    except Exception:  # reading them in earnest says what is wrong
        return None
    words = "\0".join(
        text(word) if isinstance(word, bytes) else str(word) for run in read for word in run
    )
    return length, zlib.crc32(words.encode("utf-8", "replace"))


def backing_name(path: str | os.PathLike[str], found: Path | RemotePath) -> str:
    """Return what messages call a file: as it was given, a local URL as a path."""
    if isinstance(found, RemotePath):
        return found
    local = local_name(path)
    return os.fspath(path) if local is None else local


def shown_path(name: str | os.PathLike[str]) -> Path | RemotePath:
    """Return a file as objects show it; a remote one opens anew, in whatever state it is then."""
    if isinstance(name, RemotePath):
        return name.opened_as(None)
    return Path(os.path.abspath(name))


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
