"""Files by the names that users give, and opened for HDF5 with locks, remote ones included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
from dask.utils import format_bytes

from lazyomics.container.annotated import is_url, local_name
from lazyomics.errors import FileFormatError, UnsupportedError, require, warn_user
from lazyomics.io.other_formats import advice_for_folder, advice_for_missing, advice_for_other_file
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.connection import find
from lazyomics.io.remote.opened import open_remote
from lazyomics.io.transaction import Shared, Stamp, saving, share
from lazyomics.io.transaction.defer_sigint import defer_sigint
from lazyomics.io.transaction.disk import SIGNATURE
from lazyomics.io.transaction.file_object import closed_in_forks
from lazyomics.io.transaction.locks import PAUSE, Locking, is_mismatch, open_with_any_locking
from lazyomics.io.transaction.names import kind_of

__all__ = [
    "LEAST_GROWTH",
    "checked_path",
    "fetched",
    "named_file",
    "open_for_reading",
    "open_for_saving",
    "unused_bytes",
    "warn_if_mostly_unused",
]


LEAST_GROWTH = 16 << 20  # a save that adds less does not look
LEAST_UNUSED = 64 << 20
_warned: set[str] = set()


def unused_bytes(file: h5py.File) -> int:
    """Bytes of an open file that no dataset uses, without reading values.

    Texts and the names of elements count as unused: they are small beside what is looked for.
    """
    used = 0

    def visit(_: str, member: object) -> None:
        nonlocal used
        if isinstance(member, h5py.Dataset):
            used += int(member.id.get_storage_size())

    file.visititems(visit)
    return max(0, int(file.id.get_filesize()) - used)


def warn_if_mostly_unused(path: str, file: h5py.File) -> None:
    """Say once for each file that most of it is unused, and what helps."""
    unused, size = unused_bytes(file), int(file.id.get_filesize())
    if path in _warned or unused < max(LEAST_UNUSED, size / 2):
        return
    _warned.add(path)
    warn_user(
        f"{format_bytes(unused)} of the {format_bytes(size)} of {path} are unused: they were left "
        f"by matrices that were replaced. lo.repack({os.fspath(path)!r}) gives them back."
    )


SECONDS_TO_WAIT_FOR_A_WRITER = 2.0
# HDF5's default first, as other code in this process is likely to open the file with it.
LOCKINGS: tuple[Locking, ...] = (None, False, True, "best-effort")


def checked_path(
    path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> Path | RemotePath:
    """Absolute path of an existing HDF5 file; of one on a server, its URL in its present state.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file.
    FileFormatError
        If it is not HDF5.
    RemoteFileError, PermissionError, UnsupportedError
        If a server cannot be reached, refuses access, or gives no parts of files.
    ValueError
        If ``storage_options`` are given for a local file.
    """
    if isinstance(path, RemotePath) and path.identity is not None:
        return path  # found just now
    local = local_name(path)
    if local is None and is_url(path):
        return find(os.fspath(path), storage_options)
    if storage_options:
        raise ValueError(f"{path} is a local file: storage_options are for files on servers")
    path = path if local is None else local
    found = Path(os.path.abspath(os.fspath(path)))
    if found.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, expected a .h5ad file. {advice_for_folder(found)}"
        )
    if not found.exists():
        raise FileNotFoundError(f"{path} does not exist{advice_for_missing(found)}")
    if not found.is_file():  # reading a pipe would wait for its other end
        raise FileFormatError.at(
            path,
            "/",
            expected="a regular file (.h5ad)",
            found=kind_of(found.stat()),
            hint="HDF5 reads at any position: write what comes from a pipe to a file first.",
        )
    if not _is_hdf5(found):
        raise FileFormatError.at(
            path,
            "/",
            expected="an HDF5 file (.h5ad)",
            found=f"{found.stat().st_size} bytes without the HDF5 signature",
            hint=advice_for_other_file(found),
        )
    return found


def _is_hdf5(path: Path) -> bool:
    """Look for the signature where the format allows it: at 0, 512, 1024, 2048, …."""
    size = path.stat().st_size
    with path.open("rb") as file:
        offset = 0
        while offset < size:
            file.seek(offset)
            if file.read(8) == SIGNATURE:
                return True
            offset = offset * 2 or 512
    return False


class _SharedFile(h5py.File):
    """A file that no save changes while it is open."""

    def __init__(self, path: str | os.PathLike[str], shared: Shared, *, locking: Locking) -> None:
        self._shared = shared
        super().__init__(path, "r", locking=locking)

    def close(self) -> None:
        """Close the file, then let saves go on."""
        with defer_sigint(held=True):
            super().close()
            self._shared.close()


def open_for_reading(path: str | os.PathLike[str]) -> h5py.File:
    """Open a file to read its structure; close it soon.

    A save that was interrupted is finished first, one that is being put in place is waited for. A
    program that merely keeps the file open for writing is not a reason to refuse: after 2 s the
    file is read without a lock.
    """
    if isinstance(path, RemotePath):
        return open_remote(path)
    deadline = time.monotonic() + SECONDS_TO_WAIT_FOR_A_WRITER
    while True:
        shared = share(path)
        try:
            return closed_in_forks(_opened(path, shared, late=time.monotonic() > deadline))
        except BlockingIOError:
            if time.monotonic() > deadline + SECONDS_TO_WAIT_FOR_A_WRITER:
                raise
            time.sleep(0.05)
        except OSError as error:
            if not is_mismatch(error) or time.monotonic() > deadline:
                raise _unreadable(path, error) from error
            time.sleep(PAUSE)


def _opened(path: str | os.PathLike[str], shared: Shared | None, *, late: bool) -> h5py.File:
    if shared is not None:
        return open_with_any_locking(partial(_SharedFile, path, shared), LOCKINGS)
    # The program that writes may be this one; if not, HDF5's own locks say so.
    lockings = (False, *LOCKINGS) if late else (None, True, "best-effort")
    return open_with_any_locking(partial(h5py.File, path, "r"), lockings)


@contextmanager
def open_for_saving(
    path: str | os.PathLike[str], *, timeout: float | None = None, stamp: Stamp = None
) -> Iterator[h5py.File]:
    """Open a file to change it; when the block ends, all changes are in the file or none.

    Parameters
    ----------
    path
        An existing file; its folder must be writable.
    timeout
        Seconds to wait for others that read or save it.
    stamp
        Time of the last change, in nanoseconds, that the file carries afterwards; a function is
        asked when the block has ended. By default that of the clock.

    Raises
    ------
    BlockingIOError
        If another program kept it open for the whole time.
    PermissionError
        If the file or its folder cannot be written.
    OSError
        If it cannot be written completely: the message says what that means for the save.
    """
    before = os.stat(path).st_size
    with saving(path, timeout=timeout, stamp=stamp) as file:
        yield file
    if os.stat(path).st_size - before >= LEAST_GROWTH:
        with open_for_reading(path) as file:
            warn_if_mostly_unused(os.path.abspath(path), file)


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


Options = Mapping[str, Any] | None


def named_file(filename: Any, storage_options: Options) -> tuple[Any, Options]:
    """Return the path or URL of a file, and what fsspec needs to open it.

    Parameters
    ----------
    filename
        Path or URL; or what ``fsspec.open`` returns, or an open file of fsspec, which say where
        they are: these are not read through.
    storage_options
        Taken before those of the filesystem.

    Raises
    ------
    UnsupportedError
        If a file of fsspec is decompressed while it is read.
    """
    filesystem, inner = getattr(filename, "fs", None), getattr(filename, "path", None)
    if filesystem is None or not isinstance(inner, str):
        return filename, storage_options
    compression = getattr(filename, "compression", None)
    if compression is not None:
        raise UnsupportedError(
            f"{inner} is compressed as a whole ({compression}), which allows no reading of parts: "
            "decompress it first"
        )
    url = filesystem.unstrip_protocol(inner)
    if local_name(url) is not None:
        return inner, storage_options
    return url, {**filesystem.storage_options, **(storage_options or {})}


def fetched(filename: Any, backup_url: str | None) -> None:
    """Download a file that is not there.

    Parameters
    ----------
    filename
        Local path, or a URL, which is left alone.
    backup_url
        Where it is; None for nowhere.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it cannot be downloaded.
    """
    local = local_name(filename)
    if backup_url is None or (local is None and is_url(filename)):
        return
    target = Path(os.path.abspath(os.fspath(filename if local is None else local)))
    if target.exists():
        return
    pooch = require("pooch", extra="datasets", purpose="backup_url")
    try:
        pooch.retrieve(backup_url, known_hash=None, fname=target.name, path=target.parent)
    except OSError as error:
        raise FileNotFoundError(
            f"{filename} does not exist and could not be downloaded from {backup_url} ({error})"
        ) from error
