"""Indices of all kinds for an axis, as text that makes them."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd

__all__ = ["axis_key", "key", "some_of"]


def key(rng: random.Random, one: Any) -> str:
    """Return an index of an object: of one axis, of both, or with dots."""
    form = rng.randrange(10)
    both = form > 5  # scipy makes sparse[array, slice with a step] dense
    options = {"steps": not both, "last": not hasattr(one, "mod")}
    rows = axis_key(rng, "obs", one.obs_names, one.obs, **options)
    cols = axis_key(rng, "var", one.var_names, one.var, **options)
    if form < 4:
        return f"({rows}, slice(None))" if hasattr(one, "mod") else rows
    if form < 6:
        return f"(slice(None), {cols})"
    if form == 6:
        return rng.choice(("...", f"(..., {cols})", f"({rows}, ...)"))
    return f"({rows}, {cols})"


def axis_key(
    rng: random.Random,
    axis: str,
    names: pd.Index,
    table: pd.DataFrame,
    *,
    steps: bool = True,
    last: bool = True,
) -> str:
    """Return an index of one axis, now and then one that must be refused.

    ``steps``: slices may have a step. ``last``: −1 may be the last entry, and a position after it
    refused; mudata takes none then.
    """
    n = len(names)
    if rng.random() < 0.03:
        wrong = [f"[True] * {n + 1}", "['no such name']", f"[0, {n}]", "[1.5]"]
        wrong += [str(n)] if last else []
        return rng.choice(wrong)
    if n == 0:
        return rng.choice(("slice(None)", "[]", "np.array([], dtype=int)"))
    mask = [rng.random() < 0.7 for _ in range(n)]
    some = rng.sample(range(n), rng.randint(1, n))
    if rng.random() < 0.1:
        some = [rng.randrange(n) for _ in range(n)]
    labels = [str(names[k]) for k in some]
    unique = names.is_unique
    kinds = [
        "slice",
        "slice",
        "int",
        "ints",
        "array",
        "negative",
        "mask",
        "array mask",
        "series",
        "nullable",
        "empty",
        "all",
    ]
    if unique:
        kinds += ["name", "names", "names", "name array", "name index", "labels", "shuffled"]
    columns = [c for c in table.columns if isinstance(table[c].dtype, pd.CategoricalDtype)]
    if columns and table.columns.is_unique:
        kinds += ["column"] * 2
    kind = rng.choice(kinds)
    if kind == "slice":
        ends = [rng.choice((None, rng.randint(-n, n))) for _ in range(2)]
        step = rng.choice((None, None, 1, 2, -1, -2)) if steps else None
        return f"slice({ends[0]}, {ends[1]}, {step})"
    if kind == "column":
        name = rng.choice(columns)
        values = list(table[name].cat.categories)
        chosen = values[: rng.randint(1, max(1, len(values)))]
        return f"one.{axis}[{name!r}].isin({chosen!r})"
    names_text = f"one.{axis}_names"
    order = rng.sample(range(n), n)
    made = {
        "int": str(rng.randrange(-n if last else 0, n)),
        "ints": str(some),
        "array": f"np.array({some}, dtype={rng.choice(('int64', 'int32', 'uint8'))!r})",
        "negative": str([k - n for k in some]),
        "mask": str(mask),
        "array mask": f"np.array({mask})",
        "series": f"pd.Series({mask}, index={names_text})",
        "shuffled": f"w.labelled(pd.Series({mask}, index={names_text}).iloc[{order}], "
        f"{names_text})",
        "nullable": f"pd.array({mask}, dtype='boolean')",
        "empty": rng.choice(("[]", "slice(0, 0)", "np.array([], dtype=int)", f"[False] * {n}")),
        "all": rng.choice(("slice(None)", "...")),
        "name": repr(labels[0]),
        "names": repr(labels),
        "name array": f"np.array({labels!r})",
        "name index": f"pd.Index({labels!r})",
        "labels": f"slice({str(names[min(some)])!r}, {str(names[max(some)])!r})",
    }
    return made[kind]


def some_of(rng: random.Random, one: Any) -> str:
    """Return an index of an object that leaves something of each axis."""
    ends = [sorted(rng.sample(range(n + 1), 2)) for n in one.shape]
    return f"({', '.join(f'slice({a}, {b})' for a, b in ends)})"
