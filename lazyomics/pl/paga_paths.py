"""``pl.paga_path``: genes and annotations of cells along a path through the graph of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.coloring import category_colors
from lazyomics.pl.figure import Save, figure_of, finish
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.paga_nodes import group_column
from lazyomics.pl.values import gene_frame, gene_names

__all__ = ["paga_path"]

PSEUDOTIME = "dpt_pseudotime"
GREYS: Mapping[str, Any] = MappingProxyType({PSEUDOTIME: "Greys"})


@checked_keywords()
def paga_path(
    adata: AnnData,
    nodes: Sequence[str | int],
    keys: Sequence[str],
    *,
    use_raw: bool = True,
    annotations: Sequence[str] = (PSEUDOTIME,),
    color_map: str | Colormap | None = None,
    color_maps_annotations: Mapping[str, str | Colormap] = GREYS,
    palette_groups: Sequence[str] | None = None,
    n_avg: int = 1,
    groups_key: str | None = None,
    xlim: tuple[int | None, int | None] = (None, None),
    title: str | None = None,
    left_margin: float | None = None,
    ytick_fontsize: float | None = None,
    title_fontsize: float | None = None,
    show_node_names: bool = True,
    show_yticks: bool = True,
    show_colorbar: bool = True,
    legend_fontsize: float | str | None = None,
    legend_fontweight: int | str | None = None,
    normalize_to_zero_one: bool = False,
    as_heatmap: bool = True,
    return_data: bool = False,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
) -> tuple[Axes | None, pd.DataFrame] | Axes | None:
    """Genes and annotations of the cells of some groups, in the order of pseudotime.

    Parameters
    ----------
    adata
        What to plot.
    nodes
        Groups along the path: names, or numbers from 0.
    keys
        Genes or columns of ``obs``, a row each.
    use_raw
        Whether genes come from ``raw``, if there is one.
    annotations
        Columns of ``obs`` in rows below the groups.
    color_map
        Colour map of the keys.
    color_maps_annotations
        Colour map of each annotation; by default ``"tab10"`` for categories, else ``"Greys"``.
    palette_groups
        Colours of all groups; by default those that are stored.
    n_avg
        Cells in the running average.
    groups_key
        Column of the groups; by default that of the abstracted graph.
    xlim
        First and last cell of the curves.
    title, title_fontsize
        Title and its size.
    left_margin
        Room on the left as a share of the figure.
    ytick_fontsize, show_yticks
        Size of the names of rows, and whether they are shown.
    show_node_names, show_colorbar
        Whether groups are named, and the colours explained.
    legend_fontsize, legend_fontweight
        Font of the legend of curves; the weight is without effect.
    normalize_to_zero_one
        Whether the values of each key are scaled to 0 to 1.
    as_heatmap
        False draws curves, without annotations.
    return_data
        Whether values are returned, too: a column for each key, ``groups`` and ``distance``.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into.

    Returns
    -------
    The axes, or None if the figure was shown; with ``return_data`` a pair of this and the values.

    Raises
    ------
    ValueError
        If there is no pseudotime, no such group or annotation, a group has no cells, or fewer
        cells than ``n_avg`` are on the path.
    KeyError
        If a key is unknown. The message names what is available.

    Notes
    -----
    Passes over X: 1 for all genes. Peak memory: n_obs values for each key.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> groups = pd.Categorical(["x", "y", "x"])
    >>> obs = pd.DataFrame({"g": groups, "dpt_pseudotime": [0.5, 1, 0]}, index=["a", "b", "c"])
    >>> adata = lo.AnnData(np.array([[1.0], [2.0], [0.0]]), obs=obs, var=pd.DataFrame(index=["m"]))
    >>> options = {"groups_key": "g", "return_data": True, "show": False}
    >>> ax, values = lo.pl.paga_path(adata, ["x", "y"], ["m"], **options)
    >>> values["m"].tolist()
    [0.0, 1.0, 2.0]
    """
    check_annotated(adata, "pl.paga_path")
    name, groups = group_column(adata, groups_key)
    keys = [keys] if isinstance(keys, str) else list(keys)
    if PSEUDOTIME not in adata.obs:
        raise ValueError(f"adata.obs has no {PSEUDOTIME!r}: run lo.tl.dpt first")
    unknown = [one for one in annotations if one not in adata.obs]
    if unknown or not keys:
        raise ValueError(f"annotations {unknown} are no columns of obs" if unknown else "no keys")
    path = _path(adata, nodes, groups, name)
    if n_avg < 1 or n_avg > len(path.cells):
        raise ValueError(f"n_avg={n_avg}: expected 1 to {len(path.cells)}, the cells on the path")
    values = _values(adata, keys, path.cells, use_raw)
    noted = {one: _numbers(adata.obs[one])[path.cells] for one in annotations}
    if n_avg > 1:
        values = np.stack([_moving_average(row, n_avg) for row in values])
        noted = {one: _moving_average(row, n_avg) for one, row in noted.items()}
    if normalize_to_zero_one:
        low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        values = (values - low) / np.where(high > low, high - low, 1)
    if palette_groups is None:
        palette_groups = list(category_colors(adata, name, groups.categories).values())
    owned = ax is None
    ax = plt.figure().add_subplot() if ax is None else ax
    names_font = {"fontsize": ytick_fontsize}
    if as_heatmap:
        image = ax.imshow(values, aspect="auto", interpolation="nearest", cmap=color_map)
        _plain(ax, keys if show_yticks else [], names_font)
        if show_colorbar:
            figure_of(ax).colorbar(image, ax=ax)
        if owned:
            figure_of(ax).subplots_adjust(left=0.2 if left_margin is None else left_margin)
        strips = _Strips(ax, len(keys), show_yticks, names_font)
        shown = ListedColormap(list(palette_groups)[path.codes.min() : path.codes.max() + 1])
        bar = strips.add(name, path.codes, shown, height=1.0)
        if show_node_names:
            for place, label in zip(path.middles, path.labels, strict=True):
                bar.text(place, 0, label, ha="center", va="center")
        for k, one in enumerate(annotations):
            cmap = color_maps_annotations.get(one, _cmap_of(adata.obs[one]))
            strips.add(one, noted[one], cmap, height=1.0 if k == 0 else 0.5)
    else:
        for key, row in zip(keys, values, strict=True):
            ax.plot(row[xlim[0] : xlim[1]], label=key)
        _explain_curves(ax, keys, name, left_margin, legend_fontsize)
    if title is not None:
        ax.set_title(title, fontsize=title_fontsize)
    found = finish(figure_of(ax), ax, name="paga_path", show=show, save=save, owned=owned)
    if not return_data:
        return found
    data = pd.DataFrame(values.T, columns=keys)
    data["groups"] = _moving_average(path.codes, n_avg)
    if PSEUDOTIME in noted:
        data["distance"] = noted[PSEUDOTIME]
    return found, data


@dataclass(frozen=True)
class _Path:
    """Cells along a path: their numbers and groups; names of the groups, and their middles."""

    cells: npt.NDArray[np.intp]
    codes: npt.NDArray[np.intp]
    labels: list[str]
    middles: npt.NDArray[np.float64]


def _path(adata: AnnData, nodes: Sequence[str | int], groups: pd.Categorical, name: str) -> _Path:
    names = list(groups.categories)
    if isinstance(nodes, str) or len(nodes) == 0:
        raise ValueError(f"nodes must be a list of groups of {names}, found {nodes!r}")
    times = adata.obs[PSEUDOTIME].to_numpy()
    parts, codes = [], []
    for node in nodes:
        if node in names:
            code = names.index(node)
        elif isinstance(node, int | np.integer) and 0 <= node < len(names):
            code = int(node)
        else:
            raise ValueError(f"{node!r} is no group of obs[{name!r}]: {names}")
        cells = np.flatnonzero(groups.codes == code)
        if len(cells) == 0:
            raise ValueError(f"no cells are in group {names[code]!r} of obs[{name!r}]")
        parts.append(cells[np.argsort(times[cells])])
        codes.append(code)
    sizes = [len(part) for part in parts]
    ends = np.cumsum([0, *sizes])
    return _Path(
        np.concatenate(parts),
        np.repeat(codes, sizes),
        [str(names[code]) for code in codes],
        (ends[:-1] + ends[1:]) / 2,
    )


def _values(
    adata: AnnData, keys: list[str], cells: npt.NDArray[np.intp], use_raw: bool
) -> npt.NDArray[Any]:
    raw = use_raw and adata.raw is not None
    genes = [key for key in keys if key not in adata.obs]
    frame = gene_frame(adata, gene_names(adata, genes, use_raw=raw), layer=None, use_raw=raw)
    rows = [_numbers(adata.obs[key]) if key in adata.obs else frame[key].to_numpy() for key in keys]
    return np.stack([np.asarray(row, dtype=np.float64)[cells] for row in rows])


def _numbers(column: pd.Series[Any]) -> npt.NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    return column.to_numpy()


def _moving_average(values: npt.NDArray[Any], n: int) -> npt.NDArray[np.float64]:
    sums = np.cumsum(values, dtype=np.float64)
    sums[n:] = sums[n:] - sums[:-n]
    average: npt.NDArray[np.float64] = sums[n - 1 :] / n
    return average


def _cmap_of(column: pd.Series[Any]) -> str:
    return "tab10" if isinstance(column.dtype, pd.CategoricalDtype) else "Greys"


def _plain(ax: Axes, names: Sequence[str], font: dict[str, Any]) -> None:
    ax.set_yticks(range(len(names)), list(names), **font)
    ax.set_frame_on(False)
    ax.set_xticks([])
    ax.tick_params(axis="both", which="both", length=0)
    ax.grid(visible=False)


@dataclass
class _Strips:
    """Rows of colours below a heat map, as high as one of its rows or a share of that."""

    ax: Axes
    n_rows: int
    named: bool
    font: dict[str, Any]
    depth: float = 0.0

    def add(self, name: str, values: npt.NDArray[Any], cmap: Any, *, height: float) -> Axes:
        """Add a strip below the last one."""
        left, bottom, width, whole = self.ax.get_position().bounds
        row = whole / self.n_rows
        self.depth += height * row
        strip = figure_of(self.ax).add_axes((left, bottom - self.depth, width, height * row))
        strip.imshow(values[None, :], aspect="auto", interpolation="nearest", cmap=cmap)
        _plain(strip, [name] if self.named else [], self.font)
        return strip


def _explain_curves(
    ax: Axes,
    keys: list[str],
    name: str,
    left_margin: float | None,
    fontsize: float | str | None,
) -> None:
    if len(keys) > 1:
        left = 0.4 if left_margin is None else left_margin
        place = (-left, 0.5)
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=place, fontsize=fontsize)
    else:
        ax.set_ylabel(f"{keys[0]} (a.u.)")
    ax.set_xlabel(name)
    ax.set_yticks([])
