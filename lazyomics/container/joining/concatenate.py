"""anndata's deprecated AnnData.concatenate: obs of all objects, var once for each that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.container.joining.concat import concat
from lazyomics.container.joining.frames import merged_frame, positions_in
from lazyomics.container.joining.merging import merge_rule, shared_keys

__all__ = ["concatenate"]


def concatenate(
    adatas: Sequence[AnnData],
    *,
    join: Any,
    batch_key: str,
    batch_categories: Sequence[Any] | None,
    uns_merge: Any,
    index_unique: str | None,
    fill_value: Any,
) -> Any:
    """Join objects under each other; the parameters are those of ``AnnData.concatenate``."""
    rows: dict[str, Any] = {
        "label": batch_key,
        "keys": batch_categories,
        "index_unique": index_unique,
    }
    made = concat(adatas, join=join, uns_merge=uns_merge, fill_value=fill_value, **rows)
    made.obs = concat([AnnData(obs=a.obs) for a in adatas], join="outer", **rows).obs
    names = batch_categories or range(len(adatas))
    made.var = _columns_of_all(
        [a.var for a in adatas], made.var_names, [str(name) for name in names]
    )
    return made


def _columns_of_all(
    frames: Sequence[pd.DataFrame], index: pd.Index, batches: Sequence[str]
) -> pd.DataFrame:
    """Columns that all tables have alike, then the others of each, named after their batch."""
    same = merge_rule("same")
    assert same is not None
    alike: list[str] = []

    def merged(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        kept = dict(same(mappings))
        alike.extend(kept)
        for key in shared_keys(mappings, everywhere=False):
            if key not in alike:
                for batch, columns in zip(batches, mappings, strict=True):
                    kept |= {f"{key}-{batch}": columns[key]} if key in columns else {}
        return kept

    places = [positions_in(frame.index, index, "var") for frame in frames]
    table = merged_frame(frames, places, index, merged)
    ends = [next((b for b in batches if str(c).endswith(f"-{b}")), "") for c in table.columns]
    return table.iloc[:, np.argsort(np.asarray(ends, dtype=object), kind="stable")]
