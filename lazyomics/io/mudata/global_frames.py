"""obs and var of a whole .h5mu, under the names that its modalities have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
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
    tables: Mapping[str, ModalityTable] = field(kw_only=True, compare=False)

    @classmethod
    def over(
        cls, stored: StoredFrame, axis: AxisName, maps: PositionMaps, mods: Mapping[str, Any]
    ) -> GlobalFrame:
        """Name the rows of a stored table by modalities."""
        tables = {mod: ModalityTable.of(modality_slot(a, axis)) for mod, a in mods.items()}
        columns, length = stored.all_columns, stored.length
        return cls(stored.snapshot, stored.name, columns, length, maps=maps, tables=tables)

    @property
    def is_as_stored(self) -> bool:
        """Whether the names are those of the file."""
        return self._names[1]

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return super().load().set_axis(self.index())

    def index(self) -> pd.Index:
        """Read the names, also those of the modalities."""
        return self._names[0]

    @cached_property
    def _names(self) -> tuple[pd.Index, bool]:
        """The names, and whether the file has the same for the whole."""
        stored = super().index()
        # Texts of the modalities take the place of equal ones, so that each is held once.
        found, same = np.asarray(stored, dtype=object).copy(), True
        try:
            for mod, table in self.tables.items():
                rows = self.maps.rows_in(mod)
                present = rows >= 0
                names = np.asarray(table.names(), dtype=object)[rows[present]]
                same = same and np.array_equal(found[present], names)
                found[present] = names
        except ShapeError:  # positions that fit neither: what is asked of them next will say so
            return stored, True
        return pd.Index(found, name=stored.name), same


@dataclass(frozen=True, eq=False)
class ModalityTable:
    """obs or var of a modality as it was when the file was opened."""

    slot: FrameSlot
    held: DeferredFrame | pd.Index

    @classmethod
    def of(cls, slot: FrameSlot) -> ModalityTable:
        """Refer to a table; one that is stored is not read."""
        return cls(slot, slot.stored or slot.index)

    def names(self) -> pd.Index:
        """Names of its rows, from whoever has read them."""
        if isinstance(self.held, pd.Index):
            return self.held
        return self.slot.index if self.slot.stored is self.held else self.held.index()
