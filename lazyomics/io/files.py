"""Open files for reading their structure, whoever else has them open."""

from __future__ import annotations

import os
import time
from pathlib import Path

import h5py

from lazyomics.errors import FileFormatError

__all__ = ["checked_path", "open_for_reading", "open_for_saving"]

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
SECONDS_TO_WAIT_FOR_A_WRITER = 2.0


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Absolute path of an existing HDF5 file.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file.
    FileFormatError
        If it is not HDF5.
    """
    found = Path(os.path.abspath(os.fspath(path)))
    if found.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a .h5ad file")
    if not found.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not _is_hdf5(found):
        raise FileFormatError.at(
            path,
            "/",
            expected="an HDF5 file (.h5ad)",
            found=f"{found.stat().st_size} bytes without the HDF5 signature",
            hint="The file is empty, truncated at its start, or of another format.",
        )
    return found


def _is_hdf5(path: Path) -> bool:
    """Look for the signature where the format allows it: at 0, 512, 1024, 2048, …."""
    size = path.stat().st_size
    with path.open("rb") as file:
        offset = 0
        while offset < size:
            file.seek(offset)
            if file.read(8) == HDF5_SIGNATURE:
                return True
            offset = offset * 2 or 512
    return False


def open_for_reading(path: str | os.PathLike[str]) -> h5py.File:
    """Open a file to read its structure; close it soon.

    A program that is saving is waited for. One that merely keeps the file open for writing is not
    a reason to refuse: the file is then read without a lock.
    """
    deadline = time.monotonic() + SECONDS_TO_WAIT_FOR_A_WRITER
    while True:
        try:
            return h5py.File(path, "r")
        except BlockingIOError:
            if time.monotonic() > deadline:
                return _open_unlocked(path)
            time.sleep(0.05)
        except OSError as error:
            raise _unreadable(path, error) from error


def _open_unlocked(path: str | os.PathLike[str]) -> h5py.File:
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise _unreadable(path, error) from error


def open_for_saving(path: str | os.PathLike[str], *, timeout: float = 30.0) -> h5py.File:
    """Open a file to change it, waiting for others that read or save it.

    Raises
    ------
    BlockingIOError
        If another program kept it open for the whole time.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return h5py.File(path, "r+")
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise BlockingIOError(
                    error.errno,
                    f"{path} is kept open by another program for {timeout:g} s; "
                    "close it there, or write to a new file",
                ) from error
            time.sleep(0.05)


def _unreadable(path: str | os.PathLike[str], error: OSError) -> OSError | FileFormatError:
    if isinstance(error, PermissionError | FileNotFoundError):
        return error
    return FileFormatError.at(
        path,
        "/",
        expected="a complete HDF5 file",
        found=f"HDF5's error: {error}",
        hint="The file is truncated or damaged; copy or write it again.",
    )
