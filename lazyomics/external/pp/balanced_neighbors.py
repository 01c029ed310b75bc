"""Neighbours that are balanced between batches."""

from __future__ import annotations

import sys
from typing import Any

from lazyomics.container import AnnData
from lazyomics.external.pp.batches import batch_column, coordinates_of, package

__all__ = ["bbknn"]


def bbknn(
    adata: AnnData,
    *,
    batch_key: str = "batch",
    use_rep: str = "X_pca",
    approx: bool = True,
    use_annoy: bool = True,
    metric: Any = "euclidean",
    copy: bool = False,
    neighbors_within_batch: int = 3,
    n_pcs: int = 50,
    trim: int | None = None,
    annoy_n_trees: int = 10,
    pynndescent_n_neighbors: int = 30,
    pynndescent_random_state: int = 0,
    use_faiss: bool = True,
    set_op_mix_ratio: float = 1.0,
    local_connectivity: int = 1,
    **kwargs: Any,
) -> AnnData | None:
    """Find the nearest cells in each batch separately, with bbknn, instead of ``pp.neighbors``.

    Parameters
    ----------
    adata
        Annotated data with components in ``obsm``.
    batch_key
        Column of ``obs`` with the batches.
    use_rep
        Entry of ``obsm`` in which distances are measured.
    approx
        Search approximately.
    use_annoy
        With annoy, otherwise with pynndescent, where ``approx``.
    metric
        Distance; what there is depends on the search.
    copy
        Return a changed copy and leave ``adata`` as it is.
    neighbors_within_batch
        Neighbours in each batch.
    n_pcs
        Columns of ``use_rep`` to use.
    trim
        Strongest weights of each cell that stay; by default 10 times its neighbours, 0 for all.
    annoy_n_trees
        Trees of annoy.
    pynndescent_n_neighbors, pynndescent_random_state
        Neighbours in the graph of pynndescent, and its seed.
    use_faiss
        Search with faiss if it is installed, where not ``approx``.
    set_op_mix_ratio, local_connectivity
        Of the weights, as in UMAP.
    kwargs
        ``key_added``, as in ``pp.neighbors``, and ``computation``, the search by its name.

    Returns
    -------
    None, or the copy. Sets ``obsp["distances"]``, ``obsp["connectivities"]`` and
    ``uns["neighbors"]``, as ``pp.neighbors`` does.

    Raises
    ------
    KeyError
        If the column or the entry does not exist.
    ValueError
        If batches are missing or have too few cells, or coordinates are not finite.
    MissingDependencyError
        If bbknn is not installed.

    Notes
    -----
    Passes over X: 0.

    References
    ----------
    Polański, K. et al. (2020). BBKNN: fast batch alignment of single cell transcriptomes.
    doi:10.1093/bioinformatics/btz625
    """
    verb = "external.pp.bbknn"
    x = coordinates_of(adata, use_rep, verb)
    batches = batch_column(adata, batch_key, verb).to_numpy()
    matrix = package("bbknn.matrix", verb=verb)
    adata = adata.copy() if copy else adata
    key = kwargs.pop("key_added", None)
    # Named, so that the package does not remark on each call that the older parameters are old.
    chosen = _search(approx, use_annoy, use_faiss, metric)
    distances, connectivities, params = matrix.bbknn(
        pca=x,
        batch_list=batches,
        computation=kwargs.pop("computation", chosen),
        metric=metric,
        neighbors_within_batch=neighbors_within_batch,
        n_pcs=n_pcs,
        trim=trim,
        annoy_n_trees=annoy_n_trees,
        pynndescent_n_neighbors=pynndescent_n_neighbors,
        pynndescent_random_state=pynndescent_random_state,
        set_op_mix_ratio=set_op_mix_ratio,
        local_connectivity=local_connectivity,
        **kwargs,
    )
    params["n_pcs"] = int(params["n_pcs"])
    params["use_rep"] = use_rep
    params["bbknn"]["batch_key"] = batch_key
    prefix = "" if key is None else f"{key}_"
    adata.obsp[f"{prefix}distances"] = distances
    adata.obsp[f"{prefix}connectivities"] = connectivities
    adata.uns["neighbors" if key is None else key] = {
        "params": params,
        "distances_key": f"{prefix}distances",
        "connectivities_key": f"{prefix}connectivities",
    }
    return adata if copy else None


def _search(approx: bool, use_annoy: bool, use_faiss: bool, metric: Any) -> str:
    """Name the search that the older parameters mean."""
    if approx:
        return "annoy" if use_annoy else "pynndescent"
    if not isinstance(metric, str) or metric != "euclidean":
        return "KDTree"
    # the package imports faiss if it is there
    return "faiss" if use_faiss and "faiss" in sys.modules else "cKDTree"
