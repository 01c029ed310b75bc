"""Box plots of the genes that take the largest shares of the counts."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.get.count_shares import highest_shares
from lazyomics.names import choices
from lazyomics.pl.coloring import palette_colors
from lazyomics.pl.figure import Save, figure_of, finish
from lazyomics.pl.hues import desaturated, even_hues
from lazyomics.pl.keywords import checked_keywords

__all__ = ["highest_expr_genes"]

WIDTH = 5  # inches
ROW_HEIGHT, MARGINS = 0.2, 1.5


# Keywords that seaborn's box plots have and matplotlib's have not, and those of its `boxplot`.
OF_BOXES = (
    "color",
    "fill",
    "linecolor",
    "linewidth",
    "notch",
    "palette",
    "saturation",
    "whis",
    "width",
)


@checked_keywords(Axes.bxp, also=OF_BOXES)
def highest_expr_genes(
    adata: AnnData,
    n_top: int = 30,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    log: bool = False,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    **kwds: Any,
) -> Axes | None:
    """Box plots of the genes with the highest mean percentage of the counts of a cell.

    Parameters
    ----------
    adata
        Counts of cells.
    n_top
        Number of genes to show.
    layer
        Layer to use instead of X.
    gene_symbols
        Column of ``var`` with the names to write.
    log
        Whether the axis of percentages is logarithmic.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into.
    **kwds
        Arguments of seaborn's boxplot: ``color``, ``palette``, ``saturation``, ``width``,
        ``whis``, ``linecolor``, ``linewidth`` and ``fill``. The rest is passed to
        :meth:`matplotlib.axes.Axes.bxp`.

    Returns
    -------
    The axes, or None if the figure was shown.

    Raises
    ------
    KeyError
        If ``gene_symbols`` or the layer is unknown.
    ValueError
        If ``n_top`` is less than 1.

    Notes
    -----
    Passes over X: 2, one for the means and one for the values of the shown genes. Peak memory:
    n_obs × n_top values (for a million cells and 30 genes 0.4 GB of float32 and their copies)
    and a block of X.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> adata = lo.AnnData(np.array([[1.0, 3], [2, 2]]), var=pd.DataFrame(index=["CD4", "MALAT1"]))
    >>> ax = lo.pl.highest_expr_genes(adata, show=False)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['MALAT1', 'CD4']
    """
    check_annotated(adata, "pl.highest_expr_genes")
    if gene_symbols is not None and gene_symbols not in adata.var.columns:
        raise KeyError(
            f"gene_symbols={gene_symbols!r} is not a column of var; "
            f"{choices(gene_symbols, adata.var.columns)}"
        )
    shares = highest_shares(adata, n_top, layer=layer)
    top = shares.columns.to_numpy()
    names = adata.var_names if gene_symbols is None else pd.Index(adata.var[gene_symbols])
    owned = ax is None
    if ax is None:
        ax = plt.figure(figsize=(WIDTH, n_top * ROW_HEIGHT + MARGINS)).add_subplot()
    _draw_boxes(ax, list(shares.to_numpy().T), [str(name) for name in names[top]], kwds)
    ax.set(xlabel="% of total counts", ylabel=names.name or "")
    if log:
        ax.set_xscale("log")
    return finish(figure_of(ax), ax, name="highest_expr_genes", show=show, save=save, owned=owned)


def _draw_boxes(
    ax: Axes,
    columns: Sequence[npt.NDArray[Any]],
    names: Sequence[str],
    options: Mapping[str, Any],
) -> None:
    """Draw horizontal box plots, the first one on top, with seaborn's look.

    Parameters
    ----------
    ax
        Where to draw.
    columns
        Values of each box.
    names
        Names of the boxes.
    options
        As :func:`highest_expr_genes` takes them.
    """
    rest = dict(options)
    fill, width = rest.pop("fill", True), rest.pop("width", 0.8)
    share = rest.pop("saturation", 0.75) if fill else 1.0
    colors = [desaturated(color, share) for color in _colors(names, rest.pop("palette", None))]
    # Outlines are as dark as those of boxes of many colours, also if one is asked for.
    dark = 0.6 * min((colorsys.rgb_to_hls(*color)[1] for color in colors), default=0.5)
    one = rest.pop("color", None)
    colors = colors if one is None else [desaturated(one, share)] * len(names)
    line = rest.pop("linecolor", None)
    line = (dark, dark, dark) if line in (None, "auto") else line
    linewidth = rest.pop("linewidth", None if fill else mpl.rcParams["lines.linewidth"])
    thick = {} if linewidth is None else {"linewidth": linewidth}
    own = {part: rest.pop(f"{part}props", {}) for part in ("box", *PARTS, "flier")}
    whiskers, notch = rest.pop("whis", 1.5), rest.pop("notch", False)
    for place, (values, color) in enumerate(zip(columns, colors, strict=True)):
        outline = line if fill else color
        box = {"facecolor": color, "edgecolor": outline} if fill else {"color": outline}
        look: dict[str, Any] = {
            f"{part}props": {"color": outline, "solid_capstyle": "butt", **thick, **own[part]}
            for part in PARTS
        }
        look["boxprops"] = {**box, **thick, **own["box"]}
        look["flierprops"] = {"markeredgecolor": outline, "markersize": 1, **own["flier"]}
        ax.bxp(
            boxplot_stats(values, whis=whiskers),
            **{
                "positions": [place],
                "widths": [width],
                "capwidths": width / 2,
                "patch_artist": fill,
                "shownotches": notch,
                "manage_ticks": False,
                **_sideways(),
                **look,
                **rest,
            },
        )
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


PARTS = ("median", "whisker", "cap")


def _sideways() -> dict[str, Any]:
    """Option of matplotlib's box plots that makes them horizontal."""
    old = tuple(map(int, mpl.__version__.split(".")[:2])) < (3, 10)
    return {"vert": False} if old else {"orientation": "horizontal"}


def _colors(names: Sequence[str], palette: Any) -> list[Any]:
    """Colour of each box: those of the colour cycle, or even hues if there are too few."""
    if palette is not None:
        return list(palette_colors(palette, pd.Index(names)))
    cycle = mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])
    return cycle[: len(names)] if len(names) <= len(cycle) else list(even_hues(len(names)))
