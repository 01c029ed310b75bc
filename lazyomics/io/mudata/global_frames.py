"""obs and var of a whole .h5mu, under the names that its modalities have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.annotated_object import AxisName
from lazyomics.container.deferred import DeferredFrame
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mudata.axis import modality_slot
from lazyomics.container.mudata.position_maps import PositionMaps
from lazyomics.errors import ShapeError
from lazyomics.io.stored import StoredFrame

__all__ = ["GlobalFrame"]


@dataclass(frozen=True)
class GlobalFrame(StoredFrame):
    """The table of an axis that modalities do not share, its rows named by them, as in mudata.

    The file repeats the names of the modalities. Where a program wrote others (mudata 0.2 put the
    name of the modality before them), or changed those of a modality only, the positions say which
    entry of which modality a row is, and the names there count. Along a shared axis names may
    differ: R relates the samples of several assays by the patients that they are from.
    """

    maps: PositionMaps = field(kw_only=True, compare=False)
    names: Mapping[str, Names] = field(kw_only=True, compare=False)

    @classmethod
    def over(
        cls, stored: StoredFrame, axis: AxisName, maps: PositionMaps, mods: Mapping[str, Any]
    ) -> GlobalFrame:
        """Name the rows of a stored table by modalities."""
        names = {mod: Names.of(modality_slot(adata, axis)) for mod, adata in mods.items()}
        return cls(
            stored.path,
            stored.name,
            stored.all_columns,
            stored.length,
            stored.only,
            maps=maps,
            names=names,
        )

    @property
    def is_as_stored(self) -> bool:
        """Whether the names are those of the file."""
        return self.index().equals(super().index())

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return super().load().set_axis(self.index())

    def index(self) -> pd.Index:
        """Read the names, also those of the modalities."""
        stored = super().index()
        found = np.asarray(stored, dtype=object).copy()
        try:
            positions = {mod: self.maps.rows_in(mod) for mod in self.names}
        except ShapeError:  # they fit neither: what is asked of them next will say so
            return stored
        for mod, rows in positions.items():
            present = rows >= 0
            found[present] = np.asarray(self.names[mod].read(), dtype=object)[rows[present]]
        if np.array_equal(found, np.asarray(stored, dtype=object)):
            return stored
        return pd.Index(list(found), name=stored.name)


@dataclass(frozen=True, eq=False)
class Names:
    """Names in a modality as they were when the file was opened."""

    slot: FrameSlot
    stored: DeferredFrame | None
    held: pd.Index | None

    @classmethod
    def of(cls, slot: FrameSlot) -> Names:
        """Refer to the names of a table; those of a stored one are not read."""
        return cls(slot, slot.stored, slot.index if slot.stored is None else None)

    def read(self) -> pd.Index:
        """The names."""
        if self.stored is None:
            assert self.held is not None
            return self.held
        return self.slot.index if self.slot.stored is self.stored else self.stored.index()
