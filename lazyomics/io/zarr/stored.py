"""Elements of a zarr store that are read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from lazyomics import lazy
from lazyomics.container.deferred import Deferred
from lazyomics.container.values import is_ragged
from lazyomics.errors import ShapeError
from lazyomics.io.readers import CompressedReader, DenseReader
from lazyomics.io.stored import BlockPlan, outline_of
from lazyomics.io.zarr.arrays import ZarrArray
from lazyomics.io.zarr.elements import (
    column_kinds,
    frame_columns,
    frame_index,
    frame_length,
    is_group,
    kind_of,
    read_columns,
    read_element,
    read_entry,
    sparse_parts,
    sparse_shape,
    stored_bytes,
)
from lazyomics.io.zarr.stores import ZarrStore, damaged, member
from lazyomics.lazy.recipe import Recipe

if TYPE_CHECKING:
    from lazyomics.lazy import LazyMatrix

__all__ = ["ZarrElement", "ZarrEntry", "ZarrFrame", "ZarrMatrix", "matrix_shape", "reader_of"]


@dataclass(frozen=True)
class ZarrElement(Deferred):
    """Any element, read as a whole; ``lead`` is how its shape begins."""

    store: ZarrStore
    name: str
    kind: str = ""
    lead: tuple[int, ...] = field(default=(), compare=False)

    @property
    def path(self) -> str:
        """The store."""
        return str(self.store)

    def node(self) -> Any:
        """Open the group or array."""
        return member(self.store, self.store.open(), self.name)

    def load(self) -> Any:
        """Read the element."""
        value = read_element(self.store, self.node())
        if self.lead:
            _check_lead(self.path, self.name, value, self.lead)
        return value

    def as_matrix(self) -> LazyMatrix | None:
        """Return an array of rows and columns as a lazy matrix; None for anything else."""
        node = self.node()
        if self.kind != "array" or len(node.shape) != 2 or node.dtype.kind not in "biuf":
            return None
        return ZarrMatrix(self.store, self.name, lead=self.lead).load()

    def outline(self) -> tuple[str, tuple[int, ...]]:
        """Kind of the element in words, and its shape; no values are read."""
        return outline_of(self.node())

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return stored_bytes(self.store, self.node())


@dataclass(frozen=True)
class ZarrEntry(ZarrElement):
    """An entry of uns, which may be an AnnData."""

    def load(self) -> Any:
        """Read the element."""
        return read_entry(self.store, self.node())


@dataclass(frozen=True)
class ZarrMatrix(Deferred):
    """A matrix, opened as a lazy one."""

    store: ZarrStore
    name: str
    plan: BlockPlan = field(default_factory=BlockPlan)
    lead: tuple[int, ...] = field(default=(), compare=False)

    @property
    def path(self) -> str:
        """The store."""
        return str(self.store)

    def load(self) -> LazyMatrix:
        """Return a lazy matrix."""
        return lazy.LazyMatrix.cook(self.recipe())

    def recipe(self) -> Recipe:
        """What is read to have the matrix. Reads metadata, and no values."""
        source = reader_of(self.store, member(self.store, self.store.open(), self.name))
        _check_lead(self.path, self.name, source, self.lead)
        return Recipe.of(
            source,
            target_bytes=self.plan.target_bytes,
            lines_per_block=self.plan.lines_per_block,
        )

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return stored_bytes(self.store, member(self.store, self.store.open(), self.name))


@dataclass(frozen=True)
class ZarrFrame(Deferred):
    """A table; ``only`` names the columns to read, None for all."""

    store: ZarrStore
    name: str
    all_columns: tuple[str, ...]
    length: int
    only: tuple[str, ...] | None = None

    @classmethod
    def of(cls, store: ZarrStore, node: Any, only: tuple[str, ...] | None = None) -> ZarrFrame:
        """Refer to an open table."""
        columns = tuple(frame_columns(store, node))
        unknown = [c for c in only or () if c not in columns]
        if unknown:
            raise KeyError(
                f"{store}: {node.path} has no column {unknown[0]!r}; it has {list(columns)}"
            )
        return cls(store, str(node.path), columns, frame_length(store, node), only)

    @property
    def path(self) -> str:
        """The store."""
        return str(self.store)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.all_columns if self.only is None else self.only

    def _node(self) -> Any:
        return member(self.store, self.store.open(), self.name)

    def load(self) -> pd.DataFrame:
        """Read the table."""
        frame = read_columns(self.store, self._node(), self.columns)
        frame.index = self.index()
        return self._checked(frame)

    def index(self) -> pd.Index:
        """Read the names of the rows."""
        return frame_index(self.store, self._node())

    def column(self, name: str) -> pd.Series[Any]:
        """Read a column."""
        frame = read_columns(self.store, self._node(), [name])
        frame.index = self.index()
        return self._checked(frame)[name]

    def kinds(self) -> dict[str, str]:
        """What each column holds, in words; no values are read."""
        return column_kinds(self.store, self._node(), self.columns)

    @cached_property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return stored_bytes(self.store, self._node())

    def _checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        if len(frame) != self.length:
            raise ShapeError(
                f"{self.path}: {self.name} has {len(frame)} rows, it had {self.length} when the "
                "store was opened; open it again"
            )
        return frame


def _check_lead(path: str, name: str, value: Any, lead: tuple[int, ...]) -> None:
    """Refuse what does not have a row for each cell, or whatever its axes stand for."""
    shape = (len(value),) if is_ragged(value) else tuple(getattr(value, "shape", ()))
    if shape[: len(lead)] != lead:
        raise ShapeError(
            f"{path}: {name!r} has shape {shape}, expected {lead} to begin with. The parts of the "
            "store do not belong together; write it again from its source."
        )


def matrix_shape(store: ZarrStore, node: Any) -> tuple[int, int] | None:
    """Shape of a stored matrix; None for anything else."""
    kind = kind_of(store, node)
    if kind in ("csr_matrix", "csc_matrix") and is_group(node):
        return sparse_shape(store, node)
    if kind != "array" or is_group(node) or len(node.shape) != 2:
        return None
    return int(node.shape[0]), int(node.shape[1])


def reader_of(store: ZarrStore, node: Any) -> DenseReader | CompressedReader:
    """Return the source of an open matrix, which reads through `ZarrArray`.

    Raises
    ------
    FileFormatError
        If the element is not a matrix, or its parts do not fit together.
    """
    shape = matrix_shape(store, node)
    if shape is None:
        raise damaged(store, node.path, expected="a matrix", found=kind_of(store, node))
    if not is_group(node):
        return DenseReader(ZarrArray.of(node, store))
    arrays = {name: ZarrArray.of(part, store) for name, part in sparse_parts(store, node).items()}
    by_rows = kind_of(store, node) == "csr_matrix"
    return CompressedReader(shape=shape, format="csr" if by_rows else "csc", **arrays)
