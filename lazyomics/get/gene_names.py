"""Find genes by name or by a column of symbols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container import AnnData

__all__ = ["gene_frame", "gene_positions"]


def gene_frame(adata: AnnData, *, use_raw: bool) -> pd.DataFrame:
    """Return ``adata.var``, or raw's."""
    if not use_raw:
        return adata.var
    if adata.raw is None:
        raise ValueError("use_raw=True, but adata.raw is None")
    return adata.raw.var


def gene_positions(
    adata: AnnData, names: Sequence[str], *, use_raw: bool = False, gene_symbols: str | None = None
) -> NDArray[np.int64]:
    """Return the column of each name, or raise KeyError that names some unknown ones."""
    var = gene_frame(adata, use_raw=use_raw)
    if gene_symbols is not None and gene_symbols not in var:
        raise KeyError(f"gene_symbols={gene_symbols!r} is not a column of var: {list(var.columns)}")
    index = var.index if gene_symbols is None else pd.Index(var[gene_symbols])
    where = "var_names" if gene_symbols is None else f"var[{gene_symbols!r}]"
    owner = "adata.raw" if use_raw else "adata"
    repeated = index.duplicated(keep=False)
    ambiguous = sorted(set(map(str, index[repeated])) & set(names))
    if ambiguous:
        raise KeyError(f"{ambiguous[:5]} occur more than once in {owner}.{where}")
    lookup = dict(zip(index, range(len(index)), strict=True))
    positions = np.array([lookup.get(name, -1) for name in names], dtype=np.int64)
    unknown = [str(n) for n, position in zip(names, positions, strict=True) if position < 0]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise KeyError(f"{unknown[:5]}{more} not found in {owner}.{where}")
    return positions
