"""File objects that HDF5 may call, and what a fork inherits of them."""

from __future__ import annotations

import errno
import io
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

import h5py

__all__ = [
    "FileObject",
    "WeakIdSet",
    "close_locked",
    "closed_in_forks",
    "is_opened_here",
    "leave_to_parent",
    "locked_here",
    "raise_failures",
]


T = TypeVar("T")


class WeakIdSet(Generic[T]):
    """A set of objects by identity that does not keep them alive.

    Unlike the collections of :mod:`weakref` it runs no Python code when one of them dies. That
    happens at any moment, often right after HDF5 was at work for long, and Python ignores a
    KeyboardInterrupt there: Ctrl-C would be lost.
    """

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[T]] = {}
        self._room = 16

    def add(self, item: T) -> None:
        """Remember an object."""
        if len(self._references) >= self._room:
            self._references = {id(known): weakref.ref(known) for known in self}
            self._room = 16 + 2 * len(self._references)
        self._references[id(item)] = weakref.ref(item)

    def discard(self, item: T) -> None:
        """Forget an object."""
        self._references.pop(id(item), None)

    def clear(self) -> None:
        """Forget all of them."""
        self._references.clear()

    def __iter__(self) -> Iterator[T]:
        for reference in list(self._references.values()):
            item = reference()
            if item is not None:
                yield item


class FileObject(io.RawIOBase):
    """Base of what ``h5py.File(file_object, …)`` is given.

    Parameters
    ----------
    path
        Its name; HDF5 reports it.
    size
        Bytes it has at first.

    Notes
    -----
    HDF5 does not survive an exception out of a file object, nor a disk that is full when it closes
    a file: the process ends. A failure is therefore kept in ``error``, what is written afterwards
    is dropped, and the caller looks at it, at the latest when HDF5 is done.
    """

    def __init__(self, path: str, size: int = 0) -> None:
        super().__init__()
        self.path = path
        self.size = size
        self.error: BaseException | None = None
        self._position = 0
        _here.opened.add(self)
        _everywhere.add(self)

    def __repr__(self) -> str:
        return self.path  # h5py shows it as the name of the file

    def fail(self, error: BaseException) -> None:
        """Drop what is written from now on."""
        if self.error is None:
            self.error = error

    def close(self) -> None:
        """No longer look at failures."""
        _here.opened.discard(self)
        super().close()

    def readable(self) -> bool:  # noqa: D102
        return True

    def writable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:  # noqa: D102
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = origin + offset
        return self._position

    def truncate(self, size: int | None = None, /) -> int:  # noqa: D102
        self.size = self._position if size is None else int(size)
        return self.size

    def flush(self) -> None:
        """Nothing: what is to be on the disk is synced when all is written."""

    def readinto(self, buffer: Any, /) -> int:
        """Fill all of the buffer, with zeros behind the end of the file.

        HDF5's own structures are read also after a failure: it should find the file in order.
        """
        view = memoryview(buffer).cast("B")
        if len(view) >= _LARGE and _failure() is not None:
            view[:] = bytes(len(view))  # values of a copy that will be thrown away
        else:
            try:
                self._read(view, self._position)
            except BaseException as error:
                self.fail(error)
        self._position += len(view)
        return len(view)

    def write(self, data: Any, /) -> int:
        """Write the bytes, or drop them after a failure."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                self._write(view, self._position)
            except BaseException as error:
                self.fail(error)
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def _read(self, view: memoryview, position: int) -> None:
        raise NotImplementedError

    def _write(self, view: memoryview, position: int) -> None:
        raise NotImplementedError


_LARGE = 64 << 10


class _Here(threading.local):
    """What this thread has opened."""

    def __init__(self) -> None:
        self.opened: WeakIdSet[FileObject] = WeakIdSet()


_here = _Here()
_everywhere: WeakIdSet[FileObject] = WeakIdSet()


def leave_to_parent() -> None:
    """After a fork: HDF5 shall not write what it kept over what the parent has written since."""
    for opened in _everywhere:
        opened.fail(OSError(errno.EBADF, f"{opened.path} is written by the process that forked"))
    _here.opened.clear()


def is_opened_here(path: str) -> bool:
    """Whether this thread has a file object of this name open."""
    return any(opened.path == path and not opened.closed for opened in _here.opened)


def raise_failures() -> None:
    """Raise what a file object of this thread could not do, so that no more is computed for it."""
    error = _failure()
    if error is not None:
        raise error


def _failure() -> BaseException | None:
    for opened in _here.opened:
        if opened.error is not None and not opened.closed:
            return opened.error
    return None


_locked: set[int] = set()
_files: WeakIdSet[h5py.File] = WeakIdSet()

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
