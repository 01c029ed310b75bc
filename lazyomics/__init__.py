"""Out-of-core analysis of single-cell omics files, with dask.

>>> import lazyomics as lo
>>> lo.read_h5ad.__name__
'read_h5ad'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics import errors, logging
from lazyomics.container.mudata.storage import storage as storage_of_mudata
from lazyomics.container.ports import open_matrix
from lazyomics.container.storage import storage as storage_of_anndata
from lazyomics.importing import import_whole
from lazyomics.missing import missing
from lazyomics.options import Verbosity, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from lazyomics import (
        atac,
        config,
        datasets,
        experimental,
        external,
        get,
        metrics,
        ml,
        pl,
        pp,
        prot,
        tl,
    )
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.concat.concat import concat
    from lazyomics.container.explain import explain
    from lazyomics.container.mudata import MuData
    from lazyomics.io.add_gene_major import add_gene_major
    from lazyomics.io.elements import read_elem, write_elem
    from lazyomics.io.h5mu.opening import read_h5mu
    from lazyomics.io.loom import read_loom
    from lazyomics.io.mtx.alevin import read_alevin
    from lazyomics.io.mtx.quantifiers import read_kb, read_starsolo
    from lazyomics.io.mtx.read_10x import read_10x_mtx
    from lazyomics.io.mtx.reading import read_mtx
    from lazyomics.io.opening import read_h5ad
    from lazyomics.io.opening_10x import read_10x_h5
    from lazyomics.io.reading import read
    from lazyomics.io.repack import repack
    from lazyomics.io.storage import FileStorage
    from lazyomics.io.tables import read_csv, read_excel, read_hdf, read_text, read_umi_tools
    from lazyomics.io.transpose_storage import transpose_storage
    from lazyomics.io.visium import read_visium
    from lazyomics.io.writing_objects import write, write_h5ad, write_h5mu, write_zarr
    from lazyomics.io.zarr import read_zarr
    from lazyomics.logging import show_versions
    from lazyomics.pl.figure import set_figure_params
    from lazyomics.progress import ProgressBar

__version__ = "0.1.0.dev0"

__all__ = [
    "AnnData",
    "MuData",
    "ProgressBar",
    "Verbosity",
    "__version__",
    "add_gene_major",
    "atac",
    "concat",
    "config",
    "datasets",
    "errors",
    "experimental",
    "explain",
    "external",
    "get",
    "logging",
    "metrics",
    "ml",
    "pl",
    "pp",
    "prot",
    "read",
    "read_10x_h5",
    "read_10x_mtx",
    "read_alevin",
    "read_csv",
    "read_elem",
    "read_excel",
    "read_h5ad",
    "read_h5mu",
    "read_hdf",
    "read_kb",
    "read_loom",
    "read_mtx",
    "read_starsolo",
    "read_text",
    "read_umi_tools",
    "read_visium",
    "read_zarr",
    "repack",
    "set_figure_params",
    "settings",
    "show_versions",
    "tl",
    "transpose_storage",
    "write",
    "write_elem",
    "write_h5ad",
    "write_h5mu",
    "write_zarr",
]

# Imported when they are first asked for: most programs need few of them, and the help of the
# command line needs neither pandas nor h5py nor dask.
_NAMESPACES = {
    *("atac", "datasets", "experimental", "external", "get", "metrics", "ml"),
    *("pl", "pp", "prot", "tl"),
}
_PARTS = {"blocks", "compiled", "config", "io", "lazy", "progress"}
_HOMES = {
    "AnnData": "container.anndata",
    "MuData": "container.mudata",
    "ProgressBar": "progress",
    "add_gene_major": "io.add_gene_major",
    "concat": "container.concat",
    "explain": "container.explain",
    "read": "io.reading",
    "read_10x_h5": "io.opening_10x",
    "read_10x_mtx": "io.mtx.read_10x",
    "read_alevin": "io.mtx.alevin",
    "read_csv": "io.tables",
    "read_elem": "io.elements",
    "read_excel": "io.tables",
    "read_h5ad": "io.opening",
    "read_h5mu": "io.h5mu.opening",
    "read_hdf": "io.tables",
    "read_kb": "io.mtx.quantifiers",
    "read_loom": "io.loom",
    "read_mtx": "io.mtx.reading",
    "read_starsolo": "io.mtx.quantifiers",
    "read_text": "io.tables",
    "read_umi_tools": "io.tables",
    "read_visium": "io.visium",
    "read_zarr": "io.zarr",
    "repack": "io.repack",
    "set_figure_params": "pl",
    "show_versions": "logging",
    "transpose_storage": "io.transpose_storage",
    "write": "io.writing_objects",
    "write_elem": "io.elements",
    "write_h5ad": "io.writing_objects",
    "write_h5mu": "io.writing_objects",
    "write_zarr": "io.writing_objects",
}


def _files() -> FileStorage:
    """Make the storage of containers, which only programs that write or save need."""
    from lazyomics.io.storage import FileStorage

    return FileStorage()


def _open_matrix() -> Callable[[Any], Any]:
    from lazyomics.io.open_matrices import open_matrix

    return open_matrix


storage_of_anndata.use(_files)
open_matrix.use(_open_matrix)
storage_of_mudata.use(_files)


def __getattr__(name: str) -> Any:
    if name in _NAMESPACES | _PARTS:
        return import_whole(f"lazyomics.{name}")
    if name in _HOMES:
        value = getattr(import_whole(f"lazyomics.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise missing("", name)


def __dir__() -> list[str]:
    return sorted(__all__)
