"""Keys of get.obs_df and get.var_df: columns, genes, cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.names import choices

__all__ = [
    "add_embedding_columns",
    "gene_positions",
    "gene_table",
    "read_dense",
    "split_keys",
]


def split_keys(
    frame: pd.DataFrame, names: pd.Index, keys: Sequence[str], *, frame_is: str, names_are: str
) -> tuple[list[str], list[str]]:
    """Return the keys that are columns and those that are names, each once, in the given order.

    Parameters
    ----------
    frame
        ``obs`` or ``var``.
    names
        Names along the other axis.
    keys
        What was asked for.
    frame_is, names_are
        How messages call them, e.g. ``"adata.obs"`` and ``"adata.var_names"``.
    """
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()].tolist()
        raise ValueError(f"{frame_is} has repeated columns {repeated}: rename or remove them")
    wanted = list(dict.fromkeys(keys))
    columns = [key for key in wanted if key in frame.columns]
    known = set(names[names.isin(wanted)])
    both = [key for key in columns if key in known]
    if both:
        raise KeyError(f"{both} are found in both {frame_is} and {names_are}")
    unknown = [key for key in wanted if key not in known and key not in frame.columns]
    if unknown:
        raise KeyError(
            f"{unknown} are found neither in {frame_is} nor in {names_are}; "
            f"{choices(unknown, [*frame.columns, *names])}"
        )
    return columns, [key for key in wanted if key in known]


def add_embedding_columns(
    frame: pd.DataFrame, mapping: Any, keys: Iterable[tuple[str, int]], *, mapping_is: str
) -> None:
    """Append column ``index`` of ``mapping[key]`` as ``"key-index"`` for each pair."""
    for key, index in keys:
        if key not in mapping:
            raise KeyError(f"{mapping_is} has no {key!r}; {choices(key, mapping)}")
        value = mapping[key]
        if isinstance(value, pd.DataFrame):
            frame[f"{key}-{index}"] = value.loc[:, index].to_numpy()
            continue
        frame[f"{key}-{index}"] = np.ravel(read_dense(value[:, [index]]))


def read_dense(matrix: Any) -> NDArray[Any]:
    """Return a few columns or rows of any matrix, lazy or not, as an ndarray."""
    read = lazy.materialize(matrix)
    return np.asarray(read.toarray() if hasattr(read, "toarray") else read)


def gene_table(adata: AnnData, *, use_raw: bool, gene_symbols: str | None = None) -> pd.DataFrame:
    """Return ``adata.var``, or raw's, in which the column ``gene_symbols`` must be."""
    raw = adata.raw if use_raw else None
    if use_raw and raw is None:
        raise ValueError("use_raw=True, but adata.raw is None")
    var = adata.var if raw is None else raw.var
    if gene_symbols is not None and gene_symbols not in var:
        raise KeyError(
            f"gene_symbols={gene_symbols!r} is not a column of var; "
            f"{choices(gene_symbols, var.columns)}"
        )
    return var


def gene_positions(
    adata: AnnData, names: Sequence[str], *, use_raw: bool = False, gene_symbols: str | None = None
) -> NDArray[np.int64]:
    """Return the column of each name; KeyError lists unknown names, ValueError repeated ones."""
    var = gene_table(adata, use_raw=use_raw, gene_symbols=gene_symbols)
    index = var.index if gene_symbols is None else pd.Index(var[gene_symbols])
    where = "var_names" if gene_symbols is None else f"var[{gene_symbols!r}]"
    owner = "adata.raw" if use_raw else "adata"
    repeated = index.duplicated(keep=False)
    ambiguous = sorted(set(map(str, index[repeated])) & set(names))
    if ambiguous:
        advice = f"; call {owner}.var_names_make_unique()" if gene_symbols is None else ""
        raise ValueError(f"{ambiguous[:5]} occur more than once in {owner}.{where}{advice}")
    lookup = dict(zip(index, range(len(index)), strict=True))
    positions = np.array([lookup.get(name, -1) for name in names], dtype=np.int64)
    unknown = [str(n) for n, position in zip(names, positions, strict=True) if position < 0]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise KeyError(
            f"{unknown[:5]}{more} not found in {owner}.{where}; {choices(unknown, index)}"
        )
    return positions
