"""Several matrices as one source: joined along one axis, aligned by names along the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.graph.placing import as_rows, filled, local_positions, place
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.selection import Positions, Selector, is_whole, length, tighten
from lazyomics.graph.source import StorageFormat
from lazyomics.kernels.block import SparseBlock

__all__ = ["JoinedPart", "JoinedSource"]


@dataclass(frozen=True, eq=False)
class JoinedPart:
    """One of the joined matrices.

    Attributes
    ----------
    recipe
        The matrix; None for one that is missing, which is filled throughout.
    length
        Its size along the joined axis.
    places
        For each position of the other axis of the result, the position in this part or −1 where
        it has none; a slice says that the part fills just these positions, in order; None that it
        has the positions of the result.
    """

    recipe: Recipe | None
    length: int
    places: Positions | slice | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values; float64 where it is missing, as its fill value has."""
        return np.dtype(np.float64) if self.recipe is None else np.dtype(self.recipe.meta().dtype)

    @property
    def is_sparse(self) -> bool:
        """Whether its blocks are sparse."""
        return self.recipe is not None and isinstance(self.recipe.meta(), SparseBlock)


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """Matrices joined along rows (``axis=0``) or columns (``axis=1``).

    Selections reach every part that they touch and no other. Blocks are CSR if ``sparse``, whatever
    the parts are, else dense.

    Attributes
    ----------
    parts
        In the order of the result.
    axis
        Along which they are joined.
    width
        Size of the other axis.
    sparse
        Whether blocks are sparse.
    values
        NumPy's name of the type of the values.
    fill
        Value where a part has nothing.
    """

    parts: tuple[JoinedPart, ...]
    axis: int
    width: int
    sparse: bool
    values: str
    fill: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        n = sum(part.length for part in self.parts)
        return (n, self.width) if self.axis == 0 else (self.width, n)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.values)

    @property
    def format(self) -> StorageFormat:
        return "csr" if self.sparse else "dense"

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The matrices that it reads from."""
        return tuple(part.recipe for part in self.parts if part.recipe is not None)

    @property
    def counts_are_exact(self) -> bool:
        """Whether ``stored_per_line`` counts what blocks hold; else it is an upper bound."""
        return self.axis == 0 and all(_counts_are_exact(part) for part in self.parts)

    def stored_per_line(self) -> NDArray[np.int64] | None:
        if not self.sparse:
            return None
        if self.axis == 0:
            counts = [_stored_rows(p) + self._gaps(p) for p in self.parts]
            return np.concatenate([np.empty(0, np.int64), *counts])
        total = np.zeros(self.width, dtype=np.int64)
        for part in self.parts:
            here = local_positions(part.places, slice(0, self.width, 1))
            stored = _stored_rows(part) if part.recipe is not None else np.zeros(1, np.int64)
            if len(stored):
                total += np.where(here >= 0, stored[here], part.length if self.fill else 0)
        return total

    def _gaps(self, part: JoinedPart) -> int:
        """Values that filling adds to each row of a part."""
        if not self.fill:
            return 0
        if part.recipe is None:
            return self.width
        return int((local_positions(part.places, slice(0, self.width, 1)) < 0).sum())

    def read(self, rows: Selector, cols: Selector) -> Any:
        lines, others = (rows, cols) if self.axis == 0 else (cols, rows)
        bounds = np.concatenate([[0], np.cumsum([part.length for part in self.parts])])
        if isinstance(lines, slice):
            cuts = [(max(a, lines.start), min(b, lines.stop)) for a, b in pairwise(bounds)]
            chosen: list[Selector] = [slice(int(a), int(max(a, b)), 1) for a, b in cuts]
            back = None
        else:
            chosen, back = _by_owner(lines, bounds)
        pieces = [
            self._read_part(part, _minus(local, int(first)), others)
            for part, local, first in zip(self.parts, chosen, bounds, strict=False)
            if length(local)
        ]
        if not pieces:
            return self._nothing(length(rows), length(cols))
        joined: Any = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=self.axis)
        if back is None:
            return joined
        return joined[back, :] if self.axis == 0 else joined[:, back]

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a joined matrix is read by rows")

    def _read_part(self, part: JoinedPart, lines: Selector, others: Selector) -> Any:
        """Lines of one part, in the places that the result gives them."""
        n, width = length(lines), length(others)
        if part.recipe is None:
            return self._filled((n, width) if self.axis == 0 else (width, n))
        if part.places is None:
            return self._read_recipe(part.recipe, lines, others)
        here = local_positions(part.places, others)
        present = np.flatnonzero(here >= 0)
        block = self._read_recipe(part.recipe, lines, tighten(here[present]))
        if len(present) == width:
            return block
        return place(block, present, width, axis=1 - self.axis, fill=self.fill)

    def _read_recipe(self, recipe: Recipe, lines: Selector, others: Selector) -> Any:
        rows, cols = (lines, others) if self.axis == 0 else (others, lines)
        n_rows, n_cols = recipe.shape
        part = recipe.in_rows()
        if not is_whole(rows, n_rows):
            part = part.take_rows(rows)
        if not is_whole(cols, n_cols):
            part = part.take_cols(cols)
        block = part.load(part.rows, part.steps)
        if self.sparse:
            block = as_rows(block)
        return block if block.dtype == self.dtype else block.astype(self.dtype)

    def _filled(self, shape: tuple[int, int]) -> Any:
        return filled(shape, self.fill, self.dtype, sparse=self.sparse)

    def _nothing(self, n_rows: int, n_cols: int) -> Any:
        return filled((n_rows, n_cols), 0.0, self.dtype, sparse=self.sparse)


def _counts_are_exact(part: JoinedPart) -> bool:
    """Whether a part is stored by rows and all that a row stores is in the result."""
    recipe = part.recipe
    if recipe is None:
        return True
    source, n_cols = recipe.source, recipe.shape[1]
    if source.format != "csr" or not part.is_sparse or n_cols != source.shape[1]:
        return False
    if not is_whole(recipe.cols, n_cols) or not getattr(source, "counts_are_exact", True):
        return False
    used = part.places[part.places >= 0] if isinstance(part.places, np.ndarray) else None
    return used is None or len(used) == n_cols


def _stored_rows(part: JoinedPart) -> NDArray[np.int64]:
    """Stored values of each row of a part; of what is not stored by rows, an upper mean."""
    if part.recipe is None:
        return np.zeros(part.length, dtype=np.int64)
    n_rows, n_cols = part.recipe.shape
    source = part.recipe.source
    stored = source.stored_per_line() if part.is_sparse else None
    if stored is None:
        return np.full(n_rows, n_cols, dtype=np.int64)
    if source.format == "csc":
        mean = -(-int(stored.sum()) // max(1, source.shape[0]))
        return np.full(n_rows, mean, dtype=np.int64)
    return np.asarray(stored[part.recipe.rows])


def _by_owner(lines: Positions, bounds: NDArray[np.int64]) -> tuple[list[Selector], Positions]:
    """Positions of each part, and where each line ends up among them."""
    owner = np.searchsorted(bounds, lines, side="right") - 1
    order = np.argsort(owner, kind="stable")
    cuts = np.searchsorted(owner[order], np.arange(len(bounds)))
    chosen = [tighten(lines[order[a:b]]) for a, b in pairwise(cuts)]
    back = np.empty(len(lines), dtype=np.int64)
    back[order] = np.arange(len(lines))
    return chosen, back


def _minus(selector: Selector, first: int) -> Selector:
    if isinstance(selector, slice):
        return slice(selector.start - first, selector.stop - first, 1)
    return selector - first
