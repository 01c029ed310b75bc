"""Selections along an axis, and their compact form in task graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CompactArray",
    "Positions",
    "Selector",
    "compose",
    "is_whole",
    "length",
    "positions",
    "tighten",
]


Positions: TypeAlias = NDArray[np.int64]
Selector: TypeAlias = "slice | Positions"  # slices are (start, stop, 1), positions non-negative


def positions(key: Any, size: int, axis: str = "axis") -> Selector:
    """Turn a slice, mask or list of integers into a selector of an axis of length ``size``.

    Parameters
    ----------
    key
        Slice, boolean mask of length ``size``, or integers (negative ones count from the end).
    size
        Length of the axis.
    axis
        Its name, for messages.

    Returns
    -------
    A slice with step 1, or int64 positions in ``[0, size)`` in the order asked for.

    Raises
    ------
    IndexError
        For a mask of another length, or positions outside the axis.
    TypeError
        For keys of another kind.
    """
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        if step == 1:
            return slice(start, max(start, stop), 1)
        return np.arange(start, stop, step, dtype=np.int64)
    array = np.asarray(key)
    if array.ndim != 1:
        raise IndexError(f"{axis}: an index must be one-dimensional, found {array.ndim} dimensions")
    if array.dtype == bool:
        if len(array) != size:
            raise IndexError(f"{axis}: the mask has {len(array)} values, the axis has {size}")
        return tighten(np.flatnonzero(array).astype(np.int64, copy=False))
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{axis}: cannot index by {array.dtype}")
    low, high = int(array.min()), int(array.max())
    if low < -size or high >= size:
        wrong = low if low < -size else high
        raise IndexError(f"{axis}: position {wrong} is outside an axis of length {size}")
    array = array.astype(np.int64)
    if low < 0:
        array = np.where(array < 0, array + size, array)
    return tighten(array)


def tighten(chosen: Positions) -> Selector:
    """Return ascending runs without gaps as a slice, everything else as it is."""
    if len(chosen) == 0:
        return chosen
    first, last = int(chosen[0]), int(chosen[-1])
    if last - first == len(chosen) - 1 and bool((np.diff(chosen) == 1).all()):
        return slice(first, last + 1, 1)
    return chosen


def is_whole(selector: Selector, size: int) -> bool:
    """Whether the selector keeps every position in order."""
    return isinstance(selector, slice) and selector.start == 0 and selector.stop == size


def length(selector: Selector) -> int:
    """Count the selected positions."""
    if isinstance(selector, slice):
        return int(selector.stop - selector.start)
    return len(selector)


def compose(outer: Selector, inner: Selector) -> Selector:
    """Selector that equals taking ``outer`` first and ``inner`` of the result."""
    if isinstance(outer, slice):
        if isinstance(inner, slice):
            return slice(outer.start + inner.start, outer.start + inner.stop, 1)
        return inner + outer.start
    return tighten(outer[inner])


@dataclass(frozen=True, eq=False)
class CompactArray:
    """A vector as a plain graph value.

    In this process it costs nothing: ``values`` is the array it was given, a view of a larger one
    perhaps. Pickled, integers take the smallest type that holds them or their differences
    (positions of selected rows usually lie close together), and booleans a bit each.

    Parameters
    ----------
    values
        Any array; those of one dimension shrink.

    Examples
    --------
    >>> import numpy as np, pickle
    >>> from lazyomics.lazy.indexer import CompactArray
    >>> rows = CompactArray(np.arange(0, 10_000, 7))
    >>> len(pickle.dumps(rows)) < 2_000
    True
    >>> bool((pickle.loads(pickle.dumps(rows)).values == rows.values).all())
    True
    """

    values: NDArray[Any]

    def __reduce__(self) -> tuple[Any, ...]:
        values = self.values
        if values.ndim != 1 or len(values) == 0:
            return CompactArray, (values,)
        if values.dtype == bool:
            return _from_bits, (np.packbits(values), len(values))
        if values.dtype.kind in "iu":
            return _packed_integers(values)
        return CompactArray, (values,)


def _packed_integers(values: NDArray[Any]) -> tuple[Any, ...]:
    dtype = values.dtype.str
    whole = _smallest(values)
    # differences that overflow wrap around, and so do their sums: the values come back
    steps = np.diff(values)
    step = _smallest(steps) if len(steps) else whole
    if step.itemsize < whole.itemsize:
        return _from_steps, (dtype, values[:1], steps.astype(step))
    return _from_integers, (dtype, values.astype(whole, copy=False))


def _smallest(values: NDArray[Any]) -> np.dtype[Any]:
    low, high = values.min(), values.max()
    found = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return found if found.kind in "iu" else values.dtype


def _from_bits(bits: NDArray[np.uint8], count: int) -> CompactArray:
    return CompactArray(np.unpackbits(bits, count=count).astype(bool))


def _from_steps(dtype: str, first: NDArray[Any], steps: NDArray[Any]) -> CompactArray:
    whole = np.concatenate([first, steps.astype(dtype)])
    return CompactArray(np.cumsum(whole, dtype=np.dtype(dtype)))


def _from_integers(dtype: str, values: NDArray[Any]) -> CompactArray:
    return CompactArray(values.astype(dtype))
