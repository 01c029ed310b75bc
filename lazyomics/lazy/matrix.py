"""LazyMatrix: a dask array that remembers its recipe, and what turns into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import dask.array as da
import numpy as np
import scipy.sparse as sp
import sparse
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray

from lazyomics.blocks.block import CSCBlock, CSRBlock, SparseBlock, as_block
from lazyomics.blocks.foreign import BlockKind, checked_block
from lazyomics.errors import ShapeError
from lazyomics.kernels.steps import Step
from lazyomics.lazy.indexer import CompactArray, Selector, compose, is_whole, positions
from lazyomics.lazy.recipe import Recipe, Source, StorageFormat, holds_values, recipe_of
from lazyomics.lazy.scipy_methods import ScipyMethods

__all__ = [
    "BlockArray",
    "LazyMatrix",
    "MemorySource",
    "Piece",
    "Shared",
    "before_last_step",
    "from_source",
    "known_blocks",
    "memory_source",
    "pieces",
]


class BlockArray(ScipyMethods, da.Array):
    """A dask array whose blocks are sparse blocks or plain arrays, each being what it declares.

    Everything a dask array can do works, and gives an ordinary one. In addition, values can be
    assigned to items of sparse ones, ``copy()`` is independent of that, and the methods of scipy's
    matrices that programs call most compute it.
    """

    @classmethod
    def of(cls, x: da.Array) -> BlockArray:
        """Take over a dask array, whose blocks are known."""
        return BlockArray(x.dask, x.name, x.chunks, meta=x._meta)

    def copy(self) -> Any:
        """Return an array that does not change if values are assigned to this one."""
        return BlockArray.of(self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.ndim != 2:
            super().__setitem__(key, value)
            return
        from lazyomics.lazy.assign import assigned

        self._turn_into(assigned(self, key, value))

    def _turn_into(self, other: da.Array) -> None:
        """Be another array from now on, of the same shape."""
        self._meta, self.dask = other._meta, other.dask
        self._name, self._chunks = other.name, other.chunks

    def __reduce__(self) -> Any:
        return BlockArray, (self.dask, self.name, self.chunks, self.dtype, self._meta)

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _persisted, (self.name, self.chunks, self._meta)


def _persisted(
    graph: Any, name: str, chunks: Any, meta: Any, *, rename: dict[str, str] | None = None
) -> BlockArray:
    return BlockArray(graph, (rename or {}).get(name, name), chunks, meta=meta)


AnyStep = TypeVar("AnyStep", bound=Step)


class LazyMatrix(BlockArray):
    """A two-dimensional ``dask.array.Array`` made of blocks read from a file (or from memory).

    Everything a dask array can do works. In addition, selecting rows or columns with slices,
    masks or positions changes what is read instead of what is kept, also through the row-wise
    operations recorded on it.
    """

    recipe: Recipe | None

    @classmethod
    def cook(cls, recipe: Recipe, bounds: tuple[int, ...] | None = None) -> LazyMatrix:
        """Build the array of a recipe. Reads nothing but row pointers, to plan its blocks.

        Blocks that were planned before are given by their ``bounds``: another process may have
        other settings, and no file.
        """
        bounds = recipe.bounds() if bounds is None else bounds
        name = f"matrix-{_token(recipe, bounds)}"
        graph = HighLevelGraph({name: _layer(name, recipe, bounds)}, {name: set()})
        sizes = tuple(b - a for a, b in pairwise(bounds))
        n_rows, n_cols = recipe.shape
        chunks = ((n_rows,), sizes) if recipe.by_columns else (sizes, (n_cols,))
        self: LazyMatrix = cls(graph, name, chunks, meta=recipe.meta())
        self.recipe = recipe
        return self

    def __getitem__(self, index: Any) -> Any:
        recipe = recipe_of(self)
        keys = index if isinstance(index, tuple) else (index,)
        if recipe is None or not _is_outer(keys):
            return super().__getitem__(index)
        n_rows, n_cols = recipe.shape
        whole: Any = slice(None)
        rows = positions(_plain(keys[0]), n_rows, "rows")
        cols = positions(_plain(keys[1]) if len(keys) == 2 else whole, n_cols, "columns")
        return LazyMatrix.cook(recipe.select(rows, cols))

    def _repr_html_(self) -> str:
        """What a notebook shows: what is stored and done, where dask counts all values as dense."""
        from lazyomics.lazy.html import html_of_matrix

        return html_of_matrix(self)

    def copy(self) -> Any:
        """Return a matrix that does not change if values are assigned to this one."""
        recipe = recipe_of(self)
        if recipe is None:
            return super().copy()
        made = LazyMatrix(self.dask, self.name, self.chunks, meta=self._meta)
        made.recipe = recipe
        return made

    def _turn_into(self, other: da.Array) -> None:
        super()._turn_into(other)
        self.recipe = recipe_of(other)

    def __reduce__(self) -> Any:
        recipe = recipe_of(self)
        if recipe is None:
            return super().__reduce__()
        sizes = self.chunks[1 if recipe.by_columns else 0]
        return LazyMatrix.cook, (recipe, tuple(accumulate(sizes, initial=0)))

    def __dask_tokenize__(self) -> Any:
        return self.name


def before_last_step(x: Any, kind: type[AnyStep]) -> tuple[LazyMatrix, AnyStep] | None:
    """Return what a step of this kind was recorded on, and the step; None if it is not the last."""
    recipe = recipe_of(x)
    last = recipe.steps[-1] if recipe is not None and recipe.steps else None
    if recipe is None or not isinstance(last, kind):
        return None
    return LazyMatrix.cook(replace(recipe, steps=recipe.steps[:-1])), last


def from_source(
    source: Source, *, target_bytes: int | None = None, lines_per_block: int | None = None
) -> LazyMatrix:
    """Return a lazy matrix of everything in a source.

    Parameters
    ----------
    source
        What to read.
    target_bytes
        Decoded bytes of a block; by default ``lazyomics.chunk-bytes``.
    lines_per_block
        Fixed number of rows (columns of a column-major source) instead.
    """
    made = Recipe.of(source, target_bytes=target_bytes, lines_per_block=lines_per_block)
    return LazyMatrix.cook(made)


@dataclass(frozen=True, eq=False)
class Shared:
    """What the blocks of a recipe have in common, as one graph value."""

    recipe: Recipe
    steps: tuple[Step, ...]

    @property
    def source(self) -> Source:
        """What the blocks are read from."""
        return self.recipe.source


@dataclass(frozen=True, eq=False)
class Piece:
    """What one block has of its own: its lines, and what the steps hold for each of its rows.

    ``row_values`` go by the place of the step and the name of the field.
    """

    lines: slice | CompactArray
    row_values: dict[tuple[int, str], CompactArray]

    def load(self, shared: Shared) -> Any:
        """Read the block."""
        steps = list(shared.steps)
        for (k, name), vector in self.row_values.items():
            changed: dict[str, Any] = {name: vector.values}
            steps[k] = replace(steps[k], **changed)
        return shared.recipe.load(self.selector, tuple(steps))

    @property
    def selector(self) -> Selector:
        """The lines, as positions in the source."""
        return self.lines if isinstance(self.lines, slice) else self.lines.values


def pieces(recipe: Recipe, bounds: tuple[int, ...]) -> tuple[Shared, list[Piece]]:
    """Cut a recipe into blocks: what they share, and what each has of its own.

    A cluster sends each task by itself: what is in a task is sent as often as there are blocks.
    """
    rest = recipe if recipe.by_columns else replace(recipe, rows=slice(0, 0, 1), steps=())
    per_row = _row_fields(recipe.steps)
    steps = recipe.steps
    if per_row:
        steps = tuple(step.take_rows(slice(0, 0, 1)) for step in recipe.steps)
    made = []
    for low, high in pairwise(bounds):
        cut = slice(low, high, 1)
        lines = compose(recipe.cols if recipe.by_columns else recipe.rows, cut)
        mine = {place: CompactArray(v[cut]) for place, v in per_row.items()}
        made.append(Piece(lines if isinstance(lines, slice) else CompactArray(lines), mine))
    return Shared(rest, steps), made


def _layer(name: str, recipe: Recipe, bounds: tuple[int, ...]) -> dict[Any, Any]:
    """One task a block; what all blocks share is in the graph once, under a key of its own."""
    shared, cut = pieces(recipe, bounds)
    layer: dict[Any, Any] = {f"recipe-{name}": shared}
    for k, piece in enumerate(cut):
        key = (name, 0, k) if recipe.by_columns else (name, k, 0)
        layer[key] = (_load, f"recipe-{name}", piece)
    return layer


def _load(shared: Shared, piece: Piece) -> Any:
    return piece.load(shared)


def _row_fields(steps: tuple[Step, ...]) -> dict[tuple[int, str], Any]:
    """Vectors of one value for each row, by place of the step and name of the field."""
    fields = {(k, name): getattr(s, name) for k, s in enumerate(steps) for name in s.ROW_FIELDS}
    return {place: values for place, values in fields.items() if values is not None}


def _token(recipe: Recipe, bounds: tuple[int, ...]) -> str:
    if holds_values(recipe.source):
        return uuid4().hex  # hashing the values would cost as much as using them
    return str(tokenize(recipe, bounds))


def _is_outer(keys: tuple[Any, ...]) -> bool:
    """Whether a key selects each axis on its own (and at most one of them by a list)."""
    if not 1 <= len(keys) <= 2 or not all(_is_selector(k) for k in keys):
        return False
    return sum(not isinstance(k, slice) for k in keys) <= 1


def _is_selector(key: Any) -> bool:
    if isinstance(key, slice):
        return all(v is None or isinstance(v, int | np.integer) for v in _parts(key))
    if isinstance(key, da.Array) or np.isscalar(key) or key is None or key is Ellipsis:
        return False
    array = np.asarray(key)
    if array.ndim != 1:
        return False
    return array.size == 0 or array.dtype == bool or np.issubdtype(array.dtype, np.integer)


def _parts(key: slice) -> Iterator[Any]:
    yield from (key.start, key.stop, key.step)


def _plain(key: Any) -> Any:
    return key if isinstance(key, slice) else np.asarray(key)


def known_blocks(x: da.Array, where: str = "the matrix") -> BlockArray:
    """Return a dask array with blocks that kernels take. Reads nothing.

    Parameters
    ----------
    x
        Any dask array. Blocks of scipy's formats and of the sparse library become sparse blocks,
        ``numpy.matrix`` plain arrays.
    where
        What it is, for messages.

    Returns
    -------
    The array itself where its blocks come from here, else one that brings each block to the form,
    shape and type that the array declares, when it is computed.

    Raises
    ------
    ShapeError
        If its chunks have unknown sizes.
    TypeError
        If its blocks are of a kind that has no such form.
    """
    return x if isinstance(x, BlockArray) else _checked(x, where)


@dataclass(frozen=True)
class _Declared:
    """What an array says of its blocks."""

    where: str
    dtype: np.dtype[Any]
    kind: BlockKind


def _checked(x: da.Array, where: str) -> BlockArray:
    if any(np.isnan(size) for sizes in x.chunks for size in sizes):
        raise ShapeError(
            f"{where}: a dask array whose chunks have unknown sizes, found shape {x.shape}; call "
            "compute_chunk_sizes() on it first"
        )
    kind = _kind(x, where)
    dtype = np.dtype(x.dtype).newbyteorder("=")
    declared = _Declared(where, dtype, kind)
    name = f"blocks-{tokenize(x.name, declared.where)}"
    layer: dict[Any, Any] = {f"declared-{name}": declared}
    for at in product(*(range(n) for n in x.numblocks)):
        shape = tuple(int(sizes[k]) for sizes, k in zip(x.chunks, at, strict=True))
        layer[(name, *at)] = (_check, f"declared-{name}", (x.name, *at), _Place(at, shape))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    return BlockArray(graph, name, x.chunks, meta=_empty(kind, dtype, x.ndim))


@dataclass(frozen=True)
class _Place:
    """Where a block is, and how large, as a plain graph value."""

    at: tuple[int, ...]
    shape: tuple[int, ...]


def _check(declared: _Declared, block: Any, place: _Place) -> Any:
    try:
        return checked_block(block, place.shape, declared.dtype, declared.kind)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ShapeError
        raise kind(
            f"{declared.where}: block {place.at} of the dask array is not what it declares: "
            f"{error}. Give map_blocks or from_delayed the right dtype=, meta= and shape"
        ) from error


def _kind(x: da.Array, where: str) -> BlockKind:
    """In which form the blocks of an array are held."""
    meta = x._meta
    if isinstance(meta, np.ma.MaskedArray):
        raise TypeError(
            f"{where}: a dask array of masked arrays, whose masks would be lost; fill them first: "
            "dask.array.ma.filled(x, 0) or another value"
        )
    if isinstance(meta, np.ndarray | np.generic):
        return "dense"
    found = f"{type(meta).__module__.partition('.')[0]}.{type(meta).__name__}"
    if not isinstance(meta, sparse.SparseArray) and not sp.issparse(meta):
        raise TypeError(
            f"{where}: a dask array of {found}, expected blocks of numpy, scipy.sparse or sparse; "
            "convert them with map_blocks"
        )
    if x.ndim != 2:
        raise TypeError(
            f"{where}: sparse blocks have 2 dimensions, found {x.ndim} of {found}; make them "
            "dense with map_blocks"
        )
    by_columns = isinstance(meta, CSCBlock) or (sp.issparse(meta) and meta.format == "csc")
    return "csc" if by_columns and x.numblocks[0] == 1 else "csr"


def _empty(kind: BlockKind, dtype: np.dtype[Any], ndim: int) -> SparseBlock | np.ndarray[Any, Any]:
    if kind == "dense":
        return np.empty((0,) * ndim, dtype)
    return (CSCBlock if kind == "csc" else CSRBlock)(shape=(0, 0), dtype=dtype)


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A scipy matrix, block or ndarray that is in memory; row slices of CSR are views."""

    array: Any

    in_memory: ClassVar[bool] = True

    @classmethod
    def of(cls, matrix: Any) -> MemorySource:
        """Wrap a matrix without copying it, unless it stores values twice: these are added up."""
        if isinstance(matrix, np.matrix):
            matrix = np.asarray(matrix)
        held = matrix if isinstance(matrix, np.ndarray) else as_block(matrix)
        return cls(held.distinct() if isinstance(held, SparseBlock) else held)

    @property
    def shape(self) -> tuple[int, int]:
        return (int(self.array.shape[0]), int(self.array.shape[1]))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def format(self) -> StorageFormat:
        if isinstance(self.array, SparseBlock):
            return "csc" if isinstance(self.array, CSCBlock) else "csr"
        return "dense"

    def stored_per_line(self) -> NDArray[np.int64] | None:
        if self.format == "dense":
            return None
        return np.diff(self.array.indptr).astype(np.int64, copy=False)

    def read(self, rows: Selector, cols: Selector) -> Any:
        if isinstance(self.array, CSCBlock):
            return self.read_columns(rows, cols).tocsr()
        if isinstance(self.array, CSRBlock) and isinstance(rows, slice):
            block: Any = _row_view(self.array, rows)
            return block if is_whole(cols, self.shape[1]) else block[:, cols]
        return _cut(self.array, rows, cols)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        return _cut(self.array, rows, cols)

    def transposed(self) -> MemorySource:
        """The same values with rows and columns interchanged; nothing is copied."""
        return MemorySource(self.array.T)


def memory_source(x: Any) -> MemorySource | None:
    """Where the values of a lazy matrix are, if they are in memory."""
    recipe = recipe_of(x)
    return recipe.source if recipe and isinstance(recipe.source, MemorySource) else None


def _row_view(block: CSRBlock, rows: slice) -> CSRBlock:
    low, high = block.indptr[rows.start], block.indptr[rows.stop]
    return CSRBlock.from_arrays(
        block.data[low:high],
        block.indices[low:high],
        block.indptr[rows.start : rows.stop + 1] - low,
        (rows.stop - rows.start, block.shape[1]),
        block._order,
    )


def _cut(array: Any, rows: Selector, cols: Selector) -> Any:
    if not is_whole(rows, array.shape[0]):
        array = array[rows, :]
    return array if is_whole(cols, array.shape[1]) else array[:, cols]
