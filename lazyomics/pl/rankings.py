"""What ``tl.rank_genes_groups`` found: names at their scores, and violins of the best genes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.get.keys import gene_table
from lazyomics.get.rank_genes_groups_df import ranking_result
from lazyomics.names import choices
from lazyomics.options import settings
from lazyomics.pl.figure import Save, figure_of, finish, is_shown
from lazyomics.pl.group_plots import UNSET
from lazyomics.pl.hues import desaturated
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import as_categories, choose_raw, gene_frame
from lazyomics.pl.values import gene_names as found_names
from lazyomics.pl.violins import (
    JITTER,
    SATURATION,
    Density,
    DensityNorm,
    DensityShape,
    estimate,
    half_widths,
    shade,
)

__all__ = ["rank_genes_groups", "rank_genes_groups_violin", "ranked_groups"]

ABOVE = 0.3  # room for names over the highest score, as a share of the range


@checked_keywords()
def rank_genes_groups(
    adata: AnnData,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int = 20,
    gene_symbols: str | None = None,
    key: str | None = "rank_genes_groups",
    fontsize: int = 8,
    ncols: int = 4,
    sharey: bool = True,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    n_panels_per_row: int | None = None,
) -> list[Axes] | None:
    """Names of the best genes of each group, at their scores.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.rank_genes_groups` has been run on it.
    groups
        Groups to show, by default all.
    n_genes
        Genes of each group.
    gene_symbols
        Column of ``var`` (of ``raw.var`` if raw values were ranked) with the names to write.
    key
        Key of ``uns`` where the result is.
    fontsize
        Of the names, in points.
    ncols, n_panels_per_row
        Panels in a row.
    sharey
        Whether all panels have the same range of scores.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw in place of.

    Returns
    -------
    The axes of each group, or None if the figure was shown.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, or this no such group.
    ValueError
        If ``n_genes`` is less than 1.

    Notes
    -----
    Passes over X: 0.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(6) / 2, obs={"type": list("ababab")})
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups(adata, n_genes=3, show=False)
    >>> [ax.get_title() for ax in axes]
    ['a vs. rest', 'b vs. rest']
    """
    check_annotated(adata, "pl.rank_genes_groups")
    if n_genes < 1:
        raise ValueError(f"n_genes is a number of genes to show, found {n_genes}")
    result = ranking_result(adata, key)
    shown = ranked_groups(result, groups)
    across = min(ncols if n_panels_per_row is None else n_panels_per_row, len(shown))
    figure, grid = _panels(ax, across, math.ceil(len(shown) / across))
    names = _symbols(adata, result["params"], gene_symbols)
    axes: list[Axes] = []
    lowest, highest = np.inf, -np.inf
    for place, group in enumerate(shown):
        first = axes[0] if axes and sharey else None
        panel = figure.add_subplot(grid[place], sharey=first)
        axes.append(panel)
        genes, scores = result["names"][group][:n_genes], result["scores"][group][:n_genes]
        low, high = float(np.min(scores)), float(np.max(scores))
        lowest, highest = min(lowest, low), max(highest, high)
        if not sharey:
            panel.set_ylim(low, _top(low, high))
        panel.set_xlim(-0.9, n_genes - 0.1)
        for rank, (gene, score) in enumerate(zip(genes, scores, strict=True)):
            panel.text(
                rank,
                score,
                names.get(gene, gene),
                rotation="vertical",
                verticalalignment="bottom",
                horizontalalignment="center",
                fontsize=fontsize,
            )
        panel.set_title(f"{group} vs. {result['params']['reference']}")
        if place + across >= len(shown):
            panel.set_xlabel("ranking")
        if place % across == 0:
            panel.set_ylabel("score")
    if sharey:
        axes[0].set_ylim(lowest, _top(lowest, highest))
    name = f"rank_genes_groups_{result['params']['groupby']}"
    return finish(figure, axes, name=name, show=show, save=save, owned=ax is None)


def _top(low: float, high: float) -> float:
    return high + ABOVE * (high - low) if high > low else low + 1


def ranked_groups(result: Mapping[str, Any], groups: str | Sequence[str] | None) -> list[str]:
    """Groups that are asked for, by default all, each of which was ranked."""
    ranked = list(result["names"].dtype.names)
    shown = ranked if groups is None else [groups] if isinstance(groups, str) else list(groups)
    missing = [group for group in shown if group not in ranked]
    if missing or not shown:
        raise KeyError(
            f"no genes were ranked for {missing or 'no group'}; {choices(missing, ranked)}"
        )
    return shown


def _panels(ax: Axes | None, across: int, down: int) -> tuple[Figure, Any]:
    width, height = mpl.rcParams["figure.figsize"]
    if ax is None:
        figure = plt.figure(figsize=(across * width, down * height))
        return figure, GridSpec(down, across, figure, wspace=0.22, hspace=0.3)
    figure, spec = figure_of(ax), ax.get_subplotspec()
    ax.axis("off")
    if spec is None:
        return figure, GridSpec(down, across, figure, wspace=0.22, hspace=0.3)
    return figure, spec.subgridspec(down, across)


def _symbols(
    adata: AnnData, params: Mapping[str, Any], gene_symbols: str | None
) -> Mapping[str, str]:
    if gene_symbols is None:
        return {}
    from_raw = bool(params["use_raw"]) and adata.raw is not None
    table = gene_table(adata, use_raw=from_raw, gene_symbols=gene_symbols)
    return dict(zip(table.index, table[gene_symbols], strict=True))


def rank_genes_groups_violin(
    adata: AnnData,
    groups: Sequence[str] | None = None,
    *,
    n_genes: int = 20,
    gene_names: Iterable[str] | None = None,
    gene_symbols: str | None = None,
    use_raw: bool | None = None,
    key: str | None = None,
    split: bool = True,
    density_norm: DensityNorm = "width",
    strip: bool = True,
    jitter: float | bool = True,
    size: int = 1,
    ax: Axes | None = None,
    show: bool | None = None,
    save: Save = None,
    scale: DensityNorm = UNSET,
) -> list[Axes] | None:
    """Violins of the best genes of each group, beside those of what it was compared with.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.rank_genes_groups` has been run on it.
    groups
        Groups to show, by default all.
    n_genes
        Genes of each group.
    gene_names
        Genes to show instead, for all groups.
    gene_symbols
        Column of ``var`` (of ``raw.var`` if raw values are shown) with the names to write.
    use_raw
        Whether values come from ``raw``; by default those that were ranked.
    key
        Key of ``uns`` where the result is, ``"rank_genes_groups"`` by default.
    split
        Whether the two are halves of one violin.
    density_norm, scale
        ``"width"``: all violins equally wide; ``"area"``: those of a group have the same area;
        ``"count"``: as wide as there are cells. ``scale`` is the former name.
    strip, jitter, size
        Whether to draw a point for each cell, how far both together are moved sideways at most
        (True is 0.1), and its diameter in points.
    ax
        Axes to draw into; only for one group.
    show, save
        See :mod:`lazyomics.pl`. There is a file for each group.

    Returns
    -------
    The axes of each group, or None if the figures were shown.

    Raises
    ------
    KeyError
        If ``uns`` has no such result, this no such group, or a gene is unknown.
    ValueError
        If ``ax`` is given for several groups, or ``n_genes`` is less than 1.

    Notes
    -----
    Passes over X: 1 for all groups. Peak memory: n_obs × genes values of all groups.

    Each group has a figure. (scanpy draws all of them over each other, unless each is shown.)

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(6) / 2, obs={"type": list("ababab")})
    >>> lo.tl.rank_genes_groups(adata, "type", method="t-test")
    >>> axes = lo.pl.rank_genes_groups_violin(adata, n_genes=3, show=False)
    >>> [ax.get_title() for ax in axes]
    ['a vs. rest', 'b vs. rest']
    """
    if n_genes < 1:
        raise ValueError(f"n_genes is a number of genes to show, found {n_genes}")
    result = ranking_result(adata, key)
    shown = ranked_groups(result, groups)
    if ax is not None and len(shown) > 1:
        raise ValueError(f"ax takes a single group, but {len(shown)} are asked for")
    params = result["params"]
    raw = choose_raw(adata, bool(params["use_raw"]) if use_raw is None else use_raw, None)
    asked = None if gene_names is None else list(gene_names)
    genes = {
        group: found_names(
            adata,
            list(result["names"][group][:n_genes]) if asked is None else asked,
            use_raw=raw,
            gene_symbols=gene_symbols,
        )
        for group in shown
    }
    everything = [gene for names in genes.values() for gene in names]
    frame = gene_frame(adata, everything, layer=None, use_raw=raw)
    labels = _symbols(adata, {"use_raw": raw}, gene_symbols)
    cells = as_categories(adata.obs[params["groupby"]].astype(str))
    assert cells is not None
    pairs = _Pairs(density_norm if scale is UNSET else scale, split, strip, jitter, size)
    axes = []
    for group in shown:
        inside = np.asarray(cells == group)
        rest = params["reference"] == "rest"
        outside = ~inside if rest else np.asarray(cells == params["reference"])
        panel = plt.figure().add_subplot() if ax is None else ax
        columns = [frame[gene].to_numpy() for gene in genes[group]]
        pairs.draw(panel, [[c[inside] for c in columns], [c[outside] for c in columns]])
        names = [str(labels.get(gene, gene)) for gene in genes[group]]
        panel.set_xticks(range(len(names)), names, rotation="vertical")
        panel.set(xlabel="genes", ylabel="expression", xlim=(-0.5, len(names) - 0.5))
        panel.set_title(f"{group} vs. {params['reference']}")
        name = f"rank_genes_groups_{params['groupby']}_{group}"
        owned = ax is None
        finish(figure_of(panel), panel, name=name, show=show, save=save, owned=owned)
        axes.append(panel)
    return None if is_shown(show) else axes


CUT = 2.0  # bandwidths that densities reach beyond the extreme values, as seaborn's do


@dataclass(frozen=True)
class _Pairs:
    """How pairs of violins look; the attributes are those of the plot."""

    density_norm: DensityNorm
    split: bool
    strip: bool
    jitter: float | bool
    size: float

    def draw(self, ax: Axes, sides: Sequence[Sequence[npt.NDArray[Any]]]) -> None:
        """Draw the violins of two groups, each with its values by gene."""
        fills = [desaturated(f"C{side}", SATURATION) for side in range(2)]
        line = shade(fills)
        width = 1.25 * mpl.rcParams["patch.linewidth"]
        random = np.random.default_rng(0)
        for side, columns in enumerate(sides):
            densities = [estimate(values, DensityShape(cut=CUT)) for values in columns]
            halves = half_widths(densities, self.density_norm, width=0.8 if self.split else 0.4)
            look = {"facecolor": fills[side], "edgecolor": line, "linewidth": width}
            middle = 0.2 if side else -0.2
            for place, (density, half) in enumerate(zip(densities, halves, strict=True)):
                ends = self._ends(place, side, half)
                self._draw_one(ax, density, ends, look)
                if self.strip:
                    reach = (JITTER if self.jitter is True else float(self.jitter)) / 2
                    values = columns[place]
                    ax.scatter(
                        place + middle + random.uniform(-reach, reach, len(values)),
                        values,
                        s=self.size**2,
                        color="black",
                        linewidth=0,
                        zorder=3,
                        rasterized=settings.vector_friendly,
                    )

    def _ends(self, place: int, side: int, half: Any) -> tuple[Any, Any]:
        """Left and right ends of a violin along its support."""
        if self.split:
            return (
                (np.full_like(half, place), place + half)
                if side
                else (
                    place - half,
                    np.full_like(half, place),
                )
            )
        middle = place + (0.2 if side else -0.2)
        return middle - half, middle + half

    def _draw_one(
        self, ax: Axes, density: Density, ends: tuple[Any, Any], look: dict[str, Any]
    ) -> None:
        if len(density.support) == 1:
            height = [density.support[0]] * 2
            ax.plot(
                [ends[0][0], ends[1][0]], height, c=look["edgecolor"], linewidth=look["linewidth"]
            )
        elif len(density.support) > 1:
            ax.fill_betweenx(density.support, *ends, **look)
