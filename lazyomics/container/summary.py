"""Text that shows an object, and the bytes that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.slots import MatrixSlot, matrix_bytes
from lazyomics.lazy.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata_parts import AnnDataParts

__all__ = [
    "describe",
    "frame_bytes",
    "held_bytes",
    "loaded_bytes",
    "mapping_bytes",
    "part_keys",
    "value_bytes",
]


def describe(adata: AnnDataParts) -> str:
    """Lines with the shape, the file, and the keys of each part. Reads nothing."""
    backed = f" backed at {str(adata.filename)!r}" if adata.isbacked else ""
    backed += _of_what(adata)
    lines = [f"AnnData object with n_obs × n_vars = {adata.n_obs} × {adata.n_vars}{backed}"]
    for name, keys in part_keys(adata).items():
        if keys:
            lines.append(f"    {name}: {', '.join(repr(str(k)) for k in keys)}")
    if adata._raw is not None:
        lines.append(f"    raw: n_vars = {len(adata._raw.var)}")
    return "\n".join(lines)


def _of_what(adata: AnnDataParts) -> str:
    """Say of a selection what it was selected from."""
    backing = adata._backing
    if getattr(backing, "selection", None) is None:
        return ""
    n_obs, n_vars = getattr(backing, "shape", adata.shape)
    return f", selected from {n_obs} × {n_vars}"


def part_keys(adata: AnnDataParts) -> dict[str, tuple[str, ...]]:
    """Names in each part of an object, in the order in which they are shown. Reads nothing."""
    return {
        "obs": adata._obs.columns,
        "var": adata._var.columns,
        "uns": tuple(adata._uns),
        "obsm": tuple(adata._obsm),
        "varm": tuple(adata._varm),
        "layers": tuple(adata._layers),
        "obsp": tuple(adata._obsp),
        "varp": tuple(adata._varp),
    }


def held_bytes(adata: AnnDataParts) -> int:
    """Bytes in memory now: what is lazy or still in the file counts nothing."""
    return _total(adata, loaded=False)


def loaded_bytes(adata: AnnDataParts) -> int:
    """Bytes that ``adata.to_memory()`` would hold, from the sizes stored in the file."""
    return _total(adata, loaded=True)


def _total(adata: AnnDataParts, *, loaded: bool) -> int:
    frames = [adata._obs, adata._var]
    slots = [adata._x]
    mappings = [*adata._mappings()]
    if adata._raw is not None:
        frames.append(adata._raw.var)
        slots.append(adata._raw.x)
        mappings.append(adata._raw.varm)
    return (
        sum(frame_bytes(f, loaded) for f in frames)
        + sum(_slot_bytes(s, loaded) for s in slots)
        + sum(mapping_bytes(m, loaded) for m in mappings)
        + sum(value_bytes(v, loaded) for v in adata._uns.stored().values())
    )


def frame_bytes(slot: FrameSlot, loaded: bool) -> int:
    """Bytes of a table now, or once it is loaded."""
    return slot.nbytes if loaded or slot.is_loaded else 0


def _slot_bytes(slot: MatrixSlot, loaded: bool) -> int:
    return slot.nbytes if loaded or slot.is_in_memory else 0


def mapping_bytes(mapping: AlignedMapping, loaded: bool) -> int:
    """Bytes of all values of a mapping now, or once they are loaded."""
    return sum(value_bytes(v, loaded) for v in mapping.stored().values())


def value_bytes(value: Any, loaded: bool) -> int:
    """Bytes of one value now, or once it is loaded."""
    if is_dask_array(value) or is_deferred(value):
        return matrix_bytes(value) if loaded else 0
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage(deep=True).sum())
    if isinstance(value, dict):
        return sum(value_bytes(v, loaded) for v in value.values())
    if hasattr(value, "indptr"):
        return matrix_bytes(value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        return int(value.nbytes) + sum(len(str(v)) for v in value.ravel())
    return int(getattr(value, "nbytes", 0) or 0)
