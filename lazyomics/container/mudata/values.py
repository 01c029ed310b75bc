"""Values of a MuData by one name each: what plots and tables of several modalities show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.mudata.joined import split_prefix
from lazyomics.container.raw import gene_values
from lazyomics.container.reindex import spread_column, take_with_gaps
from lazyomics.names import choices, near

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.mudata.mudata import MuData

__all__ = ["cell_coordinates", "cell_values"]


def cell_values(
    mdata: MuData, key: str, *, layer: str | None = None, use_raw: bool | None = None
) -> pd.Series[Any]:
    """Return one value for each observation of the whole object.

    Parameters
    ----------
    mdata
        Modalities that share observations.
    key
        Column of obs, ``"rna:column"``, ``"atac:peak"``, or the name of a variable that one
        modality has.
    layer
        Layer of the modality to take a variable from, where it has that layer.
    use_raw
        Take a variable from raw of its modality; by default if there is one and no layer is
        asked for.

    Returns
    -------
    Series of length n_obs, missing where the modality has no such observation.

    Raises
    ------
    KeyError
        If nothing has that name, or several modalities have such a variable.

    Notes
    -----
    Passes over X: one of that modality's for a variable (one column of a CSC), else none.
    """
    if key in mdata.obs:
        return mdata.obs[key]
    mod, name = split_prefix(key, mdata.mod)
    candidates = list(mdata.mod) if mod is None else [mod]
    found = [m for m in candidates if _has(mdata.mod[m], name, layer, use_raw)]
    if not found:
        raise KeyError(
            f"{key!r} is no column of obs and no variable of {', '.join(candidates)}; columns and "
            f"variables of a modality are named as 'rna:leiden'; {_near(mdata, name, candidates)}"
        )
    if len(found) > 1:
        raise KeyError(f"{key!r} is a variable of {', '.join(found)}: ask for '{found[0]}:{key}'")
    return _spread(mdata, found[0], _gene(mdata.mod[found[0]], name, layer, use_raw), key)


def _near(mdata: MuData, name: str, candidates: list[str]) -> str:
    """Say which columns and variables come near."""
    owned = {m: near(name, [*mdata.mod[m].obs_keys(), *mdata.mod[m].var_names]) for m in candidates}
    close = [f"{m}:{other}" for m, others in owned.items() for other in others]
    return choices(name, mdata.obs.columns) + (f"; near to it: {close}" if close else "")


def cell_coordinates(mdata: MuData, basis: str) -> NDArray[np.float64]:
    """Return an embedding on the observations of the whole object.

    Parameters
    ----------
    mdata
        Modalities that share observations.
    basis
        Key of obsm (``"X_joint"`` or ``"joint"``), or of obsm of a modality: ``"rna:X_umap"`` or
        ``"rna:umap"``.

    Returns
    -------
    Array of shape (n_obs, k), NaN where the modality has no such observation.

    Raises
    ------
    KeyError
        If there is no such embedding.
    """
    for key in (basis, f"X_{basis}"):
        if key in mdata.obsm:
            return np.asarray(mdata.obsm[key], dtype=np.float64)
    mod, name = split_prefix(basis, mdata.mod)
    if mod is not None:
        for key in (name, f"X_{name}"):
            if key in mdata.mod[mod].obsm:
                values = np.asarray(mdata.mod[mod].obsm[key], dtype=np.float64)
                return np.asarray(take_with_gaps(values, mdata.obsmap.rows_in(mod)))
    there = [*mdata.obsm, *(f"{m}:{key}" for m, a in mdata.mod.items() for key in a.obsm)]
    raise KeyError(f"no embedding {basis!r}; {choices(basis, there)}")


def _raw_is_asked(adata: AnnData, layer: str | None, use_raw: bool | None) -> bool:
    if use_raw is None:
        return adata.raw is not None and (layer is None or layer not in adata.layers)
    return use_raw and adata.raw is not None


def _has(adata: AnnData, name: str, layer: str | None, use_raw: bool | None) -> bool:
    if _raw_is_asked(adata, layer, use_raw) and adata.raw is not None:
        return name in adata.raw.var_names
    return name in adata.var_names


def _gene(adata: AnnData, name: str, layer: str | None, use_raw: bool | None) -> Any:
    if _raw_is_asked(adata, layer, use_raw) and adata.raw is not None:
        return adata.raw.obs_vector(name)
    x = adata.layers[layer] if layer is not None and layer in adata.layers else adata.X
    return gene_values(x, adata.var_names, name)


def _spread(mdata: MuData, mod: str, values: Any, name: str) -> pd.Series[Any]:
    rows = mdata.obsmap.rows_in(mod)
    spread = spread_column(pd.Series(values), rows)
    return pd.Series(spread, index=mdata.obs_names, name=name)
