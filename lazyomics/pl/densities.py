"""Densities of cells in an embedding, as ``tl.embedding_density`` computed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.coloring import colormap
from lazyomics.pl.embeddings import embedding
from lazyomics.pl.figure import Save, figure_of, finish, panel_grid
from lazyomics.pl.values import coordinates

__all__ = ["embedding_density"]


def embedding_density(
    adata: AnnData,
    basis: str = "umap",
    *,
    key: str | None = None,
    groupby: str | None = None,
    group: str | Sequence[str] | None = "all",
    color_map: Colormap | str = "YlOrRd",
    bg_dotsize: int | None = 80,
    fg_dotsize: int | None = 180,
    vmax: int | None = 1,
    vmin: int | None = 0,
    vcenter: int | None = None,
    norm: Normalize | None = None,
    ncols: int | None = 4,
    hspace: float | None = 0.25,
    wspace: float | None = None,
    title: str | None = None,
    show: bool | None = None,
    save: Save = None,
    ax: Axes | None = None,
    return_fig: bool | None = None,
    **kwargs: Any,
) -> Figure | Axes | list[Axes] | None:
    """Density of the cells in an embedding, of each group in a panel.

    Parameters
    ----------
    adata
        :func:`lazyomics.tl.embedding_density` has been run on it.
    basis
        Key in ``obsm``, without ``X_``.
    key
        Column of ``obs`` with densities; by default ``"umap_density"``, and the name of
        ``groupby`` after it.
    groupby
        Column of ``obs`` that was given to ``tl.embedding_density``, instead of ``key``.
    group
        Groups to show, by default all.
    color_map
        Colour map; cells of other groups are grey.
    bg_dotsize, fg_dotsize
        Area of cells of other groups, and of the group, in square points.
    vmax, vmin, vcenter, norm
        Limits and centre of the colour scale, or a matplotlib norm instead.
    ncols, hspace, wspace
        Most panels in a row, and the space between them as a share of their height and width.
    title
        Title of all panels; by default the group.
    show, save
        See :mod:`lazyomics.pl`.
    ax
        Axes to draw into; only of densities without groups.
    return_fig
        Whether to return the figure instead of showing or saving it.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    The figure if ``return_fig``; None if it was shown; else the axes, a list if there are groups.

    Raises
    ------
    KeyError
        If ``basis`` is unknown.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If densities were not computed, are not between 0 and 1, there is no such group, or
        parameters contradict each other.

    Notes
    -----
    Passes over X: 0. Peak memory: a few n_obs values.
    """
    check_annotated(adata, "pl.embedding_density")
    basis = "draw_graph_fa" if basis.lower() == "fa" else basis.lower()
    key = _key(adata, key, groupby)
    params: Mapping[str, Any] = adata.uns[f"{key}_params"]
    covariate = params["covariate"]
    groups = _groups(adata, group, covariate)
    if groups is not None and ax is not None:
        raise ValueError("ax takes densities without groups, but each group has a panel")
    densities = adata.obs[key].to_numpy(dtype=np.float64)
    if np.nanmin(densities) < 0 or np.nanmax(densities) > 1:
        raise ValueError(f"obs[{key!r}] is not between 0 and 1, so it holds no scaled densities")
    if kwargs.pop("components", None) is not None:
        logging.warning("components has no effect: densities are of those they were computed for")
    dims = tuple(int(number) - 1 for number in np.asarray(params["components"]))
    cmap = colormap(color_map).with_extremes(over="black", under="lightgray")
    options = {"dimensions": dims, "cmap": cmap, "vmax": vmax, "vmin": vmin, "vcenter": vcenter}
    options |= {"norm": norm, "show": False, "save": False, **kwargs}
    if groups is None:
        shown = "" if title is None else title
        sizes = np.full(adata.n_obs, fg_dotsize, np.float64)
        drawn = _draw(adata, basis, densities, sizes, {**options, "title": shown, "ax": ax})
        figure = figure_of(drawn)
        result: Axes | list[Axes] = drawn
    else:
        if wspace is None:
            wspace = 0.75 / mpl.rcParams["figure.figsize"][0] + 0.02
        columns, space = 4 if ncols is None else ncols, 0.25 if hspace is None else hspace
        figure, axes = panel_grid(len(groups), ncols=columns, hspace=space, wspace=wspace)
        for panel, name in zip(axes, groups, strict=True):
            inside = np.asarray(adata.obs[covariate] == name)
            values = np.where(inside, densities, -1)
            sizes = np.full(adata.n_obs, bg_dotsize, np.float64)
            sizes[inside] = fg_dotsize
            shown = str(name) if title is None else title
            _draw(adata, basis, values, sizes, {**options, "title": shown, "ax": panel})
        result = axes
    if return_fig:
        return figure
    return finish(figure, result, name=f"{key}_", show=show, save=save, owned=ax is None)


def _key(adata: AnnData, key: str | None, groupby: str | None) -> str:
    if key is not None and groupby is not None:
        raise ValueError("give either key or groupby, not both")
    name = "umap_density" if key is None else key
    name = name if groupby is None else f"{name}_{groupby}"
    if name not in adata.obs.columns or f"{name}_params" not in adata.uns:
        raise ValueError(
            f"there is no obs[{name!r}] with uns['{name}_params']: run lo.tl.embedding_density, or "
            "name its key_added"
        )
    return name


def _groups(
    adata: AnnData, group: str | Sequence[str] | None, covariate: str | None
) -> list[Any] | None:
    """Groups that have a panel each, None if there are none."""
    if covariate is None:
        if group not in (None, "all"):
            logging.warning("group has no effect: densities were computed without groups")
        return None
    known = list(adata.obs[covariate].astype("category").cat.categories)
    if group is None:
        raise ValueError(f"densities are of the groups of obs[{covariate!r}]: name some of {known}")
    asked = [group] if isinstance(group, str) else list(group)
    groups = known if group == "all" else asked
    missing = [name for name in groups if name not in known]
    if missing or not groups:
        raise ValueError(f"group={missing or groups}: expected some of {known}")
    return groups


def _draw(
    adata: AnnData,
    basis: str,
    values: npt.NDArray[Any],
    sizes: npt.NDArray[Any],
    options: dict[str, Any],
) -> Axes:
    """Draw one panel, from an object that has just what is shown."""
    obs = pd.DataFrame({"density": values}, index=adata.obs_names)
    parts: dict[str, Any] = {"obsm": {basis: coordinates(adata, basis)}}
    if options.get("edges"):
        parts |= {"uns": dict(adata.uns), "obsp": dict(adata.obsp)}
    content = AnnData(obs=obs, **parts)
    return cast("Axes", embedding(content, basis, color="density", size=sizes, **options))
