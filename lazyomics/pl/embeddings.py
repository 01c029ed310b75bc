"""Scatter plots of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.pl.bounds import Bound, Bounds, colormap
from lazyomics.pl.coloring import colorings
from lazyomics.pl.colors import Palette
from lazyomics.pl.dimensions import axis_names, panel_dimensions
from lazyomics.pl.edges import Edges
from lazyomics.pl.legend import LegendStyle
from lazyomics.pl.modalities import keep_palettes, side_by_side
from lazyomics.pl.panels import panel_axes
from lazyomics.pl.saving import Save, finish
from lazyomics.pl.scatter import Outline, PanelStyle, draw_panel
from lazyomics.pl.theme import settings
from lazyomics.pl.values import coordinates

__all__ = ["embedding"]

POINT_AREA = 120_000  # of all points together, in square points


def embedding(
    adata: AnnData | MuData,
    basis: str,
    *,
    color: str | Sequence[str | None] | None = None,
    mask_obs: npt.NDArray[np.bool_] | str | None = None,
    gene_symbols: str | None = None,
    use_raw: bool | None = None,
    sort_order: bool = True,
    edges: bool = False,
    edges_width: float = 0.1,
    edges_color: ColorType | Sequence[ColorType] = "grey",
    neighbors_key: str | None = None,
    groups: str | Sequence[str] | None = None,
    components: str | Sequence[str] | None = None,
    dimensions: tuple[int, int] | Sequence[tuple[int, int]] | None = None,
    layer: str | None = None,
    color_map: Colormap | str | None = None,
    cmap: Colormap | str | None = None,
    palette: Palette | None = None,
    na_color: ColorType = "lightgray",
    na_in_legend: bool = True,
    size: float | Sequence[float] | npt.NDArray[Any] | None = None,
    frameon: bool | None = None,
    legend_fontsize: float | str | None = None,
    legend_fontweight: int | str = "bold",
    legend_loc: str | None = "right margin",
    legend_fontoutline: float | None = None,
    colorbar_loc: str | None = "right",
    vmax: Bound | Sequence[Bound] = None,
    vmin: Bound | Sequence[Bound] = None,
    vcenter: Bound | Sequence[Bound] = None,
    norm: Normalize | Sequence[Normalize | None] | None = None,
    add_outline: bool = False,
    outline_width: tuple[float, float] = (0.3, 0.05),
    outline_color: tuple[ColorType, ColorType] = ("black", "white"),
    ncols: int = 4,
    hspace: float = 0.25,
    wspace: float | None = None,
    title: str | Sequence[str] | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    return_fig: bool | None = None,
    marker: str | Sequence[str] = ".",
    **kwargs: Any,
) -> Figure | Axes | list[Axes] | None:
    """Scatter plot of observations in an embedding, coloured by what is asked for.

    Parameters
    ----------
    adata
        What to plot.
    basis
        Key in ``obsm``, with or without ``X_``.
    color
        Columns of ``obs`` or genes, a panel each. A name in both means the column of ``obs``.
    mask_obs
        Observations to colour, bool of shape (n_obs,) or a column of ``obs``; the others get
        ``na_color``.
    gene_symbols
        Column of ``var`` in which to look for names in ``color`` that are not in ``var_names``.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    sort_order
        Whether points with high values are drawn on top, and missing ones at the bottom.
    edges, edges_width, edges_color, neighbors_key
        Whether to draw the edges of the neighbour graph of ``uns[neighbors_key or "neighbors"]``,
        their line width in points, and their colour.
    groups
        Categories to colour; the others get ``na_color``. Genes and numbers are coloured as ever.
    components
        Pairs of dimensions counted from 1, such as ``"1,2"`` or ``["1,2", "2,3"]``, or ``"all"``.
        Every colour is plotted in every pair.
    dimensions
        Pairs of dimensions counted from 0, such as ``(0, 1)``, one for each colour.
    layer
        Layer that genes come from.
    color_map, cmap
        Colour map of numeric values.
    palette
        Colours of categories: name of a colour map, list, mapping or cycler. Kept in
        ``uns[f"{color}_colors"]``.
    na_color
        Colour of missing values.
    na_in_legend
        Whether the legend lists missing values.
    size
        Area of points in square points, one for all or shape (n_obs,). Default 120000 / n_obs.
    frameon
        Whether to draw a frame and axis labels. Default ``settings.frameon``.
    legend_fontsize, legend_fontweight, legend_fontoutline
        Font of the legend; width in points of a white outline around labels on the data.
    legend_loc
        ``"right margin"``, ``"on data"``, a position that matplotlib knows, or None.
    colorbar_loc
        Side of the panel that has the colour bar: ``"right"``, ``"left"``, ``"top"``,
        ``"bottom"``, or None.
    vmin, vmax, vcenter
        Limits and centre of the colour scale: a number, a percentile such as ``"p99"``, a function
        of the values, or a sequence of these, one for each panel.
    norm
        A matplotlib norm, or one for each panel, instead of ``vmin``, ``vmax`` and ``vcenter``.
    add_outline, outline_width, outline_color
        Whether to draw an outline around groups of points, the width of its line and of the gap as
        shares of a point, and their colours.
    ncols
        Most panels in a row.
    hspace, wspace
        Space between panels as a share of their height and width. By default ``wspace`` leaves
        room for the legends.
    title
        Title of each panel; by default what it is coloured by.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into; only for a single panel.
    return_fig
        Whether to return the figure instead of showing or saving it.
    marker
        Matplotlib marker, or one for each panel.
    **kwargs
        Passed to :meth:`matplotlib.axes.Axes.scatter`, for example ``alpha``.

    Returns
    -------
    The figure if ``return_fig``; None if it was shown; else the axes, a list for several panels.
    Sets ``uns[f"{color}_colors"]`` for categories that have no colours.

    Raises
    ------
    KeyError
        If ``basis`` or a colour is unknown. The message names what is available.
    ValueError
        If parameters contradict each other.

    Warns
    -----
    UserWarning
        If one of ``groups`` is a category of none of the colours.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, for all of them, else 0. Peak memory: n_obs
    values for each colour.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["B", "T", "B"]}, index=["a", "b", "c"])
    >>> adata = lo.AnnData(np.eye(3), obs=obs, obsm={"X_umap": np.eye(3)[:, :2]})
    >>> ax = lo.pl.embedding(adata, "umap", color="cell_type", show=False)
    >>> ax.get_xlabel(), ax.get_title()
    ('UMAP1', 'cell_type')
    >>> adata.uns["cell_type_colors"]
    ['#1f77b4', '#ff7f0e']
    """
    mdata = adata if isinstance(adata, MuData) else None
    if isinstance(adata, MuData):
        adata = side_by_side(adata, basis, color, layer=layer, use_raw=use_raw)
        layer, use_raw = None, False
    points = coordinates(adata, basis)
    panels = panel_dimensions(color, components, dimensions, marker, points.shape[1])
    colored = colorings(
        adata,
        [key for key, _, _ in panels],
        layer=layer,
        use_raw=use_raw,
        gene_symbols=gene_symbols,
        groups=groups,
        mask_obs=mask_obs,
        palette=palette,
    )
    na_hex = to_hex(na_color, keep_alpha=True)
    font = (legend_fontsize, legend_fontweight, legend_fontoutline)
    legend = LegendStyle(legend_loc, *font, na_color=na_hex, na_in_legend=na_in_legend)
    style = PanelStyle(
        size=_point_size(size if size is not None else kwargs.pop("s", None), points),
        cmap=_colormap(color_map, cmap, na_color),
        bounds=Bounds(vmin, vmax, vcenter, norm),
        legend=legend,
        colorbar_loc=colorbar_loc,
        sort_order=sort_order,
        frameon=settings.frameon if frameon is None else frameon,
        outline=Outline(outline_width, outline_color) if add_outline else None,
        edges=Edges.of(adata, neighbors_key, edges_width, edges_color) if edges else None,
        several=len(panels) > 1,
        scatter=kwargs,
    )
    if mdata is not None:
        keep_palettes(mdata, adata)
    widths = [c.legend_width(legend) for c in colored]
    figure, axes = panel_axes(widths, ax, ncols=ncols, hspace=hspace, wspace=wspace)
    for index, (key, dims, mark) in enumerate(panels):
        draw_panel(axes[index], points[:, dims], colored[index], style, panel=index, marker=mark)
        axes[index].set_title(_title(title, index, key))
        xlabel, ylabel = axis_names(basis, dims)
        axes[index].set(xlabel=xlabel, ylabel=ylabel)
    if return_fig:
        return figure
    result: Axes | list[Axes] = axes if len(panels) > 1 else axes[0]
    return finish(figure, result, name=basis, show=show, save=save, owned=ax is None)


def _title(title: str | Sequence[str] | None, panel: int, key: str | None) -> str:
    titles = [title] if isinstance(title, str) else list(title or ())
    return titles[panel] if panel < len(titles) else key or ""


def _point_size(
    size: float | Sequence[float] | npt.NDArray[Any] | None, points: npt.NDArray[Any]
) -> float | npt.NDArray[np.float64]:
    if size is None:
        # Observations without coordinates are not drawn.
        return POINT_AREA / max(int((~np.isnan(points).any(axis=1)).sum()), 1)
    if np.ndim(size) == 0:
        return float(np.asarray(size))
    sizes = np.asarray(size, dtype=np.float64)
    if sizes.shape != (len(points),):
        raise ValueError(f"size: expected shape ({len(points)},), found {sizes.shape}")
    return sizes


def _colormap(
    color_map: Colormap | str | None, cmap: Colormap | str | None, na_color: ColorType
) -> Colormap:
    if color_map is not None and cmap is not None:
        raise ValueError("give either color_map or cmap, not both")
    return colormap(color_map if cmap is None else cmap).with_extremes(bad=na_color)
