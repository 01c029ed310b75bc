"""What mudata's users call on an object beside its parts: names of keys, vectors, one AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.annotated_object import AxisName
from lazyomics.container.text_categories import categorise

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["MuDataMethods"]


class MuDataMethods:
    """Methods of mudata's MuData that read or change several parts."""

    @property
    def mod_names(self: Any) -> list[str]:
        """Names of the modalities."""
        return list(self.mod)

    def obs_keys(self: Any) -> list[str]:
        """Names of the columns of obs that belong to the whole object."""
        return list(self._obs.columns)

    def var_keys(self: Any) -> list[str]:
        """Names of the columns of var that belong to the whole object."""
        return list(self._var.columns)

    def obsm_keys(self: Any) -> list[str]:
        """Keys of obsm."""
        return list(self.obsm)

    def varm_keys(self: Any) -> list[str]:
        """Keys of varm."""
        return list(self.varm)

    def uns_keys(self: Any) -> list[str]:
        """Keys of uns."""
        return list(self.uns)

    def obs_vector(self: Any, key: str, layer: str | None = None) -> NDArray[Any]:
        """Return a column of obs, ``"rna:leiden"`` that of a modality, shape (n_obs,).

        Parameters
        ----------
        key
            Name of the column.
        layer
            Not used: vectors of a MuData are columns, not values of genes.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return self._vector("obs", key)

    def var_vector(self: Any, key: str, layer: str | None = None) -> NDArray[Any]:
        """Return a column of var, ``"atac:n_cells"`` that of a modality, shape (n_vars,).

        Parameters
        ----------
        key
            Name of the column.
        layer
            Not used: vectors of a MuData are columns, not values of cells.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return self._vector("var", key)

    def _vector(self: Any, name: AxisName, key: str) -> NDArray[Any]:
        frame = getattr(self, name)
        if key not in frame:
            having = [
                mod for mod, adata in self.mod.items() if key in getattr(adata, f"{name}_keys")()
            ]
            hint = f"; {name}['{having[0]}:{key}'] is that of a modality" if having else ""
            raise KeyError(f"{key!r} is no column of {name}{hint}")
        return np.asarray(frame[key])

    def strings_to_categoricals(self: Any, df: pd.DataFrame | None = None) -> pd.DataFrame | None:
        """Turn columns of text that repeats into categories, in natural order of their names.

        Parameters
        ----------
        df
            Table to change, which is returned; by default obs and var of the whole object and of
            each modality.
        """
        if df is not None:
            categorise(df)
            return df
        for frame in (self.obs, self.var):
            categorise(frame)
        for adata in self.mod.values():
            adata.strings_to_categoricals()
        return None

    def to_anndata(self: Any, **kwargs: Any) -> AnnData:
        """Join the modalities to one AnnData, lazily, with the annotation of the whole object.

        Parameters
        ----------
        **kwargs
            ``join``, ``merge``, ``label`` and so on, as ``lo.concat`` takes them. By default the
            cells that all modalities have (of ``axis=1``: the genes) are kept.

        Returns
        -------
        Modalities that share cells beside each other, such that share genes under each other; obs,
        var, obsm, varm, obsp, varp and uns also hold what belongs to the whole object. Columns of
        the modalities along the shared axis are kept with ``merge``, or if they were copied by
        ``pull_obs()`` before.

        Raises
        ------
        ValueError
            If the modalities share both axes.

        Notes
        -----
        Passes over X: 0.
        """
        from lazyomics.container.mudata.as_anndata import as_anndata

        return as_anndata(self, **kwargs)
