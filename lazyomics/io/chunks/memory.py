"""A stretch of memory that both Python and C decoders can fill."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Memory"]


class Memory:
    """The bytes of a C-contiguous array, by address and by memoryview.

    Parameters
    ----------
    array
        A C-contiguous writable array; its memory is shared, and kept alive.
    """

    __slots__ = ("address", "bytes", "view")

    bytes: np.ndarray[Any, np.dtype[np.uint8]]
    view: memoryview
    address: int

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.bytes = array.reshape(-1).view(np.uint8)
        self.view = self.bytes.data
        self.address = self.bytes.ctypes.data

    @classmethod
    def empty(cls, size: int) -> Memory:
        """Uninitialised memory of ``size`` bytes."""
        return cls(np.empty(size, np.uint8))

    def __len__(self) -> int:
        return len(self.bytes)
