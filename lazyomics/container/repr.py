"""The text that describes an object, laid out as anndata's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["describe", "part_keys"]


def describe(adata: AnnData) -> str:
    """Lines with the shape, the file, and the keys of each part. Reads nothing."""
    backed = f" backed at {str(adata.filename)!r}" if adata.isbacked else ""
    lines = [f"AnnData object with n_obs × n_vars = {adata.n_obs} × {adata.n_vars}{backed}"]
    for name, keys in part_keys(adata).items():
        if keys:
            lines.append(f"    {name}: {', '.join(repr(str(k)) for k in keys)}")
    return "\n".join(lines)


def part_keys(adata: AnnData) -> dict[str, tuple[str, ...]]:
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
