"""An AnnData as a value of uns, of this package or of anndata: what it is made of."""

from __future__ import annotations

from typing import Any

__all__ = ["is_nested", "parts_of"]

MAPPINGS = ("layers", "obsm", "varm", "obsp", "varp", "uns")
MARKS = ("X", "obs", "var", "raw", *MAPPINGS)


def is_nested(value: Any) -> bool:
    """Tell whether a value is an AnnData, by what it has: neither class need be imported."""
    kind = type(value)
    return kind.__name__ == "AnnData" and all(hasattr(kind, name) for name in MARKS)


def parts_of(adata: Any) -> dict[str, Any]:
    """Return everything that an AnnData in memory holds."""
    # anndata 0.13 lists X among the layers, under None
    parts: dict[str, Any] = {
        name: {k: v for k, v in getattr(adata, name).items() if k is not None} for name in MAPPINGS
    }
    raw = adata.raw
    held = None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)}
    return {**parts, "X": adata.X, "obs": adata.obs, "var": adata.var, "raw": held}
