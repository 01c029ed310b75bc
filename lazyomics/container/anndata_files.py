"""An AnnData and its file: writing and saving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from lazyomics.container import ports
from lazyomics.container.file_object import FileObject
from lazyomics.container.urls import writable_path

__all__ = ["StoredAnnData"]


class StoredAnnData(FileObject):
    """The file side of AnnData."""

    def _twin(self: Any) -> Any:
        self._align_tables()
        return type(self)._assemble(
            x=self._x.copy(),
            obs=self._obs.copy(),
            var=self._var.copy(),
            uns=self._uns.copy(),
            mappings={m.name: m.copy() for m in self._mappings()},
            raw=None if self._raw is None else self._raw.copy(),
            backing=self._backing,
        )

    def _open(self, path: Path) -> Any:
        return ports.storage().open(path)

    def write_h5ad(
        self: Any,
        filename: str | Path | None = None,
        *,
        convert_strings_to_categoricals: bool = True,
        compression: str | int | None = None,
        compression_opts: Any = None,
        as_dense: Sequence[str] = (),
        shuffle: bool | None = None,
        chunk_bytes: int | str | None = None,
        overwrite_x: bool = False,
        storage: str | None = None,
        on_conflict: ports.OnConflict = "raise",
    ) -> None:
        """Stream to a new file, or save into the opened one.

        Parameters
        ----------
        filename
            New file: written beside the target block by block and renamed when it is complete.
            None saves what changed or is new into the opened file.
        convert_strings_to_categoricals
            Whether columns of obs and var that hold fewer texts than rows become categories, in
            the file only. A table that was not looked at since it was opened stays as it is.
        compression
            HDF5 filter of new matrices and arrays: ``"gzip"`` and ``"lzf"``, which every HDF5 has;
            ``"zstd"``, ``"lz4"`` and ``"blosc"`` (LZ4 inside), for which this and any program that
            reads the file needs hdf5plugin (``pip install 'lazyomics[codecs]'``); ``"none"``; or
            the number of a filter, as anndata takes it. By default what is copied from a file
            keeps its filter and what is new has none.
        compression_opts
            Level: 0 to 9 of gzip (4) and blosc (5), -131072 to 22 of zstd (3); for lz4 the bytes
            of a block, for a filter by number its values.
        as_dense
            Sparse matrices that are to be dense in a new file: ``"X"``, ``"raw/X"`` and
            ``"layers/NAME"``.
        shuffle
            Store first bytes, second bytes, … of a chunk together before compressing. By default
            integers only, such as the column positions of sparse matrices: they shrink by a third
            and are read faster, while counts and their logarithms grow.
        chunk_bytes
            Decoded bytes of a chunk of a matrix, such as ``"256 KiB"``: smaller ones serve few
            scattered cells, larger ones (by default 1 MiB) whole passes. Everything is then written
            anew, without a filter unless ``compression`` names one.
        overwrite_x
            Saving into the opened file leaves X and raw.X as they are there, with a warning if
            they were changed; True replaces them.
        storage
            ``"csr"`` or ``"csc"``: store X, layers and raw.X that are sparse by rows or by columns
            in a new file, transposed out of core where they are not. By default as they are.
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
            Without a filename on an object that is not opened from a file; for ``storage`` and
            ``as_dense`` when saving into the opened file; for an unknown filter, level or matrix.
        MissingDependencyError
            If the filter is a plugin of HDF5 and hdf5plugin is not installed.
        BlockingIOError
            If another process saves or writes the file for longer than ``lazyomics.lock-timeout``
            (30 seconds), or has it open for writing; names it. Nothing is changed then.

        Warns
        -----
        XNotWrittenWarning
            If X or raw.X was changed and not written.

        Notes
        -----
        Passes over X: one for a new file, none for a save that leaves X; two for a matrix that
        ``storage`` transposes, also where row-wise steps are recorded on one that is stored by
        columns (``transpose_storage`` has the details). Peak memory: a window of blocks, or
        ``lazyomics.memory`` while transposing.

        Examples
        --------
        >>> import tempfile
        >>> import dask
        >>> import lazyomics as lo
        >>> folder = tempfile.TemporaryDirectory()
        >>> lo.AnnData(obs={"n": [1, 2]}).write_h5ad(f"{folder.name}/a.h5ad", compression="gzip")
        >>> adata = lo.read_h5ad(f"{folder.name}/a.h5ad")
        >>> adata.obs["n"] = [3, 4]
        >>> adata.write()

        An error at once, where another process is saving the file just now:

        >>> with dask.config.set({"lazyomics.lock-timeout": 0}):
        ...     adata.write()
        >>> folder.cleanup()
        """
        filters: ports.Filters = {
            "compression": compression,
            "compression_opts": compression_opts,
            "shuffle": shuffle,
            "chunk_bytes": chunk_bytes,
        }
        if on_conflict not in ("raise", "mine", "theirs"):
            raise ValueError(f"on_conflict is 'raise', 'mine' or 'theirs', found {on_conflict!r}")
        self._align_tables(strict=True)
        text = {"convert_strings_to_categoricals": convert_strings_to_categoricals}
        if self._saves_in_place(filename, storage=storage, as_dense=as_dense or None):
            ports.storage().save(
                self, overwrite_x=overwrite_x, on_conflict=on_conflict, **text, **filters
            )
        else:
            ports.storage().write(
                self,
                writable_path(str(filename)),
                storage=storage,
                as_dense=as_dense,
                **text,
                **filters,
            )

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
