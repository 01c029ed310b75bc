"""Overlap of marker genes with lists of known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["marker_gene_overlap"]


BY_DEFAULT = 100  # genes of each group


def _coefficient(known: set[Any], found: set[Any]) -> float:
    return len(known & found) / max(min(len(known), len(found)), 1)


def _jaccard(known: set[Any], found: set[Any]) -> float:
    return len(known & found) / len(known | found)


def _count(known: set[Any], found: set[Any]) -> float:
    return float(len(known & found))


MEASURES: dict[str, Callable[[set[Any], set[Any]], float]] = {
    "overlap_count": _count,
    "overlap_coef": _coefficient,
    "jaccard": _jaccard,
}


def marker_gene_overlap(
    adata: AnnData,
    reference_markers: Mapping[str, Iterable[str]],
    *,
    key: str = "rank_genes_groups",
    method: Literal["overlap_count", "overlap_coef", "jaccard"] = "overlap_count",
    normalize: Literal["reference", "data"] | None = None,
    top_n_markers: int | None = None,
    adj_pval_threshold: float | None = None,
    key_added: str = "marker_gene_overlap",
    inplace: bool = False,
) -> pd.DataFrame | None:
    """Compare ranked genes with known markers, eagerly.

    Parameters
    ----------
    adata
        Annotated data with ranked genes.
    reference_markers
        Known markers by cell type.
    key
        Key of ``uns`` where ``tl.rank_genes_groups`` put its result.
    method
        "overlap_count": genes in both; "overlap_coef": their share of the smaller set; "jaccard":
        their share of the union.
    normalize
        Divide counts by the number of known markers ("reference") or of ranked genes ("data").
    top_n_markers
        Ranked genes of each group that are taken; 100 by default. At least 1.
    adj_pval_threshold
        Take the genes whose corrected p-value is below instead; without ``top_n_markers`` only.
    key_added
        Key of ``uns`` for the result, if ``inplace``.
    inplace
        Put the result into ``uns`` instead of returning it. (scanpy refuses this.)

    Returns
    -------
    DataFrame, float64, cell types × groups; None if ``inplace``.

    Raises
    ------
    ValueError
        If nothing was ranked, there are no p-values to compare, an option is unknown, only counts
        can be normalised, or ``reference_markers`` holds no lists.

    Warns
    -----
    UserWarning
        If an option is out of its range or has no effect, or no gene of a group is significant.

    Notes
    -----
    Passes over X: 0. Peak memory: sets of the compared names.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"kind": pd.Categorical(list("aabb"))}, index=list("wxyz"))
    >>> adata = lo.AnnData(np.array([[1.5, 0], [2.5, 0.5], [0, 1], [0, 2]]), obs=obs)
    >>> lo.tl.rank_genes_groups(adata, "kind")
    >>> lo.tl.marker_gene_overlap(adata, {"T cell": ["0"]}, top_n_markers=1)
              a    b
    T cell  1.0  0.0
    """
    check_annotated(adata, "tl.marker_gene_overlap")
    if key not in adata.uns:
        raise ValueError(
            "Could not find marker gene data. Please run `lazyomics.tl.rank_genes_groups()` first."
        )
    if method not in MEASURES:
        raise ValueError(f"Method must be one of {list(MEASURES)}, found {method!r}.")
    if normalize not in ("reference", "data", None):
        raise ValueError(f"Normalize must be 'reference', 'data' or None, found {normalize!r}.")
    if normalize is not None and method != "overlap_count":
        raise ValueError("Can only normalize with method=`overlap_count`.")
    try:
        known = {name: set(genes) for name, genes in reference_markers.items()}
    except TypeError as error:
        raise ValueError(
            "Please ensure that `reference_markers` contains sets or lists of markers as values."
        ) from error
    found = _found(adata.uns[key], top_n_markers, adj_pval_threshold)
    measure = MEASURES[method]
    overlaps = np.array([[measure(k, f) for f in found.values()] for k in known.values()])
    overlaps = overlaps.reshape(len(known), len(found))
    if normalize is not None:
        sizes = [len(genes) for genes in (known if normalize == "reference" else found).values()]
        divisors = np.array(sizes, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            overlaps = np.nan_to_num(
                overlaps / (divisors[:, None] if normalize == "reference" else divisors)
            )
    frame = pd.DataFrame(overlaps, index=list(known), columns=list(found))
    if not inplace:
        return frame
    adata.uns[key_added] = frame
    return None


def _found(ranked: Any, top: int | None, threshold: float | None) -> dict[str, set[Any]]:
    """Ranked genes of each group that take part."""
    if threshold is not None:
        if "pvals_adj" not in ranked:
            raise ValueError(
                "Could not find adjusted p-value data. Please run "
                "`lazyomics.tl.rank_genes_groups()` with a method that outputs adjusted p-values."
            )
        if not 0 <= threshold <= 1:
            threshold = float(np.clip(threshold, 0, 1))
            warn_user(f"`adj_pval_threshold` was set to {threshold}, the nearest of 0 to 1.")
        if top is not None:
            warn_user(
                "Both `adj_pval_threshold` and `top_n_markers` is set. "
                "`adj_pval_threshold` will be ignored."
            )
    if top is not None and top < 1:
        warn_user("`top_n_markers` was set below 1. `top_n_markers` will be set to 1.")
        top = 1
    found = {}
    for group in ranked["names"].dtype.names:
        names = ranked["names"][group]
        if top is not None:
            n = top
        elif threshold is not None:
            n = int((ranked["pvals_adj"][group] < threshold).sum())
            if n == 0:
                warn_user(
                    f"No marker genes passed the significance threshold of {threshold} for "
                    f"cluster {group!r}."
                )
        else:
            n = BY_DEFAULT
        found[group] = set(names[:n])
    return found
