"""``tl.embedding_density``: how densely cells lie in an embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.names import choices
from lazyomics.pp.representation import check_finite

__all__ = ["embedding_density"]

FEWEST = 3  # cells of which a density in two dimensions can be estimated


def embedding_density(
    adata: AnnData,
    basis: str = "umap",
    *,
    groupby: str | None = None,
    key_added: str | None = None,
    components: str | Sequence[str] | Sequence[int] | None = None,
) -> None:
    """Estimate the density of cells in two dimensions of an embedding, eagerly.

    Densities are scaled to lie between 0 and 1, in each group by itself: they can be compared
    within a group only.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    basis
        Embedding ``adata.obsm["X_" + basis]``; ``"fa"`` stands for ``"draw_graph_fa"``.
    groupby
        Categorical column of obs: the density of each category by itself.
    key_added
        Column of obs; by default ``"<basis>_density"`` or ``"<basis>_density_<groupby>"``.
    components
        Two dimensions, counted from 1, as ``"1,2"`` (the default) or a list. Of ``"diffmap"`` the
        trivial first one does not count.

    Returns
    -------
    None
        Sets ``adata.obs[key_added]``, float64, and ``adata.uns[key_added + "_params"]`` with
        ``covariate`` and ``components``.

    Raises
    ------
    ValueError
        If there is no such embedding or dimension, no categorical column of that name, fewer than
        three cells in a group, or coordinates are not finite.

    Notes
    -----
    Passes over X: 0. Each cell is compared with each other of its group. Peak memory: a few
    values a cell.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> places = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1], [9, 9]])
    >>> adata = lo.AnnData(np.eye(5), obsm={"X_umap": places})
    >>> lo.tl.embedding_density(adata)
    >>> adata.obs["umap_density"].round(2).tolist()[-1]
    0.0
    """
    check_annotated(adata, "tl.embedding_density")
    basis = basis.lower()
    logging.info(f"computing density on {basis!r}")
    basis = "draw_graph_fa" if basis == "fa" else basis
    if f"X_{basis}" not in adata.obsm:
        raise ValueError(
            f"adata.obsm has no 'X_{basis}'; "
            f"{choices(f'X_{basis}', adata.obsm, step='what computes the embedding')}"
        )
    chosen = _components(components)
    places = np.asarray(adata.obsm[f"X_{basis}"])
    columns = chosen if basis == "diffmap" else [c - 1 for c in chosen]
    if places.ndim != 2 or not all(0 <= c < places.shape[1] for c in columns):
        raise ValueError(f"obsm['X_{basis}'] has shape {places.shape}: no components {chosen}")
    check_finite(places[:, columns], f"obsm['X_{basis}']", adata.obs_names)
    densities = np.zeros(adata.n_obs)
    for name, members in _groups(adata.obs, groupby):
        if members.sum() < FEWEST:
            raise ValueError(
                f"a density needs at least {FEWEST} cells, found {members.sum()}{name}"
            )
        densities[members] = _scaled_density(places[members][:, columns])
    if key_added is None:
        key_added = f"{basis}_density" if groupby is None else f"{basis}_density_{groupby}"
    adata.obs[key_added] = densities
    adata.uns[f"{key_added}_params"] = {"covariate": groupby, "components": chosen}
    logging.hint(
        f"added\n    '{key_added}', densities (adata.obs)\n"
        f"    '{key_added}_params', parameter (adata.uns)"
    )


def _components(given: str | Sequence[str] | Sequence[int] | None) -> list[int]:
    parts = ["1", "2"] if given is None else given
    parts = parts.split(",") if isinstance(parts, str) else parts
    chosen = [int(part) for part in parts]
    if len(chosen) != 2:
        raise ValueError(f"components are two dimensions of the embedding, found {given!r}")
    return chosen


def _groups(obs: pd.DataFrame, groupby: str | None) -> list[tuple[str, NDArray[np.bool_]]]:
    """Cells of each group, and how to name it."""
    if groupby is None:
        return [("", np.ones(len(obs), dtype=bool))]
    if groupby not in obs:
        raise ValueError(f"adata.obs has no {groupby!r}; {choices(groupby, obs.columns)}")
    column = obs[groupby]
    if column.dtype.kind in "OUT" and not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")  # text, which scanpy makes categories of, too
    if not isinstance(column.dtype, pd.CategoricalDtype):
        raise ValueError(f"adata.obs[{groupby!r}] must be categorical, found {column.dtype}")
    return [
        (f" in category {category!r} of obs[{groupby!r}]", (column == category).to_numpy())
        for category in column.cat.categories
    ]


def _scaled_density(places: NDArray[np.floating]) -> NDArray[np.float64]:
    from scipy.stats import gaussian_kde

    points = np.vstack([places[:, 0], places[:, 1]])
    density: NDArray[np.float64] = gaussian_kde(points)(points)
    scaled: NDArray[np.float64] = (density - density.min()) / (density.max() - density.min())
    return scaled
