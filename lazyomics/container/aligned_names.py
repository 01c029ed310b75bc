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
    _slot: FrameSlot | None = None

    def follow(self, slot: FrameSlot) -> Self:
        """Take the names of a table; returns the mapping."""
        self._slot = slot
        return self

    @property
    def dim(self) -> str:
        """``"obs"`` or ``"var"``."""
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
