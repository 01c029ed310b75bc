"""Write a MuData to a new .h5mu: every modality block by block, put in place when complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.mudata import MuData
from lazyomics.io.save.verify import verify
from lazyomics.io.writing import _write_dict, _write_frame, new_file, write_anndata

if TYPE_CHECKING:
    from lazyomics.io.transpose import StorageOrder

__all__ = [
    "USER_BLOCK",
    "fill_mudata",
    "user_block",
    "write_modality",
    "write_new_mudata",
]


USER_BLOCK = 512  # bytes before the HDF5 part, by whose first ones an .h5mu is recognised
FORMAT_VERSION = "0.1.0"


def write_new_mudata(
    mdata: MuData, path: Path, *, options: Mapping[str, Any], order: StorageOrder | None = None
) -> None:
    """Stream an object to ``path``; an existing file is replaced only by a complete one."""
    with new_file(path, user_block=user_block()) as file:
        fill_mudata(file, mdata, options, order)


def fill_mudata(
    file: h5py.File, mdata: MuData, options: Mapping[str, Any], order: StorageOrder | None = None
) -> None:
    """Write all parts of an object into an empty file."""
    for name, axis in mdata._axes.items():
        _write_frame(file, name, axis.table, options)
        for mapping in (axis.arrays, axis.pairs):
            _write_dict(file, mapping.name, _stored(mapping, axis.maps), options)
        _write_dict(file, f"{name}map", dict(axis.maps.items()), options)
    _write_dict(file, "uns", mdata.uns.stored(), options)
    group = file.create_group("mod")
    for mod, adata in mdata.mod.items():
        write_modality(group.create_group(mod), adata, options, order)
    write_attributes(file, mdata)
    verify(file)


def _stored(mapping: AlignedMapping, maps: Mapping[str, Any]) -> dict[str, Any]:
    """Values to write; memberships as they follow from the positions."""
    values = mapping.stored()
    return {key: mapping[key] if key in maps else value for key, value in values.items()}


def write_modality(
    group: h5py.Group, adata: Any, options: Mapping[str, Any], order: StorageOrder | None = None
) -> None:
    """Write a modality into its empty group."""
    write_anndata(group, adata, options, order)
    group.attrs.update({"encoder": "lazyomics", "encoder-version": _version()})


def write_attributes(file: h5py.File, mdata: MuData) -> None:
    """Say that the file holds a MuData, along which axis, and the order of its modalities."""
    file["mod"].attrs["mod-order"] = [str(m) for m in mdata.mod]
    file.attrs.update(
        {
            "axis": mdata.axis,
            "encoding-type": "MuData",
            "encoding-version": FORMAT_VERSION,
            "encoder": "lazyomics",
            "encoder-version": _version(),
        }
    )


def user_block() -> bytes:
    """The bytes by which programs recognise an .h5mu file."""
    text = (
        f"MuData (format-version={FORMAT_VERSION};creator=lazyomics;creator-version={_version()})"
    )
    return text.encode().ljust(USER_BLOCK, b"\0")


def _version() -> str:
    import lazyomics

    return lazyomics.__version__
