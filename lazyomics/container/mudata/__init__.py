"""MuData: several modalities over shared observations or variables."""

from lazyomics.container.mudata.object import MuData

__all__ = ["MuData"]
