"""How many bytes an object holds now, and how many it would hold once loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.slots import MatrixSlot, matrix_bytes
from lazyomics.graph.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["frame_bytes", "held_bytes", "loaded_bytes", "mapping_bytes", "value_bytes"]


def held_bytes(adata: AnnData) -> int:
    """Bytes in memory now: what is lazy or still in the file counts nothing."""
    return _total(adata, loaded=False)


def loaded_bytes(adata: AnnData) -> int:
    """Bytes that ``adata.to_memory()`` would hold, from the sizes stored in the file."""
    return _total(adata, loaded=True)


def _total(adata: AnnData, *, loaded: bool) -> int:
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
