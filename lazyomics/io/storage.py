"""The storage that containers use: one .h5ad file for each object."""

from __future__ import annotations

from pathlib import Path

from lazyomics.container.anndata import AnnData
from lazyomics.container.ports import use_storage
from lazyomics.io.opening import read_h5ad
from lazyomics.io.saving import save
from lazyomics.io.writing import dataset_options, write_new

__all__ = ["FileStorage"]


class FileStorage:
    """Opens, writes and saves .h5ad files."""

    def open(self, path: Path) -> AnnData:
        return read_h5ad(path)

    def write(
        self,
        adata: AnnData,
        path: Path,
        *,
        compression: str | None = None,
        compression_opts: int | None = None,
    ) -> None:
        write_new(adata, path, options=dataset_options(compression, compression_opts))

    def save(
        self,
        adata: AnnData,
        *,
        overwrite_x: bool,
        compression: str | None = None,
        compression_opts: int | None = None,
    ) -> None:
        options = dataset_options(compression, compression_opts)
        save(adata, overwrite_x=overwrite_x, options=options)


use_storage(FileStorage())
