"""Random cells, as older scripts draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics.pp.sample import sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["subsample"]


def subsample(
    data: AnnData | Any,
    fraction: float | None = None,
    *,
    n_obs: int | None = None,
    random_state: Any = 0,
    copy: bool = False,
) -> AnnData | tuple[Any, NDArray[np.int64]] | None:
    """Select random cells without replacement, lazily; ``pp.sample`` is its successor.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, of which the
        selection and the positions are returned.
    fraction
        Share of all cells to draw.
    n_obs
        How many to draw; give one of both.
    random_state
        Seed, or a ``numpy.random.RandomState``; None goes on with NumPy's global generator.
    copy
        Return the selection as an object of its own and leave ``data`` as it is.

    Returns
    -------
    None (selects in ``data``), or the copy. For a matrix: the selected rows and their positions,
    int64. The cells and their order are scanpy's from the same seed.

    Raises
    ------
    TypeError, ValueError
        As ``pp.sample``.

    Notes
    -----
    Passes over X: 0. Peak memory: a number for each cell that is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.arange(10.0).reshape(5, 2))
    >>> lo.pp.subsample(adata, n_obs=3)
    >>> adata.X[:, 0]
    array([4., 0., 2.])
    """
    generator: Any = random_state
    if random_state is None:
        generator = np.random
    elif not isinstance(random_state, np.random.RandomState):
        generator = np.random.RandomState(random_state)
    return sampled(
        data,
        fraction,
        n_obs,
        generator,
        axis=0,
        replace=False,
        p=None,
        copy=copy,
        verb="pp.subsample",
    )
