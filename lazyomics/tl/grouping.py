"""What verbs that cluster the graph have in common: which cells, which graph, where labels go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.container import AnnData
from lazyomics.container.categories import natural_key
from lazyomics.errors import ShapeError
from lazyomics.names import choices
from lazyomics.pp.stored_graph import as_graph, choose_graph

__all__ = ["Task", "task_of"]


class Task(NamedTuple):
    """A graph to cluster, and what its cells are.

    Attributes
    ----------
    adjacency
        Weights among the cells that take part.
    restrict_to
        Column of obs and categories of these cells, if not all take part.
    restricted
        Which of all cells take part, if not all.
    """

    adjacency: sparse.csr_matrix
    restrict_to: tuple[str, Sequence[str]] | None
    restricted: NDArray[np.bool_] | None

    def store(self, adata: AnnData, key: str, default: str, membership: Sequence[int]) -> str:
        """Set the column of obs and return its name: of a restricted one ``<default>_R``."""
        labels: NDArray[Any] = np.array(membership).astype("U")
        if self.restrict_to is not None and self.restricted is not None:
            key = f"{default}_R" if key == default else key
            labels = _relabel(adata.obs, self.restrict_to, self.restricted, labels)
        categories = sorted(np.unique(labels).tolist(), key=natural_key)
        adata.obs[key] = pd.Categorical(labels, categories=categories)
        return key


def task_of(
    adata: AnnData,
    adjacency: Any,
    restrict_to: tuple[str, Sequence[str]] | None,
    neighbors_key: str | None,
    obsp: str | None,
) -> Task:
    """Choose the graph, as scanpy's parameters of these names say.

    Raises
    ------
    KeyError, TypeError, ValueError
        If there is no such graph, column or category, or weights are not finite.
    ShapeError
        If the graph is of another number of cells.
    """
    if adjacency is None:
        adjacency = choose_graph(adata, obsp=obsp, neighbors_key=neighbors_key)
    else:
        adjacency = as_graph(adjacency, "adjacency")
    if adjacency.shape != (adata.n_obs, adata.n_obs):
        raise ShapeError(
            f"the graph has shape {adjacency.shape}, expected {(adata.n_obs, adata.n_obs)}"
        )
    restricted = None if restrict_to is None else _restriction(adata.obs, *restrict_to)
    if restricted is not None:
        adjacency = adjacency[restricted, :][:, restricted]
    return Task(sparse.csr_matrix(adjacency), restrict_to, restricted)


def _restriction(obs: pd.DataFrame, key: str, categories: Sequence[str]) -> NDArray[np.bool_]:
    if isinstance(categories, str) or not all(isinstance(c, str) for c in categories):
        raise ValueError(
            f"restrict_to needs (obs_key, list of labels as text), found {categories!r}"
        )
    if key not in obs:
        raise KeyError(f"adata.obs has no {key!r}, which restrict_to names; {choices(key, obs)}")
    if not isinstance(obs[key].dtype, pd.CategoricalDtype):
        raise ValueError(f"adata.obs[{key!r}] must be categorical, found {obs[key].dtype}")
    labels = obs[key].cat.categories
    unknown = [c for c in categories if c not in labels]
    if unknown:
        raise ValueError(
            f"{unknown} are no categories of adata.obs[{key!r}]; {choices(unknown, labels)}"
        )
    return obs[key].isin(list(categories)).to_numpy()


def _relabel(
    obs: pd.DataFrame,
    restrict_to: tuple[str, Sequence[str]],
    restricted: NDArray[np.bool_],
    labels: NDArray[np.str_],
) -> NDArray[Any]:
    key, categories = restrict_to
    everyone = np.array([str(label) for label in obs[key]], dtype=object)
    everyone[restricted] = [f"{'-'.join(categories)},{label}" for label in labels]
    return everyone
