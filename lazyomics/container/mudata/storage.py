"""What a MuData asks of storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

from lazyomics.container.ports import Filters, OnConflict, Port, ZarrWriter

if TYPE_CHECKING:
    from lazyomics.container.mudata.mudata import MuData

__all__ = ["MuDataStorage", "storage"]


class MuDataStorage(ZarrWriter, Protocol):
    """Reads and writes whole objects of several modalities."""

    def open_mudata(self, path: Path) -> MuData:
        """Open a file of several modalities lazily."""

    def write_mudata(
        self,
        mdata: MuData,
        path: Path,
        *,
        storage: str | None = None,
        convert_strings_to_categoricals: bool = True,
        **filters: Unpack[Filters],
    ) -> None:
        """Stream an object of several modalities to a new file."""

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
        """Save into the opened file what changed in any modality."""


storage: Port[MuDataStorage] = Port()
"""The storage in use."""
