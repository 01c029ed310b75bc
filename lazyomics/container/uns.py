"""uns: unstructured annotation, each top-level entry read from the file when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.stored_values import StoredValues

__all__ = ["Uns"]


class Uns(StoredValues, MutableMapping[str, Any]):
    """A dict whose stored entries are loaded on access."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __repr__(self) -> str:
        return repr(dict(self))

    def copy(self) -> Uns:
        """Return an independent copy; stored entries stay in the file."""
        return Uns({k: v if is_deferred(v) else deepcopy(v) for k, v in self._values.items()})

    def take(self, before: FrameSlot, after: FrameSlot) -> Uns:
        """Return the entries for a selection: colours follow the categories that are left."""
        cut = self.copy()
        for key in self._values:
            column = key.removesuffix("_colors")
            if column != key and column in before.columns:
                cut._values[key] = _Colors(self._values[key], column, before, after)
        return cut


@dataclass(frozen=True, eq=False)
class _Colors:
    """Colours of a categorical column, cut to the categories that a selection still uses."""

    colors: Any
    column: str
    before: FrameSlot
    after: FrameSlot

    def load(self) -> Any:
        colors = self.colors.load() if is_deferred(self.colors) else self.colors
        full = self.before.frame.get(self.column)
        left = self.after.frame.get(self.column)
        if full is None or left is None or not (_categorical(full) and _categorical(left)):
            return deepcopy(colors)
        if np.ndim(colors) == 0 or len(colors) != len(full.cat.categories):
            return deepcopy(colors)
        return np.asarray(colors)[full.cat.categories.isin(left.cat.categories)]

    @property
    def nbytes(self) -> int:
        return 0


def _categorical(column: Any) -> bool:
    return hasattr(column, "cat")
