"""Ask again for what did not arrive, after a pause that grows."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Sequence

from lazyomics import config
from lazyomics.errors import LazyomicsError, RemoteFileError
from lazyomics.io.remote.address import RemotePath
from lazyomics.io.remote.ranges import Range

__all__ = ["Answer", "BusyError", "fetch_all"]

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
