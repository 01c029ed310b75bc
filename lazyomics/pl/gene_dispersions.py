"""Dispersion against mean for each gene: which are highly variable."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.keywords import checked_keywords

__all__ = ["filter_genes_dispersion", "highly_variable_genes"]


@checked_keywords()
def highly_variable_genes(
    adata_or_result: AnnData | pd.DataFrame,
    *,
    log: bool = False,
    show: bool | None = None,
    save: Save = None,
    highly_variable_genes: bool = True,
) -> Axes | None:
    """Dispersion (or variance) against mean of genes, normalised on the left and raw on the right.

    Parameters
    ----------
    adata_or_result
        What :func:`lazyomics.pp.highly_variable_genes` has been run on, or what it returned with
        ``inplace=False``.
    log
        Whether axes are logarithmic.
    show, save
        See :mod:`lazyomics.pl`.
    highly_variable_genes
        Whether the selected genes are in the column ``highly_variable``; otherwise they are in
        ``gene_subset``.

    Returns
    -------
    The right one of the two axes, or None if the figure was shown.

    Raises
    ------
    KeyError
        If a column is missing.

    Notes
    -----
    Passes over X: 0. Peak memory: O(n_vars).
    """
    if not isinstance(adata_or_result, pd.DataFrame):
        check_annotated(adata_or_result, "pl.highly_variable_genes")
    result = adata_or_result if isinstance(adata_or_result, pd.DataFrame) else adata_or_result.var
    kind = "variances" if _is_of_counts(adata_or_result) else "dispersions"
    selection = "highly_variable" if highly_variable_genes else "gene_subset"
    needed = [selection, "means", kind, f"{kind}_norm"]
    missing = [column for column in needed if column not in result.columns]
    if missing:
        raise KeyError(f"no column {missing} in var; run lo.pp.highly_variable_genes first")
    width, height = mpl.rcParams["figure.figsize"]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(2 * width, height), gridspec_kw={"wspace": 0.3}
    )
    selected = result[selection].to_numpy(dtype=bool)
    _draw(left, result["means"], result[f"{kind}_norm"], selected)
    _draw(right, result["means"], result[kind], selected)
    left.set_ylabel(f"{kind} of genes (normalized)")
    right.set_ylabel(f"{kind} of genes (not normalized)")
    if log:
        _log_axes(left, result["means"], result[kind])
        _log_axes(right, result["means"], result[kind])
    left.legend()
    return finish(figure, right, name="filter_genes_dispersion", show=show, save=save, owned=True)


def _is_of_counts(adata_or_result: AnnData | pd.DataFrame) -> bool:
    """Whether variances were compared; var may also hold the dispersions of another run."""
    if isinstance(adata_or_result, pd.DataFrame):
        return "variances_norm" in adata_or_result.columns
    flavor = dict(adata_or_result.uns.get("hvg", {})).get("flavor")
    if flavor is None:
        return "variances_norm" in adata_or_result.var.columns
    return str(flavor).startswith("seurat_v3")


def _draw(
    ax: Axes, means: pd.Series[Any], values: pd.Series[Any], selected: np.ndarray[Any, Any]
) -> None:
    groups = (("highly variable genes", "black", selected), ("other genes", "grey", ~selected))
    for label, color, mask in groups:
        ax.scatter(means[mask], values[mask], label=label, c=color, s=1)
    ax.set_xlabel("mean expressions of genes")


def _log_axes(ax: Axes, means: pd.Series[Any], values: pd.Series[Any]) -> None:
    ax.set(xscale="log", yscale="log")
    # Matplotlib's own limits leave most of the axis empty where a few values are tiny.
    lowest = values.min()
    ax.set_ylim(0.95 * lowest if lowest > 0 else 0.1, 1.05 * values.max())
    ax.set_xlim(0.95 * means[means > 0].min(), 1.05 * means.max())


def filter_genes_dispersion(
    result: pd.DataFrame | np.recarray[Any, Any],
    *,
    log: bool = False,
    show: bool | None = None,
    save: Save = None,
) -> Axes | None:
    """Dispersion against mean of genes, as ``filter_genes_dispersion`` returned them.

    :func:`lazyomics.pl.highly_variable_genes` shows what ``pp.highly_variable_genes`` found.

    Parameters
    ----------
    result
        Columns ``gene_subset``, ``means``, ``dispersions`` and ``dispersions_norm``.
    log
        Whether axes are logarithmic.
    show, save
        See :mod:`lazyomics.pl`.

    Returns
    -------
    The right one of the two axes, or None if the figure was shown.

    Raises
    ------
    KeyError
        If a column is missing.

    Notes
    -----
    Passes over X: 0. Peak memory: O(n_vars).
    """
    table = result if isinstance(result, pd.DataFrame) else pd.DataFrame.from_records(result)
    return highly_variable_genes(table, log=log, show=show, save=save, highly_variable_genes=False)
