"""Changed tables and their columns; members deleted before they are written anew."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings import element_kind, strings_to_categoricals, write_frame
from lazyomics.io.encodings.checks import is_text
from lazyomics.io.encodings.frames import column_names, write_values
from lazyomics.io.encodings.kinds import text
from lazyomics.io.encodings.registry import NO_OPTIONS
from lazyomics.io.hdf5.layout import address_of
from lazyomics.io.stored import stored_bytes

__all__ = [
    "FrameChange",
    "delete_before_write",
    "protect_links",
    "stored_index_key",
    "write_frame_change",
]


MOST_BYTES = 16 << 20
MATRICES = ("csr_matrix", "csc_matrix")
READ_IN_CHUNKS = ("X", "layers", "obsp", "varp", "raw", "mod")


def delete_before_write(obj: Any, place: str = "") -> bool:
    """Whether to delete an element before its replacement is written, rather than at the end.

    HDF5 uses the space of what was deleted for what is written next, and forgets about it when
    the file is closed: a column that is saved again and again then stays where it is, instead of
    making the file longer each time. What is written there passes through the journal, so large
    elements are deleted last. So are matrices, which other processes may be reading chunk by
    chunk: their bytes should stay as long as possible.

    Parameters
    ----------
    obj
        The stored element.
    place
        Its name, counted from the object that it belongs to, such as ``"layers/counts"``; not
        needed for tables and their columns.
    """
    if place.strip("/").partition("/")[0] in READ_IN_CHUNKS or element_kind(obj) in MATRICES:
        return False
    return stored_bytes(obj) <= MOST_BYTES


@dataclass(frozen=True)
class FrameChange:
    """What a save does to a table.

    Attributes
    ----------
    frame
        The table as it will be, with all its columns where it is written as a whole.
    columns, removed
        Columns that are written and removed.
    order
        Names of the columns, in the order that the file will state.
    reordered
        Whether that order is another one than the file states.
    index
        Whether the row names changed.
    whole
        Whether the table is written anew as a whole.
    is_legacy
        Whether it is stored in another layout than today's.
    """

    frame: pd.DataFrame
    columns: tuple[str, ...]
    removed: tuple[str, ...]
    order: tuple[str, ...]
    reordered: bool = False
    index: bool = False
    whole: bool = False
    is_legacy: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the file holds the table already."""
        return not (self.columns or self.removed or self.reordered or self.index or self.whole)


def stored_index_key(table: Any) -> str | None:
    """Return the name of the dataset with the row names of a stored table."""
    if not isinstance(table, h5py.Group):
        return None
    if "_index" in table.attrs:
        return text(table.attrs["_index"])
    return "_index" if "_index" in table else None


def write_frame_change(group: h5py.Group, name: str, change: FrameChange) -> None:
    """Put the changed columns in place."""
    if change.is_empty:
        return
    parent_name, _, key = name.rpartition("/")
    parent = group[parent_name] if parent_name else group
    if not change.whole:
        _write_columns(parent[key], change)
        return
    frame = strings_to_categoricals(change.frame[list(change.order)])
    if key in parent and delete_before_write(parent[key]):
        del parent[key]
    fresh_key = f"{key}.{uuid4().hex[:8]}.new" if key in parent else key
    write_frame(parent, fresh_key, frame)
    if fresh_key != key:
        del parent[key]
        parent.move(fresh_key, key)


def _write_columns(table: h5py.Group, change: FrameChange) -> None:
    """Write the changed columns; small ones are deleted first, for the new to take their space."""
    index = stored_index_key(table)
    frame = strings_to_categoricals(change.frame[list(change.columns)])
    column_names(str(table.name), frame)
    # A column that is the index, too, is one dataset: it stays, and is only not listed any more.
    gone = [column for column in change.removed if column != index]
    replaced = [column for column in (*change.columns, *gone) if column in table]
    large = [column for column in replaced if not delete_before_write(table[column])]
    for column in replaced:
        if column not in large:
            del table[column]
    fresh = f"{uuid4().hex[:8]}.new"
    for position, column in enumerate(change.columns):
        name = f"{column}.{fresh}" if column in large else column
        write_values(table, name, frame.iloc[:, position], NO_OPTIONS, what=f"column {column!r}")
    for column in large:
        del table[column]
        if column in change.columns:
            table.move(f"{column}.{fresh}", column)
    if change.reordered:  # each writing of texts costs some bytes for good
        table.attrs["column-order"] = np.asarray(change.order, dtype=h5py.string_dtype())


MOST_STEPS = 40  # soft links on the way to an element; more are a circle


def protect_links(file: h5py.File, places: Iterable[str]) -> None:
    """Let the names of other elements keep what they stand for, before some are replaced.

    Groups in which something is replaced, and which have another name as well, become groups of
    their own, of the same members. Soft links, and links by the name of this file, that lead to
    what is replaced become hard links to what is there now.

    Parameters
    ----------
    file
        The file, writable.
    places
        Full names of all elements that are written anew or deleted.
    """
    named = sorted({"/" + posixpath.normpath(place).strip("/") for place in places})
    for parent in sorted({above for place in named for above in _above(place)}):
        _own(file, parent)
    for name, target in _references(file):
        real = _real_path(file, target)
        if real is None or not any(_is_in(real, place) for place in named):
            continue
        if _is_in(real, name):
            continue
        found = file.get(real)
        if found is not None:
            del file[name]
            file[name] = found


def _above(place: str) -> list[str]:
    """Names of the groups that an element is in, but for the root."""
    parts = place.strip("/").split("/")
    return ["/" + "/".join(parts[:end]) for end in range(1, len(parts))]


def _is_in(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")


def _own(file: h5py.File, name: str) -> None:
    """Give a group that is reached by several names a twin of its own under this one."""
    link = file.get(name, getlink=True)
    group = None if link is None else file.get(name)
    if not isinstance(group, h5py.Group):
        return
    if isinstance(link, h5py.HardLink) and h5py.h5o.get_info(group.id).rc == 1:
        return
    parent, key = file[posixpath.dirname(name)], posixpath.basename(name)
    fresh = f"{key}.{uuid4().hex[:8]}.new"
    if address_of(group)[0] != address_of(file)[0]:
        file.copy(group, parent, fresh)  # from another file: its members cannot be shared
    else:
        twin = parent.create_group(fresh, track_order=_tracks_order(group))
        for attribute, value in group.attrs.items():
            twin.attrs[attribute] = value
        for member in group:
            _share(group, twin, member)
    del parent[key]
    parent.move(fresh, key)


def _share(group: h5py.Group, twin: h5py.Group, member: Any) -> None:
    """Put a member into another group; links that lead nowhere stay links."""
    link = group.get(member, getlink=True)
    found = None if isinstance(link, h5py.ExternalLink) else group.get(member)
    twin[member] = link if found is None else found


def _tracks_order(group: h5py.Group) -> bool:
    return bool(group.id.get_create_plist().get_link_creation_order())


def _references(file: h5py.File) -> list[tuple[str, str]]:
    """Return all links of a file that are soft, or name the file itself, and where they lead."""
    names: list[str] = []

    def look(name: bytes, info: Any) -> None:
        if info.type != h5py.h5l.TYPE_HARD:
            names.append("/" + name.decode("utf-8", "surrogateescape"))

    file.id.links.visit(look, info=True)  # h5py's own loop over links makes an object of each
    own, found = os.path.realpath(os.fsdecode(file.filename)), []
    for name in filter(is_text, names):
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            found.append((name, posixpath.join(posixpath.dirname(name), link.path)))
        elif isinstance(link, h5py.ExternalLink):
            other = os.path.join(os.path.dirname(own), os.fsdecode(link.filename))
            if os.path.realpath(other) == own:
                found.append((name, posixpath.join("/", link.path)))
    return found


def _real_path(file: h5py.File, name: str) -> str | None:
    """Return the name of an element without soft links on the way; None if there is none."""
    left, at, steps = [part for part in name.split("/") if part not in ("", ".")], "/", 0
    while left:
        part = left.pop(0)
        group = file.get(at)
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if isinstance(link, h5py.SoftLink):
            steps += 1
            if steps > MOST_STEPS:
                return None
            at = "/" if link.path.startswith("/") else at
            left = [p for p in link.path.split("/") if p not in ("", ".")] + left
        elif isinstance(link, h5py.HardLink):
            at = posixpath.join(at, part)
        else:
            return None
    return at
