"""Histograms of columns of obs and of variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.values import cell_values
from lazyomics.names import choices
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.keywords import checked_keywords
from lazyomics.pl.values import as_categories, choose_raw, plot_values

__all__ = ["histogram"]

SIDE = 3.0  # inches of a panel, as in seaborn's grids


@checked_keywords(Rectangle, Axes.hist)
def histogram(
    data: AnnData | MuData,
    keys: str | Sequence[str],
    groupby: str | Sequence[str] | None = None,
    *,
    bins: int | str | Sequence[float] = "auto",
    show: bool | None = None,
    save: Save = None,
    **kwargs: Any,
) -> list[Axes] | None:
    """Histograms of numbers: columns of obs, or variables, a panel each.

    Parameters
    ----------
    data
        What to plot.
    keys
        Columns of obs and names of variables (``"rna:gene"`` in a MuData), of which ``raw`` is
        shown if there is one.
    groupby
        Column of obs with groups: a column of panels for each group. With one key two of them:
        the second splits into rows of panels.
    bins
        Edges, their number, or how :func:`numpy.histogram_bin_edges` finds them in each panel.
    show, save
        See :mod:`lazyomics.pl`.
    **kwargs
        As :meth:`matplotlib.axes.Axes.hist` takes them.

    Returns
    -------
    The axes, row by row, or None if the figure was shown. (muon returns None.)

    Raises
    ------
    KeyError
        If a key or a column is found nowhere.
    TypeError
        If ``data`` is neither, or values are no numbers.
    ValueError
        For more than two groupings, or two with several keys.

    Notes
    -----
    Passes over X: 1 if a variable is among the keys, else 0. Peak memory: n_obs values for each
    key.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"depth": [1.0, 2, 2, 5], "kind": list("abab")})
    >>> adata = lo.AnnData(np.eye(4), obs=obs)
    >>> axes = lo.pl.histogram(adata, "depth", groupby="kind", show=False)
    >>> [ax.get_title() for ax in axes]
    ['kind a', 'kind b']
    """
    check_annotated(data, "pl.histogram", or_modalities=True)
    keys = [keys] if isinstance(keys, str) else list(keys)
    given = [groupby] if isinstance(groupby, str) else list(groupby or ())
    if len(given) > 2:
        raise ValueError(f"groupby={given}: two columns at most")
    if len(given) == 2 and len(keys) > 1:
        raise ValueError(f"groupby={given}: two columns are for one key, found {keys}")
    values = _numbers(data, keys)
    columns = _masks(data, given[0]) if given else [("", np.ones(data.n_obs, dtype=bool))]
    rows = _masks(data, given[1]) if len(given) == 2 else [("", np.ones(data.n_obs, dtype=bool))]
    # Without groups the keys are side by side, with one grouping below each other.
    panels = [
        (key, values[key][row & column], " | ".join(filter(None, (above, beside))))
        for key in keys
        for beside, row in rows
        for above, column in columns
    ]
    shape = (len(panels) // len(columns), len(columns)) if given else (1, len(panels))
    figure, axes = plt.subplots(
        *shape, figsize=(SIDE * shape[1], SIDE * shape[0]), squeeze=False, layout="constrained"
    )
    for ax, (key, numbers, title) in zip(axes.flat, panels, strict=True):
        present = numbers[np.isfinite(numbers)]
        edges: Any = np.histogram_bin_edges(present, bins) if isinstance(bins, str) else bins
        ax.hist(present, bins=edges, **{"edgecolor": "black", "alpha": 0.75, **kwargs})
        ax.set(xlabel=key, title=title)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("Count")
    return finish(figure, list(axes.flat), name="histogram", show=show, save=save, owned=True)


def _numbers(data: AnnData | MuData, keys: list[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Values of each key for every observation; variables of an AnnData in one pass."""
    found: dict[str, Any]
    if isinstance(data, MuData):
        found = {key: cell_values(data, key, layer=None, use_raw=None).array for key in keys}
    else:
        raw = choose_raw(data, None, None)
        found = plot_values(data, keys, layer=None, use_raw=raw)
    for key, values in found.items():
        if isinstance(values, pd.Categorical) or not pd.api.types.is_numeric_dtype(values.dtype):
            raise TypeError(f"histograms are of numbers, but {key!r} holds {values.dtype}")
    return {key: np.asarray(values, dtype=np.float64) for key, values in found.items()}


def _masks(data: AnnData | MuData, key: str) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Title and members of each group of a column."""
    if isinstance(data, MuData):
        column = cell_values(data, key, layer=None, use_raw=None)
    elif key in data.obs.columns:
        column = data.obs[key]
    else:
        raise KeyError(f"groupby={key!r} is not in obs; {choices(key, data.obs.columns)}")
    groups = as_categories(column)
    if groups is None:
        groups = pd.Categorical(column)
    return [
        (f"{key} {category}", np.asarray(groups.codes == code))
        for code, category in enumerate(groups.categories)
    ]
