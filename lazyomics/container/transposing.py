"""Turn an AnnData on its side: genes × cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics import graph
from lazyomics.container.mappings import AlignedMapping, MappingName
from lazyomics.container.slots import MatrixSlot
from lazyomics.graph.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["transposed"]

BECOMES: dict[MappingName, MappingName] = {
    "layers": "layers",
    "obsm": "varm",
    "varm": "obsm",
    "obsp": "varp",
    "varp": "obsp",
}


def transposed(adata: AnnData) -> Any:
    """Return an object whose cells are the genes of this one; nothing is read."""
    shape = (adata.n_vars, adata.n_obs)
    mappings = {}
    for mapping in adata._mappings():
        copied = mapping.copy()
        turned = AlignedMapping(BECOMES[mapping.name], shape)
        turned._values = dict(copied.stored())
        if mapping.name == "layers":
            turned._values = {key: _turned(mapping[key]) for key in mapping}
        mappings[turned.name] = turned
    return type(adata)._assemble(
        x=MatrixSlot(_turned(adata.X)),
        obs=adata._var.copy(),
        var=adata._obs.copy(),
        uns=adata._uns.copy(),
        mappings=mappings,
    )


def _turned(matrix: Any) -> Any:
    if matrix is None or is_dask_array(matrix):
        return None if matrix is None else graph.transpose(matrix)
    return matrix.T.copy()
