"""Violin plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazyomics.container import AnnData
from lazyomics.pl.colors import Palette, category_colors
from lazyomics.pl.density import DensityNorm
from lazyomics.pl.panels import figure_of, panel_row
from lazyomics.pl.saving import Save, finish
from lazyomics.pl.strips import Strip, ViolinStyle, draw_violins
from lazyomics.pl.values import as_categories, choose_raw, plot_values
from lazyomics.pl.violin_options import ViolinOptions

__all__ = ["violin"]

Columns = dict[str, npt.NDArray[Any]]

JITTER = 0.1


def violin(
    adata: AnnData,
    keys: str | Sequence[str],
    groupby: str | None = None,
    *,
    log: bool = False,
    use_raw: bool | None = None,
    stripplot: bool = True,
    jitter: float | bool = True,
    size: float = 1,
    layer: str | None = None,
    density_norm: DensityNorm = "width",
    order: Sequence[str] | None = None,
    multi_panel: bool | None = None,
    xlabel: str = "",
    ylabel: str | Sequence[str] | None = None,
    rotation: float | None = None,
    palette: Palette | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    **kwds: Any,
) -> Axes | list[Axes] | None:
    """Distribution of obs columns or genes, as violins with the observations on them.

    Parameters
    ----------
    adata
        What to plot.
    keys
        Numeric columns of ``obs`` or genes. With ``groupby`` each has a panel.
    groupby
        Column of ``obs`` with categories, a violin each. Without it, each key is a violin.
    log
        Whether the axis of values is logarithmic.
    use_raw
        Whether genes come from ``raw``; by default if there is one and no ``layer`` is given.
    stripplot
        Whether to draw a point for each observation.
    jitter
        How far points are moved sideways at most; True means 0.1.
    size
        Diameter of the points in points.
    layer
        Layer that genes come from.
    density_norm
        ``"width"``: all violins equally wide; ``"area"``: the same area; ``"count"``: as wide as
        there are observations. (With ``groupby``, scanpy 1.11 draws all of them equally wide.)
    order
        Categories to show, in this order.
    multi_panel
        Whether each key has a panel with its own axis, also without ``groupby``.
    xlabel
        Label of the x axis; by default ``groupby``, or nothing if ``rotation`` is given.
    ylabel
        Label of the y axis, or one for each panel; by default the key, or ``"value"``.
    rotation
        Rotation of the names below the violins in degrees; by default 0 where they fit, else 90.
    palette
        Colours of the categories. Kept in ``uns[f"{groupby}_colors"]``.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into; only for a single panel.
    **kwds
        Arguments of seaborn's violinplot: ``inner`` (``"box"``, ``"quart"``, ``"point"``,
        ``"stick"`` or None, the default) and ``inner_kws``, ``cut`` (by default 0), ``bw_method``
        (or ``bw``), ``bw_adjust``, ``gridsize``, ``width``, ``gap``, ``fill``, ``saturation``,
        ``linewidth``, ``linecolor``, ``scale`` (former name of ``density_norm``), and ``color``
        without ``groupby``. The rest is passed to :meth:`matplotlib.axes.Axes.fill_betweenx`.

    Returns
    -------
    The axes, a list for several panels, or None if the figure was shown. Sets
    ``uns[f"{groupby}_colors"]`` if it is missing.

    Raises
    ------
    KeyError
        If a key, ``groupby`` or a category in ``order`` is unknown.
    TypeError
        If a key is not numeric or ``groupby`` is.
    ValueError
        If parameters contradict each other.

    Notes
    -----
    Passes over X: 1 if a gene is among ``keys``, else 0. Peak memory: n_obs values for each key.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"n_genes": [5, 6, 9], "cell_type": ["B", "B", "T"]}, index=list("abc"))
    >>> adata = lo.AnnData(np.eye(3), obs=obs)
    >>> ax = lo.pl.violin(adata, "n_genes", groupby="cell_type", show=False)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['B', 'T']
    """
    keys = [keys] if isinstance(keys, str) else list(dict.fromkeys(keys))
    options = ViolinOptions.of(density_norm, kwds)
    plain = "C0" if options.color is None else options.color
    columns = _numbers(adata, keys, layer=layer, use_raw=choose_raw(adata, use_raw, layer))
    if groupby is not None:
        strips = _by_group(adata, columns, groupby, order, palette)
        xlabel = groupby.replace("_", " ") if xlabel == "" and rotation is None else xlabel
    elif multi_panel:
        strips = [
            Strip({"": values}, [plain], "value", title=key) for key, values in columns.items()
        ]
    else:
        strips = [Strip(columns, [plain] * len(columns), "value")]
    labels = [ylabel] * len(strips) if ylabel is None or isinstance(ylabel, str) else list(ylabel)
    if len(labels) != len(strips):
        raise ValueError(f"ylabel has {len(labels)} entries for {len(strips)} panels")
    figure, axes, width = _axes(len(strips), ax)
    reach = JITTER if jitter is True else float(jitter)
    style = ViolinStyle(options, reach if stripplot else None, size, log, rotation)
    for panel, strip, label in zip(axes, strips, labels, strict=True):
        draw_violins(panel, strip, style, width=width)
        panel.set(xlabel=xlabel, ylabel=strip.ylabel if label is None else label)
    result: Axes | list[Axes] = axes if len(axes) > 1 else axes[0]
    return finish(figure, result, name="violin", show=show, save=save, owned=ax is None)


def _numbers(adata: AnnData, keys: list[str], *, layer: str | None, use_raw: bool) -> Columns:
    columns = {}
    for key, values in plot_values(adata, keys, layer=layer, use_raw=use_raw).items():
        if isinstance(values, pd.Categorical):
            raise TypeError(f"violins are of numbers, but obs[{key!r}] holds categories or text")
        columns[key] = values
    return columns


def _by_group(
    adata: AnnData,
    columns: Columns,
    groupby: str,
    order: Sequence[str] | None,
    palette: Palette | None,
) -> list[Strip]:
    """A strip for each column, with a violin for each group."""
    if groupby not in adata.obs.columns:
        raise KeyError(f"groupby={groupby!r} is not in obs: {list(adata.obs.columns)}")
    groups = as_categories(adata.obs[groupby])
    if groups is None:
        raise TypeError(f"obs[{groupby!r}] is numeric, but groupby takes categories or text")
    shown = list(groups.categories) if order is None else list(order)
    unknown = [group for group in shown if group not in groups.categories]
    if unknown:
        raise KeyError(f"order: {unknown} are not among {list(groups.categories)}")
    colors = category_colors(adata, groupby, groups.categories, palette)
    members = {group: np.asarray(groups == group) for group in shown}
    return [
        Strip(
            {str(group): values[mask] for group, mask in members.items()},
            [colors[group] for group in shown],
            key,
        )
        for key, values in columns.items()
    ]


def _axes(count: int, ax: Axes | None) -> tuple[Figure, list[Axes], float]:
    """Axes of the panels and the width of one in inches."""
    if ax is None:
        return panel_row(count)
    if count > 1:
        raise ValueError(f"ax takes a single panel, but {count} are asked for")
    figure = figure_of(ax)
    return figure, [ax], float(ax.get_position().width * figure.get_figwidth())
