"""An AnnData as notebooks show it. Reads no matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lazyomics.container.html import mapping_section, opened_once, table_section, value_text
from lazyomics.lazy.html import page, section

if TYPE_CHECKING:
    from lazyomics.container.anndata_parts import AnnDataParts
    from lazyomics.container.annotated import FileObject

__all__ = ["html_of_anndata", "origin", "parts_of"]


def html_of_anndata(adata: AnnDataParts) -> str:
    """Return the parts of an object, each of which opens to what is in it."""
    title = f"AnnData, {adata.n_obs:,} cells × {adata.n_vars:,} genes"
    with opened_once([adata]):
        return page(title, origin(adata), list(parts_of(adata)))


def origin(of: FileObject) -> list[str]:
    """Say where an object comes from."""
    return [f"file {of.filename}" if of.isbacked else "in memory"]


def parts_of(adata: AnnDataParts) -> Iterator[str]:
    """Yield a section for each part of an object."""
    x = adata._x.held
    yield section("X", "none" if x is None else value_text(x), "")
    yield from table_section("obs", adata._obs, adata._uns)
    yield from table_section("var", adata._var, adata._uns)
    for mapping in adata._mappings():
        yield from mapping_section(mapping.name, mapping)
    if adata._raw is not None:
        x = value_text(adata._raw.x.held)
        yield section("raw", f"{len(adata._raw.var):,} genes, X {x}", "")
    yield from mapping_section("uns", adata._uns)
