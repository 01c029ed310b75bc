"""An AnnData and its file: copies, writing and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from lazyomics.container import ports
from lazyomics.container.file_object import FileObject

__all__ = ["StoredAnnData"]


class StoredAnnData(FileObject):
    """The file side of AnnData."""

    @FileObject.filename.setter  # type: ignore[attr-defined]
    def filename(self: Any, path: str | Path | None) -> None:  # noqa: D102 (see the getter)
        if path is None:
            self._become(self.to_memory())
        elif not self._is_own_file(path):
            self._become(self.copy(filename=path))

    def copy(self: Any, filename: str | Path | None = None) -> Any:
        """Return an independent object.

        Parameters
        ----------
        filename
            Stream the object to this new file (bounded memory) and return it opened from there.
            Without it a lazy object stays lazy: its blocks are shared, as nothing changes them.
        """
        if filename is not None:
            self.write_h5ad(filename)
            return ports.storage().open(Path(filename))
        return type(self)._assemble(
            x=self._x.copy(),
            obs=self._obs.copy(),
            var=self._var.copy(),
            uns=self._uns.copy(),
            mappings={m.name: m.copy() for m in self._mappings()},
            raw=None if self._raw is None else self._raw.copy(),
            backing=self._backing,
        )

    def write_h5ad(
        self: Any,
        filename: str | Path | None = None,
        *,
        compression: str | None = None,
        compression_opts: int | None = None,
        overwrite_x: bool = False,
        storage: str | None = None,
    ) -> None:
        """Stream to a new file, or save into the opened one.

        Parameters
        ----------
        filename
            New file: written beside the target block by block and renamed when it is complete.
            None saves what changed or is new into the opened file.
        compression, compression_opts
            HDF5 filter of new matrices and arrays: ``"gzip"``, ``"lzf"`` or None.
        overwrite_x
            Saving into the opened file leaves X and raw.X as they are there, with a warning if
            they were changed; True replaces them.
        storage
            ``"csr"`` or ``"csc"``: store X, layers and raw.X that are sparse by rows or by columns
            in a new file, transposed out of core where they are not. By default as they are.

        Raises
        ------
        ValueError
            Without a filename on an object that is not opened from a file; for ``storage`` when
            saving into the opened file.

        Warns
        -----
        XNotWrittenWarning
            If X or raw.X was changed and not written.

        Notes
        -----
        Passes over X: one for a new file, none for a save that leaves X; two for a matrix that
        ``storage`` transposes (``transpose_storage`` has the details). Peak memory: a window of
        blocks, or ``lazyomics.memory`` while transposing.
        """
        options: dict[str, Any] = {"compression": compression, "compression_opts": compression_opts}
        if self._saves_in_place(filename):
            if storage is not None:
                raise ValueError("storage is chosen for a new file: give another filename")
            ports.storage().save(self, overwrite_x=overwrite_x, **options)
        else:
            ports.storage().write(self, Path(str(filename)), storage=storage, **options)

    write = write_h5ad

    def to_anndata(self: Any) -> Any:
        """Return an ``anndata.AnnData`` with everything loaded. Needs the package anndata."""
        from lazyomics.container.interop import to_anndata

        return to_anndata(self)

    @classmethod
    def from_anndata(cls, other: Any) -> Self:
        """Return a lazyomics object of an ``anndata.AnnData``, sharing its matrices."""
        from lazyomics.container.interop import parts_of_anndata

        return cls(**parts_of_anndata(other))
