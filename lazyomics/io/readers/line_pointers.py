"""Pointers to the ends of the lines of a compressed matrix, kept by each process."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lazyomics.errors import FileFormatError

if TYPE_CHECKING:
    from lazyomics.io.readers.compressed import CompressedReader

__all__ = ["line_pointers"]

POINTERS_KEPT = 16  # indptr arrays that a process keeps, 8 bytes a line


def line_pointers(reader: CompressedReader) -> NDArray[np.int64]:
    """Ends of the lines, shape (n_lines + 1,), checked once for each process.

    Readers of different states of a file look alike if only values were overwritten: each state
    is read, and pointers that stayed the same are held once.
    """
    kept, opened = _kept_pointers(reader), reader.indptr.opened_ns
    found = kept.get(opened)
    if found is None:
        found = _checked_pointers(reader)
        same = [p for p in tuple(kept.values()) if np.array_equal(p, found)]
        if not same:
            kept.clear()
        found = kept[opened] = same[0] if same else found
    return found


@lru_cache(maxsize=POINTERS_KEPT)
def _kept_pointers(reader: CompressedReader) -> dict[int, NDArray[np.int64]]:
    """Pointers by the time stamps of the file that a reader was opened at."""
    return {}


def _checked_pointers(reader: CompressedReader) -> NDArray[np.int64]:
    stored = int(reader.indptr.shape[0])
    if stored != reader.n_lines + 1:
        expected = f"{reader.n_lines + 1} row pointers for shape {reader.shape}"
        raise _damaged(reader, expected, found=str(stored))
    pointers = reader.indptr.read(0, stored).astype(np.int64)
    n_values = int(reader.data.shape[0])
    if len(pointers) and (pointers[0] != 0 or pointers[-1] > n_values):
        expected = f"pointers from 0 to {n_values}"
        raise _damaged(reader, expected, found=f"{pointers[0]} to {pointers[-1]}")
    if bool((np.diff(pointers) < 0).any()):
        raise _damaged(reader, "pointers that never decrease", found="decreasing ones")
    pointers.setflags(write=False)
    return pointers


def _damaged(reader: CompressedReader, expected: str, *, found: str) -> FileFormatError:
    return FileFormatError.at(
        reader.indptr.path,
        reader.indptr.name,
        expected=expected,
        found=found,
        hint="The matrix is damaged; write it again from its source.",
    )
