"""What containers ask of storage. The io package fills it in, so that nothing here opens a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypedDict, TypeVar

if TYPE_CHECKING:
    from lazyomics.lazy.indexer import Selector

__all__ = ["Backing", "Filters", "OnConflict", "Port", "WriteOptions", "ZarrWriter", "open_matrix"]


class Backing(Protocol):
    """The file that an opened object came from."""

    @property
    def path(self) -> Path | str:
        """Where it is."""

    def is_at(self, path: Path) -> bool:
        """Whether a path leads to this file."""

    @property
    def is_selection(self) -> bool:
        """Whether the object is a selection of what is in the file."""

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


class ZarrWriter(Protocol):
    """Writes objects, of one or of several modalities, to stores of zarr."""

    def write_zarr(self, data: Any, store: Any, **options: Any) -> None:
        """Stream an object to a new store."""


Implementation = TypeVar("Implementation")


class Port(Generic[Implementation]):
    """A place for what the package io provides: it is made when it is first asked for."""

    def __init__(self) -> None:
        self._make: Callable[[], Implementation] | None = None

    def use(self, make: Callable[[], Implementation]) -> None:
        """Install what makes the implementation."""
        self._make = make

    def __call__(self) -> Implementation:
        """Return the installed implementation."""
        if self._make is None:
            raise RuntimeError("no storage is installed; import lazyomics instead of its parts")
        return self._make()


open_matrix: Port[Callable[[Any], Any]] = Port()
"""What makes a lazy matrix of a group or dataset that a program opened."""
