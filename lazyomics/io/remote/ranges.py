"""Byte ranges of any file system of fsspec: merged, cut, asked for again."""

from __future__ import annotations

import errno
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.errors import LazyomicsError, RemoteFileError, UnsupportedError
from lazyomics.io.remote.address import Identity, RemotePath

__all__ = [
    "Answer",
    "BusyError",
    "FilesystemRanges",
    "Range",
    "cut",
    "fetch_all",
    "merged",
]


#: first byte, and the one behind the last
Range = tuple[int, int]


def merged(starts: NDArray[np.int64], stops: NDArray[np.int64], gap: int, most: int) -> list[Range]:
    """Ranges that cover others, ascending and disjoint.

    Parameters
    ----------
    starts, stops
        (n,), int64: ranges in any order; they may overlap or be empty.
    gap
        Ranges that are at most this far apart become one.
    most
        Longer ranges are cut into pieces of at most this many bytes.

    Examples
    --------
    >>> import numpy as np
    >>> merged(np.array([50, 0, 12]), np.array([90, 10, 20]), 5, 30)
    [(0, 20), (50, 80), (80, 90)]
    """
    kept = stops > starts
    starts, stops = starts[kept], stops[kept]
    if len(starts) == 0:
        return []
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate(stops[order])
    head = np.flatnonzero(np.append(True, starts[1:] > stops[:-1] + gap))
    tail = np.append(head[1:], len(starts)) - 1
    spans = zip(starts[head].tolist(), stops[tail].tolist(), strict=True)
    return list(itertools.chain.from_iterable(cut(a, b, most) for a, b in spans))


def cut(start: int, stop: int, most: int) -> list[Range]:
    """One range in pieces of at most ``most`` bytes."""
    return [(a, min(a + most, stop)) for a in range(start, stop, most)]


#: the bytes, or why they did not come
Answer = bytes | bytearray | BaseException

_LONGEST_PAUSE = 30.0

# Asking again does not help against these.
_FINAL = (
    LazyomicsError,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotImplementedError,
    ImportError,
    AttributeError,
    TypeError,
    ValueError,
)


_NOTHING = BaseException()


class BusyError(OSError):
    """The server asks to come back later, maybe after some seconds."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


def fetch_all(
    ask: Callable[[Sequence[Range]], Sequence[Answer]], ranges: Sequence[Range], path: RemotePath
) -> list[bytes | bytearray]:
    """Every range, asking again for those that failed.

    Parameters
    ----------
    ask
        Asks for several ranges at once, and returns what came of each.
    ranges
        What to ask for.
    path
        The file, for messages.

    Raises
    ------
    RemoteFileError
        If a range did not arrive in ``lazyomics.remote-attempts`` attempts: names the file, the
        range, the number of attempts and the last error.
    FileNotFoundError, PermissionError
        If the server says so.
    """
    attempts = max(int(config.get("remote-attempts")), 1)
    arrived: dict[int, bytes | bytearray] = {}
    failed, last = (0, 0), _NOTHING
    for attempt in range(1, attempts + 1):
        left = [k for k in range(len(ranges)) if k not in arrived]
        last = _NOTHING
        for k, answer in zip(left, ask([ranges[k] for k in left]), strict=True):
            error = _failure(answer, ranges[k])
            if error is None:
                arrived[k] = answer  # type: ignore[assignment]
                continue
            if isinstance(error, _FINAL) or not isinstance(error, Exception):
                raise explained(error, path) from None
            last, failed = error, ranges[k]
        if last is _NOTHING:
            return [arrived[k] for k in range(len(ranges))]
        if attempt < attempts:
            time.sleep(_pause(attempt, last))
    raise RemoteFileError(
        f"{path}: bytes {failed[0]:,} to {failed[1]:,} could not be read in {attempts} "
        f"attempts; the last one: {_said(last, path)}. Try again when the server can be "
        'reached, or allow more attempts: dask.config.set({"lazyomics.remote-attempts": …}).'
    )


def explained(error: BaseException, path: RemotePath) -> BaseException:
    """An error of another library in words that name the file and show no secret."""
    if isinstance(error, LazyomicsError) or not isinstance(error, Exception):
        return error
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such file on the server", path)
    said = _said(error, path)
    if isinstance(error, PermissionError):
        return PermissionError(
            f"{path}: the server refuses access ({said}). Give credentials in storage_options."
        )
    return RemoteFileError(f"{path}: cannot be read: {said}")


def _failure(answer: Answer, wanted: Range) -> BaseException | None:
    if isinstance(answer, BaseException):
        return answer
    if len(answer) == wanted[1] - wanted[0]:
        return None
    return ConnectionError(f"{len(answer):,} bytes instead of {wanted[1] - wanted[0]:,}")


def _said(error: BaseException, path: RemotePath) -> str:
    text = path.redacted(str(error)).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _pause(attempt: int, error: BaseException) -> float:
    """Twice as long after each attempt, and never at the same moment as other workers."""
    pause = float(config.get("remote-wait")) * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    asked = error.seconds if isinstance(error, BusyError) else 0.0
    return min(max(pause, asked), _LONGEST_PAUSE)


# Names that file systems give to what changes with the content, and to the time of the change.
_TAGS = ("ETag", "etag", "VersionId", "version_id", "generation", "md5Hash", "md5", "content_md5")
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


class FilesystemRanges:
    """Asks a file system of fsspec for ranges.

    Its answers do not say of which state of the file they are; the state is looked up after
    reading.
    """

    confirms_itself = False

    def __init__(self, filesystem: Any, name: str, path: RemotePath) -> None:
        self._filesystem, self._name, self._path = filesystem, name, path

    def look(self, size: int) -> tuple[Identity, bytes]:
        """Identity of the file, and its first bytes."""
        identity = self.identity()
        wanted = min(size, identity.size)
        if wanted == 0:
            return identity, b""
        return identity, bytes(self._filesystem.cat_file(self._name, start=0, end=wanted))

    def identity(self) -> Identity:
        """Identity of the file as it is now."""
        self._filesystem.invalidate_cache(self._name)
        info = self._filesystem.info(self._name)
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{self._path} is a folder, expected a file")
        if not isinstance(info.get("size"), int):
            raise UnsupportedError(
                f"{self._path}: the file system does not say how long the file is. Download the "
                "file and open it from there."
            )
        return Identity(info["size"], _joined(info, _TAGS), _joined(info, _TIMES))

    def ask(self, ranges: Sequence[Range], identity: Identity) -> list[Answer]:
        """What comes of each range; all are in flight at once where the file system can."""
        names = [self._name] * len(ranges)
        starts, stops = [a for a, _ in ranges], [b for _, b in ranges]
        try:
            return list(self._filesystem.cat_ranges(names, starts, stops, on_error="return"))
        except Exception as error:
            return [error] * len(ranges)


def _joined(info: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return " ".join(str(info[key]) for key in keys if info.get(key) is not None)
