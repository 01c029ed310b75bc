"""Scatter plots of the embeddings that have a name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazyomics.container import AnnData
from lazyomics.pl.embeddings import embedding
from lazyomics.pl.panels import figure_of
from lazyomics.pl.saving import Save, finish

__all__ = ["diffmap", "draw_graph", "pca", "tsne", "umap"]

Function = TypeVar("Function", bound=Callable[..., Any])


def _like_embedding(function: Function) -> Function:
    """Give a function the parameters of :func:`embedding` besides its own, for help and editors."""
    own = inspect.signature(function).parameters
    shared = inspect.signature(embedding).parameters
    names = {name: p for name, p in shared.items() if name not in {"adata", "basis", "kwargs"}}
    own_keywords = {name: p for name, p in own.items() if name not in {"adata", "kwargs"}}
    parameters = [own["adata"], *{**own_keywords, **names}.values(), shared["kwargs"]]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


@_like_embedding
def umap(adata: AnnData, **kwargs: Any) -> Figure | Axes | list[Axes] | None:
    """Scatter plot in UMAP coordinates, ``obsm["X_umap"]``.

    Parameters
    ----------
    adata
        What to plot.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    As :func:`lazyomics.pl.embedding`.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> var = pd.DataFrame(index=["CD4", "CD8A", "NKG7"])
    >>> adata = lo.AnnData(np.eye(3), var=var, obsm={"X_umap": np.eye(3)[:, :2]})
    >>> axes = lo.pl.umap(adata, color=["CD4", "NKG7"], show=False)
    >>> [ax.get_title() for ax in axes]
    ['CD4', 'NKG7']
    """
    return embedding(adata, "umap", **kwargs)


@_like_embedding
def tsne(adata: AnnData, **kwargs: Any) -> Figure | Axes | list[Axes] | None:
    """Scatter plot in tSNE coordinates, ``obsm["X_tsne"]``.

    Parameters
    ----------
    adata
        What to plot.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    As :func:`lazyomics.pl.embedding`.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour.
    """
    return embedding(adata, "tsne", **kwargs)


@_like_embedding
def diffmap(adata: AnnData, **kwargs: Any) -> Figure | Axes | list[Axes] | None:
    """Scatter plot in diffusion map coordinates, ``obsm["X_diffmap"]``.

    Parameters
    ----------
    adata
        What to plot.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    As :func:`lazyomics.pl.embedding`.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour.
    """
    return embedding(adata, "diffmap", **kwargs)


@_like_embedding
def draw_graph(
    adata: AnnData, *, layout: str | None = None, **kwargs: Any
) -> Figure | Axes | list[Axes] | None:
    """Scatter plot in the coordinates of a graph layout, ``obsm[f"X_draw_graph_{layout}"]``.

    Parameters
    ----------
    adata
        What to plot.
    layout
        Name of the layout; by default the one in ``uns["draw_graph"]``.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    As :func:`lazyomics.pl.embedding`.

    Raises
    ------
    KeyError
        If the layout is unknown.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour.
    """
    if layout is None:
        if "draw_graph" not in adata.uns:
            raise KeyError("uns has no 'draw_graph', so give layout, e.g. layout='fr'")
        layout = str(adata.uns["draw_graph"]["params"]["layout"])
    return embedding(adata, f"draw_graph_{layout}", **kwargs)


@_like_embedding
def pca(
    adata: AnnData,
    *,
    annotate_var_explained: bool = False,
    show: bool | None = None,
    return_fig: bool | None = None,
    save: Save = None,
    **kwargs: Any,
) -> Figure | Axes | list[Axes] | None:
    """Scatter plot in PCA coordinates, ``obsm["X_pca"]``.

    Parameters
    ----------
    adata
        What to plot.
    annotate_var_explained
        Whether axis labels tell the share of variance in ``uns["pca"]["variance_ratio"]``.
    show, save, return_fig
        As :func:`lazyomics.pl.embedding` takes them.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    As :func:`lazyomics.pl.embedding`.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour.
    """
    axes = cast("Axes | list[Axes]", embedding(adata, "pca", show=False, **kwargs))
    drawn = axes if isinstance(axes, list) else [axes]
    if annotate_var_explained:
        ratios = adata.uns["pca"]["variance_ratio"]
        labels = {f"PC{i}": f"PC{i} ({round(v * 100, 2)}%)" for i, v in enumerate(ratios, start=1)}
        for ax in drawn:
            ax.set(xlabel=labels[ax.get_xlabel()], ylabel=labels[ax.get_ylabel()])
    figure = figure_of(drawn[0])
    if return_fig:
        return figure
    return finish(figure, axes, name="pca", show=show, save=save, owned="ax" not in kwargs)
