"""HDF5 itself, where its answer is needed: opening, and filters only it can undo."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import h5py

from lazyomics.errors import FileFormatError, MissingDependencyError
from lazyomics.io.chunks.layout import Fingerprint
from lazyomics.io.chunks.pipeline import FILTER_NAMES
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.opened import open_remote
from lazyomics.io.transaction import share
from lazyomics.io.transaction.any_locking import Locking, is_mismatch, open_with_any_locking
from lazyomics.io.transaction.inherited import closed_in_forks
from lazyomics.io.transaction.locks import PAUSE

__all__ = ["open_readonly", "open_steady", "require_filters"]

_LOCKINGS: tuple[Locking, ...] = (False, None, True, "best-effort")
_SECONDS_OF_OTHERS = 2.0


@contextmanager
def open_steady(path: str) -> Iterator[tuple[h5py.File, bool]]:
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
    with open_steady(path) as (file, _):
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
