"""One AnnData whose variables are of several types, as modalities."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lazyomics.container.anndata import AnnData

__all__ = ["FEATURE_TYPES", "modalities_of"]

FEATURE_TYPES: Mapping[str, str] = MappingProxyType(
    {"Gene Expression": "rna", "Peaks": "atac", "Antibody Capture": "prot"}
)


def modalities_of(adata: AnnData, names: Mapping[str, str] | None) -> dict[str, AnnData]:
    """Split an object by ``var["feature_types"]``, lazily; without that column it is ``data``."""
    if "feature_types" not in adata._var.columns:
        return {"data": adata}
    types = adata.var["feature_types"]
    known = names or {}
    return {
        known.get(str(kind), str(kind)): adata[:, (types == kind).to_numpy()].copy()
        for kind in types.unique()
    }
