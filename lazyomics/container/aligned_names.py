"""What a mapping of arrays says about the axis that these follow."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from lazyomics import graph
from lazyomics.container.frames import FrameSlot

__all__ = ["AlignedNames"]


class AlignedNames:
    """Names of the cells or genes that the values of obsm, varm, obsp and varp follow.

    The object that a mapping belongs to tells it with ``follow`` where these names are.
    """

    name: Any
    is_view = False
    _slot: FrameSlot | None = None

    def follow(self, slot: FrameSlot) -> Self:
        """Take the names of a table; returns the mapping."""
        self._slot = slot
        return self

    @property
    def attrname(self) -> str:
        """Name of the mapping in its object."""
        return str(self.name)

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of the object, 0 obs and 1 var, that the leading axes of the values follow."""
        if self.name == "layers":
            return (0, 1)
        axis = 0 if self.dim == "obs" else 1
        return (axis, axis) if self.name.endswith("p") else (axis,)

    @property
    def dim(self) -> str:
        """``"obs"`` or ``"var"``."""
        if self.name == "layers":
            raise AttributeError("layers follow both obs and var")
        return str(self.name[:3])

    @property
    def dim_names(self) -> pd.Index:
        """Names of the cells or genes that the values follow."""
        if self._slot is None:
            raise AttributeError(f"{self.name} has no dim_names: it belongs to no object")
        return self._slot.index

    def to_df(self: Any) -> pd.DataFrame:
        """Return the columns of all arrays as one table, named by their key and number."""
        columns: dict[str, Any] = {}
        for key in self:
            value = graph.materialize(self[key])
            dense = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
            table = dense.reshape(len(dense), -1)
            columns |= {f"{key}{k + 1}": table[:, k] for k in range(table.shape[1])}
        return pd.DataFrame(columns, index=self.dim_names)
