"""What every object that may come from a file says about it, and how it is copied to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, Unpack

from lazyomics.container.ports import Backing, WriteOptions
from lazyomics.container.urls import writable_path

__all__ = ["FileObject"]


class FileObject:
    """An object that is opened from a file, or lives in memory.

    A subclass makes an independent object in ``_twin``, and opens one from a file in ``_open``.
    """

    _backing: Backing | None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._backing is not None:
            self._backing.remember(self)

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

    @filename.setter
    def filename(self: Any, path: str | Path | None) -> None:
        if path is None:
            self._take_over(self.to_memory())
        elif not self._is_own_file(path):
            self._take_over(self.copy(filename=path))

    def _take_over(self: Any, made: Any) -> None:
        """Go on with what was loaded or written."""
        self._become(made)

    def copy(self, filename: str | Path | None = None, **options: Unpack[WriteOptions]) -> Self:
        """Return an independent object.

        Parameters
        ----------
        filename
            Stream the object, a MuData with all modalities, to this new file (bounded memory) and
            return it opened from there. Without it a lazy object stays lazy: its blocks are
            shared, as nothing changes them.
        options
            ``compression``, ``compression_opts``, ``shuffle``, ``chunk_bytes``, ``storage``,
            ``convert_strings_to_categoricals`` and (of AnnData) ``as_dense`` of the new file: see
            :meth:`AnnData.write_h5ad`.
        """
        original: Any = self
        if filename is not None:
            original.write(filename, **options)
            return original._open(writable_path(filename))
        if options:
            raise TypeError(f"{list(options)} are for a new file: give its filename")
        return original._twin()

    def _is_own_file(self, path: str | Path | None) -> bool:
        """Whether a path, however it is spelled, leads to the file behind this object."""
        if path is None or self._backing is None:
            return False
        return self._backing.is_at(writable_path(path))

    def _saves_in_place(self, filename: str | Path | None, **of_new_files: Any) -> bool:
        """Whether writing to ``filename`` is a save into the opened file.

        ``of_new_files`` are options that such a save does not take, None where not given.
        """
        if filename is None and self._backing is None:
            raise ValueError("the object is not opened from a file: give a filename")
        if filename is not None and not self._is_own_file(filename):
            return False
        for option, value in of_new_files.items():
            if value is not None:
                raise ValueError(f"{option} is chosen for a new file: give another filename")
        return True
