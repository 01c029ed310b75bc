"""obsmap and varmap: where each entry of the whole object is found in each modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.container.deferred import is_deferred
from lazyomics.container.stored_values import StoredValues
from lazyomics.errors import ShapeError
from lazyomics.graph.selection import Selector, length, tighten

__all__ = ["Membership", "PositionMaps"]

Positions = NDArray[np.uint32]


class PositionMaps(StoredValues):
    """One-based positions in each modality, 0 where an entry is absent from it.

    Parameters
    ----------
    name
        ``"obsmap"`` or ``"varmap"``, for messages.
    size
        Length of the axis of the whole object.
    values
        Integer arrays of shape (size,), or stored elements that are read on first use.
    counts
        Length of the axis in each modality.
    """

    def __init__(
        self, name: str, size: int, values: Mapping[str, Any], counts: Mapping[str, int]
    ) -> None:
        super().__init__(values)
        self.name = name
        self.size = size
        self.counts = dict(counts)

    def __getitem__(self, mod: str) -> Positions:
        if mod not in self._values:
            raise KeyError(f"{self.name} has no {mod!r}; call update() after adding a modality")
        positions: Positions = super().__getitem__(mod)
        return positions

    def __repr__(self) -> str:
        return f"{self.name} with keys: {', '.join(self._values)}"

    def checked(self) -> PositionMaps:
        """Return the maps, with those in memory brought to their type, or say what is wrong."""
        for mod, value in self._values.items():
            if not is_deferred(value):
                self._values[mod] = self._checked(mod, value)
        return self

    def copy(self) -> PositionMaps:
        """Return an independent object; the arrays are shared, as nothing changes them."""
        twin = PositionMaps(self.name, self.size, self._values, self.counts)
        twin._baselines = dict(self._baselines)
        return twin

    def split(self, selector: Selector) -> tuple[PositionMaps, dict[str, Selector]]:
        """Return the maps of a selection, and what it selects in each modality."""
        maps: dict[str, Positions] = {}
        chosen: dict[str, Selector] = {}
        counts: dict[str, int] = {}
        for mod, positions in self.items():
            cut = positions[selector]
            present = cut > 0
            chosen[mod] = tighten(cut[present].astype(np.int64) - 1)
            counts[mod] = length(chosen[mod])
            renumbered = np.zeros(len(cut), dtype=np.uint32)
            renumbered[present] = np.arange(1, counts[mod] + 1, dtype=np.uint32)
            maps[mod] = renumbered
        return PositionMaps(self.name, length(selector), maps, counts), chosen

    def rows_in(self, mod: str) -> NDArray[np.int64]:
        """Zero-based positions in a modality, −1 where an entry is absent from it."""
        return self[mod].astype(np.int64) - 1

    def _checked(self, mod: str, stored: Any) -> Positions:
        values = np.ravel(np.asarray(stored))
        if values.dtype.kind not in "biuf":
            raise ShapeError(
                f"{self.name}[{mod!r}] must hold positions, found values of type {values.dtype}. "
                "Call update() to derive it anew from the names."
            )
        if not np.issubdtype(values.dtype, np.integer):  # some old files hold floats
            values = np.nan_to_num(np.asarray(values, dtype=np.float64)).clip(-1, 2**62)
        count = self.counts[mod]
        present = values[values > 0].astype(np.int64)
        fits = len(values) == self.size and len(present) == count and not (values < 0).any()
        in_range = fits and bool(((present > 0) & (present <= count)).all())
        if not in_range or (np.bincount(present, minlength=count + 1)[1:] != 1).any():
            raise ShapeError(
                f"{self.name}[{mod!r}] must hold, in {self.size} values, each of the positions 1 "
                f"to {count} once and 0 elsewhere; found {len(values)} values, {len(present)} of "
                "them positive. Call update() to derive it anew from the names."
            )
        return values.astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Membership:
    """Which entries a modality holds, as a column of booleans that is made when asked for."""

    maps: PositionMaps
    mod: str

    def load(self) -> NDArray[np.bool_]:
        return (self.maps[self.mod] > 0)[:, None]

    @property
    def nbytes(self) -> int:
        return self.maps.size
