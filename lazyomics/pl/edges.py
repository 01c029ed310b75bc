"""Edges of the neighbour graph below the points of an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.pl.theme import settings

__all__ = ["Edges"]


@dataclass(frozen=True)
class Edges:
    """Edges between observations.

    Attributes
    ----------
    ends
        Positions of the two ends of each edge, shape (n_edges, 2).
    width
        Line width in points.
    color
        Colour of all edges, or a sequence of colours.
    """

    ends: npt.NDArray[np.intp]
    width: float
    color: ColorType | Sequence[ColorType]

    @classmethod
    def of(
        cls,
        adata: AnnData,
        neighbors_key: str | None,
        width: float,
        color: ColorType | Sequence[ColorType],
    ) -> Edges:
        """Edges of the graph that ``uns[neighbors_key]`` points to."""
        key = neighbors_key or "neighbors"
        if key not in adata.uns:
            raise ValueError(f"edges=True needs uns[{key!r}]; run pp.neighbors first")
        graph = adata.obsp[adata.uns[key].get("connectivities_key", "connectivities")]
        matrix = scipy.sparse.triu(_in_memory(graph), k=1, format="coo")
        return cls(np.column_stack([matrix.row, matrix.col]), width, color)

    def draw(self, ax: Axes, points: npt.NDArray[Any]) -> None:
        """Draw the edges below the points, coordinates of shape (n_obs, 2)."""
        lines = LineCollection(
            list(points[self.ends]),
            linewidths=self.width,
            colors=self.color,
            zorder=-2,
            rasterized=settings.vector_friendly,
        )
        ax.add_collection(lines, autolim=False)


def _in_memory(matrix: Any) -> Any:
    """Graph as scipy sparse, from scipy, numpy, or a lazy matrix of sparse blocks."""
    loaded = matrix.compute() if hasattr(matrix, "compute") else matrix
    return loaded.to_scipy() if hasattr(loaded, "to_scipy") else scipy.sparse.coo_array(loaded)
