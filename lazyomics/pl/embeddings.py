"""Scatter plots of embeddings: umap, pca and the like."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.container.mudata import MuData
from lazyomics.options import settings
from lazyomics.pl.coloring import Bound, Bounds, Palette, colorings, colormap
from lazyomics.pl.figure import LegendStyle, Save, figure_of, finish, panel_axes, spread
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.panels import Arrows, Edges, Outline, PanelStyle, draw_panel
from lazyomics.pl.values import coordinates, keep_palettes, side_by_side

__all__ = [
    "axis_names",
    "diffmap",
    "draw_graph",
    "embedding",
    "like_embedding",
    "mofa",
    "panel_dimensions",
    "pca",
    "pca_scatter",
    "tsne",
    "umap",
]


NAMES = {"diffmap": "DC", "tsne": "tSNE", "umap": "UMAP", "pca": "PC"}

WORDS = {2: "two", 3: "three"}

Panel = tuple[str | None, list[int], str]


def panel_dimensions(
    color: str | Sequence[str | None] | None,
    components: str | Sequence[str] | None,
    dimensions: Sequence[Any] | None,
    marker: str | Sequence[str],
    available: int,
    shown: int = 2,
) -> list[Panel]:
    """What each panel shows: colour, dimensions counted from 0, and marker.

    Parameters
    ----------
    color, components, dimensions, marker
        As :func:`lazyomics.pl.embedding` takes them.
    available
        Number of dimensions of the embedding.
    shown
        Number of dimensions of a panel.

    Examples
    --------
    >>> panel_dimensions(["a", "b"], None, None, ".", 2)
    [('a', [0, 1], '.'), ('b', [0, 1], '.')]
    >>> panel_dimensions("a", ["1,2", "2,3"], None, ".", 3)
    [('a', [0, 1], '.'), ('a', [1, 2], '.')]
    """
    colors: list[str | None] = [color] if isinstance(color, str) or color is None else list(color)
    markers = [marker] if isinstance(marker, str) else list(marker)
    if not colors:
        raise ValueError("color is an empty list; give None to plot without colours")
    if components is not None and dimensions is not None:
        raise ValueError("give either components or dimensions, not both")
    if components is not None:
        pairs = _parse(components, available, shown)
        crossed = list(product(colors, pairs))
        colors, pairs = [color for color, _ in crossed], [pair for _, pair in crossed]
    elif dimensions is None:
        pairs = [list(range(shown))]
    else:
        single = all(isinstance(number, int) for number in dimensions)
        pairs = [list(pair) for pair in ([dimensions] if single else dimensions)]
    for pair in pairs:
        if len(pair) != shown or not all(-available <= number < available for number in pair):
            raise ValueError(
                f"dimensions {tuple(pair)}: expected {WORDS[shown]} of 0 to {available - 1} "
                "(components count from 1)"
            )
    rows = spread(("color", "dimensions", "marker"), colors, pairs, markers)
    return cast("list[Panel]", rows)


def axis_names(basis: str, dims: Sequence[int]) -> list[str]:
    """Axis labels, such as UMAP1 and UMAP2.

    Examples
    --------
    >>> axis_names("draw_graph_fr", [0, 1])
    ['FR1', 'FR2']
    """
    name = NAMES.get(basis, basis)
    if "draw_graph" in basis:
        name = basis.replace("draw_graph_", "").upper()
    return [f"{name}{dim + 1}" for dim in dims]


def _parse(components: str | Sequence[str], available: int, shown: int) -> list[list[int]]:
    if isinstance(components, str):
        if components == "all":
            return [list(pair) for pair in combinations(range(available), shown)]
        components = [components]
    try:
        return [[int(number) - 1 for number in pair.split(",")] for pair in components]
    except ValueError:
        raise ValueError(
            f"components={components!r}: expected such as '{'1,2,3'[: 2 * shown - 1]}'"
        ) from None


POINT_AREA = 120_000  # of all points together, in square points
SOLID_AREA = 20.0  # of a point in three dimensions


@checked_keywords(PathCollection, Axes.scatter)
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
    arrows: bool = False,
    arrows_kwds: Mapping[str, Any] | None = None,
    groups: str | Sequence[str] | None = None,
    components: str | Sequence[str] | None = None,
    dimensions: tuple[int, int] | Sequence[tuple[int, int]] | None = None,
    layer: str | None = None,
    projection: Literal["2d", "3d"] = "2d",
    scale_factor: float | None = None,
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
    arrows, arrows_kwds
        Whether to draw arrows of ``obsm[f"velocity_{basis}"]`` or ``obsm[f"Delta_{basis}"]``, and
        options of :meth:`matplotlib.axes.Axes.quiver`.
    groups
        Categories to colour; the others get ``na_color``. Genes and numbers are coloured as ever.
    components
        Pairs of dimensions counted from 1, such as ``"1,2"`` or ``["1,2", "2,3"]``, or ``"all"``.
        Every colour is plotted in every pair.
    dimensions
        Pairs of dimensions counted from 0, such as ``(0, 1)``, one for each colour.
    layer
        Layer that genes come from.
    projection
        ``"3d"`` draws three dimensions; there are no edges, arrows and outlines then.
    scale_factor
        Draw circles at coordinates that are multiplied by this, with the radius ``size``, as
        :func:`lazyomics.pl.spatial` does.
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
        Area of points in square points, one for all or shape (n_obs,). Default 120000 / n_obs, in
        three dimensions 20.
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

    500,000 points and more, if they are smaller than a pixel of files, are drawn as the image that
    they add up to, in their colours and order, which takes seconds and a small file. To have
    a shape for each point, set ``settings.vector_friendly = False``.

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
    check_annotated(adata, "pl.embedding", or_modalities=True)
    mdata = adata if isinstance(adata, MuData) else None
    if isinstance(adata, MuData):
        adata = side_by_side(adata, basis, color, layer=layer, use_raw=use_raw)
        layer, use_raw = None, False
    if projection not in ("2d", "3d"):
        raise ValueError(f"projection={projection!r}: expected '2d' or '3d'")
    solid = projection == "3d"
    if solid and (edges or arrows or scale_factor is not None):
        raise ValueError("edges, arrows and scale_factor are of two dimensions, not of '3d'")
    points = coordinates(adata, basis) * (1 if scale_factor is None else scale_factor)
    shown = 3 if solid else 2
    panels = panel_dimensions(color, components, dimensions, marker, points.shape[1], shown)
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
        size=_point_size(size if size is not None else kwargs.pop("s", None), points, solid=solid),
        cmap=_colormap(color_map, cmap, na_color),
        bounds=Bounds(vmin, vmax, vcenter, norm),
        legend=legend,
        colorbar_loc=colorbar_loc,
        sort_order=sort_order,
        frameon=settings.frameon if frameon is None else frameon,
        outline=Outline(outline_width, outline_color) if add_outline else None,
        edges=Edges.of(adata, neighbors_key, edges_width, edges_color) if edges else None,
        arrows=Arrows.of(adata, basis, arrows_kwds) if arrows else None,
        circles=scale_factor is not None,
        several=len(panels) > 1,
        scatter=kwargs,
    )
    if mdata is not None:
        keep_palettes(mdata, adata)
    widths = [c.legend_width(legend) for c in colored]
    kind = "3d" if solid else None
    figure, axes = panel_axes(
        widths, ax, ncols=ncols, hspace=hspace, wspace=wspace, projection=kind
    )
    for index, (key, dims, mark) in enumerate(panels):
        panel, place = axes[index], points[:, dims]
        draw_panel(panel, place, colored[index], style, panel=index, marker=mark, dims=dims)
        panel.set_title(_title(title, index, key))
        _name_axes(panel, axis_names(basis, dims))
    if return_fig:
        return figure
    result: Axes | list[Axes] = axes if len(panels) > 1 else axes[0]
    return finish(figure, result, name=basis, show=show, save=save, owned=ax is None)


def _name_axes(ax: Axes, names: Sequence[str]) -> None:
    panel: Any = ax
    panel.set(xlabel=names[0], ylabel=names[1])
    if len(names) == 3:
        panel.set_zlabel(names[2], labelpad=-7)


def _title(title: str | Sequence[str] | None, panel: int, key: str | None) -> str:
    titles = [title] if isinstance(title, str) else list(title or ())
    return titles[panel] if panel < len(titles) else key or ""


def _point_size(
    size: float | Sequence[float] | npt.NDArray[Any] | None,
    points: npt.NDArray[Any],
    *,
    solid: bool,
) -> float | npt.NDArray[np.float64]:
    if size is None and solid:
        return SOLID_AREA
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


Function = TypeVar("Function", bound=Callable[..., Any])


def like_embedding(function: Function) -> Function:
    """Give a function the parameters of :func:`embedding` besides its own, for help and editors."""
    own = inspect.signature(function).parameters
    shared = inspect.signature(embedding).parameters
    names = {name: p for name, p in shared.items() if name not in {"adata", "basis", "kwargs"}}
    own_keywords = {name: p for name, p in own.items() if name not in {"adata", "kwargs"}}
    parameters = [own["adata"], *{**names, **own_keywords}.values(), shared["kwargs"]]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


@like_embedding
@checked_keywords(embedding, PathCollection, Axes.scatter)
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
    check_annotated(adata, "pl.umap", or_modalities=True)
    return embedding(adata, "umap", **kwargs)


@like_embedding
@checked_keywords(embedding, PathCollection, Axes.scatter)
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
    check_annotated(adata, "pl.tsne", or_modalities=True)
    return embedding(adata, "tsne", **kwargs)


@like_embedding
@checked_keywords(embedding, PathCollection, Axes.scatter)
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
    check_annotated(adata, "pl.diffmap", or_modalities=True)
    return embedding(adata, "diffmap", **kwargs)


@like_embedding
@checked_keywords(embedding, PathCollection, Axes.scatter)
def mofa(adata: AnnData | MuData, **kwargs: Any) -> Figure | Axes | list[Axes] | None:
    """Scatter plot in factors of MOFA, ``obsm["X_mofa"]``.

    Parameters
    ----------
    adata
        What to plot; :func:`lazyomics.tl.mofa` has been run on it.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    As :func:`lazyomics.pl.embedding`.

    Notes
    -----
    Passes over X: 1 if a variable is among ``color``, else 0. Peak memory: n_obs values for each
    colour.
    """
    check_annotated(adata, "pl.mofa", or_modalities=True)
    return embedding(adata, "mofa", **kwargs)


@like_embedding
@checked_keywords(embedding, PathCollection, Axes.scatter)
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
    check_annotated(adata, "pl.draw_graph", or_modalities=True)
    if layout is None:
        if "draw_graph" not in adata.uns:
            raise KeyError("uns has no 'draw_graph': run lo.tl.draw_graph, or give layout='fr'")
        layout = str(adata.uns["draw_graph"]["params"]["layout"])
    return embedding(adata, f"draw_graph_{layout}", **kwargs)


@like_embedding
@checked_keywords(embedding, PathCollection, Axes.scatter)
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
    check_annotated(adata, "pl.pca", or_modalities=True)
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


pca_scatter = pca  # its name in early scanpy
