"""Mergeable sums, deviations and counts of groups of cells that hold only what is not zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled

__all__ = ["GroupSums", "column_group_medians", "column_group_sums", "group_sums"]


ROOM = 1 << 16  # values that are summed before what they gave is handed on
MERGED_WHEN = 2  # a part of no more than so many times the size of the next is merged with it


@dataclass(frozen=True, eq=False)
class Part:
    """Sums of some groups over some rows, in compressed rows of one group each.

    Attributes
    ----------
    groups
        Codes of the groups that were seen, ascending, int64, shape (g,).
    n
        Rows of each, int64, shape (g,).
    indptr
        Where each group begins, int64, shape (g + 1,).
    columns
        Ascending within each group, int32, shape (k,).
    sums
        Sum of the values, float64, shape (k,).
    m2
        Sum of squared deviations from the mean over all rows of the group, float64, shape (k,).
    nonzero
        Values other than zero, int64, shape (k,).
    """

    groups: NDArray[np.int64]
    n: NDArray[np.int64]
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    sums: NDArray[np.float64]
    m2: NDArray[np.float64]
    nonzero: NDArray[np.int64]

    def __add__(self, other: Part) -> Part:
        """Merge, in one sweep over both."""
        groups = np.union1d(self.groups, other.groups)
        sides = []
        n = np.zeros(len(groups), dtype=np.int64)
        for part in (self, other):
            # a group that one side has not seen begins and ends at the same place
            counts = np.zeros(len(groups), dtype=np.int64)
            cells = np.zeros(len(groups), dtype=np.int64)
            at = np.searchsorted(groups, part.groups)
            counts[at], cells[at] = np.diff(part.indptr), part.n
            n += cells
            sides.append((np.concatenate(([0], np.cumsum(counts))), cells, *part.entries()))
        size = len(self.columns) + len(other.columns)
        made = (
            np.empty(size, np.int32),
            np.empty(size),
            np.empty(size),
            np.empty(size, np.int64),
        )
        indptr = np.zeros(len(groups) + 1, dtype=np.int64)
        arrays: tuple[Any, ...] = (*sides[0], *sides[1], indptr, *made)
        _merge(*arrays)
        columns, sums, m2, nonzero = (_cut(values, int(indptr[-1])) for values in made)
        return Part(groups, n, indptr, columns, sums, m2, nonzero)

    def entries(self) -> tuple[NDArray[Any], ...]:
        """Columns and what is known of each."""
        return self.columns, self.sums, self.m2, self.nonzero


def _cut(values: NDArray[Any], size: int) -> NDArray[Any]:
    """The first values, in no more memory than they need."""
    return values if size == len(values) else values[:size].copy()


@dataclass(frozen=True, eq=False)
class GroupSums:
    """State of some rows; ``a + b`` is that of both.

    It takes 28 bytes for each group and column that has a value other than zero. Parts of similar
    size are merged and small ones wait, so that a value is copied a few times, not once for each
    block.

    Attributes
    ----------
    shape
        Number of groups and of columns.
    parts
        Descending in size.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.group_sums import group_sums
    >>> state = group_sums(np.array([[1.0, 0], [3, 0], [0, 5]]), np.array([0, 0, 1]), n_groups=2)
    >>> state.sums(), state.variance()
    (array([[4., 0.],
           [0., 5.]]), array([[2., 0.],
           [0., 0.]]))
    """

    shape: tuple[int, int]
    parts: tuple[Part, ...]

    def __add__(self, other: GroupSums) -> GroupSums:
        """Merge with the state of other rows."""
        parts = sorted((*self.parts, *other.parts), key=lambda p: len(p.columns), reverse=True)
        while len(parts) > 1 and len(parts[-2].columns) <= MERGED_WHEN * len(parts[-1].columns):
            last = parts.pop()
            parts[-1] = parts[-1] + last
        return GroupSums(self.shape, tuple(parts))

    def whole(self) -> GroupSums:
        """The same in one part that knows every group."""
        none = np.zeros(self.shape[0], dtype=np.int64)
        empty = np.empty(0)
        total = Part(
            np.arange(self.shape[0]),
            none,
            np.zeros(self.shape[0] + 1, dtype=np.int64),
            np.empty(0, np.int32),
            empty,
            empty,
            np.empty(0, np.int64),
        )
        for part in reversed(self.parts):
            total = total + part
        return GroupSums(self.shape, (total,))

    def _one(self) -> Part:
        return self.parts[0] if len(self.parts) == 1 else self.whole().parts[0]

    @property
    def n(self) -> NDArray[np.int64]:
        """Rows of each group, shape (n_groups,)."""
        cells = np.zeros(self.shape[0], dtype=np.int64)
        for part in self.parts:
            cells[part.groups] += part.n
        return cells

    def _spread(self, values: NDArray[Any], part: Part) -> NDArray[Any]:
        dense = np.zeros(self.shape, dtype=values.dtype)
        rows = np.repeat(part.groups, np.diff(part.indptr))
        dense[rows, part.columns] = values
        return dense

    def sums(self) -> NDArray[np.float64]:
        """Sum of each group and column, shape (n_groups, n_cols)."""
        part = self._one()
        return self._spread(part.sums, part)

    def means(self) -> NDArray[np.float64]:
        """Mean of each group and column; NaN for a group without rows."""
        with np.errstate(invalid="ignore"):
            return self.sums() / self.n[:, None]

    def m2(self) -> NDArray[np.float64]:
        """Sum of squared deviations from the mean, shape (n_groups, n_cols)."""
        part = self._one()
        return self._spread(part.m2, part)

    def variance(self, ddof: int = 1) -> NDArray[np.float64]:
        """Variance with ``n - ddof`` in the denominator (a single row has variance 0)."""
        return np.asarray(self.m2() / np.maximum(self.n - ddof, 1)[:, None])

    def as_csr(self, what: str) -> sp.csr_matrix:
        """One of "sums", "m2" and "nonzero" as a sparse matrix, shape (n_groups, n_cols)."""
        part = self.whole()._one()
        return sp.csr_matrix((getattr(part, what), part.columns, part.indptr), shape=self.shape)

    def nonzero(self) -> NDArray[np.int64]:
        """Values other than zero of each group and column, shape (n_groups, n_cols)."""
        part = self._one()
        return self._spread(part.nonzero, part)

    def stored_by_column(self) -> NDArray[np.int64]:
        """Values other than zero of each column, in all groups, shape (n_cols,)."""
        total = np.zeros(self.shape[1], dtype=np.int64)
        for part in self.parts:
            np.add.at(total, part.columns, part.nonzero)
        return total


def group_sums(block: Any, codes: NDArray[np.integer[Any]], *, n_groups: int) -> GroupSums:
    """Measure one block.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Group of each row, shape (n,); rows with a negative code are left out.
    n_groups
        Number of groups.

    Returns
    -------
    State of these rows. NaN and infinite values stay what they are.
    """
    codes = np.asarray(codes, dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    groups, begins = np.unique(codes[order], return_index=True)
    bounds = np.append(begins, len(order)).astype(np.int64)
    width = block.shape[1]
    scratch = np.zeros((width, 3)), np.zeros(width, np.uint8), np.empty(width, np.int32)
    parts: tuple[list[NDArray[Any]], ...] = (
        [np.empty(0, np.int32)],
        [np.empty(0)],
        [np.empty(0)],
        [np.empty(0, np.int64)],
    )
    counts = np.zeros(len(groups), dtype=np.int64)
    rows = _RowsOf(block, order, bounds)
    room = max(ROOM, width)
    group = 0
    while group < len(groups):
        made = np.empty(room, np.int32), np.empty(room), np.empty(room), np.empty(room, np.int64)
        end, filled = rows.add(group, counts, *scratch, *made)
        for kept, values in zip(parts, made, strict=True):
            kept.append(values[:filled].copy())
        group = end
    entries: list[NDArray[Any]] = [np.concatenate(values) for values in parts]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    part = Part(groups, np.diff(bounds), indptr, *entries)
    return GroupSums((n_groups, width), (part,))


class _RowsOf:
    """Rows of a block, group after group: the sums of one stay in cache, those of all do not."""

    def __init__(self, block: Any, order: NDArray[np.int64], bounds: NDArray[np.int64]) -> None:
        self.order, self.bounds = order, bounds
        self.sparse = isinstance(block, CSRBlock)
        values = block.data if self.sparse else np.ascontiguousarray(block)
        if values.dtype in (np.float16, np.longdouble):  # which numba does not know
            values = values.astype(np.float64)
        self.where: tuple[NDArray[Any], ...] = (values,)
        if self.sparse:
            self.where = values, block.indices, block.indptr.astype(np.int64, copy=False)

    def add(self, first: int, *rest: NDArray[Any]) -> tuple[int, int]:
        """Sum groups from the first on while there is room; return the next one, and the room."""
        loop: Any = _sum_csr if self.sparse else _sum_dense
        return loop(*self.where, self.order, self.bounds, first, *rest)


@compiled
def _sum_csr(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    first: int,
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
    seen: NDArray[np.uint8],
    touched: NDArray[np.int32],
    out_columns: NDArray[np.int32],
    out_sums: NDArray[np.float64],
    out_m2: NDArray[np.float64],
    out_nonzero: NDArray[np.int64],
) -> tuple[int, int]:
    width = len(seen)
    filled = 0
    group = first
    while group < len(bounds) - 1 and filled + width <= len(out_columns):
        n = 0
        for at in range(bounds[group], bounds[group + 1]):
            row = order[at]
            for k in range(indptr[row], indptr[row + 1]):
                value = np.float64(data[k])
                if value != 0:
                    column = np.uint64(indices[k])
                    if seen[column] == 0:
                        seen[column] = 1
                        touched[n] = column
                        n += 1
                        sums[column, 0] = 0.0
                        sums[column, 1] = 0.0
                        sums[column, 2] = 0.0
                    sums[column, 0] += value
                    sums[column, 1] += 1.0
        cells = np.float64(bounds[group + 1] - bounds[group])
        # deviations are summed about the mean, in a second sweep: squares would lose their digits
        for at in range(bounds[group], bounds[group + 1]):
            row = order[at]
            for k in range(indptr[row], indptr[row + 1]):
                value = np.float64(data[k])
                if value != 0:
                    column = np.uint64(indices[k])
                    off = value - sums[column, 0] / cells
                    sums[column, 2] += off * off
        if n * 16 < width:
            touched[:n].sort()
        else:
            n = 0
            for c in range(width):
                if seen[c]:
                    touched[n] = c
                    n += 1
        for k in range(n):
            c = touched[k]
            mean = sums[c, 0] / cells
            out_columns[filled] = c
            out_sums[filled] = sums[c, 0]
            zeros = cells - sums[c, 1]
            out_m2[filled] = sums[c, 2] + (zeros * mean * mean if zeros > 0 else 0.0)
            out_nonzero[filled] = np.int64(sums[c, 1])
            seen[c] = 0
            filled += 1
        counts[group] = n
        group += 1
    return group, filled


@compiled
def _sum_dense(
    block: NDArray[Any],
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    first: int,
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
    seen: NDArray[np.uint8],
    touched: NDArray[np.int32],
    out_columns: NDArray[np.int32],
    out_sums: NDArray[np.float64],
    out_m2: NDArray[np.float64],
    out_nonzero: NDArray[np.int64],
) -> tuple[int, int]:
    width = len(seen)
    filled = 0
    group = first
    while group < len(bounds) - 1 and filled + width <= len(out_columns):
        sums[:] = 0.0
        for at in range(bounds[group], bounds[group + 1]):
            values = block[order[at]]
            for c in range(width):
                value = np.float64(values[c])
                sums[c, 0] += value
                sums[c, 1] += np.float64(value != 0)
        cells = np.float64(bounds[group + 1] - bounds[group])
        for at in range(bounds[group], bounds[group + 1]):
            values = block[order[at]]
            for c in range(width):
                off = np.float64(values[c]) - sums[c, 0] / cells
                sums[c, 2] += off * off
        n = 0
        for c in range(width):
            if sums[c, 1] > 0:
                out_columns[filled] = c
                out_sums[filled] = sums[c, 0]
                out_m2[filled] = sums[c, 2]
                out_nonzero[filled] = np.int64(sums[c, 1])
                filled += 1
                n += 1
        counts[group] = n
        group += 1
    return group, filled


@compiled
def _merge(
    a_ptr: NDArray[np.int64],
    a_n: NDArray[np.int64],
    a_columns: NDArray[np.int32],
    a_sums: NDArray[np.float64],
    a_m2: NDArray[np.float64],
    a_nonzero: NDArray[np.int64],
    b_ptr: NDArray[np.int64],
    b_n: NDArray[np.int64],
    b_columns: NDArray[np.int32],
    b_sums: NDArray[np.float64],
    b_m2: NDArray[np.float64],
    b_nonzero: NDArray[np.int64],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    sums: NDArray[np.float64],
    m2: NDArray[np.float64],
    nonzero: NDArray[np.int64],
) -> None:
    filled = 0
    for group in range(len(a_n)):
        i, i_end = a_ptr[group], a_ptr[group + 1]
        j, j_end = b_ptr[group], b_ptr[group + 1]
        cells_a, cells_b = np.float64(a_n[group]), np.float64(b_n[group])
        # Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115
        weight = cells_a * cells_b / max(cells_a + cells_b, 1.0)
        while i < i_end or j < j_end:
            take_a = j == j_end or (i < i_end and a_columns[i] <= b_columns[j])
            take_b = i == i_end or (j < j_end and b_columns[j] <= a_columns[i])
            sum_a, sum_b, squares, count = 0.0, 0.0, 0.0, 0
            if take_a:
                columns[filled] = a_columns[i]
                sum_a = a_sums[i]
                squares += a_m2[i]
                count += a_nonzero[i]
                i += 1
            if take_b:
                columns[filled] = b_columns[j]
                sum_b = b_sums[j]
                squares += b_m2[j]
                count += b_nonzero[j]
                j += 1
            if weight > 0:
                delta = sum_b / cells_b - sum_a / cells_a
                squares += delta * delta * weight
            sums[filled] = sum_a + sum_b
            m2[filled] = squares
            nonzero[filled] = count
            filled += 1
        indptr[group + 1] = filled


def column_group_sums(
    block: Any, codes: NDArray[np.int64], *, n_groups: int
) -> NDArray[np.float64]:
    """Sums, squared deviations and counts of groups of columns, for each row.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Group of each column, shape (p,); columns with a negative code are left out.
    n_groups
        Number of groups.

    Returns
    -------
    float64 array of shape (n, 3 * n_groups): the sums of all groups, their sums of squared
    deviations from the mean, and how many values are not zero.
    """
    if isinstance(block, CSRBlock):
        rows = np.repeat(np.arange(block.shape[0]), block.counts())
        columns, values = block.indices, block.data
    else:
        rows, columns = np.nonzero(block)
        values = block[rows, columns]
    kept = (codes[columns] >= 0) & (values != 0)
    values = values[kept].astype(np.float64)
    place = rows[kept] * n_groups + codes[columns[kept]]
    shape = block.shape[0], n_groups
    size = shape[0] * n_groups
    sums = np.bincount(place, weights=values, minlength=size).astype(np.float64)
    counts = np.bincount(place, minlength=size).reshape(shape)
    n = np.bincount(codes[codes >= 0], minlength=n_groups)
    mean = sums.reshape(shape) / np.maximum(n, 1)
    off = (values - mean.ravel()[place]) ** 2
    m2 = np.bincount(place, weights=off, minlength=size).reshape(shape)
    zeros = n - counts
    m2 = m2 + np.where(zeros > 0, zeros * mean**2, 0)
    return np.hstack([sums.reshape(shape), m2, counts])


def column_group_medians(
    block: Any, codes: NDArray[np.int64], *, n_groups: int
) -> NDArray[np.float64]:
    """Median of each group of columns, for each row, shape (n, n_groups); NaN for empty groups."""
    out = np.full((block.shape[0], n_groups), np.nan)
    for group in range(n_groups):
        mine = block[:, np.flatnonzero(codes == group)]
        if mine.shape[1]:
            dense = mine.toarray() if isinstance(mine, CSRBlock) else mine
            out[:, group] = np.median(dense, axis=1)
    return out
