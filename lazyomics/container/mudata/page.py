"""A MuData as notebooks show it. Reads no matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyomics.container.html import mapping_section, opened_once, table_section
from lazyomics.container.page import origin, sections_of_modalities
from lazyomics.lazy.html import counted, page

if TYPE_CHECKING:
    from lazyomics.container.mudata.mudata import MuData

__all__ = ["html_of_mudata"]


def html_of_mudata(mdata: MuData) -> str:
    """Return the joint parts of a MuData, and its modalities."""
    with opened_once([mdata, *mdata.mod.values()]):
        return _page_of_mudata(mdata)


def _page_of_mudata(mdata: MuData) -> str:
    parts = sections_of_modalities(mdata.mod)
    for name, axis in mdata._axes.items():
        parts += table_section(name, axis.table, mdata.uns)
    for mapping in ("obsm", "varm", "obsp", "varp"):
        parts += mapping_section(mapping, getattr(mdata, mapping))
    parts += mapping_section("uns", mdata.uns)
    size = f"{mdata.n_obs:,} cells × {mdata.n_vars:,} features"
    title = f"MuData, {size}, {counted(len(mdata.mod), 'modality', 'modalities')}"
    return page(title, origin(mdata), parts)
