"""One axis of a MuData: its table, its arrays, and where its entries are in each modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.annotated_object import AxisName
from lazyomics.container.deferred import DeferredFrame
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mappings import AlignedMapping, MappingName
from lazyomics.container.mudata.axis_union import Union, concatenated, shared
from lazyomics.container.mudata.joined_frame import JoinedFrame
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.mudata.position_maps import Membership, PositionMaps
from lazyomics.container.mudata.spread import spread_frame, spread_pairs, spread_rows
from lazyomics.errors import ShapeError
from lazyomics.graph.selection import Selector

__all__ = ["Axis", "is_shared", "modality_slot"]


@dataclass
class Axis:
    """What a MuData holds for its observations, or for its variables.

    Attributes
    ----------
    name
        ``"obs"`` or ``"var"``.
    table
        Columns that belong to the whole object.
    arrays, pairs
        obsm and obsp (varm and varp), without the memberships that obsm shows for modalities.
    maps
        obsmap (varmap).
    seen
        Names in each modality (or the stored table that has them) when ``maps`` was made.
    """

    name: AxisName
    table: FrameSlot
    arrays: AlignedMapping
    pairs: AlignedMapping
    maps: PositionMaps
    seen: dict[str, pd.Index | DeferredFrame] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: AxisName,
        table: FrameSlot,
        values: Mapping[str, Mapping[str, Any] | None],
        maps: PositionMaps,
    ) -> Axis:
        """Assemble an axis; ``values`` holds obsm and obsp (or varm and varp), checked here."""
        n = len(table)
        arrays, pairs = (empty_mapping(f"{name}{end}", n) for end in "mp")
        for mapping in (arrays.follow(table), pairs.follow(table)):
            for key, value in (values.get(mapping.name) or {}).items():
                mapping[key] = value
        return cls(name, table, arrays, pairs, maps).with_memberships()

    def with_memberships(self) -> Axis:
        """Show for each modality, under its name, which entries it holds."""
        for mod in self.maps:
            self.arrays._values[mod] = Membership(self.maps, mod)
        return self

    def frame(self, find: Callable[[str], pd.Series[Any] | None]) -> JoinedFrame:
        """The table, read now if it was not, able to find columns of the modalities."""
        held = self.table.frame
        if not isinstance(held, JoinedFrame):
            held = JoinedFrame.over(held, find)
            self.table.hold(held, self.table.baseline)
        held._find = find
        return held

    def take(self, selector: Selector) -> tuple[Axis, dict[str, Selector]]:
        """Return the axis of a selection, and what it selects in each modality."""
        maps, chosen = self.maps.split(selector)
        table = self.table.take(selector, keep_categories=True)
        shape = (len(table), len(table))
        arrays = self.arrays.take((selector, selector), shape)
        pairs = self.pairs.take((selector, selector), shape)
        return Axis(self.name, table, arrays, pairs, maps).with_memberships(), chosen

    def copy(self) -> Axis:
        """Return an independent axis; what is lazy or stored is shared."""
        maps = self.maps.copy()
        pairs, arrays = self.pairs.copy(), self.arrays.copy()
        made = Axis(self.name, self.table.copy(), arrays, pairs, maps, dict(self.seen))
        return made.with_memberships()

    def note(self, mods: Modalities) -> None:
        """Remember the names in the modalities as those that ``maps`` was made for."""
        slots = {mod: modality_slot(adata, self.name) for mod, adata in mods.items()}
        self.seen = {mod: slot.stored or slot.index for mod, slot in slots.items()}

    def counts(self, mods: Modalities) -> dict[str, int]:
        """Length of the axis in each modality as it is now."""
        return {mod: len(modality_slot(adata, self.name)) for mod, adata in mods.items()}

    def check_lengths(self, mods: Modalities) -> None:
        """Raise if modalities were added, removed or cut since the last update."""
        now = self.counts(mods)
        if now != self.maps.counts:
            before = self.maps.counts
            changed = [m for m in {**now, **before} if now.get(m) != before.get(m)]
            raise ShapeError(
                f"modality {changed[0]!r} has {now.get(changed[0], 'no')} {self.name}, it had "
                f"{self.maps.counts.get(changed[0], 'none')} when the MuData was last updated; "
                "call update()"
            )

    def is_current(self, mods: Modalities) -> bool:
        """Whether the names in the modalities are those that ``maps`` was made for."""
        if self.counts(mods) != self.maps.counts or list(mods) != list(self.maps):
            return False
        return all(
            _same_names(modality_slot(adata, self.name), self.seen.get(mod))
            for mod, adata in mods.items()
        )

    def updated(self, mods: Modalities, *, is_shared: bool) -> Axis:
        """Return the axis derived from the modalities as they are now."""
        names = {mod: modality_slot(adata, self.name).index for mod, adata in mods.items()}
        derive = shared if is_shared else concatenated
        maps = self._usable_maps(mods)
        union = derive(names, self.table.index, maps)
        made = PositionMaps(self.maps.name, len(union.names), union.maps, self.counts(mods))
        updated = self._carried(union, made)
        updated.note(mods)
        return updated

    def _usable_maps(self, mods: Modalities) -> PositionMaps | None:
        """Positions as they were, under the names that modalities have now."""
        try:
            if not all(len(self.maps[m]) for m in self.maps):
                return None
        except ShapeError:  # the stored positions do not fit: the names decide
            return None
        now = self._renamed(mods)
        values, counts = self.maps.stored(), self.maps.counts
        return PositionMaps(
            self.maps.name,
            self.maps.size,
            {now.get(m, m): value for m, value in values.items()},
            {now.get(m, m): count for m, count in counts.items()},
        )

    def _renamed(self, mods: Modalities) -> dict[str, str]:
        """New names of modalities that are still there under another one."""
        now: dict[str, str] = {}
        for mod in (m for m in mods if m not in self.maps):
            slot = modality_slot(mods[mod], self.name)
            for old in (m for m in self.maps if m not in mods and m not in now):
                if self.maps.counts.get(old) == len(slot) and _same_names(slot, self.seen.get(old)):
                    now[old] = mod
                    break
        return now

    def _carried(self, union: Union, maps: PositionMaps) -> Axis:
        """Bring table and arrays to the new rows."""
        names = union.names.rename(self.table.index.name)
        same_rows = union.is_unchanged and len(names) == len(self.table)
        table = self.table
        if not same_rows:
            table = FrameSlot(spread_frame(self.table.frame, union.previous, names), self.name)
        elif not names.equals(self.table.index):
            table.replace(self.table.frame.set_axis(names))
        arrays, pairs = (empty_mapping(m.name, len(names)) for m in (self.arrays, self.pairs))
        for key, value in self.arrays.stored().items():
            if key in self.maps:  # memberships are made anew
                continue
            if same_rows:
                arrays.hold(key, value, self.arrays.baseline(key))
            else:
                arrays[key] = spread_rows(self.arrays[key], union.previous, names)
        for key, value in self.pairs.stored().items():
            if same_rows:
                pairs.hold(key, value, self.pairs.baseline(key))
            else:
                pairs[key] = spread_pairs(self.pairs[key], union.previous)
        return Axis(self.name, table, arrays, pairs, maps).with_memberships()


def _same_names(slot: FrameSlot, seen: pd.Index | DeferredFrame | None) -> bool:
    """Compare names with those seen before; reads them only where the table was loaded since."""
    if seen is None or slot.stored is seen:
        return seen is not None
    before = seen if isinstance(seen, pd.Index) else seen.index()
    return slot.index is before or bool(
        np.array_equal(np.asarray(slot.index, dtype=object), np.asarray(before, dtype=object))
    )


def empty_mapping(name: str, length: int) -> AlignedMapping:
    """A mapping of arrays for an axis of some length."""
    kind: MappingName = name  # type: ignore[assignment]
    return AlignedMapping(kind, (length, length))


def modality_slot(adata: Any, name: AxisName) -> FrameSlot:
    """The table of an axis of a modality."""
    slot: FrameSlot = adata._obs if name == "obs" else adata._var
    return slot


def is_shared(name: AxisName, axis: int) -> bool:
    """Whether modalities describe the same entries along ``"obs"`` or ``"var"``."""
    return axis == -1 or axis == (0 if name == "obs" else 1)
