"""What is plotted: coordinates, obs columns and gene values of an AnnData."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lazyomics.container import AnnData
from lazyomics.get import obs_df

__all__ = [
    "Values",
    "as_categories",
    "choose_raw",
    "coordinates",
    "gene_frame",
    "gene_names",
    "obs_columns",
    "plot_values",
]

Values = pd.Categorical | npt.NDArray[Any]

MOST_LABELS = 102  # as many as there are colours for


def choose_raw(adata: AnnData, use_raw: bool | None, layer: str | None) -> bool:
    """Whether genes come from ``raw``: by default if there is one and no layer is asked for."""
    if use_raw is None:
        return layer is None and adata.raw is not None
    if use_raw and layer is not None:
        raise ValueError(f"either use_raw=True or layer={layer!r}, not both")
    if use_raw and adata.raw is None:
        raise ValueError("use_raw=True, but this AnnData has no raw")
    return use_raw


def coordinates(adata: AnnData, basis: str) -> npt.NDArray[Any]:
    """Coordinates in ``obsm[basis]`` or ``obsm["X_" + basis]``, shape (n_obs, dimensions)."""
    key = next((key for key in (basis, f"X_{basis}") if key in adata.obsm), None)
    if key is None:
        raise KeyError(
            f"neither {basis!r} nor 'X_{basis}' is in obsm; available: {_listed(adata.obsm)}"
        )
    found = adata.obsm[key]
    if isinstance(found, pd.DataFrame):
        return found.to_numpy()
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def plot_values(
    adata: AnnData,
    keys: Iterable[str],
    *,
    layer: str | None,
    use_raw: bool,
    gene_symbols: str | None = None,
) -> dict[str, Values]:
    """Values of each key for every observation: obs columns first, then genes in one pass.

    Parameters
    ----------
    adata
        Where to look.
    keys
        Columns of obs, names in ``var_names`` (or ``raw.var_names``), or gene symbols.
    layer, use_raw
        Where gene values come from; see :func:`choose_raw`.
    gene_symbols
        Column of ``var`` with other names of the genes.

    Returns
    -------
    For each key a Categorical (text, bool and categorical columns) or a 1-D numeric array.

    Raises
    ------
    KeyError
        If a key is found nowhere. The message names what is available.
    """
    keys = list(dict.fromkeys(keys))
    in_obs = set(adata.obs.columns)
    genes = [key for key in keys if key not in in_obs]
    names = gene_names(adata, genes, use_raw=use_raw, gene_symbols=gene_symbols)
    frame = gene_frame(adata, names, layer=layer, use_raw=use_raw)
    found: dict[str, Values] = {
        key: frame[name].to_numpy() for key, name in zip(genes, names, strict=True)
    }
    return {key: found[key] if key in found else _obs_values(adata.obs[key]) for key in keys}


def gene_frame(
    adata: AnnData, names: Sequence[str], *, layer: str | None, use_raw: bool
) -> pd.DataFrame:
    """Values of genes, a column each without repeats, read in one pass."""
    if not names:
        return pd.DataFrame(index=adata.obs_names)
    return obs_df(adata, keys=list(dict.fromkeys(names)), layer=layer, use_raw=use_raw)


def gene_names(
    adata: AnnData, keys: Sequence[str], *, use_raw: bool, gene_symbols: str | None = None
) -> list[str]:
    """Names in ``var_names`` that the keys (names or gene symbols) stand for.

    Raises
    ------
    KeyError
        If a key is unknown. The message names what is available.
    """
    raw = adata.raw if use_raw else None
    var = adata.var if raw is None else raw.var
    if gene_symbols is not None and gene_symbols not in var.columns:
        raise KeyError(f"gene_symbols={gene_symbols!r} is not a column of var: {list(var.columns)}")
    symbols: dict[str, str] = {}
    if gene_symbols is not None and not set(keys) <= set(var.index):
        # The first gene wins where several share a symbol, hence the reversed order.
        symbols = dict(zip(var[gene_symbols].iloc[::-1], var.index[::-1], strict=True))
    missing = [key for key in keys if key not in var.index and key not in symbols]
    if missing:
        raise KeyError(_unknown(missing, adata, var.index, "raw.var_names" if use_raw else "var"))
    return [key if key in var.index else symbols[key] for key in keys]


def obs_columns(
    adata: AnnData, keys: Sequence[str], *, use_raw: bool, gene_symbols: str | None = None
) -> list[str]:
    """Keys that are columns of obs and stand for no gene."""
    raw = adata.raw if use_raw else None
    var = adata.var if raw is None else raw.var
    symbols = set() if gene_symbols not in var.columns else set(var[gene_symbols])
    return [
        key
        for key in dict.fromkeys(keys)
        if key in adata.obs.columns and key not in var.index and key not in symbols
    ]


def as_categories(column: pd.Series[Any]) -> pd.Categorical | None:
    """Categories of a categorical, text or bool column; None if it holds numbers.

    Examples
    --------
    >>> as_categories(pd.Series(["b", "a", "b"])).categories.tolist()
    ['a', 'b']
    >>> as_categories(pd.Series([True, False])).categories.tolist()
    ['False', 'True']
    >>> as_categories(pd.Series([0.5])) is None
    True
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column)
    if pd.api.types.is_bool_dtype(column.dtype):
        texts: Any = column.astype(str).mask(column.isna())
        return pd.Categorical(texts)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return None
    if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
        raise TypeError(
            f"obs[{column.name!r}] is of type {column.dtype}; plots take numbers, text, bool and "
            "categories. Convert it first, e.g. with .astype('category')"
        )
    groups = pd.Categorical(column)
    if len(groups.categories) > MOST_LABELS and len(groups.categories) == column.notna().sum():
        raise TypeError(
            f"obs[{column.name!r}] holds {len(column)} different texts, so it groups nothing"
        )
    return groups


def _obs_values(column: pd.Series[Any]) -> Values:
    groups = as_categories(column)
    if groups is not None:
        return groups
    if pd.api.types.is_extension_array_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return column.to_numpy()


def _unknown(missing: list[str], adata: AnnData, genes: pd.Index[Any], place: str) -> str:
    choices = [*map(str, adata.obs.columns), *map(str, genes)]
    close = difflib.get_close_matches(str(missing[0]), choices, n=3)
    hint = f"; close to {missing[0]!r}: {', '.join(close)}" if close else ""
    return (
        f"{_listed(missing)}: neither in obs nor in {place}. "
        f"Columns of obs: {_listed(adata.obs.columns)}; genes: {_listed(genes)}{hint}"
    )


def _listed(names: Iterable[Any], most: int = 10) -> str:
    names = list(map(str, names))
    tail = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + tail if names else "none"
