"""A MuData and its file: writing and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from lazyomics.container import ports
from lazyomics.container.file_object import FileObject
from lazyomics.container.urls import writable_path

__all__ = ["StoredModalities"]


class StoredModalities(FileObject):
    """The file side of MuData."""

    def _take_over(self: Any, made: Any) -> None:
        for mod, adata in self.mod.items():  # whoever holds a modality goes on using this object
            adata._become(made.mod[mod])
            made.mod[mod] = adata
        self._become(made)

    def _twin(self: Any) -> Any:
        return self._with_modalities({name: a.copy() for name, a in self.mod.items()})

    def _open(self, path: Path) -> Any:
        return ports.storage().open_mudata(path)

    def write_h5mu(
        self: Any,
        filename: str | Path | None = None,
        *,
        convert_strings_to_categoricals: bool = True,
        compression: str | int | None = None,
        compression_opts: Any = None,
        shuffle: bool | None = None,
        chunk_bytes: int | str | None = None,
        overwrite_x: bool = False,
        remove_modalities: bool = False,
        storage: str | None = None,
        on_conflict: ports.OnConflict = "raise",
    ) -> None:
        """Stream to a new .h5mu file, or save into the opened one.

        Parameters
        ----------
        filename
            New file: written beside the target block by block and renamed when it is complete.
            None saves what changed or is new into the opened file: modalities that did not
            change are neither read nor written.
        convert_strings_to_categoricals
            Whether columns of tables that hold fewer texts than rows become categories, in the
            file only.
        compression, compression_opts, shuffle, chunk_bytes
            How new matrices and arrays are stored: see :meth:`AnnData.write_h5ad`.
        overwrite_x
            Saving into the opened file leaves X and raw of each modality as they are there, with
            a warning that names those that were changed; True replaces them.
        remove_modalities
            Saving into the opened file leaves the data of modalities that were removed from the
            object there, with a warning, though no reader sees them; True deletes them, also
            those that an earlier save left. A modality that was renamed is renamed in the file.
        storage
            ``"csr"`` or ``"csc"``: store X, layers and raw.X of each modality that are sparse by
            rows or by columns in a new file. By default as they are.
        on_conflict
            What a save into the opened file does about elements that were changed here and,
            differently, by others in the file: ``"raise"`` an error that names them, write
            ``"mine"``, or keep ``"theirs"``. What only others changed stays in any case, and the
            object shows it afterwards.

        Raises
        ------
        ConflictError
            If others changed the same elements of the file since it was opened; names them.
            Nothing is changed then.
        StaleFileError
            If rows or columns of the file were replaced or re-ordered since it was opened, or
            something that is still to be read; nothing is changed then.
        ValueError
            Without a filename on an object that is not opened from a file; for ``storage`` when
            saving into the opened file; for an unknown filter or level.
        MissingDependencyError
            If the filter is a plugin of HDF5 and hdf5plugin is not installed.
        BlockingIOError
            If another process saves or writes the file for longer than ``lazyomics.lock-timeout``
            (30 seconds), or has it open for writing; names it. Nothing is changed then. For an
            error at once: ``with dask.config.set({"lazyomics.lock-timeout": 0}): mdata.write()``.

        Warns
        -----
        XNotWrittenWarning
            If X or raw of a modality was changed and not written, or a modality was removed and
            not deleted.

        Notes
        -----
        Passes over X: one of each modality for a new file; for a save one of the modalities that
        are in memory, to see whether they changed. Peak memory: a window of blocks.
        """
        filters: ports.Filters = {
            "compression": compression,
            "compression_opts": compression_opts,
            "shuffle": shuffle,
            "chunk_bytes": chunk_bytes,
        }
        for name, axis in self._axes.items():
            if not axis.is_current(self.mod):
                self._update_axis(name)
        if on_conflict not in ("raise", "mine", "theirs"):
            raise ValueError(f"on_conflict is 'raise', 'mine' or 'theirs', found {on_conflict!r}")
        for adata in self.mod.values():
            adata._align_tables(strict=True)
        self._align_tables(strict=True)
        text = {"convert_strings_to_categoricals": convert_strings_to_categoricals}
        if self._saves_in_place(filename, storage=storage):
            ports.storage().save_mudata(
                self,
                overwrite_x=overwrite_x,
                remove_modalities=remove_modalities,
                on_conflict=on_conflict,
                **text,
                **filters,
            )
        else:
            ports.storage().write_mudata(
                self, writable_path(str(filename)), storage=storage, **text, **filters
            )

    write = write_h5mu

    def to_mudata(self: Any) -> Any:
        """Return a ``mudata.MuData`` with everything loaded. Needs the package mudata."""
        from lazyomics.container.mudata.interop import to_mudata

        return to_mudata(self)

    @classmethod
    def from_mudata(cls, other: Any) -> Self:
        """Return a lazyomics object of a ``mudata.MuData``, sharing its matrices."""
        from lazyomics.container.mudata.interop import parts_of_mudata

        return cls(**parts_of_mudata(other))
