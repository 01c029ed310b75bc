"""MuData: several modalities over shared observations or variables."""

from __future__ import annotations

from lazyomics.container.mudata.mudata import MuData

__all__ = [
    "MuData",
]
