"""The modality that a verb for one kind of data works on."""

from __future__ import annotations

from typing import Any

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata.object import MuData

__all__ = ["choose_modality"]


def choose_modality(data: Any, name: str) -> AnnData:
    """Return an AnnData itself, or the modality of that name of a MuData.

    Raises
    ------
    TypeError
        For anything else, or a MuData without the modality.
    """
    if isinstance(data, AnnData):
        return data
    if isinstance(data, MuData) and name in data.mod:
        return data.mod[name]
    found = type(data).__name__
    if isinstance(data, MuData):
        found = f"a MuData with {', '.join(map(repr, data.mod)) or 'no modality'}"
    raise TypeError(f"expected an AnnData, or a MuData with the modality {name!r}; found {found}")
