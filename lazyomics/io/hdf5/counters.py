"""Observable counts of what reads cost: chunks, stored bytes, decoded bytes."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = [
    "ReadCount",
    "ReadCounter",
    "count_reads",
    "record",
]


_lock = threading.Lock()
_active: tuple[ReadCounter, ...] = ()


@dataclass
class ReadCount:
    """Costs of reading one dataset, or all.

    Attributes
    ----------
    chunks
        Chunks decoded; of a contiguous dataset, pages touched.
    bytes_read
        Bytes read from the file.
    bytes_decoded
        Bytes after undoing the filters.
    reads
        Calls of a reading method.
    """

    chunks: int = 0
    bytes_read: int = 0
    bytes_decoded: int = 0
    reads: int = 0

    def add(self, chunks: int, bytes_read: int, bytes_decoded: int) -> None:
        """Count one more read."""
        self.chunks += chunks
        self.bytes_read += bytes_read
        self.bytes_decoded += bytes_decoded
        self.reads += 1


@dataclass
class ReadCounter(ReadCount):
    """Costs of all reads, and ``by_dataset[path, name]`` of each dataset's."""

    by_dataset: dict[tuple[str, str], ReadCount] = field(
        default_factory=lambda: defaultdict(ReadCount)
    )


@contextmanager
def count_reads() -> Iterator[ReadCounter]:
    """Count the chunk reads of this process, in all its threads, inside a ``with`` block.

    Returns
    -------
    A counter with ``chunks``, ``bytes_read``, ``bytes_decoded``, ``reads`` and ``by_dataset``.
    Reads in other processes are not seen.

    Examples
    --------
    >>> with count_reads() as counter:
    ...     pass
    >>> counter.chunks
    0
    """
    global _active
    counter = ReadCounter()
    with _lock:
        _active = (*_active, counter)
    try:
        yield counter
    finally:
        with _lock:
            _active = tuple(c for c in _active if c is not counter)


def record(path: str, name: str, *, chunks: int, bytes_read: int, bytes_decoded: int) -> None:
    """Tell the active counters about one read; costs nothing without any."""
    if not _active:
        return
    with _lock:
        for counter in _active:
            counter.add(chunks, bytes_read, bytes_decoded)
            counter.by_dataset[path, name].add(chunks, bytes_read, bytes_decoded)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
