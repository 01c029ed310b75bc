"""Put blocks into wider ones: what a join leaves empty is filled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lazyomics.graph.selection import Positions, Selector
from lazyomics.kernels.block import CSRBlock, SparseBlock, as_block

__all__ = ["as_rows", "filled", "local_positions", "place"]


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


def place(block: Any, places: Positions, width: int, *, axis: int, fill: float) -> Any:
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
