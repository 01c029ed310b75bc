"""Files that ``cache=True`` keeps: matrices of text as .h5ad, in ``settings.cachedir``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from lazyomics.io.compress import dataset_options
from lazyomics.options import settings

__all__ = ["FROM_SETTINGS", "cache_options", "cache_path", "extension_of", "is_fresh"]

TEXTS = frozenset({"csv", "tsv", "tab", "data", "txt"})
EXTENSIONS = TEXTS | {"anndata", "xlsx", "h5", "h5ad", "mtx", "mtx.gz", "soft.gz", "loom", "h5mu"}


class _Default(Enum):
    token = 0

    def __repr__(self) -> str:
        return "settings.cache_compression"


FROM_SETTINGS = _Default.token
"""Default of ``cache_compression``, as None means no compression."""


def extension_of(path: Path) -> str | None:
    """The kind of a file by its name, without ``.gz`` or ``.bz2`` of texts; None for no known one.

    Examples
    --------
    >>> [extension_of(Path(name)) for name in ("a.csv.gz", "a.mtx.gz", "a.b.loom", "a.png")]
    ['csv', 'mtx.gz', 'loom', None]
    """
    found = [suffix[1:].lower() for suffix in path.suffixes[-2:]]
    if len(found) == 2 and found[0] in TEXTS and found[1] in ("gz", "bz2"):
        return found[0]
    for extension in (".".join(found), *found[-1:]):
        if extension in EXTENSIONS:
            return extension
    return None


def cache_path(filename: str | os.PathLike[str]) -> Path:
    """Where the cached form of a file is; scanpy gives it the same name."""
    path = Path(filename)
    parts = [part for part in path.parts if part != "/"]
    extension = extension_of(path) or ""
    place = settings.cachedir / "-".join(parts).replace(f".{extension}", ".h5ad")
    return place.with_suffix("") if place.suffix in (".gz", ".bz2") else place


def is_fresh(place: Path, source: Path) -> bool:
    """Whether a cached form is there and no older than what it was made from."""
    if not place.is_file():
        return False
    return not source.exists() or place.stat().st_mtime >= source.stat().st_mtime


def cache_options(compression: Any) -> Mapping[str, Any]:
    """Options of the datasets of a cached form.

    Raises
    ------
    ValueError
        If the filter is unknown.
    """
    chosen = settings.cache_compression if compression is FROM_SETTINGS else compression
    return dataset_options(chosen)
