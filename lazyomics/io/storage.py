"""The storage that containers use: .h5ad and .h5mu files."""

from __future__ import annotations

from pathlib import Path

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.container.ports import use_storage
from lazyomics.io.backing import FileBacking
from lazyomics.io.mudata.opening import read_h5mu
from lazyomics.io.mudata.saving import save_modality, save_mudata
from lazyomics.io.mudata.writing import write_new_mudata
from lazyomics.io.opening import read_h5ad
from lazyomics.io.saving import save
from lazyomics.io.scratch import ScratchPlan
from lazyomics.io.storage_order import StorageOrder, checked_order
from lazyomics.io.writing import dataset_options, write_new

__all__ = ["FileStorage"]


class FileStorage:
    """Opens, writes and saves .h5ad and .h5mu files."""

    def open(self, path: Path) -> AnnData:
        return read_h5ad(path)

    def write(
        self,
        adata: AnnData,
        path: Path,
        *,
        compression: str | None = None,
        compression_opts: int | None = None,
        storage: str | None = None,
    ) -> None:
        order = None
        if storage is not None:
            scratch = ScratchPlan(path.absolute().parent)
            order = StorageOrder(to=checked_order(storage), scratch=scratch)
        options = dataset_options(compression, compression_opts)
        write_new(adata, path, options=options, order=order)

    def save(
        self,
        adata: AnnData,
        *,
        overwrite_x: bool,
        compression: str | None = None,
        compression_opts: int | None = None,
    ) -> None:
        options = dataset_options(compression, compression_opts)
        backing = adata._backing
        if isinstance(backing, FileBacking) and backing.group.startswith("/mod/"):
            save_modality(adata, overwrite_x=overwrite_x, options=options)
        else:
            save(adata, overwrite_x=overwrite_x, options=options)

    def open_mudata(self, path: Path) -> MuData:
        return read_h5mu(path)

    def write_mudata(
        self,
        mdata: MuData,
        path: Path,
        *,
        compression: str | None = None,
        compression_opts: int | None = None,
    ) -> None:
        options = dataset_options(compression, compression_opts)
        write_new_mudata(mdata, path, options=options)

    def save_mudata(
        self,
        mdata: MuData,
        *,
        overwrite_x: bool,
        compression: str | None = None,
        compression_opts: int | None = None,
    ) -> None:
        options = dataset_options(compression, compression_opts)
        save_mudata(mdata, overwrite_x=overwrite_x, options=options)


use_storage(FileStorage())
