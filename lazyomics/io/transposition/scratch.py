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
from dask.utils import format_bytes
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
        self.folder = os.fspath(folder)
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed below)
        except OSError as error:
            raise self._failure(error, 0) from error

    def put(self, values: NDArray[Any]) -> int:
        """Append an array; return where it is."""
        place, view = self._end, np.ascontiguousarray(values).data.cast("B")
        while len(view):
            try:
                done = os.pwrite(self._file.fileno(), view, self._end)
            except OSError as error:
                raise self._failure(error, len(view)) from error
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

    def _failure(self, error: OSError, missing: int) -> OSError:
        """The same error, with the folder, what was put there, and what to do."""
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        text = f"scratch in {self.folder} cannot be written: {error.strerror}"
        if missing:
            text += (
                f". {format_bytes(self._end)} were put there, and at least {format_bytes(missing)} "
                "more are needed"
            )
        hint = "Choose another folder with scratch_dir=, or allow less with scratch_bytes="
        return kind(error.errno, f"{text}. {hint} of lo.transpose_storage")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
