"""Delete stored elements: which of them make room for what takes their place."""

from __future__ import annotations

from typing import Any

from lazyomics.io.encodings import element_kind
from lazyomics.io.stored import stored_bytes

__all__ = ["makes_room"]

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
