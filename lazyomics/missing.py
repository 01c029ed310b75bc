"""What is said of functions of scanpy that have no counterpart here."""

from __future__ import annotations

__all__ = ["NOT_HERE", "missing"]

# Public functions of scanpy 1.11 and 1.12 by namespace; a test compares them with scanpy.
NOT_HERE: dict[str, frozenset[str]] = {
    "experimental.pp": frozenset(),
    "get": frozenset(),
    "metrics": frozenset(),
    "pl": frozenset(
        {
            *("DotPlot", "MatrixPlot", "StackedViolin", "clustermap", "correlation_matrix"),
            *("dogplot", "embedding_density", "filter_genes_dispersion", "heatmap", "matrix"),
            *("paga_adjacency", "pca_loadings", "pca_overview"),
            *("rank_genes_groups_heatmap", "rank_genes_groups_stacked_violin"),
            *("rank_genes_groups_tracksplot", "rank_genes_groups_violin", "ranking"),
            *("sim", "spatial", "stacked_violin"),
            *("timeseries", "timeseries_as_heatmap", "timeseries_subplot", "tracksplot"),
        }
    ),
    "pp": frozenset(),
    "tl": frozenset({"sim"}),
}


def missing(space: str, name: str) -> AttributeError:
    """Make the error for a name that a namespace does not have.

    Parameters
    ----------
    space
        Namespace, ``"pp"`` for example.
    name
        What was asked for.

    Returns
    -------
    AttributeError, which says how to go on if scanpy has a function of that name.

    Examples
    --------
    >>> raise missing("tl", "sim")
    Traceback (most recent call last):
    ...
    AttributeError: lazyomics.tl.sim is not there yet. Call scanpy's: \
adata.apply(scanpy.tl.sim, ...)
    """
    if name not in NOT_HERE.get(space, ()):
        return AttributeError(f"module 'lazyomics.{space}' has no attribute {name!r}")
    return AttributeError(
        f"lazyomics.{space}.{name} is not there yet. Call scanpy's: "
        f"adata.apply(scanpy.{space}.{name}, ...)"
    )
