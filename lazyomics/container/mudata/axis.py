"""An axis of a MuData: its names, and the positions of each modality's rows in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.annotated import AxisName
from lazyomics.container.deferred import Deferred, DeferredFrame, is_deferred
from lazyomics.container.frames import FrameSlot, string_index
from lazyomics.container.mappings import AlignedMapping, MappingName, StoredValues
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.reindex import spread_frame, spread_pairs, spread_rows
from lazyomics.errors import ShapeError, warn_user
from lazyomics.lazy.indexer import Selector, length, tighten

__all__ = [
    "Axis",
    "JoinedFrame",
    "Membership",
    "PositionMaps",
    "Union",
    "concatenated",
    "is_shared",
    "make_names_unique",
    "modality_slot",
    "set_names",
    "shared",
    "take_names",
]


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
class Membership(Deferred):
    """Which entries a modality holds, as a column of booleans that is made when asked for."""

    maps: PositionMaps
    mod: str

    def load(self) -> NDArray[np.bool_]:
        return (self.maps[self.mod] > 0)[:, None]

    def outline(self) -> tuple[str, tuple[int, ...]]:
        """Kind in words, and shape."""
        return "array bool", (self.maps.size, 1)

    @property
    def nbytes(self) -> int:
        return self.maps.size


@dataclass(frozen=True)
class Union:
    """Names of the new axis, one-based positions in each modality, and previous rows (or −1)."""

    names: pd.Index
    maps: dict[str, NDArray[np.uint32]]
    previous: NDArray[np.int64]

    @property
    def is_unchanged(self) -> bool:
        """Whether the rows are the previous ones in the same order (their names may differ)."""
        return bool(np.array_equal(self.previous, np.arange(len(self.names))))


def shared(names: Mapping[str, pd.Index], before: pd.Index, maps: PositionMaps | None) -> Union:
    """Union of the names of modalities that describe the same entries.

    A name that is repeated within a modality stands for several entries: its k-th occurrence is
    the same entry everywhere. Known entries keep their order, new ones follow as first seen.

    Parameters
    ----------
    names
        Names in each modality.
    before
        Previous names of the whole object.
    maps
        Previous positions, None if there are none.
    """
    renamed = _renamed(names, before, maps)
    if renamed is not None:
        return renamed
    every = [*names.values(), before]
    repeated = not all(index.is_unique for index in every)
    keys = {mod: _keys(index, repeated) for mod, index in names.items()}
    union = _keys(pd.Index([], dtype=object), repeated)
    for index in keys.values():
        union = union.append(index[union.get_indexer(index) < 0])
    known = _keys(before, repeated)
    kept = known[union.get_indexer(known) >= 0]
    final = kept.append(union[known.get_indexer(union) < 0])
    positions = {mod: _one_based(index.get_indexer(final)) for mod, index in keys.items()}
    previous = known.get_indexer(final).astype(np.int64)
    flat = final.get_level_values(0) if repeated else final
    return Union(_plain(flat), positions, previous)


def concatenated(
    names: Mapping[str, pd.Index], before: pd.Index, maps: PositionMaps | None
) -> Union:
    """Names of modalities that describe different entries, one after the other.

    Known entries keep their order, new ones follow. Equal names in two modalities are different
    entries.
    """
    joined = _joined_names(names)
    if maps is None or not len(maps):
        repeated = not (joined.is_unique and before.is_unique)
        previous = _keys(before, repeated).get_indexer(_keys(joined, repeated)).astype(np.int64)
    else:
        parts = [_previous_rows(mod, index, before, maps) for mod, index in names.items()]
        previous = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    order = np.argsort(np.where(previous < 0, len(before), previous), kind="stable")
    positions, start = {}, 0
    for mod, index in names.items():
        local = order - start
        inside = (local >= 0) & (local < len(index))
        positions[mod] = np.where(inside, local + 1, 0).astype(np.uint32)
        start += len(index)
    return Union(joined[order], positions, previous[order])


def _previous_rows(
    mod: str, names: pd.Index, before: pd.Index, maps: PositionMaps
) -> NDArray[np.int64]:
    """Previous row of each entry of a modality, −1 for new ones."""
    if mod not in maps:
        return np.full(len(names), -1, dtype=np.int64)
    positions = maps.rows_in(mod)
    rows = np.flatnonzero(positions >= 0)
    rows = rows[np.argsort(positions[rows])]
    old = before[rows]
    repeated = not (old.is_unique and names.is_unique)
    found = _keys(old, repeated).get_indexer(_keys(names, repeated))
    if len(old) == len(names) and bool((found < 0).all()):  # all of them were renamed
        found = np.arange(len(names))
    return np.where(found < 0, -1, rows[found] if len(rows) else -1).astype(np.int64)


def _renamed(
    names: Mapping[str, pd.Index], before: pd.Index, maps: PositionMaps | None
) -> Union | None:
    """The previous rows under new names, if that is all that happened."""
    if maps is None or not len(before) or set(maps) != set(names):
        return None
    if any(maps.counts[mod] != len(index) for mod, index in names.items()):
        return None
    if any(bool(index.isin(before).any()) for index in names.values()):
        return None
    new = np.full(len(before), None, dtype=object)
    for mod, index in names.items():
        rows = maps.rows_in(mod)
        present = rows >= 0
        given = np.asarray(index, dtype=object)[rows[present]]
        clash = new[present] != given
        if bool((clash & (new[present] != None)).any()):  # noqa: E711  elementwise
            return None
        new[present] = given
    positions = {mod: maps[mod] for mod in names}
    return Union(_plain(pd.Index(new)), positions, np.arange(len(before)))


def _keys(names: pd.Index, repeated: bool) -> pd.Index:
    """Names, with the number of their occurrence where names are repeated."""
    names = names.astype(object)
    if not repeated:
        return names.rename(None)
    count = pd.Series(np.zeros(len(names), np.int64)).groupby(np.asarray(names)).cumcount()
    return pd.MultiIndex.from_arrays([np.asarray(names), count.to_numpy()])


def _joined_names(names: Mapping[str, pd.Index]) -> pd.Index:
    parts = [np.asarray(index, dtype=object) for index in names.values()]
    return _plain(pd.Index(np.concatenate(parts) if parts else [], dtype=object))


def _plain(names: pd.Index) -> pd.Index:
    """Names as pandas types text itself (object before version 3, str since)."""
    return pd.Index(list(names)) if len(names) else pd.Index([], dtype=object)


def _one_based(found: NDArray[np.intp]) -> NDArray[np.uint32]:
    return (found + 1).astype(np.uint32)


class JoinedFrame(pd.DataFrame):
    """A DataFrame in which ``frame["rna:leiden"]`` is the column ``leiden`` of modality ``rna``.

    Such a column is joined each time it is asked for, so it always shows the modality as it is
    now. It is not listed in ``columns`` and not stored with the table; a column of the table
    itself comes first. Frames derived from this one are ordinary DataFrames.
    """

    _internal_names: ClassVar[list[str]] = [
        *pd.DataFrame._internal_names,  # type: ignore[attr-defined]
        "_find",
    ]
    _internal_names_set: ClassVar[set[str]] = set(_internal_names)
    _find: Callable[[str], pd.Series[Any] | None] | None = None

    @classmethod
    def over(cls, frame: pd.DataFrame, find: Callable[[str], pd.Series[Any] | None]) -> JoinedFrame:
        """Wrap a table, with a function that joins a column of a modality (or returns None)."""
        made = cls(frame)
        made._find = find
        return made

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            found = self._joined(key)
            return super().__getitem__(key) if found is None else found
        if isinstance(key, list) and any(self._is_elsewhere(k) for k in key):
            frame = pd.DataFrame({k: self[k] for k in dict.fromkeys(key)}, index=self.index)
            return frame[key]
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:  # type: ignore[misc]
        return super().__contains__(key) or (isinstance(key, str) and self._is_elsewhere(key))

    def __delitem__(self, key: Any) -> None:  # type: ignore[misc]
        if isinstance(key, str) and key not in self.columns and self._is_elsewhere(key):
            raise KeyError(f"{key!r} belongs to a modality; delete it there")
        super().__delitem__(key)

    def _is_elsewhere(self, key: object) -> bool:
        return isinstance(key, str) and self._joined(key) is not None

    def _joined(self, key: str) -> pd.Series[Any] | None:
        if self._find is None or key in self.columns:
            return None
        return self._find(key)


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
            self.table.wrap(held)
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


def set_names(axis: Axis, mods: Modalities, names: Any) -> None:
    """Give new names to the entries of an axis, and to the same entries of each modality."""
    index = string_index(names if isinstance(names, pd.Index) else pd.Index(names))
    if len(index) != len(axis.table):
        raise ShapeError(f"{len(index)} names for {len(axis.table)} {axis.name}")
    axis.check_lengths(mods)
    for mod, adata in mods.items():
        rows = axis.maps.rows_in(mod)
        present = rows >= 0
        given = np.empty(axis.maps.counts[mod], dtype=object)
        given[rows[present]] = np.asarray(index, dtype=object)[present]
        modality_slot(adata, axis.name).index = list(given)
    axis.table.index = index
    axis.note(mods)


def make_names_unique(axis: Axis, mods: Modalities) -> None:
    """Append numbers to names repeated in a modality; where modalities have names in common, all
    get the name of their modality in front.
    """  # noqa: D205
    for adata in mods.values():
        getattr(adata, f"{axis.name}_names_make_unique")()
    slots = {mod: modality_slot(adata, axis.name) for mod, adata in mods.items()}
    pairs = combinations([slot.index for slot in slots.values()], 2)
    if any(bool(a.isin(b).any()) for a, b in pairs):
        warn_user(
            f"modalities have {axis.name}_names in common: all {axis.name}_names get the name of "
            "their modality in front",
        )
        for mod, slot in slots.items():
            slot.index = f"{mod}:" + slot.index.astype(str)


def take_names(axis: Axis, mods: Modalities) -> None:
    """Give the entries of an axis that modalities do not share the names that they have there."""
    named = np.empty(len(axis.table), dtype=object)
    for mod, adata in mods.items():
        rows = axis.maps.rows_in(mod)
        present = rows >= 0
        names = modality_slot(adata, axis.name).index
        named[present] = np.asarray(names, dtype=object)[rows[present]]
    axis.table.index = list(named)
    axis.note(mods)
