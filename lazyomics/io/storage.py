"""The storage that containers use: .h5ad and .h5mu files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lazyomics.container.anndata import AnnData
from lazyomics.container.categories import text_stays
from lazyomics.container.mudata import MuData
from lazyomics.container.ports import Filters, OnConflict
from lazyomics.io.backing import FileBacking, refuse_remote
from lazyomics.io.compress import dataset_options
from lazyomics.io.h5mu.opening import read_h5mu
from lazyomics.io.h5mu.saving import save_modality, save_mudata
from lazyomics.io.h5mu.writing import write_new_mudata
from lazyomics.io.opening import dense_places, read_h5ad
from lazyomics.io.save.save import save
from lazyomics.io.writing import write_new

if TYPE_CHECKING:
    from lazyomics.io.transpose import StorageOrder

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
        storage: str | None = None,
        as_dense: Sequence[str] = (),
        convert_strings_to_categoricals: bool = True,
        **filters: Unpack[Filters],
    ) -> None:
        options = replace(dataset_options(**filters), dense=dense_places(adata, as_dense))
        with text_stays(not convert_strings_to_categoricals):
            write_new(adata, path, options=options, order=_order(storage, path))

    def save(
        self,
        adata: AnnData,
        *,
        overwrite_x: bool,
        on_conflict: OnConflict = "raise",
        convert_strings_to_categoricals: bool = True,
        **filters: Unpack[Filters],
    ) -> None:
        options = dataset_options(**filters)
        backing = adata._backing
        _refuse_saving(backing)
        with text_stays(not convert_strings_to_categoricals):
            if isinstance(backing, FileBacking) and backing.group.startswith("/mod/"):
                save_modality(
                    adata, overwrite_x=overwrite_x, on_conflict=on_conflict, options=options
                )
            else:
                save(adata, overwrite_x=overwrite_x, on_conflict=on_conflict, options=options)

    def write_loom(self, adata: AnnData, path: Path, *, write_obsm_varm: bool) -> None:
        from lazyomics.io.loom_writing import write_loom_file

        write_loom_file(adata, path, write_obsm_varm=write_obsm_varm)

    def write_zarr(self, data: AnnData | MuData, store: Any, **options: Any) -> None:
        from lazyomics.io.zarr.writing import write_store

        write_store(data, store, **options)

    def open_mudata(self, path: Path) -> MuData:
        return read_h5mu(path)

    def write_mudata(
        self,
        mdata: MuData,
        path: Path,
        *,
        storage: str | None = None,
        convert_strings_to_categoricals: bool = True,
        **filters: Unpack[Filters],
    ) -> None:
        options = dataset_options(**filters)
        with text_stays(not convert_strings_to_categoricals):
            write_new_mudata(mdata, path, options=options, order=_order(storage, path))

    def save_mudata(
        self,
        mdata: MuData,
        *,
        overwrite_x: bool,
        remove_modalities: bool,
        on_conflict: OnConflict = "raise",
        convert_strings_to_categoricals: bool = True,
        **filters: Unpack[Filters],
    ) -> None:
        options = dataset_options(**filters)
        _refuse_saving(mdata._backing)
        with text_stays(not convert_strings_to_categoricals):
            save_mudata(
                mdata,
                overwrite_x=overwrite_x,
                remove_modalities=remove_modalities,
                on_conflict=on_conflict,
                options=options,
            )


def _refuse_saving(backing: object) -> None:
    """Refuse what is opened from a place that is only read."""
    refuse_remote(backing)
    if not isinstance(backing, FileBacking | None):
        from lazyomics.io.zarr.opening import refuse_saving

        refuse_saving(backing)


def _order(storage: str | None, path: Path) -> StorageOrder | None:
    if storage is None:
        return None
    from lazyomics.io.transpose import ScratchPlan, StorageOrder, checked_order

    return StorageOrder(to=checked_order(storage), scratch=ScratchPlan(path.absolute().parent))
