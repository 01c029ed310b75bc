"""Values assigned to items of lazy matrices."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import config
from lazyomics.blocks.block import CSRBlock
from lazyomics.kernels.steps import AssignCrossings, AssignPoints, assign_where
from lazyomics.lazy.indexer import Positions, positions
from lazyomics.lazy.kinds import is_block
from lazyomics.lazy.matrix import before_last_step, known_blocks
from lazyomics.lazy.reduction import as_lazy, map_rows

__all__ = [
    "assigned",
]


AXES = ("rows", "columns")
FEW_POINTS = 1 << 16  # more of them are assigned by tables of their rows and columns


def assigned(x: da.Array, key: Any, value: Any) -> da.Array:
    """Return a lazy matrix with values assigned to some of its items. Computes nothing of it.

    Parameters
    ----------
    x
        Two-dimensional.
    key
        Positions, slices and masks of rows and columns, or a mask of the shape of ``x``, lazy or
        not.
    value
        Number or array; cast to the type of ``x``.

    Raises
    ------
    IndexError, TypeError, ValueError
        For keys and values that numpy does not take either.
    MemoryError
        For lazy values that do not fit the memory budget.
    """
    keys = tuple(_plain(k) for k in (key if isinstance(key, tuple) else (key,)))
    if len(keys) == 1 and getattr(keys[0], "ndim", 0) == 2:
        return _at_mask(x, keys[0], value)
    rows, cols = _axes(keys)
    rows, cols = (_in_memory(k) if isinstance(k, da.Array) else k for k in (rows, cols))
    value = _in_memory(value) if isinstance(value, da.Array) else value
    if not any(isinstance(k, slice) or np.ndim(k) == 0 for k in (rows, cols)):
        return _at_positions(x, np.asarray(rows), np.asarray(cols), value)
    dropped = [np.ndim(k) == 0 and not isinstance(k, slice) for k in (rows, cols)]
    return _at_crossings(x, _both(x, rows, cols), dropped, value)


def _axes(keys: tuple[Any, ...]) -> tuple[Any, Any]:
    whole = slice(None)
    if len(keys) > 2 or any(k is None for k in keys):
        raise IndexError(f"a matrix has two axes, found an index of {len(keys)} parts")
    rows, cols = (whole if k is Ellipsis else k for k in (*keys, whole)[:2])
    return rows, cols


def _plain(key: Any) -> Any:
    """Lists and what pandas holds as arrays."""
    if isinstance(key, list) or hasattr(key, "to_numpy"):
        key = np.asarray(key)
        return key if key.size else key.astype(np.intp)
    return key


def _both(x: da.Array, rows: Any, cols: Any) -> list[Positions]:
    return [_positions(k, n, a) for k, n, a in zip((rows, cols), x.shape, AXES, strict=True)]


def _positions(key: Any, size: int, axis: str) -> Positions:
    found = positions(key if isinstance(key, slice) else np.atleast_1d(key), size, axis)
    return np.arange(found.start, found.stop) if isinstance(found, slice) else found


def _in_memory(values: da.Array) -> Any:
    """Compute the values to assign, or a mask of an axis."""
    needed, allowed = values.size * values.dtype.itemsize, config.memory()
    if needed > allowed:
        raise MemoryError(
            f"the values to assign are lazy and take {needed / 2**20:,.0f} MiB, and "
            f"lazyomics.memory allows {allowed / 2**20:,.0f} MiB. Assign them in parts, or make "
            "the matrix anew with dask.array.where"
        )
    return values.compute()


def _array(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values to assign, in the type of the matrix, as numpy casts them."""
    if sp.issparse(value) or is_block(value):
        value = value.toarray()
    given = np.asarray(value)
    if dtype.kind in "iu" and given.dtype.kind == "f" and not np.isfinite(given).all():
        raise ValueError(f"a matrix of {dtype} holds neither NaN nor infinity; cast it first")
    cast = np.empty(given.shape, dtype)
    cast[...] = given
    return cast


def _at_crossings(
    x: da.Array, chosen: list[Positions], dropped: list[bool], value: Any
) -> da.Array:
    """Assign where some rows and columns cross; ``dropped`` are the axes that one integer chose."""
    values = _array(value, x.dtype)
    rows, cols = chosen
    shape = tuple(len(c) for c, drop in zip(chosen, dropped, strict=True) if not drop)
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    np.broadcast_to(values, shape)  # raises what numpy raises
    table = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    for axis, drop in enumerate(dropped):
        table = np.expand_dims(table, axis) if drop else table
    if len(rows) * len(cols) <= FEW_POINTS:
        every = np.broadcast_to(table, (len(rows), len(cols))).ravel()
        return _at_points(x, np.repeat(rows, len(cols)), np.tile(cols, len(rows)), every)
    row_of = _places(rows, x.shape[0], repeated=table.shape[0] == 1)
    col_of = _places(cols, x.shape[1], repeated=table.shape[1] == 1)
    return map_rows(x, AssignCrossings(row_of, col_of, table))


def _places(chosen: Positions, size: int, *, repeated: bool) -> NDArray[np.int32]:
    """Row of a table for each position of an axis, −1 for those that are not chosen."""
    found = np.full(size, -1, np.int32)
    found[chosen] = 0 if repeated else np.arange(len(chosen))
    return found


def _at_positions(x: da.Array, rows: NDArray[Any], cols: NDArray[Any], value: Any) -> da.Array:
    """Assign where numpy takes positions pairwise, or as ``np.ix_`` makes them."""
    rows, cols = (np.flatnonzero(k) if k.dtype == bool and k.ndim == 1 else k for k in (rows, cols))
    if rows.ndim == 2 and cols.ndim == 2 and rows.shape[1] == 1 and cols.shape[0] == 1:
        return _at_crossings(x, _both(x, rows.ravel(), cols.ravel()), [False, False], value)
    rows, cols = np.broadcast_arrays(rows, cols)
    values = np.broadcast_to(_array(value, x.dtype), rows.shape)
    at = _both(x, rows.ravel(), cols.ravel())
    return _at_points(x, at[0], at[1], values.ravel())


def _at_mask(x: da.Array, mask: Any, value: Any) -> da.Array:
    if mask.dtype != bool or tuple(mask.shape) != tuple(x.shape):
        raise IndexError(
            f"a mask of a matrix is boolean and has its shape {x.shape}, found {mask.dtype} of "
            f"shape {mask.shape}"
        )
    if not isinstance(mask, da.Array):
        rows, cols = mask.nonzero()
        values = _array(value, x.dtype)
        return _at_points(x, rows, cols, np.broadcast_to(values, rows.shape))
    if np.ndim(value) != 0:
        raise ValueError(
            f"where a lazy mask says so, one number is assigned, found an array of shape "
            f"{np.shape(value)}; compute() the mask first, or use dask.array.where"
        )
    x, number = as_lazy(x), _array(value, x.dtype)[()]
    here = as_lazy(known_blocks(mask, "the mask")).rechunk(x.chunks)
    return da.map_blocks(assign_where, x, here, value=number, dtype=x.dtype, meta=x._meta)


def _at_points(
    x: da.Array, rows: NDArray[Any], cols: NDArray[Any], values: NDArray[Any]
) -> da.Array:
    """Assign to single places; of one named twice, the last value counts, as in numpy."""
    n_cols = x.shape[1]
    before = before_last_step(x, AssignPoints)
    if before is not None:  # one step for all, as values may be assigned in a loop
        x, step = before
        earlier = step.points()
        rows, cols, values = map(np.concatenate, zip(earlier, (rows, cols, values), strict=True))
    keys = rows.astype(np.int64) * n_cols + cols
    last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    rows, cols, values = rows[last], cols[last], values[last]
    changed, counts = np.unique(rows, return_counts=True)
    pointers = np.concatenate(([0], np.cumsum(counts)))
    table = CSRBlock.from_arrays(values, cols, pointers, (len(changed), n_cols), "canonical")
    return map_rows(x, AssignPoints(_places(changed, x.shape[0], repeated=False), table))
