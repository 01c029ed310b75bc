"""``get.obs_df``: values of the cells as a data frame."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.get.keys import (
    add_embedding_columns,
    gene_positions,
    gene_table,
    read_dense,
    split_keys,
)

__all__ = ["obs_df"]


def obs_df(
    adata: AnnData,
    keys: str | Collection[str] = (),
    obsm_keys: Iterable[tuple[str, int]] = (),
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    use_raw: bool = False,
) -> pd.DataFrame:
    """Return obs columns, genes and embedding columns side by side, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    keys
        Columns of ``obs`` and names of genes.
    obsm_keys
        Pairs (key of ``obsm``, column).
    layer
        Read genes from this layer instead of X.
    gene_symbols
        Column of ``var`` in which genes are looked up.
    use_raw
        Read genes from ``adata.raw``.

    Returns
    -------
    DataFrame, n_obs rows
        Columns in the order of ``keys``, then ``"key-column"`` for each of ``obsm_keys``.
        Genes keep the dtype of the matrix.

    Raises
    ------
    KeyError
        If a key is unknown, or found both in ``obs`` and among the genes.
    ValueError
        If both a layer and raw are asked for, or a gene that has the name of another.

    Notes
    -----
    Passes over X: 1 for all genes together, of these columns only; 0 without genes. Peak memory:
    the result and the blocks in flight.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"batch": [1, 2]}, index=["c1", "c2"])
    >>> var = pd.DataFrame(index=["g1", "g2"])
    >>> adata = lo.AnnData(np.array([[1.0, 2.0], [3.0, 4.0]]), obs=obs, var=var)
    >>> lo.get.obs_df(adata, ["g2", "batch"])
         g2  batch
    c1  2.0      1
    c2  4.0      2
    """
    check_annotated(adata, "get.obs_df")
    if use_raw and layer is not None:
        raise ValueError(f"use_raw=True and layer={layer!r}: give one of them")
    wanted = [keys] if isinstance(keys, str) else list(keys)
    var = gene_table(adata, use_raw=use_raw, gene_symbols=gene_symbols)
    columns, genes = split_keys(
        adata.obs,
        var.index if gene_symbols is None else pd.Index(var[gene_symbols]),
        wanted,
        frame_is="adata.obs",
        names_are=f"{'adata.raw' if use_raw else 'adata'}."
        + ("var_names" if gene_symbols is None else f"var[{gene_symbols!r}]"),
    )
    parts = [pd.DataFrame(index=adata.obs_names)]
    if genes:
        positions = gene_positions(adata, genes, use_raw=use_raw, gene_symbols=gene_symbols)
        values = read_dense(get_matrix(adata, layer=layer, use_raw=use_raw)[:, positions])
        parts.append(pd.DataFrame(values, columns=genes, index=adata.obs_names))
    if columns:
        parts.append(adata.obs[columns])
    frame = pd.concat(parts, axis=1)[wanted]
    add_embedding_columns(frame, adata.obsm, obsm_keys, mapping_is="adata.obsm")
    return frame
