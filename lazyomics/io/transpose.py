"""Turn stored matrices over: rows become columns, in bounded memory."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

import dask.array as da
import h5py
import numpy as np
import scipy.sparse as sp
from dask.utils import format_bytes
from numpy.typing import DTypeLike, NDArray

from lazyomics import config
from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock
from lazyomics.blocks.canonical import index_dtype
from lazyomics.io.encodings import write_element
from lazyomics.io.readers import CompressedReader, reader_of
from lazyomics.io.stored import StoredElement
from lazyomics.io.stream import stream_matrix, write_compressed
from lazyomics.lazy import (
    LazyMatrix,
    MemorySource,
    as_lazy,
    from_source,
    recipe_of,
    threads,
    windows,
    workers,
)
from lazyomics.lazy.recipe import SMALLEST_BLOCK, Recipe, bounds_by_bytes, plain_source

__all__ = [
    "WINDOW_SHARE",
    "Piece",
    "ScratchFile",
    "ScratchPlan",
    "SpillBuffer",
    "StorageOrder",
    "TransposePlan",
    "checked_order",
    "needs_turning",
    "transpose_matrix",
    "write_row_work",
]


SHARE_OF_FREE_DISK = 2  # one half of what is free
SCRATCH_HINT = (
    "Choose another folder with scratch_dir=, or allow less with scratch_bytes= of "
    "lo.transpose_storage"
)


@dataclass(frozen=True)
class ScratchPlan:
    """A folder for scratch, and the most bytes it may take; None means half of what is free."""

    folder: Path
    most_bytes: int | None = None

    @property
    def budget(self) -> int:
        """Bytes that may be used."""
        if self.most_bytes is not None:
            return self.most_bytes
        return shutil.disk_usage(self.folder).free // SHARE_OF_FREE_DISK


class ScratchFile:
    """Arrays put aside in an unnamed file: it is gone when closed, also when the process dies.

    Parameters
    ----------
    folder
        Where it is made.
    hint
        What to do where there is no room for it, for messages.
    """

    def __init__(self, folder: str | os.PathLike[str], hint: str = SCRATCH_HINT) -> None:
        self.folder = os.fspath(folder)
        self._hint = hint
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed below)
        except OSError as error:
            raise self._failure(error, 0) from error

    def put(self, values: NDArray[Any]) -> int:
        """Append an array; return where it is."""
        place, view = self._end, np.ascontiguousarray(values).data.cast("B")
        while len(view):
            try:
                done = os.pwrite(self._file.fileno(), view, self._end)
            except OSError as error:
                raise self._failure(error, len(view)) from error
            self._end += done
            view = view[done:]
        return place

    def get(self, place: int, count: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return an array that was put at ``place``."""
        values = np.empty(count, dtype=dtype)
        view = values.data.cast("B")
        while len(view):
            done = os.preadv(self._file.fileno(), [view], place)
            if done == 0:
                raise OSError("the scratch file ended early: was the disk full?")
            place, view = place + done, view[done:]
        return values

    def _failure(self, error: OSError, missing: int) -> OSError:
        """The same error, with the folder, what was put there, and what to do."""
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        text = f"scratch in {self.folder} cannot be written: {error.strerror}"
        if missing:
            text += (
                f". {format_bytes(self._end)} were put there, and at least {format_bytes(missing)} "
                "more are needed"
            )
        return kind(error.errno, f"{text}. {self._hint}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


# of the memory budget: what one window of the result takes, and one of the blocks in flight
WINDOW_SHARE = 6
BLOCK_SHARE = 12


def transpose_matrix(
    parent: h5py.Group,
    name: str,
    x: da.Array,
    *,
    to: Literal["csr", "csc"],
    scratch: ScratchPlan,
    memory: int | None = None,
    dataset_kwargs: Mapping[str, Any],
) -> None:
    """Write a matrix whose blocks are of the other storage order as csr_matrix or csc_matrix.

    Parameters
    ----------
    parent, name
        Open group, writable, and the name of the new element.
    x
        Lazy matrix of row blocks for ``to="csc"``, of column blocks for ``to="csr"``.
    to
        How it is stored in the end.
    scratch
        Folder and most bytes of scratch.
    memory
        Bytes to hold; by default ``lazyomics.memory``.
    dataset_kwargs
        Compression of the datasets.

    Notes
    -----
    Passes over x: one over its indices (over x, if it is not as stored in a file), and one over x
    if the scratch budget holds its values with two indices each, else one for each part of it that
    fits. Peak memory: the budget.
    """
    turned = TransposePlan.plan(x, to=to, memory=memory)
    write_compressed(
        parent,
        name,
        turned.blocks(scratch),
        kind=to,
        shape=(int(x.shape[0]), int(x.shape[1])),
        dtype=x.dtype,
        most=turned.most_values,
        options=dataset_kwargs,
    )


def _in_small_blocks(x: da.Array, target: int) -> da.Array:
    recipe = recipe_of(x)
    if recipe is None:
        return x
    target = max(SMALLEST_BLOCK, min(target, config.chunk_bytes()))
    return LazyMatrix.cook(replace(recipe, target_bytes=target, lines_per_block=None))


@dataclass
class Piece:
    """Values of one block that belong to one window, ordered by line."""

    lines: NDArray[Any]
    indices: NDArray[Any]
    data: NDArray[Any]


class SpillBuffer:
    """The pieces of one window, in the scratch file; read from there whenever asked for."""

    def __init__(self, file: ScratchFile) -> None:
        self._file = file
        self._parts: list[tuple[tuple[int, int, Any], ...]] = []

    def put(self, piece: Piece) -> None:
        """Put one more piece aside."""
        arrays = (piece.lines, piece.indices, piece.data)
        self._parts.append(tuple((self._file.put(a), len(a), a.dtype) for a in arrays))

    def __iter__(self) -> Iterator[Piece]:
        for part in self._parts:
            yield Piece(*(self._file.get(*where) for where in part))


@dataclass
class TransposePlan:
    """A matrix turned over: ``bounds`` cut the lines of the result into windows."""

    x: da.Array
    axis: int
    counts: NDArray[np.int64]  # stored values of each line of the result, or more
    bounds: tuple[int, ...]
    index_dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.index_dtype = index_dtype(self.x.shape[self.axis])

    @classmethod
    def plan(
        cls, x: da.Array, *, to: Literal["csr", "csc"], memory: int | None = None
    ) -> TransposePlan:
        """Count what each line will hold, and cut the lines into windows that fit in memory."""
        axis = 0 if to == "csc" else 1
        budget = memory or config.memory()
        x = _in_small_blocks(x, budget // BLOCK_SHARE // threads())
        return cls._cut_by_bytes(x, axis, budget // WINDOW_SHARE)

    @classmethod
    def _cut_by_bytes(cls, x: da.Array, axis: int, window_bytes: int) -> TransposePlan:
        counts = _line_counts(x, axis)
        ends = np.cumsum(counts * (x.dtype.itemsize + 8) + 16)
        bounds = [0]
        while bounds[-1] < len(counts):
            used = int(ends[bounds[-1] - 1]) if bounds[-1] else 0
            stop = int(np.searchsorted(ends, used + max(1, window_bytes), side="right"))
            bounds.append(max(stop, bounds[-1] + 1))
        return cls(x, axis, counts, tuple(bounds))

    @property
    def most_values(self) -> int:
        """Stored values of the result; more than these only where indices repeat."""
        return int(self.counts.sum())

    @property
    def piece_bytes(self) -> int:
        """Bytes of scratch for each value."""
        return 4 + self.index_dtype.itemsize + self.x.dtype.itemsize

    def blocks(self, scratch: ScratchPlan) -> Iterator[SparseBlock]:
        """Windows of the result, in order."""
        for low, high in self._groups(scratch.budget):
            if high == low + 1:  # a single window stays in memory
                yield self._window(low, [piece for _, piece in self._pieces(low, high)])
                continue
            with ScratchFile(scratch.folder) as file:
                aside = [SpillBuffer(file) for _ in range(low, high)]
                for k, piece in self._pieces(low, high):
                    aside[k - low].put(piece)
                for k in range(low, high):
                    yield self._window(k, aside[k - low])

    def _groups(self, budget: int) -> Iterator[tuple[int, int]]:
        """Windows that one reading of the source serves."""
        ends = np.append(0, np.cumsum(self.counts))
        sizes = np.diff(ends[list(self.bounds)])
        low = 0
        while low < len(self.bounds) - 1:
            high, used = low + 1, int(sizes[low]) * self.piece_bytes
            while high < len(self.bounds) - 1:
                used += int(sizes[high]) * self.piece_bytes
                if used > budget:
                    break
                high += 1
            yield low, high
            low = high

    def _pieces(self, low: int, high: int) -> Iterator[tuple[int, Piece]]:
        """Read the source once; give its values by window and, inside, by line."""
        start = 0
        for window in windows(self.x, axis=self.axis, size=workers()):
            while window:
                block = window.pop(0)
                size = block.shape[self.axis]
                yield from self._cut(block, start, low, high)
                start += size

    def _cut(self, block: Any, start: int, low: int, high: int) -> Iterator[tuple[int, Piece]]:
        turned = block.tocsc() if self.axis == 0 else block.tocsr()
        for k in range(low, high):
            first, last = self.bounds[k], self.bounds[k + 1]
            pointers = turned.indptr[first : last + 1]
            a, b = int(pointers[0]), int(pointers[-1])
            if a == b:
                continue
            lines = np.repeat(np.arange(last - first, dtype=np.int32), np.diff(pointers))
            indices = turned.indices[a:b].astype(self.index_dtype) + self.index_dtype.type(start)
            yield k, Piece(lines, indices, turned.data[a:b].copy())

    def _window(self, k: int, pieces: Iterable[Piece]) -> SparseBlock:
        """Put the pieces of a window together: each line gets its values in their order."""
        n = self.bounds[k + 1] - self.bounds[k]
        counts = np.zeros(n, dtype=np.int64)
        for piece in pieces:
            counts += np.bincount(piece.lines, minlength=n)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        data = np.empty(int(indptr[-1]), dtype=self.x.dtype)
        indices = np.empty(int(indptr[-1]), dtype=self.index_dtype)
        free = indptr[:-1].copy()
        for piece in pieces:
            mine = np.bincount(piece.lines, minlength=n)
            shift = free - (np.cumsum(mine) - mine)
            places = shift[piece.lines] + np.arange(len(piece.lines))
            data[places], indices[places] = piece.data, piece.indices
            free += mine
        minor = self.x.shape[self.axis]
        if self.axis == 0:
            return CSCBlock.from_arrays(data, indices, indptr, (minor, n))
        return CSRBlock.from_arrays(data, indices, indptr, (n, minor))


def _line_counts(x: da.Array, axis: int) -> NDArray[np.int64]:
    """Stored values of each line of the result; at least, where indices repeat."""
    n = x.shape[1 - axis]
    counts = np.zeros(n, dtype=np.int64)
    source = plain_source(x)
    if isinstance(source, CompressedReader):
        step = max(1, config.chunk_bytes() // 8)
        for a, b in pairwise((*range(0, source.indices.shape[0], step), source.indices.shape[0])):
            counts += source.count_inside(a, b)
        return counts
    for window in windows(x, axis=axis, size=workers()):
        while window:
            counts += np.bincount(window.pop(0).indices, minlength=n)
    return counts


def needs_turning(recipe: Recipe | None) -> bool:
    """Whether row blocks of a recipe scan a column-major source more than once."""
    if recipe is None or recipe.source.format != "csc" or recipe.by_columns:
        return False
    return len(recipe.bounds()) > 2


def write_row_work(
    parent: h5py.Group,
    name: str,
    x: LazyMatrix,
    recipe: Recipe,
    *,
    to: Literal["csr", "csc"],
    scratch: ScratchPlan,
    memory: int | None,
    dataset_kwargs: Mapping[str, Any],
) -> bool:
    """Write a matrix of row-wise steps over a column-major source.

    Parameters
    ----------
    parent, name
        Open group, writable, and the name of the new element.
    x, recipe
        The matrix, with sparse blocks of rows, and what it is made of.
    to
        How it is stored in the end.
    scratch, memory
        As for ``transpose_matrix``.
    dataset_kwargs
        Compression of the datasets.

    Returns
    -------
    False, and nothing is written, if the scratch budget does not hold the changed matrix, which
    ``to="csc"`` puts aside before it turns it back.

    Notes
    -----
    Passes over the source: one over its indices (over all of it, where cells or genes are
    selected) and one over its values, or more where scratch is short, as for
    ``transpose_matrix``. With ``to="csc"`` the same again over the changed values in scratch. Peak
    memory: the budget.
    """
    plain = LazyMatrix.cook(replace(recipe, steps=(), by_columns=True))
    turned = TransposePlan.plan(plain, to="csr", memory=memory)
    blocks = _changed(turned.blocks(scratch), recipe)
    shape, most = (int(x.shape[0]), int(x.shape[1])), turned.most_values
    if to == "csr":
        write_compressed(
            parent,
            name,
            blocks,
            kind="csr",
            shape=shape,
            dtype=x.dtype,
            most=most,
            options=dataset_kwargs,
        )
        return True
    size = most * (x.dtype.itemsize + plain._meta.indices.itemsize) + 8 * shape[0]
    if size > scratch.budget or recipe.adds_values:  # it is not known how many
        return False
    left = replace(scratch, most_bytes=scratch.budget - size)
    beside = scratch.folder / f".rows.{os.getpid()}-{uuid4().hex[:8]}.part"
    try:
        with h5py.File(beside, "w-") as file:
            options: dict[str, Any] = {}
            kwargs: Any = {"kind": "csr", "shape": shape, "dtype": x.dtype, "most": most}
            write_compressed(file, "x", blocks, options=options, **kwargs)
        with h5py.File(beside, "r") as file:
            reader = reader_of(file["x"])
        transpose_matrix(
            parent,
            name,
            from_source(reader),
            to="csc",
            scratch=left,
            memory=memory,
            dataset_kwargs=dataset_kwargs,
        )
    finally:
        beside.unlink(missing_ok=True)
    return True


def _changed(blocks: Iterable[SparseBlock], recipe: Recipe) -> Iterator[Any]:
    """Apply the steps to windows of rows, a part of each at a time."""
    start = 0
    for window in blocks:
        source = MemorySource.of(window)
        n_rows, n_cols = window.shape
        sizes = np.diff(window.indptr) * (window.dtype.itemsize + 4) + 8
        for low, high in pairwise(bounds_by_bytes(sizes, config.chunk_bytes())):
            part = source.read(slice(low, high, 1), slice(0, n_cols, 1))
            for step in recipe.steps:
                part = step.take_rows(slice(start + low, start + high, 1))(part)
            yield part
        start += n_rows


@dataclass(frozen=True)
class StorageOrder:
    """How sparse matrices are to be stored.

    Attributes
    ----------
    to
        ``"csr"`` or ``"csc"``.
    scratch
        Where transpositions put values aside.
    only
        The only matrix that is stored so, ``"X"``, ``"raw/X"`` or ``"layers/NAME"``; None for all.
    memory
        Bytes that a transposition may hold; by default ``lazyomics.memory``.
    """

    to: Literal["csr", "csc"]
    scratch: ScratchPlan
    only: str | None = None
    memory: int | None = None

    def covers(self, place: str) -> bool:
        """Whether it says something about a matrix."""
        if self.only is not None:
            return place == self.only
        if place.startswith("mod/"):  # of a modality
            place = place.split("/", 2)[-1]
        return place in ("X", "raw/X") or place.startswith("layers/")

    def write(self, group: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> bool:
        """Write a matrix in this order; False if it has it already, or is dense."""
        if isinstance(value, StoredElement):
            return False
        if hasattr(value, "load") and not hasattr(value, "dtype"):
            value = value.load()
        if sp.issparse(value):
            if value.format == self.to:
                return False
            write_element(group, name, value.asformat(self.to), dataset_kwargs=options)
            return True
        if not isinstance(value, da.Array) or not isinstance(value._meta, SparseBlock):
            return False
        recipe = recipe_of(value)
        by_columns = recipe is not None and recipe.by_columns
        if needs_turning(recipe) and self._turn(group, name, value, options):
            return True
        if not by_columns:
            value = as_lazy(value)
        if by_columns is (self.to == "csc"):
            source = plain_source(value)
            if source is not None and source.format == self.to:
                return False
            stream_matrix(group, name, value, dataset_kwargs=options)
            return True
        transpose_matrix(
            group,
            name,
            value,
            to=self.to,
            scratch=self.scratch,
            memory=self.memory,
            dataset_kwargs=options,
        )
        return True

    def _turn(self, group: h5py.Group, name: str, x: Any, options: Mapping[str, Any]) -> bool:
        recipe = recipe_of(x)
        assert recipe is not None
        return write_row_work(
            group,
            name,
            x,
            recipe,
            to=self.to,
            scratch=self.scratch,
            memory=self.memory,
            dataset_kwargs=options,
        )


def checked_order(to: str) -> Literal["csr", "csc"]:
    """Return a storage order, or say which there are."""
    if to == "csr":
        return "csr"
    if to == "csc":
        return "csc"
    raise ValueError(f"matrices are stored as 'csr' or 'csc', found {to!r}")
