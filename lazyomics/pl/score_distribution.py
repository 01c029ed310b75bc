"""Scores of cells and of simulated doublets as histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.figure import Save, finish
from lazyomics.pl.keywords import checked_keywords

__all__ = ["scrublet_score_distribution"]

BINS = np.linspace(0, 1, 50).tolist()


@checked_keywords()
def scrublet_score_distribution(
    adata: AnnData,
    *,
    scale_hist_obs: str = "log",
    scale_hist_sim: str = "linear",
    figsize: tuple[float, float] = (8, 3),
    return_fig: bool = False,
    show: bool | None = None,
    save: Save = None,
) -> Figure | NDArray[Any] | None:
    """Histograms of the doublet scores of cells and of simulated doublets, with the threshold.

    Parameters
    ----------
    adata
        :func:`lazyomics.pp.scrublet` has been run on it. Each of its batches gets a row.
    scale_hist_obs, scale_hist_sim
        Scale of the y axis for cells and for doublets, as matplotlib knows it.
    figsize
        Width and height of a row in inches.
    return_fig
        Return the figure instead of its axes, also if it was shown.
    show, save
        See :mod:`lazyomics.pl`.

    Returns
    -------
    The axes, an array of shape (2,), with batches (batches, 2), or None if the figure was shown;
    the figure if ``return_fig``.

    Raises
    ------
    ValueError
        If ``pp.scrublet`` has not been run, or a batch is not among those that it was run on.

    Notes
    -----
    Passes over X: 0. Peak memory: O(cells and doublets). Cells without a score are left out.

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"doublet_score": [0.1, 0.3]}, index=["a", "b"])
    >>> uns = {"scrublet": {"doublet_scores_sim": np.array([0.2, 0.8]), "threshold": 0.5}}
    >>> axes = lo.pl.scrublet_score_distribution(lo.AnnData(obs=obs, uns=uns), show=False)
    >>> [ax.get_title() for ax in axes]
    ['Observed transcriptomes', 'Simulated doublets']
    """
    check_annotated(adata, "pl.scrublet_score_distribution")
    if "scrublet" not in adata.uns or "doublet_score" not in adata.obs.columns:
        raise ValueError("there are no doublet scores: run lo.pp.scrublet(adata) first")
    found = dict(adata.uns["scrublet"])
    rows = list(_rows(adata, found))
    width, height = figsize
    figure, axes = plt.subplots(len(rows), 2, figsize=(width, height * len(rows)), squeeze=False)
    for (suffix, scores, entry), (of_cells, of_doublets) in zip(rows, axes, strict=True):
        threshold = entry.get("threshold")
        _draw(of_cells, scores, scale_hist_obs, threshold)
        of_cells.set_title(f"Observed transcriptomes{suffix}")
        _draw(of_doublets, np.asarray(entry["doublet_scores_sim"]), scale_hist_sim, threshold)
        of_doublets.set_title(f"Simulated doublets{suffix}")
    figure.tight_layout()
    returned = axes if "batched_by" in found else axes[0]
    name = "scrublet_score_distribution"
    given = finish(figure, returned, name=name, show=show, save=save, owned=True)
    return figure if return_fig else given


def _rows(
    adata: AnnData, found: Mapping[str, Any]
) -> Iterator[tuple[str, NDArray[Any], Mapping[str, Any]]]:
    """What each row shows: end of the titles, scores of cells, entry of ``uns``."""
    scores = adata.obs["doublet_score"].to_numpy(dtype=np.float64)
    if "batched_by" not in found:
        yield "", scores, found
        return
    entries = dict(found["batches"])
    batches = pd.Categorical(adata.obs[found["batched_by"]]).remove_unused_categories()
    for code, batch in enumerate(batches.categories):
        # in a file the names of entries are text
        key = batch if batch in entries else str(batch)
        if key not in entries:
            raise ValueError(
                f"pp.scrublet was not run on batch {batch!r}, only on {list(entries)}: run it again"
            )
        yield f" ({batch})", scores[batches.codes == code], dict(entries[key])


def _draw(ax: Axes, scores: NDArray[Any], scale: str, threshold: float | None) -> None:
    ax.hist(scores[~np.isnan(scores)], BINS, color="gray", linewidth=0, density=True)
    ax.set_yscale(scale)
    limits = ax.get_ylim()
    ax.set_ylim(limits)
    if threshold is not None:
        ax.plot([threshold, threshold], limits, c="black", linewidth=1)
    ax.set(xlabel="Doublet score", ylabel="Prob. density")
