"""Groups read as dicts, and dicts written as groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import h5py

from lazyomics.io.encodings.checks import member_names, open_member
from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.kinds import element_kind
from lazyomics.io.encodings.registry import (
    OpaqueElement,
    mark,
    read_element,
    reads,
    write_element,
    writes,
)

__all__ = ["read_entry", "read_mapping", "reads_entries", "walking", "write_mapping"]

# A group may be linked from several places; a small file could be made of nothing else, and be a
# tree of 2**64 members when written out.
MOST_REPEATS = 1000
DEEPEST = 100  # groups inside groups: dicts much deeper cannot be copied or printed, either


@dataclass
class Walk:
    """Groups met while one tree is read, to stop at cycles and at trees that grow by links."""

    above: set[h5py.Group] = field(default_factory=set)
    seen: set[h5py.Group] = field(default_factory=set)
    repeats: int = 0

    def enter(self, group: h5py.Group) -> None:
        """Go down into a group."""
        if group in self.above:
            raise damaged(group, expected="a tree of groups", found="a link back to a parent")
        if len(self.above) == DEEPEST:
            raise damaged(group, expected=f"at most {DEEPEST} groups inside groups", found="more")
        if group in self.seen:
            self.repeats += 1
        if self.repeats > MOST_REPEATS:
            raise damaged(
                group,
                expected="a tree of groups",
                found=f"more than {MOST_REPEATS} links to groups that were read already",
            )
        self.seen.add(group)
        self.above.add(group)

    def leave(self, group: h5py.Group) -> None:
        """Go back up."""
        self.above.remove(group)


WALK: ContextVar[Walk | None] = ContextVar("WALK", default=None)
ENTRIES: dict[str, Callable[[Any], Any]] = {}


@contextmanager
def walking(group: h5py.Group) -> Iterator[None]:
    """Go down into a group while its members are read, and back up afterwards."""
    if not isinstance(group, h5py.Group):
        raise damaged(group, expected="a group", found="a dataset")
    walk = WALK.get() or Walk()
    token = WALK.set(walk)
    try:
        walk.enter(group)
        yield
        walk.leave(group)
    finally:
        WALK.reset(token)


def reads_entries(kind: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register a reader of a kind that is read in mappings only, and carried along elsewhere."""

    def register(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
        ENTRIES[kind] = reader
        return reader

    return register


@reads("dict")
def read_mapping(group: Any) -> dict[str, Any]:
    """Read a group, and the groups in it, as nested dicts."""
    with walking(group):
        return {key: read_entry(open_member(group, key)) for key in member_names(group)}


def read_entry(member: Any) -> Any:
    """Read a value of a mapping, such as uns: also an AnnData.

    Parameters
    ----------
    member
        An open group or dataset, or a committed datatype.
    """
    if not isinstance(member, h5py.Group | h5py.Dataset):
        return OpaqueElement.of(member)
    kind = element_kind(member) if isinstance(member, h5py.Group) else ""
    return ENTRIES.get(kind, read_element)(member)


@writes(dict, Mapping)
def write_mapping(
    parent: h5py.Group, name: str, value: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Write a mapping as a group with one member per key."""
    group = parent.create_group(name)
    mark(group, "dict", "0.1.0")
    for key, item in value.items():
        write_element(group, key, item, dataset_kwargs=options)


@writes(OpaqueElement)
def write_opaque(
    parent: h5py.Group, name: str, value: OpaqueElement, options: Mapping[str, Any]
) -> None:
    """Copy an element that is not understood, as it is stored."""
    value.copy_to(parent, name)
