"""The .h5mu behind an opened MuData, and what it held when it was opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h5py

from lazyomics.io.backing import FileBacking, sampled_names, shown_path
from lazyomics.io.snapshot import Snapshot

if TYPE_CHECKING:
    from lazyomics.container.mudata import MuData

__all__ = ["MuDataBacking"]


@dataclass(frozen=True)
class MuDataBacking(FileBacking):
    """Where a MuData was opened from.

    Attributes
    ----------
    modalities
        The same for each modality: one that was loaded into memory since is compared with that
        place when the whole is saved.
    """

    modalities: dict[str, FileBacking] = field(default_factory=dict)

    @classmethod
    def of_mudata(
        cls, mdata: MuData, path: str | os.PathLike[str], snapshot: Snapshot, file: h5py.File
    ) -> MuDataBacking:
        """Note the file and its names for a freshly opened object, and remember that one."""
        names: dict[str, frozenset[str]] = {m.name: frozenset(m) for m in mdata._mappings()}
        names |= {axis.maps.name: frozenset(axis.maps) for axis in mdata._axes.values()}
        names["uns"] = frozenset(mdata.uns)
        names["obs"] = frozenset(mdata._obs.columns)
        names["var"] = frozenset(mdata._var.columns)
        modalities: dict[str, FileBacking] = {}
        for mod, adata in mdata.mod.items():
            assert isinstance(adata._backing, FileBacking)
            modalities[mod] = adata._backing
        made = cls(
            path=shown_path(path),
            snapshot=snapshot,
            shape=mdata.shape,
            names=names,
            axes={name: sampled_names(file, name, snapshot) for name in ("obs", "var")},
            modalities=modalities,
        )
        made.remember(mdata)
        return made
