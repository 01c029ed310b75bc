"""Elements that stay in the file until they are asked for: what containers hold after opening."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import h5py
import pandas as pd
from dask.utils import parse_bytes

from lazyomics import lazy
from lazyomics.container.deferred import Deferred
from lazyomics.container.values import is_ragged
from lazyomics.errors import ShapeError
from lazyomics.io.encodings import (
    OpaqueElement,
    frame_columns,
    frame_index,
    frame_length,
    named_rows,
    open_member,
    read_element,
    read_entry,
    read_frame,
)
from lazyomics.io.encodings.damage import as_format_errors
from lazyomics.io.gene_major import paired_reader
from lazyomics.io.save_records import INDEX
from lazyomics.io.snapshot import Snapshot
from lazyomics.lazy.recipe import Recipe
from lazyomics.names import choices

if TYPE_CHECKING:
    from lazyomics.lazy import LazyMatrix

__all__ = [
    "BlockPlan",
    "StoredElement",
    "StoredEntry",
    "StoredFrame",
    "StoredMatrix",
    "outline_of",
    "stored_bytes",
]


@dataclass(frozen=True)
class BlockPlan:
    """What the caller of ``read_h5ad`` says about blocks; nothing means by bytes from config."""

    target_bytes: int | None = None
    lines_per_block: int | None = None

    @classmethod
    def of(cls, chunks: str | int) -> BlockPlan:
        """From ``"auto"``, a size such as ``"8 MiB"``, or a number of rows."""
        if chunks == "auto":
            return cls()
        if isinstance(chunks, str):
            return cls(target_bytes=int(parse_bytes(chunks)))
        if chunks < 1:
            raise ValueError(f"chunks is 'auto', a size or a number of rows, found {chunks!r}")
        return cls(lines_per_block=chunks)


@dataclass(frozen=True)
class StoredElement(Deferred):
    """Any element, read as a whole; ``kind`` is its encoding, ``lead`` how its shape begins."""

    snapshot: Snapshot
    name: str
    kind: str = ""
    lead: tuple[int, ...] = field(default=(), compare=False)

    @property
    def path(self) -> str:
        """The file."""
        return self.snapshot.path

    def load(self) -> Any:
        with self.snapshot.open(self.name) as file:
            value = read_element(_member(file, self.name))
        if self.lead and not isinstance(value, OpaqueElement):
            _check_lead(self.path, self.name, value, self.lead)
        return value

    def as_matrix(self) -> LazyMatrix | None:
        """Return an array of rows and columns as a lazy matrix; None for anything else."""
        if self.kind != "array":
            return None
        with self.snapshot.open(self.name) as file:
            stored = _member(file, self.name)
            if len(stored.shape) != 2 or stored.dtype.kind not in "biuf":
                return None
        return StoredMatrix(self.snapshot, self.name, lead=self.lead).load()

    def outline(self) -> tuple[str, tuple[int, ...]]:
        """Kind of the element in words, and its shape; no values are read."""
        with self.snapshot.open(self.name) as file:
            return outline_of(_member(file, self.name))

    @property
    def nbytes(self) -> int:
        with self.snapshot.open(self.name) as file:
            return stored_bytes(_member(file, self.name))


@dataclass(frozen=True)
class StoredEntry(StoredElement):
    """An entry of uns, which may be an AnnData."""

    def load(self) -> Any:
        with self.snapshot.open(self.name) as file:
            return read_entry(_member(file, self.name))


@dataclass(frozen=True)
class StoredMatrix(Deferred):
    """A matrix, opened as a lazy one."""

    snapshot: Snapshot
    name: str
    plan: BlockPlan = BlockPlan()
    lead: tuple[int, ...] = field(default=(), compare=False)

    @property
    def path(self) -> str:
        """The file."""
        return self.snapshot.path

    def load(self) -> LazyMatrix:
        return lazy.LazyMatrix.cook(self.recipe())

    def recipe(self) -> Recipe:
        """What is read to have the matrix. Opens the file, and reads no values."""
        with self.snapshot.open(self.name) as file:
            source = paired_reader(_member(file, self.name))
        _check_lead(self.path, self.name, source, self.lead)
        return Recipe.of(
            source,
            target_bytes=self.plan.target_bytes,
            lines_per_block=self.plan.lines_per_block,
        )

    @property
    def nbytes(self) -> int:
        with self.snapshot.open(self.name) as file:
            return stored_bytes(_member(file, self.name))


@dataclass(frozen=True)
class StoredFrame(Deferred):
    """obs or var; ``only`` names the columns to read, None for all."""

    snapshot: Snapshot
    name: str
    all_columns: tuple[str, ...]
    length: int
    only: tuple[str, ...] | None = None

    @classmethod
    def of(cls, obj: Any, snapshot: Snapshot, only: tuple[str, ...] | None = None) -> StoredFrame:
        """Refer to an open table."""
        name = str(obj.name)
        columns = tuple(frame_columns(obj))
        unknown = [c for c in only or () if c not in columns]
        if unknown:
            raise KeyError(
                f"{snapshot.path}: {name} has no column {unknown[0]!r}; "
                f"{choices(unknown[0], columns)}"
            )
        return cls(snapshot, name, columns, frame_length(obj), only)

    @property
    def path(self) -> str:
        """The file."""
        return self.snapshot.path

    @property
    def columns(self) -> tuple[str, ...]:
        return self.all_columns if self.only is None else self.only

    @property
    def is_as_stored(self) -> bool:
        """Whether a copy of what the file holds is the table."""
        return True

    def element(self, column: str) -> str:
        """Return the name of a column, or of the row names, in the records of saves."""
        return f"{self.name}/{column}"

    def load(self) -> pd.DataFrame:
        parts = [self.element(name) for name in (INDEX, *self.columns)]
        with self.snapshot.open(*parts) as file:
            frame = read_frame(_member(file, self.name), self.columns)
            frame.index = named_rows(_member(file, self.name), frame.index)
        return self._checked(frame)

    def index(self) -> pd.Index:
        with self.snapshot.open(self.element(INDEX)) as file:
            return named_rows(_member(file, self.name), frame_index(_member(file, self.name)))

    def column(self, name: str) -> pd.Series[Any]:
        with self.snapshot.open(self.element(INDEX), self.element(name)) as file:
            return self._checked(read_frame(_member(file, self.name), [name]))[name]

    def kinds(self) -> dict[str, str]:
        """What each column holds, in words; no values are read."""
        with self.snapshot.open() as file:
            table = _member(file, self.name)
            return {name: _kind_of_column(table, name) for name in self.columns}

    @cached_property
    def nbytes(self) -> int:
        with self.snapshot.open() as file:
            return stored_bytes(_member(file, self.name))

    def _checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        if len(frame) != self.length:
            raise ShapeError(
                f"{self.path}: {self.name} has {len(frame)} rows, it had {self.length} when the "
                "file was opened; open it again"
            )
        return frame


def _check_lead(path: str, name: str, value: Any, lead: tuple[int, ...]) -> None:
    """Refuse what does not have a row for each cell, or whatever its axes stand for."""
    shape = (len(value),) if is_ragged(value) else tuple(getattr(value, "shape", ()))
    if shape[: len(lead)] != lead:
        mapping, _, key = name.rpartition("/")
        raise ShapeError(
            f"{path}: {mapping.rpartition('/')[2]}[{key!r}] has shape {shape}, expected {lead} to "
            "begin with. The parts of the file do not belong together; write it again from its "
            "source."
        )


def _member(file: h5py.File, name: str) -> Any:
    return open_member(file, name.lstrip("/"))


@as_format_errors
def stored_bytes(obj: Any) -> int:
    """Bytes of all values of an element and what is below it, without reading them."""
    if isinstance(obj, h5py.Dataset):
        return int(obj.size or 0) * int(obj.dtype.itemsize)
    if not isinstance(obj, h5py.Group):  # a named type
        return 0
    sizes = []

    def visit(_: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            sizes.append(int(member.size or 0) * int(member.dtype.itemsize))

    obj.visititems(visit)
    return sum(sizes)


def outline_of(obj: Any) -> tuple[str, tuple[int, ...]]:
    """Return the kind of an open element in words, and its shape; no values are read.

    Takes groups and arrays of HDF5 and of zarr alike.
    """
    kind = obj.attrs.get("encoding-type", "")
    kind = kind if isinstance(kind, str) else "?"
    if hasattr(obj, "dtype"):
        is_text = "string" in kind or obj.dtype.kind not in "biufcV"
        shape = tuple(int(n) for n in obj.shape or ())
        lead = "array of " if shape else ""
        return (lead + "text" if is_text else f"{lead.replace('of ', '')}{obj.dtype}"), shape
    if kind == "dataframe":
        columns = [str(name) for name in obj.attrs.get("column-order", ())]
        return f"table with {', '.join(columns)}" if columns else "table", ()
    if kind in ("", "dict"):
        names = list(obj.keys()) if hasattr(obj, "keys") else []
        return f"dict: {', '.join(names)}" if names else "empty dict", ()
    shape = obj.attrs.get("shape", ())
    return kind.removesuffix("_matrix"), tuple(int(n) for n in shape)


def _kind_of_column(table: Any, name: str) -> str:
    if isinstance(table, h5py.Dataset):  # of an old layout: records
        return str(table.dtype[name]) if name in (table.dtype.names or ()) else "?"
    column = open_member(table, name)
    if isinstance(column, h5py.Dataset):
        if "categories" in column.attrs:
            return "categories"
        return str(column.dtype) if column.dtype.kind in "biufc" else "text"
    kind = str(column.attrs.get("encoding-type", "?"))
    if kind == "categorical" and isinstance(column.get("categories"), h5py.Dataset):
        return f"{column['categories'].shape[0]:,} categories"
    return kind
