"""Matrices joined along the rows, read as one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike, NDArray

from lazyomics.blocks.block import CSRBlock, SparseBlock, as_block
from lazyomics.lazy.indexer import Positions, Selector, is_whole, length, tighten
from lazyomics.lazy.kinds import is_in_memory, to_memory_format
from lazyomics.lazy.matrix import MemorySource, from_source
from lazyomics.lazy.recipe import Recipe, StorageFormat, recipe_of
from lazyomics.lazy.reduction import as_lazy

__all__ = [
    "JoinedPart",
    "JoinedSource",
    "as_rows",
    "filled",
    "join_matrices",
    "local_positions",
    "reindex_block",
    "type_with",
]


def local_positions(places: Positions | slice | None, chosen: Selector) -> Positions:
    """Positions in a part of the chosen positions of the result, −1 where it has none.

    Parameters
    ----------
    places
        As ``JoinedPart.places``: int64 positions, the slice of the result that the part fills, or
        None for all of it.
    chosen
        Positions of the result.
    """
    if isinstance(places, np.ndarray):
        return places[chosen]
    wanted = np.arange(chosen.start, chosen.stop) if isinstance(chosen, slice) else chosen
    if places is None:
        return wanted
    return np.where((wanted >= places.start) & (wanted < places.stop), wanted - places.start, -1)


def as_rows(block: Any) -> CSRBlock:
    """Return a block with compressed rows; zeros of a dense one are not stored."""
    if isinstance(block, SparseBlock):
        made: CSRBlock = block.tocsr()
        return made
    import scipy.sparse as sp

    rows: Any = as_block(sp.csr_array(block))
    return rows


def filled(shape: tuple[int, int], fill: float, dtype: DTypeLike, *, sparse: bool) -> Any:
    """Return a block with one value throughout; a sparse one stores it only if it is not zero."""
    if not sparse:
        return np.full(shape, fill, dtype=dtype)
    n_rows, n_cols = shape
    per_row = n_cols if fill else 0
    return CSRBlock.from_arrays(
        np.full(n_rows * per_row, fill, dtype=dtype),
        np.tile(np.arange(per_row, dtype=np.int32), n_rows),
        np.arange(n_rows + 1, dtype=np.int64) * per_row,
        shape,
    )


def reindex_block(block: Any, places: Positions, width: int, *, axis: int, fill: float) -> Any:
    """Spread a block along one axis.

    Parameters
    ----------
    block
        CSRBlock or ndarray.
    places
        Ascending new positions of its rows or columns.
    width
        Of the result along the axis.
    axis
        0 spreads rows, 1 columns.
    fill
        Value of the other positions.
    """
    has_gaps = len(places) < width  # if not, the type may not hold the value: NaN in whole numbers
    if isinstance(block, CSRBlock):
        if fill and has_gaps:
            return _place_among_values(block, places, width, axis, fill)
        return _place_rows(block, places, width) if axis == 0 else _place_cols(block, places, width)
    shape = (width, block.shape[1]) if axis == 0 else (block.shape[0], width)
    out: Any = np.empty(shape, dtype=block.dtype)
    if has_gaps:
        out[...] = fill
    if axis == 0:
        out[places] = block
    else:
        out[:, places] = block
    return out


def _place_cols(block: CSRBlock, places: Positions, width: int) -> CSRBlock:
    indices = places.astype(block.indices.dtype)[block.indices]
    shape = (block.shape[0], width)
    return CSRBlock.from_arrays(block.data, indices, block.indptr, shape)


def _place_rows(block: CSRBlock, places: Positions, width: int) -> CSRBlock:
    counts = np.zeros(width + 1, dtype=block.indptr.dtype)
    counts[places + 1] = np.diff(block.indptr)
    indptr = np.cumsum(counts, dtype=block.indptr.dtype)
    shape = (width, block.shape[1])
    return CSRBlock.from_arrays(block.data, block.indices, indptr, shape)


def _place_among_values(
    block: CSRBlock, places: Positions, width: int, axis: int, fill: float
) -> Any:
    """With a fill value that is stored: the block beside a full one, then in the right order."""
    gaps = width - len(places)
    shape = (gaps, block.shape[1]) if axis == 0 else (block.shape[0], gaps)
    both: Any = np.concatenate([block, filled(shape, fill, block.dtype, sparse=True)], axis=axis)
    order = np.full(width, -1, dtype=np.int64)
    order[places] = np.arange(len(places))
    order[order < 0] = np.arange(len(places), width)
    return both[order, :] if axis == 0 else both[:, order]


@dataclass(frozen=True, eq=False)
class JoinedPart:
    """One of the joined matrices.

    Attributes
    ----------
    recipe
        The matrix; None for one that is missing, which is filled throughout.
    length
        Its size along the joined axis.
    places
        For each position of the other axis of the result, the position in this part or −1 where
        it has none; a slice says that the part fills just these positions, in order; None that it
        has the positions of the result.
    """

    recipe: Recipe | None
    length: int
    places: Positions | slice | None = None

    @property
    def is_sparse(self) -> bool:
        """Whether its blocks are sparse."""
        return self.recipe is not None and isinstance(self.recipe.meta(), SparseBlock)


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """Matrices joined along rows (``axis=0``) or columns (``axis=1``).

    Selections reach every part that they touch and no other. Blocks are CSR if ``sparse``, whatever
    the parts are, else dense.

    Attributes
    ----------
    parts
        In the order of the result.
    axis
        Along which they are joined.
    width
        Size of the other axis.
    sparse
        Whether blocks are sparse.
    values
        NumPy's name of the type of the values.
    fill
        Value where a part has nothing.
    """

    parts: tuple[JoinedPart, ...]
    axis: int
    width: int
    sparse: bool
    values: str
    fill: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        n = sum(part.length for part in self.parts)
        return (n, self.width) if self.axis == 0 else (self.width, n)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.values)

    @property
    def format(self) -> StorageFormat:
        return "csr" if self.sparse else "dense"

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The matrices that it reads from."""
        return tuple(part.recipe for part in self.parts if part.recipe is not None)

    @property
    def counts_are_exact(self) -> bool:
        """Whether ``stored_per_line`` counts what blocks hold; else it is an upper bound."""
        return self.axis == 0 and all(_counts_are_exact(part) for part in self.parts)

    def stored_per_line(self) -> NDArray[np.int64] | None:
        if not self.sparse:
            return None
        if self.axis == 0:
            counts = [_stored_rows(p) + self._gaps(p) for p in self.parts]
            return np.concatenate([np.empty(0, np.int64), *counts])
        total = np.zeros(self.width, dtype=np.int64)
        for part in self.parts:
            here = local_positions(part.places, slice(0, self.width, 1))
            stored = _stored_rows(part) if part.recipe is not None else np.zeros(1, np.int64)
            if len(stored):
                total += np.where(here >= 0, stored[here], part.length if self.fill else 0)
        return total

    def _gaps(self, part: JoinedPart) -> int:
        """Values that filling adds to each row of a part."""
        if not self.fill:
            return 0
        if part.recipe is None:
            return self.width
        return int((local_positions(part.places, slice(0, self.width, 1)) < 0).sum())

    def read(self, rows: Selector, cols: Selector) -> Any:
        lines, others = (rows, cols) if self.axis == 0 else (cols, rows)
        bounds = np.concatenate([[0], np.cumsum([part.length for part in self.parts])])
        if isinstance(lines, slice):
            cuts = [(max(a, lines.start), min(b, lines.stop)) for a, b in pairwise(bounds)]
            chosen: list[Selector] = [slice(int(a), int(max(a, b)), 1) for a, b in cuts]
            back = None
        else:
            chosen, back = _by_owner(lines, bounds)
        pieces = [
            self._read_part(part, _minus(local, int(first)), others)
            for part, local, first in zip(self.parts, chosen, bounds, strict=False)
            if length(local)
        ]
        if not pieces:
            return self._nothing(length(rows), length(cols))
        joined: Any = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=self.axis)
        if back is None:
            return joined
        return joined[back, :] if self.axis == 0 else joined[:, back]

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a joined matrix is read by rows")

    def _read_part(self, part: JoinedPart, lines: Selector, others: Selector) -> Any:
        """Lines of one part, in the places that the result gives them."""
        n, width = length(lines), length(others)
        if part.recipe is None:
            return self._filled((n, width) if self.axis == 0 else (width, n))
        if part.places is None:
            return self._read_recipe(part.recipe, lines, others)
        here = local_positions(part.places, others)
        present = np.flatnonzero(here >= 0)
        block = self._read_recipe(part.recipe, lines, tighten(here[present]))
        if len(present) == width:
            return block
        return reindex_block(block, present, width, axis=1 - self.axis, fill=self.fill)

    def _read_recipe(self, recipe: Recipe, lines: Selector, others: Selector) -> Any:
        rows, cols = (lines, others) if self.axis == 0 else (others, lines)
        n_rows, n_cols = recipe.shape
        part = recipe.in_rows()
        if not is_whole(rows, n_rows):
            part = part.take_rows(rows)
        if not is_whole(cols, n_cols):
            part = part.take_cols(cols)
        block = part.load(part.rows, part.steps)
        if self.sparse:
            block = as_rows(block)
        return block if block.dtype == self.dtype else block.astype(self.dtype)

    def _filled(self, shape: tuple[int, int]) -> Any:
        return filled(shape, self.fill, self.dtype, sparse=self.sparse)

    def _nothing(self, n_rows: int, n_cols: int) -> Any:
        return filled((n_rows, n_cols), 0.0, self.dtype, sparse=self.sparse)


def _counts_are_exact(part: JoinedPart) -> bool:
    """Whether a part is stored by rows and all that a row stores is in the result."""
    recipe = part.recipe
    if recipe is None:
        return True
    source, n_cols = recipe.source, recipe.shape[1]
    if source.format != "csr" or not part.is_sparse or n_cols != source.shape[1]:
        return False
    if not is_whole(recipe.cols, n_cols) or not getattr(source, "counts_are_exact", True):
        return False
    used = part.places[part.places >= 0] if isinstance(part.places, np.ndarray) else None
    return used is None or len(used) == n_cols


def _stored_rows(part: JoinedPart) -> NDArray[np.int64]:
    """Stored values of each row of a part; of what is not stored by rows, an upper mean."""
    if part.recipe is None:
        return np.zeros(part.length, dtype=np.int64)
    n_rows, n_cols = part.recipe.shape
    source = part.recipe.source
    stored = source.stored_per_line() if part.is_sparse else None
    if stored is None:
        return np.full(n_rows, n_cols, dtype=np.int64)
    if source.format == "csc":
        mean = -(-int(stored.sum()) // max(1, source.shape[0]))
        return np.full(n_rows, mean, dtype=np.int64)
    return np.asarray(stored[part.recipe.rows])


def _by_owner(lines: Positions, bounds: NDArray[np.int64]) -> tuple[list[Selector], Positions]:
    """Positions of each part, and where each line ends up among them."""
    owner = np.searchsorted(bounds, lines, side="right") - 1
    order = np.argsort(owner, kind="stable")
    cuts = np.searchsorted(owner[order], np.arange(len(bounds)))
    chosen = [tighten(lines[order[a:b]]) for a, b in pairwise(cuts)]
    back = np.empty(len(lines), dtype=np.int64)
    back[order] = np.arange(len(lines))
    return chosen, back


def _minus(selector: Selector, first: int) -> Selector:
    if isinstance(selector, slice):
        return slice(selector.start - first, selector.stop - first, 1)
    return selector - first


def join_matrices(
    matrices: Sequence[Any],
    *,
    axis: int,
    lengths: Sequence[int],
    places: Sequence[Positions | slice | None],
    width: int,
    fill: Any = None,
    sparse: bool | None = None,
) -> Any:
    """Join matrices along one axis. Reads no values of lazy ones.

    Parameters
    ----------
    matrices
        Lazy or in memory; None for one that is missing.
    axis
        0 puts rows under each other, 1 columns beside each other.
    lengths
        Their sizes along the axis.
    places
        For each matrix: the position in it of each position of the other axis of the result, −1
        for none; a slice of the result that it fills in order; or None if they are the same.
    width
        Size of the other axis.
    fill
        Value where a matrix has nothing; by default 0 if a matrix is sparse, else NaN.
    sparse
        Whether the result is sparse; by default if one of the matrices is.

    Returns
    -------
    A lazy matrix; in memory (csr_matrix, csr_array if one of them is a csr_array or csc_array, or
    ndarray) if all matrices are. It is CSR as soon as one of them is sparse, in any storage.
    """
    dense_only = not any(_is_sparse(m) for m in matrices)
    if sparse is None:
        sparse = not dense_only
    if fill is None:
        fill = 0 if sparse else np.nan
    dtype = _common_dtype(matrices, lengths, places, width, fill, sparse)
    parts = []
    for matrix, n_lines, where in zip(matrices, lengths, places, strict=True):
        recipe = _recipe(matrix)
        if recipe is None and matrix is not None:
            arrays = _Arrays(axis, width, fill, sparse, dtype)
            return arrays.join(matrices, lengths, places)
        parts.append(JoinedPart(recipe, n_lines, where))
    source = JoinedSource(tuple(parts), axis, width, sparse, dtype.str, fill)
    if all(m is None or is_in_memory(m) for m in matrices):
        import scipy.sparse as sp

        n_rows, n_cols = source.shape
        block = source.read(slice(0, n_rows, 1), slice(0, n_cols, 1))
        made = to_memory_format(block.copy() if len(parts) == 1 else block)
        # scipy's newer class as soon as a part has it, as anndata's join
        newer = any(isinstance(m, sp.csr_array | sp.csc_array) for m in matrices)
        return sp.csr_array(made) if newer and sp.issparse(made) else made
    return from_source(source)


def _is_sparse(matrix: Any) -> bool:
    if isinstance(matrix, da.Array):
        return isinstance(matrix._meta, SparseBlock)
    return matrix is not None and not isinstance(matrix, np.ndarray)


def _recipe(matrix: Any) -> Recipe | None:
    if matrix is not None and is_in_memory(matrix):
        return Recipe.of(MemorySource.of(matrix))
    return recipe_of(matrix)


def _common_dtype(
    matrices: Sequence[Any],
    lengths: Sequence[int],
    places: Sequence[Positions | slice | None],
    width: int,
    fill: Any,
    sparse: bool,
) -> np.dtype[Any]:
    """Type that holds all values and, where something is filled, the fill value."""
    found: list[np.dtype[Any]] = []
    for matrix, where in zip(matrices, places, strict=True):
        if matrix is None:
            found.append(np.asarray(fill if fill or not sparse else np.nan).dtype)
            continue
        dtype = np.dtype(matrix.dtype)
        gaps = where is not None and bool((local_positions(where, slice(0, width, 1)) < 0).any())
        if gaps and sparse and fill:
            dtype = np.result_type(dtype, np.asarray(fill).dtype)
        elif gaps and not sparse:
            dtype = type_with(dtype, fill)
        found.append(dtype)
    return np.result_type(*found)


def type_with(dtype: np.dtype[Any], fill: Any) -> np.dtype[Any]:
    """Type of an array some of whose values become ``fill``: its own, if that holds the number."""
    kept = np.result_type(dtype, fill)
    if isinstance(fill, int) and kept.kind in "iu":
        limits = np.iinfo(kept)
        if not limits.min <= fill <= limits.max:  # such as −1 among unsigned integers
            return np.result_type(dtype, np.min_scalar_type(fill))
    return kept


class _Arrays:
    """Joins dask arrays that were changed by ordinary operations, block by block."""

    def __init__(
        self, axis: int, width: int, fill: Any, sparse: bool, dtype: np.dtype[Any]
    ) -> None:
        self.axis, self.width, self.fill = axis, width, fill
        self.sparse, self.dtype = sparse, dtype

    def join(
        self,
        matrices: Sequence[Any],
        lengths: Sequence[int],
        places: Sequence[Positions | slice | None],
    ) -> da.Array:
        """Join them; columns beside each other get the row blocks of the first."""
        aligned: list[da.Array] = []
        for matrix, n_lines, where in zip(matrices, lengths, places, strict=True):
            shape = (n_lines, self.width) if self.axis == 0 else (self.width, n_lines)
            x = self._missing(shape) if matrix is None else self._aligned(as_lazy(matrix), where)
            aligned.append(x)
        if self.axis == 0:
            return da.concatenate(aligned, axis=0)
        rows = aligned[0].chunks[0]
        beside = [x.rechunk({0: rows}) for x in aligned]
        return da.concatenate(beside, axis=1).rechunk({1: -1})

    def _aligned(self, x: da.Array, places: Positions | slice | None) -> da.Array:
        """Bring a matrix to the type of the result and to its positions on the other axis."""
        here = None if places is None else local_positions(places, slice(0, self.width, 1))
        if self.axis == 0:
            return self._map(x, here)
        x = self._map(x, None)
        if here is None:
            return x
        below = self._missing((1, x.shape[1]))
        return da.concatenate([x, below])[np.where(here < 0, x.shape[0], here), :]

    def _map(self, x: da.Array, here: Positions | None) -> da.Array:
        options = {
            "here": here,
            "fill": self.fill,
            "values": self.dtype.str,
            "sparse": self.sparse,
        }
        meta = filled((0, 0), 0.0, self.dtype, sparse=self.sparse)
        width = x.shape[1] if here is None else len(here)
        return x.map_blocks(
            _convert, **options, dtype=self.dtype, meta=meta, chunks=(x.chunks[0], (width,))
        )

    def _missing(self, shape: tuple[int, int]) -> da.Array:
        part = JoinedPart(None, shape[0])
        source = JoinedSource((part,), 0, shape[1], self.sparse, self.dtype.str, self.fill)
        return from_source(source)


def _convert(block: Any, *, here: Positions | None, fill: Any, values: str, sparse: bool) -> Any:
    block = as_block(block)
    if sparse:
        block = as_rows(block)
    block = block.astype(np.dtype(values))
    if here is None:
        return block
    present = np.flatnonzero(here >= 0)
    block = block[:, here[present]]
    return reindex_block(block, present, len(here), axis=1, fill=fill)
