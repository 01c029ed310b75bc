"""Unique row names, made as anndata makes them."""

from __future__ import annotations

import warnings
from collections import Counter

import pandas as pd

__all__ = ["make_index_unique"]


def make_index_unique(index: pd.Index, join: str = "-") -> pd.Index:
    """Append ``join`` and a number to each repetition of a name.

    Parameters
    ----------
    index
        Names, shape (n,).
    join
        Between name and number.

    Returns
    -------
    Names without repetitions; first occurrences keep theirs.

    Examples
    --------
    >>> list(make_index_unique(pd.Index(["a", "b", "a", "a"])))
    ['a', 'b', 'a-1', 'a-2']
    """
    if index.is_unique:
        return index
    taken = set(index)
    repeats: Counter[str] = Counter()
    names = []
    clash = False
    for name, repeated in zip(index, index.duplicated(), strict=True):
        made = name
        while repeated:
            repeats[name] += 1
            made = f"{name}{join}{repeats[name]}"
            if made not in taken:
                taken.add(made)
                break
            clash = True
        names.append(made)
    if clash:
        warnings.warn(
            f"appending {join!r} and a number to names met names that exist already; "
            "the next free number was taken",
            UserWarning,
            stacklevel=3,
        )
    return pd.Index(names, name=index.name)
