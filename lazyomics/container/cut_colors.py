"""Colours of the categories of a column, after a selection that uses some of them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.deferred import DeferredFrame, is_deferred
from lazyomics.container.frames import FrameSlot

__all__ = ["CutColors"]

# Categories as they are at the time of the selection, or the stored table that has them.
Held = pd.Index | DeferredFrame | None


@dataclass(frozen=True, eq=False)
class CutColors:
    """Colours of a column, of which those of the categories that are left are kept.

    Attributes
    ----------
    colors
        What the entry was before: colours, in memory or not.
    column
        Name of the column.
    before, after
        Its categories before and after the selection; None if it has none.
    """

    colors: Any
    column: str
    before: Held
    after: Held

    @classmethod
    def of(cls, colors: Any, column: str, before: FrameSlot, after: FrameSlot) -> CutColors:
        """Note what decides about the colours: tables that are in memory may change later."""
        return cls(colors, column, _held(before, column), _held(after, column))

    @cached_property
    def fits(self) -> bool:
        """Whether there is a colour for each category; if not, nothing says whose they are."""
        if isinstance(self.colors, CutColors) and not self.colors.fits:
            return False
        categories = self._categories(self.before)
        colors = _loaded(self.colors)
        return categories is None or np.ndim(colors) == 0 or len(colors) == len(categories)

    def load(self) -> Any:
        """Return the colours of the categories that are left."""
        colors = _loaded(self.colors)
        full, left = self._categories(self.before), self._categories(self.after)
        if full is None or left is None:
            return deepcopy(colors)
        if np.ndim(colors) == 0:
            return np.array(colors)[None]
        return np.asarray(colors)[full.isin(left)]

    @property
    def sources(self) -> tuple[Any, ...]:
        """What is still in the file of colours and categories."""
        parts = (self.colors, self.before, self.after)
        return tuple(part for part in parts if is_deferred(part))

    def _categories(self, held: Held) -> pd.Index | None:
        if held is None or isinstance(held, pd.Index):
            return held
        dtype = held.column(self.column).dtype
        return dtype.categories if isinstance(dtype, pd.CategoricalDtype) else None

    @property
    def nbytes(self) -> int:
        """Bytes of the colours, which count nothing."""
        return 0


def _held(slot: FrameSlot, column: str) -> Held:
    if slot.stored is not None:
        return slot.stored
    dtypes = slot.frame.dtypes[slot.frame.columns == column]
    if len(dtypes) != 1 or not isinstance(dtypes.iloc[0], pd.CategoricalDtype):
        return None
    return dtypes.iloc[0].categories


def _loaded(colors: Any) -> Any:
    return colors.load() if is_deferred(colors) else colors
