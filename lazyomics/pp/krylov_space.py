"""An orthonormal basis that grows by images of its last block, restarted when it is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics.kernels.blas import one_blas_thread
from lazyomics.pp.tall_products import inner, orthonormal, subtract_product, times_in_place

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["KrylovSpace"]


class KrylovSpace:
    """Block Lanczos with thick restarts for a symmetric operator A of size p.

    Holds vectors Q (p, m), a next block F (p, b) orthogonal to them, and small T and C so that
    ``A @ Q = Q @ T + F @ C``: images need not be stored, and the residual of what Q approximates
    is known from C.

    Parameters
    ----------
    start
        Any vectors, float64, shape (p, b).
    room
        Most columns of Q.
    dtype
        To store Q in; products with it are taken in float64.
    """

    def __init__(self, start: NDArray[np.float64], room: int, dtype: DTypeLike) -> None:
        p = len(start)
        self.room = min(room, p)
        self.stored: NDArray[Any] = np.zeros((p, self.room), dtype=dtype)
        self.within = np.zeros((0, 0))
        self.scale = 0.0  # largest eigenvalue seen
        longest = float(np.linalg.norm(start, axis=0).max(initial=0.0))
        self.next, _ = orthonormal(start, 1e-12 * longest)
        self.coupling = np.zeros((self.next.shape[1], 0))

    @property
    def size(self) -> int:
        """Columns of Q."""
        return len(self.within)

    @property
    def vectors(self) -> NDArray[Any]:
        """Q."""
        return self.stored[:, : self.size]

    def fill(self, rng: np.random.Generator, width: int) -> None:
        """Go on at random, where the images led nowhere new."""
        width = min(width, self.room - self.size)
        block = rng.standard_normal((len(self.stored), width))
        self._project_out(block, self.vectors)
        self.next, _ = orthonormal(block, 0.0)
        self.coupling = np.zeros((self.next.shape[1], self.size))

    def extend(self, image: NDArray[np.float64], negligible: float) -> None:
        """Take in the next block, given its image (which is overwritten), and make a new one.

        Directions shorter than ``negligible`` times the largest eigenvalue are dropped.
        """
        m, b = self.size, self.next.shape[1]
        self.stored[:, m : m + b] = self.next
        q = self.stored[:, : m + b]
        along = inner(q, image)
        within = np.zeros((m + b, m + b))
        within[:m, :m] = self.within
        within[m:, :m], within[:m, m:] = self.coupling, self.coupling.T
        within[m:, m:] = (along[m:] + along[m:].T) / 2
        self.within = within
        self.scale = max(self.scale, float(np.abs(np.diag(within)).max(initial=0.0)))
        subtract_product(image, q, along)
        subtract_product(image, q, inner(q, image))  # twice is enough to be orthogonal
        block, factors = orthonormal(image, negligible * self.scale)
        if block.shape[1] < b:  # of a block close to dependent, rounding was magnified
            self._project_out(block, q)
            block = orthonormal(block, 0.5)[0] if block.shape[1] else block
            factors = inner(block, image)
        self.next = block
        self.coupling = np.zeros((block.shape[1], m + b))
        self.coupling[:, m:] = factors

    def ritz(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Best k eigenvalues (descending), their vectors in terms of Q, sizes of the residuals."""
        with one_blas_thread():
            values, turn = np.linalg.eigh(self.within)
            values, turn = values[::-1][:k], turn[:, ::-1][:, :k]
            return values, turn, np.linalg.norm(self.coupling @ turn, axis=0)

    def combined(self, turn: NDArray[np.float64]) -> NDArray[np.float64]:
        """``Q @ turn`` in float64."""
        out = np.zeros((len(self.stored), turn.shape[1]))
        subtract_product(out, self.vectors, -turn)
        return out

    def restart(self, keep: int) -> None:
        """Keep the best directions only."""
        values, turn, _ = self.ritz(keep)
        times_in_place(self.stored, np.ascontiguousarray(turn))
        self.within, self.coupling = np.diag(values), self.coupling @ turn

    @staticmethod
    def _project_out(block: NDArray[np.float64], q: NDArray[Any]) -> None:
        for _ in range(2):
            subtract_product(block, q, inner(q, block))
