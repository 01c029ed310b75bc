"""uns: unstructured annotation, each top-level entry read from the file when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyomics.container.deferred import DeferredFrame, is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.stored_values import StoredValues
from lazyomics.graph.selection import Selector

__all__ = ["Uns"]


class Uns(StoredValues, MutableMapping[str, Any]):
    """A dict whose stored entries are loaded on access."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})

    def __setitem__(self, key: str, value: Any) -> None:
        self._note(key)
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._note(key)
        del self._values[key]

    def __repr__(self) -> str:
        return repr(dict(self))

    def copy(self) -> Uns:
        """Return an independent copy; stored entries stay in the file."""
        twin = Uns({k: v if is_deferred(v) else deepcopy(v) for k, v in self._values.items()})
        twin._baselines = dict(self._baselines)
        return twin

    def take(self, *axes: tuple[FrameSlot, Selector]) -> Uns:
        """Return the entries for a selection: colours follow the categories that are left.

        Parameters
        ----------
        axes
            Tables that may hold the categories, and what is selected of each.
        """
        cut = self.copy()
        for key, colors in self._values.items():
            column = key.removesuffix("_colors")
            if column == key:
                continue
            for frame, rows in axes:
                if column not in frame.columns:
                    continue
                if (stored := frame.stored) is not None:
                    cut.hold(key, _Colors(colors, column, stored, rows))
                    break
                colors = colors.load() if is_deferred(colors) else colors
                left = _colors_left(colors, frame.frame[column], rows)
                if left is None:
                    cut.forget(key)
                    break
                cut.hold(key, left)
                colors = left
        return cut


@dataclass(frozen=True, eq=False)
class _Colors:
    """Colours of a categorical column, cut to the categories that a selection still uses.

    The column is that of the file when the selection was made: what is done to the table of the
    selection afterwards does not change which colours it has.
    """

    colors: Any
    column: str
    frame: DeferredFrame
    rows: Selector

    def load(self) -> Any:
        colors = self.colors.load() if is_deferred(self.colors) else self.colors
        left = _colors_left(colors, self.frame.load_column(self.column), self.rows)
        return np.empty(0, dtype=object) if left is None else left  # plots choose others then

    @property
    def sources(self) -> tuple[Any, ...]:
        """What is still in the file of colours and categories."""
        return (self.colors, self.frame) if is_deferred(self.colors) else (self.frame,)

    @property
    def nbytes(self) -> int:
        return 0


def _colors_left(colors: Any, column: Any, rows: Selector) -> Any:
    """Return the colours of the categories that some rows use; None if they do not fit them."""
    if not hasattr(column, "cat") or np.ndim(colors) == 0:
        return deepcopy(colors)
    if len(colors) != len(column.cat.categories):
        return None
    used = np.unique(np.asarray(column.cat.codes)[rows])
    return np.asarray(colors)[used[used >= 0]]
