"""Keep some observations or variables in place: by a column, values or names, as muon does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.choose import is_annotated
from lazyomics.container.given import found_instead
from lazyomics.container.mudata import MuData
from lazyomics.errors import ShapeError
from lazyomics.names import choices

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["filter_obs", "filter_var", "intersect_obs"]


def filter_obs(
    data: AnnData | MuData, var: str | Sequence[str], func: Callable[[Any], Any] | None = None
) -> None:
    """Keep some observations, in place.

    Parameters
    ----------
    data
        AnnData or MuData, n_obs × n_vars.
    var
        Column of ``data.obs``, or a gene of an AnnData; or names of observations to keep, or a
        mask of shape (n_obs,).
    func
        Called with the values of the column or gene, shape (n_obs,); returns which observations to
        keep, bool, shape (n_obs,). Columns of bool need none.

    Raises
    ------
    ValueError
        If ``var`` is neither column nor gene, ``func`` is missing, or given with names.
    ShapeError
        If there is no answer for each observation.
    TypeError
        If ``data`` is neither AnnData nor MuData, or the answers are not bool.

    Notes
    -----
    Passes over X: 0; 1 for the values of a gene. What is lazy stays lazy, and the object stays that
    of its file: as after ``adata[mask]``, writing it there needs ``overwrite_x=True``. Names that
    are not there are passed over, as by muon.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.eye(3), obs={"n": [5, 1, 7]})
    >>> lo.pp.filter_obs(adata, "n", lambda n: n > 4)
    >>> adata.obs["n"].tolist()
    [5, 7]
    """
    _check(data, "pp.filter_obs")
    data._inplace_subset_obs(_kept(data, "obs", var, func))


def filter_var(
    data: AnnData | MuData, var: str | Sequence[str], func: Callable[[Any], Any] | None = None
) -> None:
    """Keep some variables, in place.

    Parameters
    ----------
    data
        AnnData or MuData, n_obs × n_vars.
    var
        Column of ``data.var``, or an observation of an AnnData; or names of variables to keep, or
        a mask of shape (n_vars,).
    func
        Called with the values of the column or observation, shape (n_vars,); returns which
        variables to keep, bool, shape (n_vars,). Columns of bool need none.

    Raises
    ------
    ValueError, ShapeError, TypeError
        As by :func:`lazyomics.pp.filter_obs`.

    Notes
    -----
    Passes over X: 0; the chunks of one row for the values of an observation. What is lazy stays
    lazy.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.eye(2), var={"var_names": ["a", "b"], "good": [True, False]})
    >>> lo.pp.filter_var(adata, "good")
    >>> list(adata.var_names)
    ['a']
    """
    _check(data, "pp.filter_var")
    data._inplace_subset_var(_kept(data, "var", var, func))


def intersect_obs(mdata: MuData) -> None:
    """Keep the observations that all modalities have, in place.

    Parameters
    ----------
    mdata
        MuData.

    Raises
    ------
    TypeError
        If it is no MuData.

    Notes
    -----
    Passes over X: 0. Each modality keeps the order of its observations, and the whole its own.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> one = lo.AnnData(np.ones((2, 1)), obs={"obs_names": ["a", "b"]})
    >>> two = lo.AnnData(np.ones((2, 1)), obs={"obs_names": ["b", "c"]})
    >>> mdata = lo.MuData({"x": one, "y": two})
    >>> lo.pp.intersect_obs(mdata)
    >>> list(mdata.obs_names)
    ['b']
    """
    if not isinstance(mdata, MuData):
        raise TypeError(f"pp.intersect_obs takes a MuData, found {found_instead(mdata)}")
    common: pd.Index = reduce(
        lambda a, b: a.intersection(b), (adata.obs_names for adata in mdata.mod.values())
    )
    mdata._inplace_subset_obs(mdata.obs_names.isin(common))


def _check(data: Any, verb: str) -> None:
    if not isinstance(data, MuData) and not is_annotated(data):
        raise TypeError(f"{verb} takes an AnnData or a MuData, found {type(data).__name__}")


def _kept(
    data: AnnData | MuData,
    axis: Literal["obs", "var"],
    key: Any,
    func: Callable[[Any], Any] | None,
) -> NDArray[np.bool_]:
    names: pd.Index = getattr(data, f"{axis}_names")
    if not isinstance(key, str):
        if func is not None:
            raise ValueError(f"with names of {axis}, or a mask, func has nothing to be called with")
        chosen = np.asarray(key)
        return _checked(chosen if chosen.dtype == bool else names.isin(chosen), len(names))
    values = _values(data, axis, key)
    if func is None:
        if values.dtype != bool:
            raise ValueError(f"{axis}[{key!r}] is {values.dtype}, not bool: func says what to keep")
        return _checked(values, len(names))
    return _checked(np.asarray(func(values)), len(names))


def _values(data: AnnData | MuData, axis: Literal["obs", "var"], key: str) -> Any:
    table = getattr(data, axis)
    if key in table.columns:
        return table[key].values
    other = "var" if axis == "obs" else "obs"
    if isinstance(data, MuData) or key not in getattr(data, f"{other}_names"):
        at = "" if isinstance(data, MuData) else f" and none of the {other}_names"
        raise ValueError(f"{key!r} is no column of {axis}{at}; {choices(key, table.columns)}")
    return data.obs_vector(key) if axis == "obs" else data.var_vector(key)


def _checked(mask: NDArray[Any], n: int) -> NDArray[np.bool_]:
    if mask.dtype != bool:
        raise TypeError(f"func returned {mask.dtype}, expected bool: which to keep")
    if mask.shape != (n,):
        raise ShapeError(f"the mask has shape {mask.shape}, expected ({n},)")
    return mask
