"""Plots of a MuData: the embedding and values that are asked for, side by side in one AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lazyomics.container import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.values import cell_coordinates, cell_values

__all__ = ["keep_palettes", "side_by_side"]


def side_by_side(
    mdata: MuData,
    basis: str,
    color: str | Sequence[str | None] | None,
    *,
    layer: str | None,
    use_raw: bool | None,
) -> AnnData:
    """Collect what an embedding of a MuData shows.

    Parameters
    ----------
    mdata
        Modalities that share observations.
    basis
        Key of obsm, or ``"rna:X_umap"``.
    color
        Columns and variables such as ``"rna:leiden"`` or ``"atac:peak"``.
    layer, use_raw
        Where values of variables come from.

    Returns
    -------
    AnnData with the values in obs, the coordinates in ``obsm[basis]``, and the palettes of the
    columns. Cells that the modality of the embedding lacks have no coordinates.
    """
    keys = [color] if isinstance(color, str) else [k for k in color or () if k is not None]
    obs = pd.DataFrame(index=mdata.obs_names)
    for key in dict.fromkeys(keys):
        obs[key] = cell_values(mdata, key, layer=layer, use_raw=use_raw).array
    uns = {f"{key}_colors": colors for key in keys if (colors := _palette(mdata, key)) is not None}
    return AnnData(obs=obs, obsm={basis: cell_coordinates(mdata, basis)}, uns=uns)


def keep_palettes(mdata: MuData, drawn: AnnData) -> None:
    """Keep the palettes that were drawn with, in uns of the modality that has the column."""
    for key, colors in drawn.uns.items():
        place, name = _place(mdata, key)
        place.uns[name] = colors


def _palette(mdata: MuData, key: str) -> Any:
    place, name = _place(mdata, f"{key}_colors")
    return place.uns.get(name)


def _place(mdata: MuData, key: str) -> tuple[Any, str]:
    """Object and name that hold the palette called ``"rna:leiden_colors"``."""
    mod, colon, name = key.partition(":")
    return (mdata.mod[mod], name) if colon and mod in mdata.mod else (mdata, key)
