"""Places of cells around those of their groups, from which layouts begin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.container import AnnData
from lazyomics.graph.seeds import seed_of

__all__ = ["places_around_groups"]


def places_around_groups(adata: AnnData, random_state: Any) -> NDArray[np.float64]:
    """Scatter the cells of each group on the side of the group that it is most connected with.

    Parameters
    ----------
    adata
        With ``adata.uns["paga"]`` and its ``pos``, shape (n_groups, 2).
    random_state
        Seed, or a :class:`numpy.random.RandomState`.

    Returns
    -------
    float64, shape (n_obs, 2)

    Raises
    ------
    ValueError
        If the groups have no places.
    """
    entry = adata.uns.get("paga", {})
    if "pos" not in entry:
        raise ValueError(
            "init_pos='paga' needs adata.uns['paga']['pos'], the places of the groups: draw them "
            "first, with pl.paga(adata)"
        )
    random = np.random.RandomState(seed_of(random_state) % 2**32)
    groups = adata.obs[str(entry["groups"])].cat.codes.to_numpy()
    places = np.asarray(entry["pos"], dtype=np.float64)
    connected = sparse.csr_matrix(entry["connectivities"])
    positions = np.ones((adata.n_obs, 2))
    for group, place in enumerate(places):
        members = groups == group
        row = connected[group]
        if row.nnz:
            beside = place - places[row.indices[np.argmax(row.data)]]
            positions[members] = (
                place - 0.5 * beside + random.random_sample((int(members.sum()), 2)) * beside
            )
        else:
            positions[members] = place
    return positions
