"""What a forked process inherits from threads that it does not have: locks and open files.

Their threads will never give them back. A lock would last as long as the child, and HDF5 would go
on with what it once read of an open file, also after others saved it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TypeVar

import h5py

from lazyomics.io.transaction.file_object import leave_to_parent
from lazyomics.io.transaction.remembered import Remembered

__all__ = ["close_locked", "closed_in_forks", "locked_here"]

_locked: set[int] = set()
_files: Remembered[h5py.File] = Remembered()

File = TypeVar("File", bound=h5py.File)


def locked_here(descriptor: int) -> None:
    """Remember that a descriptor holds a lock of this process; ends with ``close_locked``."""
    _locked.add(descriptor)


def close_locked(descriptor: int) -> None:
    """Close a descriptor that may hold a lock."""
    _locked.discard(descriptor)
    os.close(descriptor)


def closed_in_forks(file: File) -> File:
    """Return the file, which a forked process will close."""
    _files.add(file)
    return file


def _after_fork() -> None:
    for descriptor in _locked:
        _replace(descriptor)
    _locked.clear()
    leave_to_parent()
    for file in _files:
        with suppress(Exception):
            file.close()
    _files.clear()


def _replace(descriptor: int) -> None:
    """Put a handle without a lock, which cannot write, behind a descriptor that may be used yet."""
    with suppress(OSError):
        try:
            fresh = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        except OSError:
            fresh = os.open(os.devnull, os.O_RDONLY)
        os.dup2(fresh, descriptor, inheritable=False)
        os.close(fresh)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
