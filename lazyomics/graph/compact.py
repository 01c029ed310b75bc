"""Arrays that shrink when they are pickled: a graph sends a byte for each row instead of eight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CompactArray"]


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
    >>> from lazyomics.graph.compact import CompactArray
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
