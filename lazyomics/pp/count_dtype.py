"""The dtype that numpy and scanpy give to a sum of values."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["count_dtype"]


def count_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype of a sum: floats keep theirs, integers get 64 bits.

    Examples
    --------
    >>> import numpy as np
    >>> count_dtype(np.dtype("float32")), count_dtype(np.dtype("uint16"))
    (dtype('float32'), dtype('uint64'))
    """
    return np.zeros(0, dtype=dtype).sum().dtype
