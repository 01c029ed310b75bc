"""Out-of-core analysis of single-cell omics files, with dask.

>>> import lazyomics as lo
>>> lo.read_h5ad.__name__
'read_h5ad'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lazyomics import config, errors
from lazyomics.container.anndata import AnnData
from lazyomics.container.explain import explain
from lazyomics.container.joining import concat
from lazyomics.container.mudata import MuData
from lazyomics.io import storage as _storage  # noqa: F401 (installs the storage of containers)
from lazyomics.io.mudata.opening import read, read_h5mu
from lazyomics.io.opening import read_h5ad
from lazyomics.io.opening_10x import read_10x_h5
from lazyomics.io.repack import repack
from lazyomics.io.transpose_storage import transpose_storage
from lazyomics.progress import ProgressBar

if TYPE_CHECKING:
    from lazyomics import datasets, get, pl, pp, tl

__version__ = "0.1.0.dev0"

__all__ = [
    "AnnData",
    "MuData",
    "ProgressBar",
    "__version__",
    "concat",
    "config",
    "datasets",
    "errors",
    "explain",
    "get",
    "pl",
    "pp",
    "read",
    "read_10x_h5",
    "read_h5ad",
    "read_h5mu",
    "repack",
    "tl",
    "transpose_storage",
]

_ON_FIRST_USE = frozenset({"datasets", "get", "pl", "pp", "tl"})


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return importlib.import_module(f"lazyomics.{name}")
    raise AttributeError(f"module 'lazyomics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
