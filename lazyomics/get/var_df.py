"""``get.var_df``: values of the genes as a data frame."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.get.keys import add_embedding_columns, read_dense, split_keys

__all__ = ["var_df"]


def var_df(
    adata: AnnData,
    keys: str | Collection[str] = (),
    varm_keys: Iterable[tuple[str, int]] = (),
    *,
    layer: str | None = None,
) -> pd.DataFrame:
    """Return var columns, cells and loading columns side by side, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    keys
        Columns of ``var`` and names of cells.
    varm_keys
        Pairs (key of ``varm``, column).
    layer
        Read cells from this layer instead of X.

    Returns
    -------
    DataFrame, n_vars rows
        Columns in the order of ``keys``, then ``"key-column"`` for each of ``varm_keys``.
        Cells keep the dtype of the matrix.

    Raises
    ------
    KeyError
        If a key is unknown, or found both in ``var`` and among the cells.
    ValueError
        If a cell that is asked for has the name of another.

    Notes
    -----
    Passes over X: 1 for all cells together, of these rows only; 0 without cells. Peak memory: the
    result and the blocks in flight.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame(index=["c1", "c2"])
    >>> var = pd.DataFrame({"length": [10, 20]}, index=["g1", "g2"])
    >>> adata = lo.AnnData(np.array([[1.0, 2.0], [3.0, 4.0]]), obs=obs, var=var)
    >>> lo.get.var_df(adata, ["length", "c2"])
        length   c2
    g1      10  3.0
    g2      20  4.0
    """
    check_annotated(adata, "get.var_df")
    wanted = [keys] if isinstance(keys, str) else list(keys)
    names = adata.obs_names
    columns, cells = split_keys(
        adata.var, names, wanted, frame_is="adata.var", names_are="adata.obs_names"
    )
    parts = [pd.DataFrame(index=adata.var_names)]
    if cells:
        found = [names.get_loc(cell) for cell in cells]
        unclear = [c for c, at in zip(cells, found, strict=True) if not isinstance(at, int)]
        if unclear:
            raise ValueError(
                f"{unclear} occur more than once in adata.obs_names; call "
                "adata.obs_names_make_unique()"
            )
        values = read_dense(get_matrix(adata, layer=layer)[found, :])
        parts.append(pd.DataFrame(values.T, columns=cells, index=adata.var_names))
    if columns:
        parts.append(adata.var[columns])
    frame = pd.concat(parts, axis=1)[wanted]
    add_embedding_columns(frame, adata.varm, varm_keys, mapping_is="adata.varm")
    return frame
