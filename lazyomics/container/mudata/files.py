"""A MuData and its file: where it was opened from, copies, writing and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from lazyomics.container.file_object import FileObject
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.ports import storage

__all__ = ["StoredModalities"]


class StoredModalities(FileObject):
    """The file side of MuData."""

    @FileObject.filename.setter  # type: ignore[attr-defined]
    def filename(self: Any, path: str | Path | None) -> None:  # noqa: D102 (see the getter)
        if path is None:
            made = self.to_memory()
        elif not self._is_own_file(path):
            made = self.copy(filename=path)
        else:
            return
        for mod, adata in self.mod.items():  # whoever holds a modality goes on using this object
            adata._become(made.mod[mod])
            made.mod[mod] = adata
        self._become(made)

    def copy(self, filename: str | Path | None = None) -> Self:
        """Return an independent object.

        Parameters
        ----------
        filename
            Stream all modalities to this new file (bounded memory) and return the object opened
            from there. Without it a lazy object stays lazy: its blocks are shared, as nothing
            changes them.
        """
        mdata: Any = self
        if filename is not None:
            mdata.write_h5mu(filename)
            return storage().open_mudata(Path(filename))  # type: ignore[return-value]
        return type(mdata)._assemble(
            mod=Modalities({name: adata.copy() for name, adata in mdata.mod.items()}),
            axis=mdata.axis,
            axes={name: axis.copy() for name, axis in mdata._axes.items()},
            uns=mdata.uns.copy(),
            backing=mdata._backing,
        )

    def write_h5mu(
        self: Any,
        filename: str | Path | None = None,
        *,
        compression: str | None = None,
        compression_opts: int | None = None,
        overwrite_x: bool = False,
    ) -> None:
        """Stream to a new .h5mu file, or save into the opened one.

        Parameters
        ----------
        filename
            New file: written beside the target block by block and renamed when it is complete.
            None saves what changed or is new into the opened file: modalities that did not
            change are neither read nor written.
        compression, compression_opts
            HDF5 filter of new matrices and arrays: ``"gzip"``, ``"lzf"`` or None.
        overwrite_x
            Saving into the opened file leaves X and raw of each modality as they are there, with
            a warning that names those that were changed; True replaces them.

        Raises
        ------
        ValueError
            Without a filename on an object that is not opened from a file.

        Warns
        -----
        XNotWrittenWarning
            If X or raw of a modality was changed and not written.

        Notes
        -----
        Passes over X: one of each modality for a new file; for a save one of the modalities that
        are in memory, to see whether they changed. Peak memory: a window of blocks.
        """
        options: dict[str, Any] = {"compression": compression, "compression_opts": compression_opts}
        for name, axis in self._axes.items():
            if not axis.is_current(self.mod):
                self._update_axis(name)
        if self._saves_in_place(filename):
            storage().save_mudata(self, overwrite_x=overwrite_x, **options)
        else:
            storage().write_mudata(self, Path(str(filename)), **options)

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
