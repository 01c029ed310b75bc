"""Derive the names of a whole object from those of its modalities, keeping what was known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.mudata.position_maps import PositionMaps

__all__ = ["Union", "concatenated", "shared"]


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
