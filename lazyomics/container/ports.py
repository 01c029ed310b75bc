"""What containers ask of storage. The io package fills it in, so that nothing here opens a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, Unpack

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.mudata import MuData
    from lazyomics.lazy.indexer import Selector

__all__ = ["Backing", "Filters", "OnConflict", "Storage", "WriteOptions", "storage", "use_storage"]


class Backing(Protocol):
    """The file that an opened object came from."""

    @property
    def path(self) -> Path | str:
        """Where it is."""

    def is_at(self, path: Path) -> bool:
        """Whether a path leads to this file."""

    def selected(self, rows: Selector, cols: Selector) -> Backing:
        """Return the backing of a selection of the object."""

    def remember(self, opened: Any) -> None:
        """Remember an object that may still need parts of the file as it was opened."""


OnConflict = Literal["raise", "mine", "theirs"]
"""What a save does about elements that were changed here and, differently, in the file."""


class Filters(TypedDict, total=False):
    """How new matrices and arrays are stored."""

    compression: str | int | None
    compression_opts: Any
    shuffle: bool | None
    chunk_bytes: int | str | None


class WriteOptions(Filters, total=False):
    """How a new file is stored."""

    storage: str | None
    convert_strings_to_categoricals: bool
    as_dense: Sequence[str]


class Storage(Protocol):
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

    def write_zarr(self, data: Any, store: Any, **options: Any) -> None:
        """Stream an object, of one or of several modalities, to a zarr store."""

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


_storage: list[Callable[[], Storage]] = []


def use_storage(implementation: Callable[[], Storage]) -> None:
    """Install what makes the implementation: it is loaded when it is first asked for."""
    _storage[:] = [implementation]


def storage() -> Storage:
    """Return the installed implementation."""
    if not _storage:
        raise RuntimeError("no storage is installed; import lazyomics instead of its parts")
    return _storage[0]()
