"""A MuData as text, and the bytes that it takes. Reads no matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lazyomics.container.summary import (
    frame_bytes,
    held_bytes,
    loaded_bytes,
    mapping_bytes,
    part_keys,
    value_bytes,
)

if TYPE_CHECKING:
    from lazyomics.container.anndata_parts import AnnDataParts
    from lazyomics.container.mudata.mudata import MuData

__all__ = ["describe_mudata", "held_bytes_of_modalities", "loaded_bytes_of_modalities"]


AXIS_NOTES = {0: "", 1: " (shared var) ", -1: " (shared obs and var) "}


def describe_mudata(mdata: MuData) -> str:
    """Lines with the shape, the file, and the keys of each part of each modality. Reads nothing."""
    backed = f" backed at {str(mdata.filename)!r}" if mdata.isbacked else ""
    note = AXIS_NOTES[mdata.axis]
    lines = [f"MuData object with n_obs × n_vars = {mdata.n_obs} × {mdata.n_vars}{note}{backed}"]
    mods = tuple(mdata.mod)
    parts: dict[str, tuple[Iterable[Any], str]] = {
        "obs": (mdata._obs.columns, ":"),
        "var": (mdata._var.columns, ":"),
        "uns": (mdata._uns, ""),
        "obsm": (mdata.obsm, ""),
        "varm": (mdata.varm, ""),
        "obsp": (mdata.obsp, ""),
        "varp": (mdata.varp, ""),
    }
    for name, (keys, separator) in parts.items():
        prefixes = tuple(f"{mod}{separator}" for mod in mods)
        shown = [str(k) for k in keys if not str(k).startswith(prefixes)]
        if shown:
            lines.append(f"  {name}:\t{_listed(shown)}")
    lines.append(f"  {len(mods)} modalit{'y' if len(mods) == 1 else 'ies'}")
    for mod in mods:
        lines += _modality(mod, mdata.mod[mod])
    return "\n".join(lines)


def _modality(name: str, adata: AnnDataParts) -> list[str]:
    parts = part_keys(adata).items()
    return [
        f"    {name}:\t{adata.n_obs} × {adata.n_vars}",
        *(f"      {part}:\t{_listed(keys)}" for part, keys in parts if keys),
    ]


def _listed(keys: Iterable[Any]) -> str:
    return str([str(k) for k in keys])[1:-1]


def held_bytes_of_modalities(mdata: MuData) -> int:
    """Bytes in memory now: what is lazy or still in the file counts nothing."""
    return sum(map(held_bytes, mdata.mod.values())) + _whole(mdata, loaded=False)


def loaded_bytes_of_modalities(mdata: MuData) -> int:
    """Bytes that ``mdata.to_memory()`` would hold, from the sizes stored in the file."""
    return sum(map(loaded_bytes, mdata.mod.values())) + _whole(mdata, loaded=True)


def _whole(mdata: MuData, *, loaded: bool) -> int:
    """Bytes of what does not belong to a modality."""
    tables = sum(frame_bytes(axis.table, loaded) for axis in mdata._axes.values())
    arrays = sum(mapping_bytes(mapping, loaded) for mapping in mdata._mappings())
    maps = [m for axis in mdata._axes.values() for m in axis.maps.stored().values()]
    other = [*maps, *mdata.uns.stored().values()]
    return tables + arrays + sum(value_bytes(value, loaded) for value in other)
