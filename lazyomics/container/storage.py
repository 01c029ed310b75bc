"""What an AnnData asks of storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

from lazyomics.container.ports import Filters, OnConflict, Port, ZarrWriter

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["Storage", "storage"]


class Storage(ZarrWriter, Protocol):
    """Reads and writes whole objects."""

    def open(self, path: Path) -> AnnData:
        """Open a file lazily."""

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
        """Stream an object to a new file, its sparse matrices by rows or by columns."""

    def save(
        self,
        adata: AnnData,
        *,
        overwrite_x: bool,
        on_conflict: OnConflict = "raise",
        convert_strings_to_categoricals: bool = True,
        **filters: Unpack[Filters],
    ) -> None:
        """Save into the opened file what changed."""

    def write_loom(self, adata: AnnData, path: Path, *, write_obsm_varm: bool) -> None:
        """Write an object to a .loom file."""


storage: Port[Storage] = Port()
"""The storage in use."""
