"""Names at their scores: loadings of components, and any other ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.gridspec import GridSpec
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.container.mudata import MuData
from lazyomics.pl.embeddings import pca
from lazyomics.pl.figure import Save, figure_path, finish, widest
from lazyomics.pl.variance_ratio import pca_variance_ratio

__all__ = ["mofa_loadings", "pca_loadings", "pca_overview", "ranking"]

FONT_SIZE = 8
TEXT: dict[str, Any] = {
    "rotation": "vertical",
    "verticalalignment": "bottom",
    "horizontalalignment": "center",
    "fontsize": FONT_SIZE,
}
ONE_ROW = 5  # panels at most

Attribute = Literal["var", "obs", "uns", "varm", "obsm"]


def ranking(
    adata: AnnData,
    attr: Attribute,
    keys: str | Sequence[str],
    *,
    dictionary: str | None = None,
    indices: Sequence[int] | None = None,
    labels: str | Sequence[str] | None = None,
    color: ColorType = "black",
    n_points: int = 30,
    log: bool = False,
    include_lowest: bool = False,
    show: bool | None = None,
) -> GridSpec | None:
    """Names at their scores, in decreasing order.

    Parameters
    ----------
    adata
        What to plot.
    attr
        Where the scores are: ``"var"``, ``"obs"``, ``"uns"``, ``"varm"`` or ``"obsm"``.
    keys
        Key of the scores, or several, a panel each. A matrix has a panel for each column.
    dictionary
        Key in ``attr`` of a mapping that has ``keys``.
    indices
        Columns of a matrix to show, counted from 0.
    labels
        Names of what is ranked: a sequence, or a text to put before 1, 2, … By default
        ``var_names`` of ``"var"`` and ``"varm"``, else 0, 1, …
    color
        Colour of the names.
    n_points
        Number of names (one more without ``include_lowest``, as in scanpy).
    log
        Whether to show natural logarithms.
    include_lowest
        Whether half of the names are those of the lowest scores.
    show
        See :mod:`lazyomics.pl`.

    Returns
    -------
    The grid that the panels are in, or None if the figure was shown.

    Raises
    ------
    KeyError
        If there are no such scores.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If ``attr`` is unknown.

    Notes
    -----
    Passes over X: 0. Peak memory: the scores.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(3), var={"score": [1.0, 3.0, 2.0]})
    >>> grid = lo.pl.ranking(adata, "var", "score", show=False)
    >>> [text.get_text() for text in grid.figure.axes[0].texts]
    ['1', '2', '0']
    """
    check_annotated(adata, "pl.ranking")
    scores, titles = _scores(adata, attr, keys, dictionary, indices)
    names = _labels(adata, attr, labels, len(scores))
    columns = [np.log(column) if log else column for column in scores.T]
    grid = _ranked(columns, titles, names, n_points, color, include_lowest=include_lowest)
    assert grid.figure is not None
    return finish(grid.figure, grid, name="ranking", show=show, save=False, owned=True)


def _ranked(
    columns: Sequence[npt.NDArray[Any]],
    titles: Sequence[str],
    names: Sequence[str],
    n_points: int,
    color: ColorType,
    *,
    include_lowest: bool,
) -> GridSpec:
    """Draw a panel for each column of scores."""
    grid = _grid(len(titles))
    figure = grid.figure
    assert figure is not None
    for panel, (title, column) in enumerate(zip(titles, columns, strict=True)):
        ax = figure.add_subplot(grid[panel])
        _draw(ax, column, names, n_points, color, include_lowest=include_lowest)
        ax.set_title(title.replace("_", " "))
        if len(titles) <= ONE_ROW or panel >= grid.ncols:
            ax.set_xlabel("ranking")
    return grid


def _scores(
    adata: AnnData,
    attr: str,
    keys: str | Sequence[str],
    dictionary: str | None,
    indices: Sequence[int] | None,
) -> tuple[npt.NDArray[Any], list[str]]:
    """Scores, a column for each panel, and the titles of the panels."""
    if attr not in ("var", "obs", "uns", "varm", "obsm"):
        raise ValueError(f"attr={attr!r}: expected 'var', 'obs', 'uns', 'varm' or 'obsm'")
    place, where = getattr(adata, attr), attr
    if dictionary is not None:
        if dictionary not in place:
            raise KeyError(f"{attr} has no {dictionary!r}: {list(place)[:20]}")
        place, where = place[dictionary], f"{attr}[{dictionary!r}]"
    wanted = [keys] if isinstance(keys, str) else list(keys)
    missing = [key for key in wanted if key not in place]
    if missing:
        raise KeyError(f"{where} has no {missing}: {list(place)[:20]}")
    found = [_in_memory(place[key]) for key in wanted]
    if len(found) == 1 and found[0].ndim == 2:
        columns = range(found[0].shape[1]) if indices is None else [int(i) for i in indices]
        outside = [i for i in columns if not 0 <= i < found[0].shape[1]]
        if outside:
            raise ValueError(f"{where}[{wanted[0]!r}] has {found[0].shape[1]} columns: {outside}")
        # "PCs" holds PC1, PC2, …
        return found[0][:, list(columns)], [f"{wanted[0][:-1]}{i + 1}" for i in columns]
    return np.column_stack(found), wanted


def _in_memory(values: Any) -> npt.NDArray[Any]:
    loaded = values.compute() if hasattr(values, "compute") else values
    loaded = loaded.toarray() if hasattr(loaded, "toarray") else loaded
    return np.asarray(loaded, dtype=np.float64)


def _labels(adata: AnnData, attr: str, labels: str | Sequence[str] | None, count: int) -> list[str]:
    if isinstance(labels, str):
        return [f"{labels}{number + 1}" for number in range(count)]
    if labels is not None:
        return [str(label) for label in labels]
    if attr in ("var", "varm"):
        return [str(name) for name in adata.var_names]
    return [str(number) for number in range(count)]


def _grid(panels: int) -> GridSpec:
    rows, columns = (1, panels) if panels <= ONE_ROW else (2, int(panels / 2 + 0.5))
    width, height = mpl.rcParams["figure.figsize"]
    figure = plt.figure(figsize=(columns * width, rows * height))
    left, bottom = 0.2 / columns, 0.13 / rows
    return GridSpec(
        rows,
        columns,
        figure=figure,
        wspace=0.2,
        left=left,
        bottom=bottom,
        right=1 - (columns - 1) * left - 0.01 / columns,
        top=1 - (rows - 1) * bottom - 0.1 / rows,
    )


def _draw(
    ax: Axes,
    scores: npt.NDArray[Any],
    names: Sequence[str],
    n_points: int,
    color: ColorType,
    *,
    include_lowest: bool,
) -> None:
    order = np.argsort(scores)[::-1]
    highest = order[: n_points // 2] if include_lowest else order[: n_points + 1]
    lowest = order[len(order) - (n_points - n_points // 2) :] if include_lowest else highest[:0]
    shown = [*enumerate(highest)]
    if include_lowest:
        gap = len(highest) + len(lowest) < len(order)
        start = len(highest) + (2 if gap else 0)
        if gap:
            middle = (scores[highest[-1]] + scores[lowest[0]]) / 2
            ax.text(len(highest), middle, "⋮", color=color, **TEXT)
        shown += [(start + place, one) for place, one in enumerate(lowest)]
        ax.set_xticks([])
    for place, one in shown:
        ax.text(place, scores[one], names[one], color=color, **TEXT)
    ax.set_xlim(-0.9, n_points + 0.9 + (1 if include_lowest else 0))
    low, high = scores[lowest if include_lowest else highest].min(), scores[highest].max()
    bottom = (0.95 if low > 0 else 1.05) * low
    top = (1.05 if high > 0 else 0.95) * high
    # Texts stand on their values: leave room for those at the highest ones.
    inches = ax.get_position().height * ax.figure.get_figheight()  # type: ignore[union-attr]
    room = 1.1 * widest([names[one] for one in highest[:3]], fontsize=FONT_SIZE) / inches
    ax.set_ylim(bottom, max(top, bottom + (high - bottom) / max(1 - room, 0.2)))


def pca_loadings(
    adata: AnnData,
    components: str | Sequence[int] | None = None,
    *,
    include_lowest: bool = True,
    n_points: int | None = None,
    show: bool | None = None,
    save: Save = None,
) -> list[Axes] | None:
    """Genes at their loadings on principal components.

    Parameters
    ----------
    adata
        :func:`lazyomics.pp.pca` has been run on it.
    components
        Components counted from 1, such as ``"1,2,3"`` (the default) or ``[1, 2, 3]``.
    include_lowest
        Whether half of the genes are those with the lowest loadings.
    n_points
        Number of genes, by default 30 or all.
    show, save
        See :mod:`lazyomics.pl`.

    Returns
    -------
    The axes of the components, or None if the figure was shown. (scanpy returns None.)

    Raises
    ------
    KeyError
        If there is no ``varm["PCs"]``.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If there is no such component, or there are fewer genes than ``n_points``.

    Notes
    -----
    Passes over X: 0. Peak memory: O(n_vars × components).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> var, loadings = pd.DataFrame(index=["g1", "g2"]), np.array([[0.6, 0.8], [-0.8, 0.6]])
    >>> adata = lo.AnnData(np.eye(2), var=var, varm={"PCs": loadings})
    >>> axes = lo.pl.pca_loadings(adata, "1,2", show=False)
    >>> [text.get_text() for text in axes[1].texts]
    ['g1', 'g2']
    """
    check_annotated(adata, "pl.pca_loadings")
    numbers = _numbers("components", components)
    if n_points is not None and n_points > adata.n_vars:
        raise ValueError(f"n_points={n_points}, but there are {adata.n_vars} variables")
    grid = ranking(
        adata,
        "varm",
        "PCs",
        n_points=min(30, adata.n_vars) if n_points is None else n_points,
        indices=[number - 1 for number in numbers],
        include_lowest=include_lowest,
        show=False,
    )
    assert grid is not None
    figure = grid.figure
    assert figure is not None
    return finish(figure, figure.axes, name="pca_loadings", show=show, save=save, owned=True)


def _numbers(name: str, chosen: str | Sequence[int] | None) -> list[int]:
    """Numbers of components, counted from 1."""
    given = [1, 2, 3] if chosen is None else chosen
    numbers = [int(one) for one in (given.split(",") if isinstance(given, str) else given)]
    if min(numbers) < 1:
        raise ValueError(f"{name}={chosen!r}: they count from 1")
    return numbers


def mofa_loadings(
    mdata: MuData,
    factors: str | Sequence[int] | None = None,
    *,
    include_lowest: bool = True,
    n_points: int | None = None,
    show: bool | None = None,
    save: Save = None,
) -> list[Axes] | None:
    """Variables at their loadings on factors of MOFA, a figure for each modality.

    Parameters
    ----------
    mdata
        :func:`lazyomics.tl.mofa` has been run on it.
    factors
        Factors counted from 1, such as ``"1,2,3"`` (the default) or ``[1, 2, 3]``.
    include_lowest
        Whether half of the variables are those with the lowest loadings.
    n_points
        Number of variables, by default 30; fewer where a modality has fewer.
    show, save
        See :mod:`lazyomics.pl`; the name of the modality is added to that of the file.

    Returns
    -------
    The axes of all factors, modality by modality, or None if they were shown. (muon returns None.)

    Raises
    ------
    KeyError
        If there is no ``varm["LFs"]``.
    TypeError
        If ``mdata`` is no MuData.
    ValueError
        If there is no such factor, or there are fewer variables than ``n_points``.

    Notes
    -----
    Passes over X: 0. Peak memory: O(n_vars × factors).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> mods = {name: lo.AnnData(np.eye(2), var=pd.DataFrame(index=[name + "1", name + "2"]))
    ...         for name in ("rna", "atac")}
    >>> mdata = lo.MuData(mods)
    >>> mdata.varm["LFs"] = np.arange(8.0).reshape(4, 2)
    >>> axes = lo.pl.mofa_loadings(mdata, "1,2", show=False)
    >>> [text.get_text() for text in axes[2].texts]
    ['atac2', 'atac1']
    """
    if not isinstance(mdata, MuData):
        raise TypeError(
            f"pl.mofa_loadings takes a MuData, found {type(mdata).__name__}; of an AnnData: "
            'lo.pl.ranking(adata, "varm", "LFs")'
        )
    numbers = _numbers("factors", factors)
    if n_points is not None and n_points > mdata.n_vars:
        raise ValueError(f"n_points={n_points}, but there are {mdata.n_vars} variables")
    if "LFs" not in mdata.varm:
        raise KeyError('varm has no "LFs"; run lo.tl.mofa(mdata)')
    loadings = _in_memory(mdata.varm["LFs"])
    if max(numbers) > loadings.shape[1]:
        raise ValueError(f"factors={factors!r}: varm['LFs'] has {loadings.shape[1]}")
    drawn: list[Axes] = []
    shown = False
    for mod in mdata.mod:
        held = np.flatnonzero(mdata.varmap[mod])
        names = [str(name) for name in mdata.var_names[held]]
        grid = _ranked(
            [loadings[held, number - 1] for number in numbers],
            [f"{mod}: factor {number}" for number in numbers],
            names,
            min(n_points or 30, len(names)),
            "black",
            include_lowest=include_lowest,
        )
        figure = grid.figure
        assert figure is not None
        path = figure_path("mofa_loadings", save) if save else None
        each = save if path is None else path.with_stem(f"{path.stem}_{mod}")
        name = f"mofa_loadings_{mod}"
        axes = finish(figure, figure.axes, name=name, show=show, save=each, owned=True)
        shown = shown or axes is None
        drawn += axes or []
    return None if shown else drawn


def pca_overview(adata: AnnData, **params: Any) -> None:
    """Cells in principal components, loadings of genes, and shares of variance, a figure each.

    Parameters
    ----------
    adata
        :func:`lazyomics.pp.pca` has been run on it.
    **params
        As :func:`lazyomics.pl.pca` takes them; ``show`` is for all three figures.

    Raises
    ------
    KeyError
        If ``pp.pca`` was not run.
    TypeError
        If ``adata`` is no AnnData.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour.
    """
    check_annotated(adata, "pl.pca_overview")
    show = params.pop("show", None)
    pca(adata, **params, show=False)
    pca_loadings(adata, show=False)
    pca_variance_ratio(adata, show=show)
