"""Random cells or genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container.choose import bare_matrix, is_annotated
from lazyomics.names import choices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["sample", "sampled"]


def sample(
    data: AnnData | Any,
    fraction: float | None = None,
    *,
    n: int | None = None,
    rng: Any = None,
    copy: bool = False,
    replace: bool = False,
    axis: Literal["obs", 0, "var", 1] = "obs",
    p: str | NDArray[np.bool_] | NDArray[np.floating[Any]] | None = None,
) -> AnnData | tuple[Any, NDArray[np.int64]] | None:
    """Select random cells or genes, lazily.

    Give exactly one of ``fraction`` and ``n``.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars); or a numpy, scipy or dask matrix, of which the
        selection and the positions are returned.
    fraction
        Share of all cells (genes) to draw, more than 1 only with ``replace``.
    n
        How many to draw.
    rng
        Seed or generator (``numpy.random.default_rng``); None draws a seed.
    copy
        Return the selection as an object of its own and leave ``data`` as it is.
    replace
        Whether one may be drawn several times.
    axis
        ``"obs"`` (0) draws cells, ``"var"`` (1) draws genes.
    p
        Probability of each, floats that sum to 1, or a mask of those that may be drawn: an array,
        or the name of a column.

    Returns
    -------
    None (selects in ``data``), or the copy. For a matrix: the selected rows (columns) and their
    positions, int64. Cells come in the order in which they are drawn, which is scanpy's from the
    same seed.

    Raises
    ------
    TypeError
        Unless exactly one of ``fraction`` and ``n`` is given; if ``data`` is neither.
    ValueError
        If the fraction is out of range, there are too few to draw from, or ``p`` is neither a mask
        nor probabilities of the right length.

    Notes
    -----
    Passes over X: 0: it is a selection like any other, of which the file is read when it is used.
    Peak memory: a number for each that is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.arange(10.0).reshape(5, 2))
    >>> lo.pp.sample(adata, n=3, rng=0)
    >>> adata.X[:, 0]
    array([6., 8., 4.])
    """
    places = ("obs", "var") if axis in ("obs", "var") else (0, 1)
    if axis not in places:
        raise ValueError(f"axis must be 'obs' (0) or 'var' (1), found {axis!r}")
    return sampled(
        data,
        fraction,
        n,
        np.random.default_rng(rng),
        axis=places.index(axis),
        replace=replace,
        p=p,
        copy=copy,
        verb="pp.sample",
    )


def sampled(
    data: Any,
    fraction: float | None,
    n: int | None,
    generator: np.random.Generator | np.random.RandomState,
    *,
    axis: int,
    replace: bool,
    p: Any,
    copy: bool,
    verb: str,
) -> Any:
    """Select what a generator draws; see ``sample``."""
    if not is_annotated(data):
        bare_matrix(data, verb)  # what is no matrix is refused
    size = data.shape[axis]
    chances = _chances(data, p, axis)
    count = _count(fraction, n, size, replace=replace)
    drawn = generator.choice(size, size=count, replace=replace, p=chances)
    if is_annotated(data):
        if copy:
            return (data[drawn] if axis == 0 else data[:, drawn]).copy()
        (data._inplace_subset_obs if axis == 0 else data._inplace_subset_var)(drawn)
        return None
    subset = data[drawn] if axis == 0 else data[:, drawn]
    return subset.copy() if copy else subset, drawn


def _chances(data: Any, p: Any, axis: int) -> NDArray[np.float64] | None:
    if p is None:
        return None
    name = ("obs", "var")[axis]
    if isinstance(p, str):
        if not is_annotated(data):
            raise ValueError(f"p={p!r} names a column, which a matrix does not have")
        frame = getattr(data, name)
        if p not in frame.columns:
            raise ValueError(
                f"Did not find adata.{name}[{p!r}]. Add it first, or give p as an array; "
                f"{choices(p, frame.columns)}"
            )
        p = frame[p]
    values = np.asarray(p)
    if values.shape != (data.shape[axis],):
        raise ValueError(f"p has shape {values.shape}, but {name} has length {data.shape[axis]}")
    if pd.api.types.is_bool_dtype(values.dtype):
        return np.asarray(values.astype(np.float64) / values.sum())
    if values.dtype.kind != "f":
        raise ValueError(f"p must be boolean or floating, found {values.dtype}")
    return values


def _count(fraction: float | None, n: int | None, size: int, *, replace: bool) -> int:
    if fraction is None and n is None:
        raise TypeError("Either `fraction` or `n` must be set.")
    if fraction is None:
        assert n is not None
        return n
    if n is not None:
        raise TypeError("Providing both `fraction` and `n` is not allowed.")
    if fraction < 0:
        raise ValueError(f"`{fraction=}` needs to be nonnegative.")
    if not replace and fraction > 1:
        raise ValueError(f"If `replace=False`, `{fraction=}` needs to be within [0, 1].")
    return int(fraction * size)
