"""A file object that HDF5 may call: it keeps failures instead of raising them."""

from __future__ import annotations

import errno
import io
import os
import threading
from typing import Any

from lazyomics.io.transaction.remembered import Remembered

__all__ = ["FileObject", "is_opened_here", "leave_to_parent", "raise_failures"]


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
        self.opened: Remembered[FileObject] = Remembered()


_here = _Here()
_everywhere: Remembered[FileObject] = Remembered()


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
