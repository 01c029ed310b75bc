"""Links to what a save replaces: whatever is reached by another name keeps what it was."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import h5py

from lazyomics.io.addresses import address_of
from lazyomics.io.encodings.members import is_text

__all__ = ["protect_links"]

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
