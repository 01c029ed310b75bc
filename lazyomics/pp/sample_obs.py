"""A share of the cells, of all or of each group."""

from __future__ import annotations

from math import ceil
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.container.mudata import MuData
from lazyomics.names import choices

__all__ = ["sample_obs"]

Data = TypeVar("Data", AnnData, MuData)


def sample_obs(
    data: Data, frac: float = 0.1, groupby: str | None = None, min_n: int | None = None
) -> Data:
    """Select random cells without replacement, lazily, as muon does.

    Parameters
    ----------
    data
        Annotated data, shape (n_obs, n_vars), or a MuData.
    frac
        Share of the cells, rounded up.
    groupby
        Categorical column of obs: the share is drawn from each of its groups.
    min_n
        Least number of cells, of each group if there are groups.

    Returns
    -------
    A selection of ``data``, in the order in which cells are drawn, group after group. They are
    drawn by the global generator of numpy: call :func:`numpy.random.seed` to repeat them.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If ``data`` is neither, or the column is not categorical.
    ValueError
        If the fraction is not between 0 and 1, or there are fewer cells than ``min_n``.

    Notes
    -----
    Passes over X: 0: it is a selection like any other, of which the file is read when it is used.
    Peak memory: a number for each cell.

    Examples
    --------
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"kind": pd.Categorical(["a"] * 20 + ["b"] * 5)})
    >>> adata = lo.AnnData(np.ones((25, 2)), obs=obs)
    >>> lo.pp.sample_obs(adata, 0.2, groupby="kind").obs["kind"].tolist()
    ['a', 'a', 'a', 'a', 'b']
    """
    check_annotated(data, "pp.sample_obs", or_modalities=True)
    if not 0 <= frac <= 1:
        raise ValueError(f"frac is between 0 and 1, found {frac!r}")
    if groupby is None:
        return data[_drawn(np.arange(data.n_obs), frac, min_n, "there are")]
    if groupby not in data.obs.columns:
        raise KeyError(f"groupby={groupby!r} is not in obs; {choices(groupby, data.obs.columns)}")
    column = data.obs[groupby]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        raise TypeError(f"groupby={groupby!r}: expected a categorical column, found {column.dtype}")
    codes = column.cat.codes.to_numpy()
    drawn: list[NDArray[np.int64]] = [
        _drawn(np.flatnonzero(codes == code), frac, min_n, f"{category!r} of {groupby!r} has")
        for code, category in enumerate(column.cat.categories)
    ]
    return data[np.concatenate([np.zeros(0, dtype=np.int64), *drawn])]


def _drawn(
    positions: NDArray[np.int64], frac: float, min_n: int | None, whose: str
) -> NDArray[np.int64]:
    """Draw a share of some positions, by the generator that muon uses."""
    count = max(ceil(len(positions) * frac), min_n or 0)
    if count > len(positions):
        raise ValueError(f"min_n={min_n}: {whose} {len(positions)} cells")
    return np.random.choice(positions, size=count, replace=False)  # noqa: NPY002
