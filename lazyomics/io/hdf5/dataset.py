"""What this process knows of stored arrays, opened through HDF5 when it must."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import h5py
import numpy as np

from lazyomics.errors import (
    FileFormatError,
    MissingDependencyError,
    NameTakenError,
    RemoteFileError,
    StaleFileError,
)
from lazyomics.io.hdf5.layout import ChunkTable, Fingerprint, fill_value, fingerprint_of
from lazyomics.io.hdf5.pipeline import FILTER_NAMES
from lazyomics.io.hdf5.raw_files import FileState, RawFile
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.opened import open_remote
from lazyomics.io.save_records import SaveRecord, read_records, records_between
from lazyomics.io.transaction import share
from lazyomics.io.transaction.file_object import closed_in_forks
from lazyomics.io.transaction.locks import PAUSE, Locking, is_mismatch, open_with_any_locking

__all__ = [
    "DatasetInfo",
    "forget_all",
    "known",
    "open_readonly",
    "open_shared",
    "require_filters",
]


_LOCKINGS: tuple[Locking, ...] = (False, None, True, "best-effort")
_SECONDS_OF_OTHERS = 2.0


@contextmanager
def open_shared(path: str) -> Iterator[tuple[h5py.File, bool]]:
    """Open a file with h5py for a moment, and say whether no one changes it meanwhile.

    A save that is being put in place is waited for, one that was interrupted is finished. Only a
    program that keeps the file open for writing itself is not waited for.
    """
    if isinstance(path, RemotePath):
        with open_remote(path) as file:
            yield file, True
        return
    shared = share(path)
    try:
        with _open(path) as file:
            yield file, shared is not None
    finally:
        if shared is not None:
            shared.close()


@contextmanager
def open_readonly(path: str) -> Iterator[h5py.File]:
    """Open a file with h5py for a moment, also while others hold it open."""
    with open_shared(path) as (file, _):
        yield file


def _open(path: str) -> h5py.File:
    deadline = time.monotonic() + _SECONDS_OF_OTHERS
    attempt = partial(h5py.File, path, "r")
    while True:
        try:
            return closed_in_forks(open_with_any_locking(attempt, _LOCKINGS))
        except OSError as error:
            if not is_mismatch(error) or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)


def require_filters(path: str, name: str, fingerprint: Fingerprint) -> None:
    """Make sure that HDF5 can undo the filters of a dataset.

    Raises
    ------
    MissingDependencyError
        If a filter's plugin is not installed; names the file, the element and the filter.
    """
    for code, _ in fingerprint.filters:
        if _is_available(code):
            continue
        label = FILTER_NAMES.get(code, "unknown")
        raise MissingDependencyError(
            f"{path}: element {name!r} is compressed with the HDF5 filter {label} ({code}), "
            "which is not installed. Install it with: pip install 'lazyomics[codecs]'"
        )


def _is_available(code: int) -> bool:
    if h5py.h5z.filter_avail(code):
        return True
    try:
        importlib.import_module("hdf5plugin")  # registers its filters with HDF5
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def read_box(file: h5py.File, path: str, name: str, box: tuple[slice, ...]) -> Any:
    """The values of a box of a dataset, read by HDF5.

    Raises
    ------
    FileFormatError
        If HDF5 cannot read it.
    """
    try:
        return file[name][box]
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise FileFormatError.at(
            path, name, expected="chunks that HDF5 can read", found=f"an error: {error}"
        ) from error


# Bounds of the cache: arrays, and bytes of their tables (32 bytes a chunk).
_MOST_ENTRIES, _MOST_BYTES = 512, 256 * 2**20

# A file changed within the clock's tick after it was looked at keeps its time stamp; what was
# learnt about a file this young is looked up again.
_TICK_NS = 50_000_000

_ATTEMPTS, _PAUSE = 5, 0.02

_NOT_ABOUT_CONTENT = (
    PermissionError,
    FileNotFoundError,
    NameTakenError,
    StaleFileError,
    RemoteFileError,
)


@dataclass(frozen=True, eq=False)
class DatasetInfo:
    """What was learnt about one dataset in one state of its file.

    Parameters
    ----------
    state
        State of the file.
    settled
        Whether an equal state means an unchanged file.
    fingerprint, table, fill
        The dataset's layout, its chunks, and the value of elements never written.
    sample
        Checksum over a few stored bytes.
    since_ns, outdated
        Arrays opened when the file was older than this, or had one of these time stamps, saw
        other values.
    served
        Time stamps of the arrays that were read with these values; grows.
    records
        What saves have changed.
    """

    state: FileState
    settled: bool
    fingerprint: Fingerprint
    table: ChunkTable
    fill: np.ndarray[Any, Any]
    sample: int
    since_ns: int = 0
    outdated: frozenset[int] = frozenset()
    served: set[int] = field(default_factory=set)
    records: tuple[SaveRecord, ...] = ()

    def still_holds(self, name: str, opened_ns: int) -> bool:
        """Tell whether no save changed the array since the file had a time stamp."""
        if opened_ns in self.served:
            return True
        saves = records_between(self.records, opened_ns, self.state.mtime_ns)
        return not any(save.touches(name) for save in saves or ())


_cache: OrderedDict[tuple[str, str], DatasetInfo] = OrderedDict()
_lock = threading.RLock()


def _after_fork() -> None:
    # Another thread of the parent may have held the lock; it does not exist here.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def forget_all() -> None:
    """Empty the cache (for tests and measurements)."""
    with _lock:
        _cache.clear()


def known(file: RawFile, name: str, fingerprint: Fingerprint, opened_ns: int) -> DatasetInfo:
    """Layout and chunks of a dataset in the file's present state.

    Parameters
    ----------
    file
        The opened file.
    name
        Path of the dataset inside it.
    fingerprint, opened_ns
        The dataset's layout and the file's time stamp when the caller's array was opened.

    Raises
    ------
    StaleFileError
        If the array is not what it was.

    Notes
    -----
    In an unchanged file this is a dictionary look-up. Otherwise the dataset is looked up again
    with h5py: other elements may have been saved, then everything is as before.
    """
    key, state = (file.path, name), file.state()
    entry = _cache.get(key)
    if entry is None or entry.state != state or not entry.settled:
        with _lock:
            entry = _cache.get(key)  # another thread may have looked meanwhile
            if entry is None or entry.state != file.state() or not entry.settled:
                entry = _learn(file, name, fingerprint, opened_ns, entry)
                _remember(key, entry)
    outdated = opened_ns < entry.since_ns or opened_ns in entry.outdated
    if (
        not entry.fingerprint.is_same(fingerprint)
        or outdated
        or not entry.still_holds(name, opened_ns)
    ):
        raise stale(file.path, name)
    entry.served.add(opened_ns)
    return entry


def stale(path: str, name: str, why: str = "") -> StaleFileError:
    """The error for an array that is not what it was when it was opened."""
    return StaleFileError(
        f"{path}: element {name!r} changed after it was opened{why}; open it again"
    )


def _remember(key: tuple[str, str], entry: DatasetInfo) -> None:
    _cache[key] = entry
    _cache.move_to_end(key)
    total = sum(e.table.nbytes for e in _cache.values())
    while len(_cache) > 1 and (len(_cache) > _MOST_ENTRIES or total > _MOST_BYTES):
        _, dropped = _cache.popitem(last=False)
        total -= dropped.table.nbytes


def _learn(
    file: RawFile, name: str, fingerprint: Fingerprint, opened_ns: int, before: DatasetInfo | None
) -> DatasetInfo:
    entry = _look(file, name, fingerprint, opened_ns)
    if before is None or not before.fingerprint.is_same(entry.fingerprint):
        return entry
    if before.sample == entry.sample and before.table.same_as(entry.table):
        return replace(
            entry, since_ns=before.since_ns, outdated=before.outdated, served=before.served
        )
    # A copy may bring an older time stamp along: those that were served are remembered, too.
    outdated = before.outdated | before.served
    return replace(entry, since_ns=entry.state.mtime_ns, outdated=outdated)


def _look(file: RawFile, name: str, fingerprint: Fingerprint, opened_ns: int) -> DatasetInfo:
    """Read the layout while nobody writes: again if the file changed meanwhile."""
    for attempt in range(_ATTEMPTS):
        state = file.state()
        if state.inode != fingerprint.inode:
            raise stale(file.path, name, " (the file was replaced)")
        try:
            entry, steady = _look_once(file, name, state)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, _NOT_ABOUT_CONTENT):
                raise
            if opened_ns == state.mtime_ns == file.state().mtime_ns:
                if isinstance(error, FileFormatError):
                    raise
                raise _damaged(file.path, name, error) from error
            if file.state() == state or attempt == _ATTEMPTS - 1:
                raise stale(file.path, name, f" (HDF5: {error})") from error
        else:
            # A save that goes on appends to the file: it changes, but not what was looked at.
            if steady or file.state() == state:
                return entry
        time.sleep(_PAUSE)
    raise stale(file.path, name, " (and still changes)")


def _damaged(path: str, name: str, error: Exception) -> FileFormatError:
    return FileFormatError.at(
        path,
        name,
        expected="a dataset that HDF5 can describe",
        found=f"an error: {error}",
        hint="The file is damaged.",
    )


def _look_once(file: RawFile, name: str, state: FileState) -> tuple[DatasetInfo, bool]:
    """What is known, and whether nobody could change it meanwhile."""
    with open_shared(file.path) as (opened, steady):
        dataset = opened[name]
        if not isinstance(dataset, h5py.Dataset):
            raise KeyError(f"{name} is no dataset any more")
        fingerprint = fingerprint_of(dataset, file.inode_at_path(), file)
        table = ChunkTable.of(dataset, fingerprint, file.path)
        fill = fill_value(dataset)
        sample = table.sample(file) if file.is_local else 0
        records = read_records(opened)
    age = time.time_ns() - state.mtime_ns
    settled = not 0 <= age < _TICK_NS
    return DatasetInfo(state, settled, fingerprint, table, fill, sample, records=records), steady
