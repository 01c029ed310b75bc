"""Delete stored elements: which make room for what takes their place, and what links to them."""

from __future__ import annotations

import posixpath
from typing import Any

import h5py

from lazyomics.io.encodings import element_kind
from lazyomics.io.stored import stored_bytes

__all__ = ["makes_room", "unlink"]

MOST_BYTES = 16 << 20
MATRICES = ("csr_matrix", "csc_matrix")
READ_IN_CHUNKS = ("X", "layers", "obsp", "varp", "raw", "mod")


def makes_room(obj: Any, place: str = "") -> bool:
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


def unlink(group: h5py.Group, name: str) -> None:
    """Delete a member of a group; soft links beside it that lead to it keep what it was.

    Such a link would otherwise lead nowhere, or to what is written under the name next.
    """
    target = posixpath.join(str(group.name), name)
    for link in _soft_links(group, target):
        del group[link]
        group[link] = group[name]
    del group[name]


def _soft_links(group: h5py.Group, target: str) -> list[str]:
    """Return the names of soft links in a group that lead to an element."""
    names: list[str] = []

    def look(name: bytes, info: Any) -> None:
        if info.type == h5py.h5l.TYPE_SOFT:
            names.append(name.decode("utf-8", "surrogateescape"))

    group.id.links.iterate(look, info=True)
    return [
        name
        for name in names
        if posixpath.normpath(posixpath.join(str(group.name), group.get(name, getlink=True).path))
        == posixpath.normpath(target)
    ]
