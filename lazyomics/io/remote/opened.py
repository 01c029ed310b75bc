"""A remote file as h5py sees it."""

from __future__ import annotations

import gc
import io
import itertools
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py

from lazyomics.errors import FileFormatError, LazyomicsError
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.connection import Connection, connect

__all__ = [
    "no_collection",
    "open_remote",
    "path_of",
]


_lock = threading.Lock()
_waiting = 0
_was_enabled = False


def _after_fork() -> None:
    global _lock, _waiting
    if _waiting and _was_enabled:
        gc.enable()
    _lock, _waiting = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector.

    h5py holds its lock while it reads from a file object. If the collector ran in the thread that
    receives the data and found an object of h5py there, it would wait for that lock, and h5py for
    the data.
    """
    global _waiting, _was_enabled
    with _lock:
        if _waiting == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _waiting += 1
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if _waiting == 0 and _was_enabled:
                gc.enable()


_numbers = itertools.count(1)
_opened: weakref.WeakValueDictionary[str, _Stream] = weakref.WeakValueDictionary()


class _Stream(io.RawIOBase):
    """What h5py reads from.

    HDF5 replaces exceptions by its own, and h5py takes some for missing members; the first one is
    kept, and raised when the file is closed.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.failure: BaseException | None = None
        self._position = 0
        self._name = f"{connection.path} ({next(_numbers)})".encode("ascii", "replace").decode()
        _opened[self._name] = self

    def __repr__(self) -> str:
        return self._name  # what h5py calls the file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.connection.size}
        self._position = start[whence] + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self.failure is not None:
            raise self.failure
        view = memoryview(buffer).cast("B")
        try:
            with no_collection():
                data = self.connection.pages.read(self._position, len(view))
        except BaseException as error:
            self.failure = error
            raise
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


class _RemoteFile(h5py.File):
    """A file whose end says whether all that was read arrived, and of one state."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        super().__init__(stream, "r")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        if self._stream.failure is not None:
            raise self._stream.failure from None
        self._stream.connection.confirm()


def open_remote(path: RemotePath) -> h5py.File:
    """Open a remote file to read its structure, in a ``with`` block.

    Raises
    ------
    StaleFileError
        If it is not what it was when ``path`` was found; also at the end of the block.
    RemoteFileError
        At the end of the block, if something that was read inside did not arrive.
    FileFormatError
        If it is not a complete HDF5 file.
    """
    stream = _Stream(connect(path))
    try:
        return _RemoteFile(stream)
    except (OSError, RuntimeError) as error:
        if stream.failure is not None:
            raise stream.failure from None
        if isinstance(error, LazyomicsError):
            raise
        raise FileFormatError.at(
            path,
            "/",
            expected="a complete HDF5 file",
            found=f"HDF5's error: {error}",
            hint="The file is truncated or damaged.",
        ) from error


def path_of(filename: str) -> str:
    """The path behind the name that h5py has for an open file; of a local one, that name."""
    stream = _opened.get(filename)
    return filename if stream is None else stream.connection.path
