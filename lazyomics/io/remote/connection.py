"""One connection for each remote file and process, and what was fetched through it."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from lazyomics.errors import FileFormatError, StaleFileError
from lazyomics.io.remote.address import Identity, RemotePath
from lazyomics.io.remote.filesystem_ranges import FilesystemRanges
from lazyomics.io.remote.filesystems import ranges_of
from lazyomics.io.remote.pages import Pages
from lazyomics.io.remote.ranges import Range
from lazyomics.io.remote.retrying import Answer, fetch_all
from lazyomics.io.transaction.superblock import SIGNATURE

__all__ = ["Connection", "connect", "find"]

# Fetched with the identity when a file is opened: its superblock, often its whole directory.
_FIRST_BYTES = 64 << 10
_MOST_CONNECTIONS = 64


class Connection:
    """Fetches ranges of one state of a remote file, and keeps what HDF5 looks at.

    Parameters
    ----------
    path
        The file. With an identity, the state that must be found.

    Attributes
    ----------
    path
        The file, in the state that was found.
    pages
        Cache of what HDF5 reads.
    requests, received
        Ranges asked for so far, and their bytes.

    Raises
    ------
    StaleFileError
        If the file is not in the state of the path.
    """

    def __init__(self, path: RemotePath) -> None:
        self._ranges = ranges_of(path)
        self._unconfirmed = False
        self.requests = self.received = 0
        self.process = os.getpid()
        found: list[tuple[Identity, bytes]] = []

        def look(_: Sequence[Range]) -> list[Answer]:
            try:
                found.append(self._ranges.look(_FIRST_BYTES))
            except Exception as error:
                return [error]
            return [b""]

        fetch_all(look, [(0, 0)], path)
        identity, first = found[-1]
        if path.identity not in (None, identity):
            raise _stale(path)
        self.path, self.size = path.opened_as(identity), identity.size
        self.requests, self.received = 1, len(first)
        self.pages = Pages(self.fetch, self.size, first)

    def fetch(self, ranges: Sequence[Range]) -> list[bytes | bytearray]:
        """The bytes of several ranges, asked for at once."""
        identity = self.path.identity
        assert identity is not None

        def ask(wanted: Sequence[Range]) -> Sequence[Answer]:
            self.requests += len(wanted)
            return self._ranges.ask(wanted, identity)

        answers = fetch_all(ask, ranges, self.path)
        self.received += sum(map(len, answers))
        self._unconfirmed = True  # only now: another thread may just be confirming
        return answers

    def confirm(self) -> None:
        """Make sure that what was fetched is of the state that was opened.

        Costs nothing where every answer said so, or nothing was fetched since.

        Raises
        ------
        StaleFileError
            If the file is another now.
        """
        ranges = self._ranges
        if not self._unconfirmed or not isinstance(ranges, FilesystemRanges):
            return
        self._unconfirmed = False
        found: list[Identity] = []

        def look(_: Sequence[Range]) -> list[Answer]:
            try:
                found.append(ranges.identity())
            except Exception as error:
                return [error]
            return [b""]

        try:
            fetch_all(look, [(0, 0)], self.path)
        except BaseException:
            self._unconfirmed = True
            raise
        if found[-1] != self.path.identity:
            self._unconfirmed = True
            raise _stale(self.path)


_connections: OrderedDict[RemotePath, Connection] = OrderedDict()
_lock = threading.Lock()


def _after_fork() -> None:
    # Sockets and the thread that serves them belong to the parent.
    global _connections, _lock
    _connections, _lock = OrderedDict(), threading.Lock()
    asyn = sys.modules.get("fsspec.asyn")
    if asyn is not None:  # releases before 2025 do not notice forks
        asyn.reset_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def connect(path: RemotePath) -> Connection:
    """The connection of this process to a file in the state that was opened.

    Raises
    ------
    StaleFileError
        If the file changed since.
    """
    with _lock:
        known = _connections.get(path)
        if known is not None:
            _connections.move_to_end(path)
            return known
    return _keep(Connection(path))


def _keep(made: Connection) -> Connection:
    with _lock:
        kept = _connections.setdefault(made.path, made)
        _connections.move_to_end(made.path)
        while len(_connections) > _MOST_CONNECTIONS:
            _connections.popitem(last=False)
    return kept


def find(url: str, options: Mapping[str, Any] | None = None) -> RemotePath:
    """Look at a file on a server as it is now.

    Parameters
    ----------
    url
        URL of the file, or the name of one that was opened before (which keeps its options).
    options
        ``storage_options`` of fsspec.

    Returns
    -------
    The file in the state that was found.

    Raises
    ------
    FileNotFoundError, PermissionError
        If the server says so.
    FileFormatError
        If it is not HDF5.
    RemoteFileError
        If the server cannot be reached.
    UnsupportedError
        If the server gives no parts of files, or no lengths.
    """
    if isinstance(url, RemotePath):
        path = RemotePath(url.url, options if options is not None else url.options)
    else:
        path = RemotePath(url, options)
    made = _keep(Connection(path))
    if not _is_hdf5(made):
        raise FileFormatError.at(
            made.path,
            "/",
            expected="an HDF5 file (.h5ad)",
            found=f"{made.size:,} bytes without the HDF5 signature",
            hint="The file is empty, truncated at its start, or of another format.",
        )
    return made.path


def _is_hdf5(connection: Connection) -> bool:
    """Look for the signature where a user block of up to 32 KiB puts it."""
    offset = 0
    while offset < min(connection.size, _FIRST_BYTES):
        if connection.pages.read(offset, len(SIGNATURE)) == SIGNATURE:
            connection.pages.base = offset
            return True
        offset = offset * 2 or 512
    return False


def _stale(path: RemotePath) -> StaleFileError:
    return StaleFileError(f"{path} changed after it was opened; open it again")
