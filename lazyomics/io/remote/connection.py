"""One connection for each remote file and process, with its cached pages."""

from __future__ import annotations

import os
import re
import struct
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config
from lazyomics.errors import (
    FileFormatError,
    MissingDependencyError,
    RemoteFileError,
    StaleFileError,
    require,
)
from lazyomics.io.remote.address import Identity, RemotePath
from lazyomics.io.remote.ranges import Answer, FilesystemRanges, Range, cut, fetch_all, merged
from lazyomics.io.transaction.disk import SIGNATURE

if TYPE_CHECKING:
    from lazyomics.io.remote.http_ranges import HttpRanges

__all__ = [
    "Connection",
    "Pages",
    "children",
    "connect",
    "find",
    "ranges_of",
]


_HEAD = 24  # signature, type, level, entries, two siblings
_ENTRIES = 64  # what HDF5 makes room for, unless told otherwise
_OF_CHUNKS = 1
_MOST_AXES = 8


def children(node: bytes | bytearray) -> list[int]:
    """Positions that an inner node of a version 1 B-tree of chunks refers to.

    Positions are counted from the superblock. Anything else has none: whether the bytes are such
    a node is seen from their signature and length.

    Examples
    --------
    >>> children(b"OHDR" + bytes(100))
    []
    """
    if node[:4] != b"TREE" or len(node) < _HEAD or node[4] != _OF_CHUNKS or node[5] == 0:
        return []
    key = _key_bytes(len(node))
    (used,) = struct.unpack_from("<H", node, 6)
    if key is None or used > _ENTRIES:
        return []
    step = key + 8
    return [struct.unpack_from("<Q", node, _HEAD + key + k * step)[0] for k in range(used)]


def _key_bytes(size: int) -> int | None:
    """Bytes of a key in a node of this size: they depend on the number of axes."""
    for axes in range(1, _MOST_AXES + 1):
        key = 8 + 8 * (axes + 1)  # stored size and mask, and a position along each axis
        if size == _HEAD + _ENTRIES * 8 + (_ENTRIES + 1) * key:
            return key
    return None


_PAGE = 4096
_MOST_PAGES = 4096  # 16 MiB for each file
_SMALLEST_WINDOW, _LARGEST_WINDOW = 32 << 10, 4 << 20
_LARGE = 1 << 20  # reads of this size are values: they are not kept
_NODE_GAP = 16 << 10

Fetch = Callable[[Sequence[Range]], list[bytes | bytearray]]


class Pages:
    """Reads at positions, through a cache.

    Nodes of a chunk index name the nodes below them; those are fetched together, as HDF5 would
    ask for one after the other.

    Parameters
    ----------
    fetch
        Fetches ranges.
    size
        Bytes of the file.
    first
        Its first bytes.
    """

    def __init__(self, fetch: Fetch, size: int, first: bytes) -> None:
        self._fetch, self._size = fetch, size
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._ahead, self._window = -1, _SMALLEST_WINDOW
        self.base = 0  # of the positions in the file: behind the user block
        self._keep((0, len(first)), first)

    def read(self, position: int, size: int) -> bytes | bytearray:
        """Bytes at a position; fewer only where the file ends."""
        size = max(min(size, self._size - position), 0)
        if size >= _LARGE:
            pieces = cut(position, position + size, config.get("remote-request"))
            return b"".join(self._fetch(pieces))
        if size == 0:
            return b""
        found = self._assembled(position, size)
        below = children(found)
        if below:
            self._load_nodes(below, len(found))
        return found

    def _assembled(self, position: int, size: int) -> bytes:
        first, last = position // _PAGE, (position + size - 1) // _PAGE
        held = self._held(first, last)
        missing = [page for page in range(first, last + 1) if page not in held]
        if missing:
            held |= self._load(missing[0], missing[-1])
        joined = b"".join(held[page] for page in range(first, last + 1))
        start = position - first * _PAGE
        return joined[start : start + size]

    def _held(self, first: int, last: int) -> dict[int, bytes]:
        with self._lock:
            found = {p: self._pages[p] for p in range(first, last + 1) if p in self._pages}
            for page in found:
                self._pages.move_to_end(page)
        return found

    def _load(self, first: int, last: int) -> dict[int, bytes]:
        """Fetch missing pages, and more behind them: the more, the longer HDF5 reads on."""
        goes_on = self._ahead <= first <= self._ahead + self._window // _PAGE
        self._window = min(self._window * 2, _LARGEST_WINDOW) if goes_on else _SMALLEST_WINDOW
        stop = max(last + 1, first + self._window // _PAGE)
        with self._lock:
            cached = (p for p in range(last + 1, stop) if p in self._pages)
            stop = next(cached, stop)
        wanted = (first * _PAGE, min(stop * _PAGE, self._size))
        self._ahead = stop
        return self._keep(wanted, self._fetch([wanted])[0])

    def _load_nodes(self, positions: Sequence[int], size: int) -> None:
        """Fetch the pages of nodes of this size that are not there."""
        places = (p + self.base for p in positions)
        starts = np.array([p for p in places if p <= self._size - size], np.int64)
        pages = np.unique(np.concatenate([starts // _PAGE, (starts + size - 1) // _PAGE]))
        with self._lock:
            pages = np.array([p for p in pages.tolist() if p not in self._pages], np.int64)
        stops = np.minimum((pages + 1) * _PAGE, self._size)
        ranges = merged(pages * _PAGE, stops, _NODE_GAP, _LARGE)
        for wanted, data in zip(ranges, self._fetch(ranges) if ranges else [], strict=True):
            self._keep(wanted, data)

    def _keep(self, where: Range, data: bytes | bytearray) -> dict[int, bytes]:
        """Cut into pages, and cache those that are whole."""
        made = {}
        for at in range(0, len(data), _PAGE):
            position = where[0] + at
            page = bytes(data[at : at + _PAGE])
            if len(page) == _PAGE or position + len(page) == self._size:
                made[position // _PAGE] = page
        with self._lock:
            self._pages.update(made)
            while len(self._pages) > _MOST_PAGES:
                self._pages.popitem(last=False)
        return made


_PACKAGES = {
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "adl": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
}


def ranges_of(path: RemotePath) -> HttpRanges | FilesystemRanges:
    """What asks for ranges of a file; connects to nothing yet for most protocols.

    Raises
    ------
    MissingDependencyError
        If fsspec, or the package for the protocol, is not installed.
    ValueError
        If fsspec does not know the protocol, or the options are not those of its file system.
    """
    fsspec = require("fsspec", extra="remote", purpose=f"opening {path}")
    core = require("fsspec.core", extra="remote", purpose=f"opening {path}")
    protocol = re.split("://|::", path.url, maxsplit=1)[0]
    try:
        filesystem, name = core.url_to_fs(path.url, **path.options)
    except ImportError as error:
        package = _PACKAGES.get(protocol.lower())
        install = "lazyomics[remote]" if package == "aiohttp" else package
        raise MissingDependencyError(
            f"opening {path} needs the package {package or 'that fsspec names'!r}, which could "
            f"not be imported ({error}). "
            + (f"Install it with: pip install '{install}'" if install else "Install it.")
        ) from None
    except ValueError as error:
        known = protocol in fsspec.available_protocols()
        said = path.redacted(str(error))
        hint = "" if known else " Is it the name of a file? Then write it as ./NAME."
        raise ValueError(f"{path}: fsspec cannot open it: {said}.{hint}") from None
    except TypeError as error:
        raise TypeError(
            f"{path}: storage_options do not fit {protocol}://: {path.redacted(str(error))}"
        ) from None
    except OSError as error:
        raise RemoteFileError(f"{path}: {path.redacted(str(error))}") from None
    if protocol in ("http", "https") and hasattr(filesystem, "set_session"):
        from lazyomics.io.remote.http_ranges import HttpRanges  # brings asyncio

        return HttpRanges(filesystem, path)
    return FilesystemRanges(filesystem, name, path)


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
