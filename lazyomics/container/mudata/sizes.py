"""How many bytes a MuData holds now, and how many it would hold once loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyomics.container import sizes

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["held_bytes", "loaded_bytes"]


def held_bytes(mdata: MuData) -> int:
    """Bytes in memory now: what is lazy or still in the file counts nothing."""
    return sum(map(sizes.held_bytes, mdata.mod.values())) + _whole(mdata, loaded=False)


def loaded_bytes(mdata: MuData) -> int:
    """Bytes that ``mdata.to_memory()`` would hold, from the sizes stored in the file."""
    return sum(map(sizes.loaded_bytes, mdata.mod.values())) + _whole(mdata, loaded=True)


def _whole(mdata: MuData, *, loaded: bool) -> int:
    """Bytes of what does not belong to a modality."""
    tables = sum(sizes.frame_bytes(axis.table, loaded) for axis in mdata._axes.values())
    arrays = sum(sizes.mapping_bytes(mapping, loaded) for mapping in mdata._mappings())
    maps = [m for axis in mdata._axes.values() for m in axis.maps.stored().values()]
    other = [*maps, *mdata.uns.stored().values()]
    return tables + arrays + sum(sizes.value_bytes(value, loaded) for value in other)
