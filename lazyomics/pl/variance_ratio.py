"""Share of variance of each principal component."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.figure import Save, finish, widest
from lazyomics.pl.keywords import checked_keywords

__all__ = ["pca_variance_ratio"]


@checked_keywords()
def pca_variance_ratio(
    adata: AnnData,
    n_pcs: int = 30,
    *,
    log: bool = False,
    show: bool | None = None,
    save: Save = None,
) -> Axes | None:
    """Share of variance that each principal component explains, in decreasing order.

    Parameters
    ----------
    adata
        :func:`lazyomics.pp.pca` has been run on it.
    n_pcs
        Number of components to show (one more is shown if there are more, as scanpy does).
    log
        Whether to show natural logarithms.
    show, save
        See :mod:`lazyomics.pl`.

    Returns
    -------
    The axes, or None if the figure was shown.

    Raises
    ------
    KeyError
        If there is no ``uns["pca"]["variance_ratio"]``.

    Notes
    -----
    Passes over X: 0. Peak memory: O(components).

    Examples
    --------
    >>> import lazyomics as lo
    >>> import numpy as np
    >>> adata = lo.AnnData(np.eye(3), uns={"pca": {"variance_ratio": np.array([0.6, 0.3])}})
    >>> ax = lo.pl.pca_variance_ratio(adata, show=False)
    >>> [text.get_text() for text in ax.texts]
    ['PC1', 'PC2']
    """
    check_annotated(adata, "pl.pca_variance_ratio")
    if "pca" not in adata.uns or "variance_ratio" not in adata.uns["pca"]:
        raise KeyError("uns has no ['pca']['variance_ratio']; run lo.pp.pca(adata) first")
    ratios = np.asarray(adata.uns["pca"]["variance_ratio"], dtype=np.float64)
    scores = np.log(ratios) if log else ratios
    best = np.argsort(scores)[::-1][: n_pcs + 1]
    width, height = mpl.rcParams["figure.figsize"]
    figure = plt.figure(figsize=(width, height))
    ax = figure.add_axes((0.2, 0.13, 0.79, 0.77))
    for rank, component in enumerate(best):
        ax.text(
            rank,
            scores[component],
            f"PC{component + 1}",
            rotation="vertical",
            verticalalignment="bottom",
            horizontalalignment="center",
            fontsize=8,
        )
    ax.set(title="variance ratio", xlabel="ranking", xlim=(-0.9, len(best) - 0.1))
    lowest, highest = scores[best].min(), scores[best].max()
    bottom = (0.95 if lowest > 0 else 1.05) * lowest
    # Texts stand on their values: leave room for the one at the highest value.
    room = 1.3 * widest(["PC10"], fontsize=8) / (0.77 * height)
    ax.set_ylim(bottom, bottom + (highest - bottom) / (1 - room))
    return finish(figure, ax, name="pca_variance_ratio", show=show, save=save, owned=True)
