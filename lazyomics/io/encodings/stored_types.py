"""How values of a type lie in a file; HDF5 itself tells only how they lie in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import h5py

__all__ = ["REFERENCE", "reference_offsets", "stored_size"]

REFERENCE = 16  # bytes in place of a value of variable length: length, collection, number in it
MOST_IN_ARRAY = 1024


def stored_size(kind: Any) -> int:
    """Bytes of a value of a type."""
    size = int(kind.get_size())
    if _is_of_variable_length(kind):
        return REFERENCE
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        members = (kind.get_member_type(k) for k in range(kind.get_nmembers()))
        return size + sum(stored_size(m) - int(m.get_size()) for m in members)
    if isinstance(kind, h5py.h5t.TypeArrayID):
        return math.prod(kind.get_array_dims()) * stored_size(kind.get_super())
    return size


def reference_offsets(kind: Any) -> list[int]:
    """Where in a value there are references into heaps; of long arrays, only the first ones."""
    if _is_of_variable_length(kind):
        return [0]
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return [at + k for at, member in _members(kind) for k in reference_offsets(member)]
    if isinstance(kind, h5py.h5t.TypeArrayID):
        base = kind.get_super()
        within, step = reference_offsets(base), stored_size(base)
        count = min(math.prod(kind.get_array_dims()), MOST_IN_ARRAY)
        return [k * step + at for k in range(count) for at in within]
    return []


def _is_of_variable_length(kind: Any) -> bool:
    is_text = isinstance(kind, h5py.h5t.TypeStringID) and bool(kind.is_variable_str())
    return is_text or isinstance(kind, h5py.h5t.TypeVlenID)


def _members(kind: Any) -> Iterator[tuple[int, Any]]:
    """Stored position and type of each member of a compound type."""
    found = [(int(kind.get_member_offset(k)), k) for k in range(kind.get_nmembers())]
    more = 0
    for at, k in sorted(found):
        member = kind.get_member_type(k)
        yield at + more, member
        more += stored_size(member) - int(member.get_size())
