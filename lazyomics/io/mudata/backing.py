"""The .h5mu behind an opened MuData, and what it held when it was opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lazyomics.io.backing import FileBacking, places

if TYPE_CHECKING:
    from lazyomics.container.mudata import MuData

__all__ = ["MuDataBacking"]


@dataclass(frozen=True)
class MuDataBacking(FileBacking):
    """Where a MuData was opened from.

    ``modalities`` says the same of each modality: one that was loaded into memory since is
    compared with that place when the whole is saved.
    """

    modalities: dict[str, FileBacking] = field(default_factory=dict)

    @classmethod
    def of_mudata(cls, mdata: MuData, path: str | os.PathLike[str]) -> MuDataBacking:
        """Note the file and its names for a freshly opened object."""
        names: dict[str, frozenset[str]] = {m.name: frozenset(m) for m in mdata._mappings()}
        names |= {axis.maps.name: frozenset(axis.maps) for axis in mdata._axes.values()}
        names["uns"] = frozenset(mdata.uns)
        names["obs"] = frozenset(mdata._obs.columns)
        names["var"] = frozenset(mdata._var.columns)
        modalities = {m: FileBacking.of(a, path, f"/mod/{m}") for m, a in mdata.mod.items()}
        return cls(*places(path), mdata.shape, names, modalities=modalities)
