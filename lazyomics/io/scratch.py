"""Where a transposition puts aside what does not fit in memory, and how much of it may be."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["ScratchFile", "ScratchPlan"]

SHARE_OF_FREE_DISK = 2  # one half of what is free


@dataclass(frozen=True)
class ScratchPlan:
    """A folder for scratch, and the most bytes it may take; None means half of what is free."""

    folder: Path
    most_bytes: int | None = None

    @property
    def budget(self) -> int:
        """Bytes that may be used."""
        if self.most_bytes is not None:
            return self.most_bytes
        return shutil.disk_usage(self.folder).free // SHARE_OF_FREE_DISK


class ScratchFile:
    """Arrays put aside in an unnamed file: it is gone when closed, also when the process dies."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed below)
        self._end = 0

    def put(self, values: NDArray[Any]) -> int:
        """Append an array; return where it is."""
        place, view = self._end, np.ascontiguousarray(values).data.cast("B")
        while len(view):
            done = os.pwrite(self._file.fileno(), view, self._end)
            self._end += done
            view = view[done:]
        return place

    def get(self, place: int, count: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return an array that was put at ``place``."""
        values = np.empty(count, dtype=dtype)
        view = values.data.cast("B")
        while len(view):
            done = os.preadv(self._file.fileno(), [view], place)
            if done == 0:
                raise OSError("the scratch file ended early: was the disk full?")
            place, view = place + done, view[done:]
        return values

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
