"""What HDF5 looks at in a remote file: cached pages, read ahead where it reads on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from lazyomics import config
from lazyomics.io.remote.chunk_index import children
from lazyomics.io.remote.ranges import Range, cut, merged

__all__ = ["Pages"]

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
