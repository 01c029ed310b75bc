"""Several arrays of which a task needs the same ranges."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from lazyomics.io.chunks.costs import extents_of_ranges
from lazyomics.io.chunks.stored import StoredArray
from lazyomics.io.remote.address import RemotePath

__all__ = ["read_together"]


def read_together(
    arrays: Sequence[StoredArray],
    starts: np.ndarray[tuple[int], np.dtype[np.int64]],
    stops: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> AbstractContextManager[None]:
    """Announce that ranges of several arrays are read inside a ``with`` block.

    Of files on servers, neighbouring parts of all of them are asked for in one request; writers
    store values and indices of the same rows side by side. Nothing happens for other files.
    """
    path = arrays[0].path
    if not isinstance(path, RemotePath) or any(a.path != path for a in arrays):
        return nullcontext()
    from lazyomics.io.remote.batch import fetched_together

    return fetched_together(path, [extents_of_ranges(array, starts, stops) for array in arrays])
