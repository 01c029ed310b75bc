"""The text that describes a MuData, laid out as mudata's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lazyomics.container.repr import part_keys

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.mudata.object import MuData

__all__ = ["describe_mudata"]

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


def _modality(name: str, adata: AnnData) -> list[str]:
    parts = part_keys(adata).items()
    return [
        f"    {name}:\t{adata.n_obs} × {adata.n_vars}",
        *(f"      {part}:\t{_listed(keys)}" for part, keys in parts if keys),
    ]


def _listed(keys: Iterable[Any]) -> str:
    return str([str(k) for k in keys])[1:-1]
