"""MuData: several modalities over shared observations or variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics.importing import import_whole

if TYPE_CHECKING:
    from lazyomics.container.mudata.mudata import MuData

__all__ = [
    "MuData",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lazyomics.container.mudata' has no attribute {name!r}")
    value = getattr(import_whole("lazyomics.container.mudata.mudata"), name)
    globals()[name] = value
    return value
