"""What every object that may come from a file says about it."""

from __future__ import annotations

from pathlib import Path

from lazyomics.container.ports import Backing
from lazyomics.container.urls import writable_path

__all__ = ["FileObject"]


class FileObject:
    """An object that is opened from a file, or lives in memory."""

    _backing: Backing | None

    @property
    def isbacked(self) -> bool:
        """Whether the object is opened from a file; parts of it may be in memory."""
        return self._backing is not None

    @property
    def is_view(self) -> bool:
        """Whether assigning to this object writes to another one: it never does."""
        return False

    @property
    def filename(self) -> Path | str | None:
        """The file that the object is opened from, a text where it is a URL; None in memory.

        Assigning None loads everything into memory; assigning a path writes the object there and
        opens it from there.
        """
        return None if self._backing is None else self._backing.path

    def _is_own_file(self, path: str | Path | None) -> bool:
        """Whether a path, however it is spelled, leads to the file behind this object."""
        if path is None or self._backing is None:
            return False
        return self._backing.is_at(writable_path(path))

    def _saves_in_place(self, filename: str | Path | None) -> bool:
        """Whether writing to ``filename`` is a save into the opened file."""
        if filename is None and self._backing is None:
            raise ValueError("the object is not opened from a file: give a filename")
        return filename is None or self._is_own_file(filename)
