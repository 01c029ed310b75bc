"""An AnnData, and those of a MuData, as notebooks show them. Reads no matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lazyomics.container.html import mapping_section, opened_once, table_section, value_text
from lazyomics.lazy.html import counted, page, section

if TYPE_CHECKING:
    from lazyomics.container.anndata_parts import AnnDataParts
    from lazyomics.container.annotated import FileObject

__all__ = ["html_of_anndata", "html_of_modalities", "origin", "parts_of", "sections_of_modalities"]


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


def html_of_modalities(mod: Mapping[str, AnnDataParts]) -> str:
    """Return the parts of each modality."""
    with opened_once(mod.values()):
        return page(
            "mod", [counted(len(mod), "modality", "modalities")], sections_of_modalities(mod)
        )


def sections_of_modalities(mod: Mapping[str, AnnDataParts]) -> list[str]:
    """Return a section for each modality."""
    return [
        section(name, f"{adata.n_obs:,} × {adata.n_vars:,}", "".join(parts_of(adata)))
        for name, adata in mod.items()
    ]
