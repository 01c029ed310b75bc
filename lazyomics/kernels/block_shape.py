"""Transposing and reshaping a block; what does not keep two dimensions is dense."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block_layout import BlockLayout

__all__ = ["BlockShapes"]


class BlockShapes(BlockLayout):
    """Methods of a block that change its shape."""

    @property
    def T(self) -> BlockLayout:
        """The transpose, with the same arrays and the other axis compressed."""
        return self.transposed()

    mT = T

    def transpose(self, axes: Any = None, *rest: Any) -> Any:
        """Transpose, unless ``axes`` keeps the axes as they are."""
        order = (1, 0) if axes is None else tuple(np.ravel([axes, *rest]) % 2)
        if sorted(order) != [0, 1]:
            raise ValueError(f"axes {axes} are not those of a two-dimensional block")
        return self.transposed() if order == (1, 0) else self

    def reshape(self, *shape: Any, order: Literal["C", "F"] = "C", **_: Any) -> Any:
        """A block if the new shape has two dimensions, else a dense array."""
        wanted = shape[0] if len(shape) == 1 else shape
        sizes = tuple(np.atleast_1d(wanted).tolist()) if wanted != () else ()
        if len(sizes) != 2 or order != "C":
            return self.toarray().reshape(sizes, order=order)
        matrix = self.distinct().carrier().tocoo().reshape(sizes)
        return type(self).from_scipy(self.scipy_type(matrix), self.dtype)

    def ravel(self, order: Literal["C", "F"] = "C") -> NDArray[Any]:
        """All values in one dimension, therefore dense."""
        return self.toarray().ravel(order=order)

    flatten = ravel

    def squeeze(self, axis: Any = None) -> Any:
        """Remove axes of length 1; what is left of them is dense."""
        return self if axis is None and 1 not in self.shape else self.toarray().squeeze(axis)

    def nonzero(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the values that are not zero, row by row."""
        block = (self if self.major == 0 else self.swapped()).canonical()
        rows = np.repeat(np.arange(self.shape[0]), block.counts())
        marked = block.data != 0
        return rows[marked], block.indices[marked].astype(np.intp)
