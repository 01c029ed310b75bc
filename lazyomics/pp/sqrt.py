"""Square root of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyomics import lazy
from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.kernels.steps import Sqrt
from lazyomics.pp.matrix_choice import assign_matrix, choose_matrix, put_into

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["sqrt"]


def sqrt(
    data: AnnData | Any,
    *,
    copy: bool = False,
    chunked: bool = False,
    chunk_size: int | None = None,
) -> AnnData | Any | None:
    """Replace X by its square root, lazily.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, for which the
        roots are returned.
    copy
        Return a changed copy and leave ``data`` as it is. A matrix always stays as it is.
    chunked, chunk_size
        Accepted for compatibility: a lazy matrix is always computed in blocks.

    Returns
    -------
    None, or the copy. Sets X: its own dtype if that is floating, otherwise float32 for whole
    numbers of up to 16 bits and float64 for larger ones. For a matrix: the roots.

    Raises
    ------
    TypeError
        If ``data`` is neither, or holds no numbers.

    Warns
    -----
    RuntimeWarning
        When negative values are read, of which NumPy makes NaN.

    Notes
    -----
    Passes over X: 0. Peak memory: nothing beyond the graph; a matrix that was in memory stays in
    memory.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.array([[0.0, 1.0, 9.0]]))
    >>> lo.pp.sqrt(adata)
    >>> adata.X
    array([[0., 1., 3.]])
    """
    if not is_annotated(data):
        return put_into(data, lazy.map_rows(bare_matrix(data, "pp.sqrt"), Sqrt()), copy=True)
    adata = data.copy() if copy else data
    assign_matrix(adata, lazy.map_rows(choose_matrix(adata), Sqrt()))
    return adata if copy else None
