"""``pl.dpt_timeseries`` and ``pl.dpt_groups_pseudotime``: cells in the order of ``tl.dpt``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.options import settings
from lazyomics.pl.coloring import Palette, palette_colors
from lazyomics.pl.figure import Save, figure_of, finish, spread
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import gene_frame

__all__ = ["dpt_groups_pseudotime", "dpt_timeseries"]

MANY = 100  # genes


@checked_keywords()
def dpt_timeseries(
    adata: AnnData,
    *,
    color_map: str | Colormap | None = None,
    show: bool | None = None,
    save: Save = None,
    as_heatmap: bool = True,
    marker: str | Sequence[str] = ".",
) -> Axes | None:
    """All genes along the order of the cells by ``tl.dpt(n_branchings=…)``.

    Parameters
    ----------
    adata
        What to plot; select genes first.
    color_map
        Colour map of the heat map.
    show, save
        See :mod:`lazyomics.pl`.
    as_heatmap
        False draws points.
    marker
        Matplotlib marker of the points, or one for each gene.

    Returns
    -------
    The axes, or None if the figure was shown.

    Raises
    ------
    ValueError
        If the cells were not ordered.

    Notes
    -----
    Passes over X: 1. Peak memory: n_obs × n_vars values, twice.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"dpt_order_indices": [1, 0]}, index=["a", "b"])
    >>> uns = {"dpt_changepoints": np.array([1])}
    >>> var = pd.DataFrame(index=["m", "n"])
    >>> adata = lo.AnnData(np.array([[1.0, 2.0], [3.0, 4.0]]), obs=obs, var=var, uns=uns)
    >>> ax = lo.pl.dpt_timeseries(adata, show=False)
    >>> ax.images[0].get_array().tolist()
    [[3.0, 1.0], [4.0, 2.0]]
    """
    check_annotated(adata, "pl.dpt_timeseries")
    _check(adata, "dpt_order_indices")
    if adata.n_vars > MANY:
        logging.warning(f"plotting {adata.n_vars} genes takes a while: select some of them first")
    frame = gene_frame(adata, list(adata.var_names), layer=None, use_raw=False)
    values = frame.to_numpy()[adata.obs["dpt_order_indices"].to_numpy()]
    borders = np.asarray(adata.uns["dpt_changepoints"])
    if as_heatmap:
        ax = _heatmap(values, list(adata.var_names), borders, color_map)
    else:
        width, height = mpl.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(2 * width, 2 * height))
        figure.subplots_adjust(left=0.12, right=0.98, bottom=0.13)
        ax = figure.add_subplot()
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        markers = [marker] if isinstance(marker, str) else list(marker)
        rows: Any = spread(("genes", "marker"), list(range(values.shape[1])), markers)
        for gene, mark in rows:
            style = {"color": cycle[gene % len(cycle)], "label": str(adata.var_names[gene])}
            _points(ax, np.arange(len(values)), values[:, gene], mark, **style)
        _borders(ax, borders)
        ax.set(xlim=(0, 1.3 * len(values)), ylabel="gene expression")
        ax.legend(frameon=False)
    ax.set_xlabel("dpt order")
    return finish(figure_of(ax), ax, name="dpt_timeseries", show=show, save=save, owned=True)


@checked_keywords()
def dpt_groups_pseudotime(
    adata: AnnData,
    *,
    color_map: str | Colormap | None = None,
    palette: Palette | None = None,
    show: bool | None = None,
    save: Save = None,
    marker: str | Sequence[str] = ".",
) -> list[Axes] | None:
    """Groups and pseudotime along the order of the cells by ``tl.dpt(n_branchings=…)``.

    Parameters
    ----------
    adata
        What to plot.
    color_map
        Colour map of pseudotime.
    palette
        Colours of the groups.
    show, save
        See :mod:`lazyomics.pl`.
    marker
        Matplotlib marker, or one for each group.

    Returns
    -------
    Two axes, or None if the figure was shown.

    Raises
    ------
    ValueError
        If the cells were not ordered.

    Notes
    -----
    Passes over X: 0. Peak memory: O(n_obs).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"dpt_order": [1, 0], "dpt_pseudotime": [1.0, 0.0]}, index=["a", "b"])
    >>> obs["dpt_groups"] = pd.Categorical(["1", "0"])
    >>> adata = lo.AnnData(np.eye(2), obs=obs, uns={"dpt_changepoints": np.array([1])})
    >>> axes = lo.pl.dpt_groups_pseudotime(adata, show=False)
    >>> [ax.get_ylabel() for ax in axes]
    ['dpt groups', 'pseudotime']
    """
    check_annotated(adata, "pl.dpt_groups_pseudotime")
    _check(adata, "dpt_order", "dpt_pseudotime", "dpt_groups")
    groups = pd.Categorical(adata.obs["dpt_groups"])
    order = adata.obs["dpt_order"].to_numpy()
    times = adata.obs["dpt_pseudotime"].to_numpy()
    borders = np.asarray(adata.uns["dpt_changepoints"])
    if palette is None:
        palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    colors = palette_colors(palette, groups.categories)
    markers = [marker] if isinstance(marker, str) else list(marker)
    rows: Any = spread(("groups", "marker"), list(range(len(groups.categories))), markers)
    figure, (above, below) = plt.subplots(2, 1)
    for code, mark in rows:
        cells = groups.codes == code
        _points(above, order[cells], groups.codes[cells], mark, color=colors[code])
    _borders(above, borders)
    above.set_ylabel("dpt groups")
    if len(groups.categories) < 5:
        above.set_yticks(range(len(groups.categories)))
    finite = np.isfinite(times)
    _points(below, order[finite], times[finite], markers[0], c=times[finite], cmap=color_map)
    _borders(below, borders)
    below.set(xlabel="dpt order", ylabel="pseudotime", yticks=[0, 1])
    axes = [above, below]
    return finish(figure, axes, name="dpt_groups_pseudotime", show=show, save=save, owned=True)


def _check(adata: AnnData, *columns: str) -> None:
    missing = [name for name in columns if name not in adata.obs]
    if missing or "dpt_changepoints" not in adata.uns:
        raise ValueError(
            f"adata has no {missing or 'uns[dpt_changepoints]'}: "
            "run lo.tl.dpt(adata, n_branchings=1) first"
        )


def _heatmap(
    values: npt.NDArray[Any],
    names: list[str],
    borders: npt.NDArray[Any],
    color_map: str | Colormap | None,
) -> Axes:
    figure, ax = plt.subplots(figsize=(6, 8))
    rows = np.asarray(values, dtype=np.float64).T
    image = ax.imshow(rows, aspect="auto", interpolation="nearest", cmap=color_map)
    figure.colorbar(image, ax=ax, shrink=0.5)
    ax.set_yticks(range(len(names)), names)
    for border in borders:
        ax.plot([border, border], [0, len(names)], "--", color="black")
    ax.set(xlim=(0, max(len(values) - 1, 1)), ylim=(0, max(len(names) - 1, 1)))
    return ax


def _points(ax: Axes, x: npt.NDArray[Any], y: npt.NDArray[Any], marker: str, **style: Any) -> None:
    size = mpl.rcParams["lines.markersize"]
    rasterized = settings.vector_friendly
    ax.scatter(x, y, marker=marker, edgecolor="face", s=size, rasterized=rasterized, **style)


def _borders(ax: Axes, borders: npt.NDArray[Any]) -> None:
    low, high = ax.get_ylim()
    for border in borders:
        ax.plot([border, border], [low, high], "--", color="black")
    ax.set_ylim(low, high)
