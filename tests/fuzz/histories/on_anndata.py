"""Operations on an AnnData: each gives the lines of a history, for the object as it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pandas as pd

from tests.fuzz.histories.keys import key, some_of
from tests.fuzz.histories.values import COLUMNS, MATRICES, UNS

__all__ = ["OPERATIONS", "Operation", "begin", "parts_of"]

Operation = Callable[[random.Random, Any], str]

SETTABLE = ("layers", "obsm", "varm", "obsp", "varp")


def begin(rng: random.Random, *, at: str = "one", rows: int = 7, cols: int = 5) -> str:
    """Return the line that makes the first object."""
    x = f"w.matrix({rng.choice(MATRICES)!r}, {rows}, {cols}, {rng.randrange(999)})"
    obs = f"w.table({_kinds(rng)}, {[f'c{k}' for k in range(rows)]}, {rng.randrange(999)})"
    var = f"w.table({_kinds(rng)}, {[f'g{k}' for k in range(cols)]}, {rng.randrange(999)})"
    if rng.random() < 0.1:
        return f"{at} = w.AnnData(obs={obs}, var={var})"
    return f"{at} = w.AnnData({x}, obs={obs}, var={var})"


def _kinds(rng: random.Random) -> list[str]:
    return [rng.choice(COLUMNS) for _ in range(rng.randrange(4))]


def _select(rng: random.Random, one: Any) -> str:
    return f"one = w.take(one, {key(rng, one)})"


def _set_x(rng: random.Random, one: Any) -> str:
    if rng.random() < 0.1:
        return rng.choice(("del one.X", "one.X = None", "one.X = w.matrix('dense int64', 1, 9, 1)"))
    rows, cols = one.shape
    return f"one.X = w.matrix({rng.choice(MATRICES)!r}, {rows}, {cols}, {rng.randrange(999)})"


def _value(rng: random.Random, one: Any, part: str) -> str:
    """Return text that makes a value for an aligned mapping."""
    n, m = one.shape
    size = {"obs": n, "var": m}.get(part[:3], 0)
    seed = rng.randrange(999)
    if part == "layers":
        return f"w.matrix({rng.choice(MATRICES)!r}, {n}, {m}, {seed})"
    if rng.random() < 0.04:
        size += 1
    if part.endswith("p"):
        return f"w.matrix({rng.choice(MATRICES)!r}, {size}, {size}, {seed})"
    if rng.random() < 0.35:
        return f"w.table({_kinds(rng)}, one.{part[:3]}_names, {seed})"
    if rng.random() < 0.1:
        return f"w.matrix('dense float64', {size}, 6, {seed}).reshape({size}, 2, 3)"
    return f"w.matrix({rng.choice(MATRICES)!r}, {size}, {rng.randint(1, 3)}, {seed})"


def _set_aligned(rng: random.Random, one: Any) -> str:
    part = rng.choice(SETTABLE)
    return f"one.{part}['k{rng.randrange(3)}'] = {_value(rng, one, part)}"


def _delete_aligned(rng: random.Random, one: Any) -> str:
    part = rng.choice(SETTABLE)
    keys = [k for k in getattr(one, part) if k is not None]
    if not keys or rng.random() < 0.1:
        return rng.choice((f"del one.{part}", f"del one.{part}['not there']"))
    return f"del one.{part}[{rng.choice(keys)!r}]"


def _replace_aligned(rng: random.Random, one: Any) -> str:
    part = rng.choice(SETTABLE)
    return f"one.{part} = {{'k{rng.randrange(3)}': {_value(rng, one, part)}}}"


def _column(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    n = one.n_obs if axis == "obs" else one.n_vars
    name = f"c{rng.randrange(4)}"
    if rng.random() < 0.1:
        return f"one.{axis}[{name!r}] = {rng.choice((1, 2.5, 'word', True))!r}"
    kind, seed = rng.choice(COLUMNS), rng.randrange(999)
    return f"one.{axis}[{name!r}] = w.column({kind!r}, {n}, {seed})"


def _columns_of(rng: random.Random, one: Any) -> tuple[str, list[Any]]:
    axis = rng.choice(("obs", "var"))
    return axis, list(getattr(one, axis).columns)


def _delete_column(rng: random.Random, one: Any) -> str:
    axis, columns = _columns_of(rng, one)
    if not columns:
        return f"del one.{axis}['not there']"
    return f"del one.{axis}[{rng.choice(columns)!r}]"


def _rename_column(rng: random.Random, one: Any) -> str:
    axis, columns = _columns_of(rng, one)
    names = {rng.choice(columns): f"c{rng.randrange(4)}"} if columns else {}
    if columns and next(iter(names.values())) in columns:
        names = {}
    return f"one.{axis} = one.{axis}.rename(columns={names!r})"


def _change_column(rng: random.Random, one: Any) -> str:
    """Change a value of a column where it is."""
    axis, columns = _columns_of(rng, one)
    plain = [c for c in columns if getattr(one, axis)[c].dtype.kind in "if"]
    # anndata's raw shares the values of var
    if not plain or not one.shape[axis == "var"] or one.raw is not None:
        return "pass"
    return f"one.{axis}.iloc[0, one.{axis}.columns.get_loc({rng.choice(plain)!r})] = 3"


def _table(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    n = one.shape[axis == "var"]
    names = f"one.{axis}_names"
    if rng.random() < 0.3:
        names = str([f"n{k}" for k in range(n)])
    if rng.random() < 0.1:
        return rng.choice((f"del one.{axis}", f"one.{axis} = w.table([], ['a'], 1)"))
    return f"one.{axis} = w.table({_kinds(rng)}, {names}, {rng.randrange(999)})"


def _names(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    n = one.shape[axis == "var"]
    old = [str(k) for k in getattr(one, f"{axis}_names")]
    forms = [
        repr([f"r{rng.randrange(99)}-{k}" for k in range(n)]),
        repr([f"r{k % 3}" for k in range(n)]),
        f"pd.Index({old!r}, name='barcode')",
        repr(old[::-1]),
        repr([f"z{k}" for k in range(n + 1)]),
        f"one.{axis}_names + '-1'",
    ]
    return f"one.{axis}_names = {rng.choice(forms)}"


def _index(rng: random.Random, one: Any) -> str:
    """Rename through the table, which tells nobody."""
    axis = rng.choice(("obs", "var"))
    n = one.shape[axis == "var"]
    having = getattr(one, f"{axis}m")
    # anndata refuses to show its obsm after that, if there is a table in it
    tables = any(isinstance(having[name], pd.DataFrame) for name in having)
    way = "_names" if tables else ".index"
    return rng.choice(
        (
            f"one.{axis}{way} = {[f'i{k}' for k in range(n)]}",
            f"one.{axis} = one.{axis}.rename_axis({rng.choice(('cell', 'index', None))!r})",
            f"one.{axis}_names = one.{axis}_names.rename('named')",
        )
    )


def _unique(rng: random.Random, one: Any) -> str:
    return f"one.{rng.choice(('obs', 'var'))}_names_make_unique()"


def _uns(rng: random.Random, one: Any) -> str:
    name = rng.choice(("u0", "u1", "u2", "c0_colors", "t0_colors"))
    if name.endswith("_colors"):
        return f"one.uns[{name!r}] = {['#00000' + str(k) for k in range(rng.randrange(1, 5))]}"
    return f"one.uns[{name!r}] = w.uns_value({rng.choice(UNS)!r}, {rng.randrange(999)})"


def _uns_inside(rng: random.Random, one: Any) -> str:
    names = [k for k, v in one.uns.items() if isinstance(v, dict)]
    if not names:
        return "one.uns['u0'] = {}"
    value = f"w.uns_value({rng.choice(UNS)!r}, {rng.randrange(999)})"
    return f"one.uns[{rng.choice(names)!r}]['in'] = {value}"


def _delete_uns(rng: random.Random, one: Any) -> str:
    names = list(one.uns)
    if not names:
        return rng.choice(("del one.uns", "one.uns = {'u1': 1}"))
    return f"del one.uns[{rng.choice(names)!r}]"


def _raw(rng: random.Random, one: Any) -> str:
    if one.raw is not None and rng.random() < 0.4:
        return rng.choice(("del one.raw", "one.raw = None", "one = w.raw_as_object(one)"))
    return "one.raw = w.copy(one)" if rng.random() < 0.3 else "one.raw = one"


def _rename_categories(rng: random.Random, one: Any) -> str:
    axis, columns = _columns_of(rng, one)
    table = getattr(one, axis)
    having = [c for c in columns if isinstance(table[c].dtype, pd.CategoricalDtype)]
    if not having:
        return "one.rename_categories('not there', ['a'])"
    name = rng.choice(having)
    count = len(table[name].cat.categories) + (rng.random() < 0.1)
    return f"one.rename_categories({name!r}, {[f'k{k}' for k in range(count)]})"


def _texts(rng: random.Random, one: Any) -> str:
    return "one.strings_to_categoricals()"


def _transposed(rng: random.Random, one: Any) -> str:
    return "one = w.transposed(one)"


def _copies(rng: random.Random, one: Any) -> str:
    return rng.choice(("one = w.copy(one)", "one = one.to_memory()"))


def _concat(rng: random.Random, one: Any) -> str:
    if 0 in one.shape:  # anndata gives what is empty a say in types, as float64
        return "pass"
    other = rng.choice(("one", f"w.take(one, {some_of(rng, one)})"))
    if rng.random() < 0.3:
        made = begin(rng, rows=rng.randint(1, 4), cols=rng.randint(1, 7))
        other = made.removeprefix("one = ")
    options = {
        "axis": rng.choice((0, 0, 1)),
        "join": rng.choice(("inner", "outer")),
        "merge": rng.choice((None, "same", "unique", "first", "only")),
        "uns_merge": rng.choice((None, "same", "unique", "first", "only")),
    }
    if rng.random() < 0.5:
        options |= {"label": rng.choice(("from", "c0")), "keys": ["x", "y"]}
    if rng.random() < 0.6:
        options["index_unique"] = rng.choice(("-", "_"))
    if rng.random() < 0.2:
        options["pairwise"] = True
    if rng.random() < 0.2:
        options["fill_value"] = rng.choice((0, 1.5, -1))
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"one = w.concat([one, {other}], {given})"


def _rewrite(rng: random.Random, one: Any) -> str:
    """Write to a new file, and go on with what is opened from one of the two worlds' files."""
    name = f"f{rng.randrange(10**6)}.h5ad"
    how = rng.choice(("", "", ", cross=True", ", backed=True"))
    return f"w.write(one, {name!r})\none = w.open({name!r}{how})"


def _save(rng: random.Random, one: Any) -> str:
    """Save in place; an object that belongs to no file, or is a part of one, is written first."""
    after = "" if rng.random() < 0.5 else "\none = w.reopen(one)"
    return f"one = w.save(one){after}"


def parts_of(weights: dict[Operation, int]) -> list[Operation]:
    """Repeat operations by their weights."""
    return [operation for operation, weight in weights.items() for _ in range(weight)]


OPERATIONS = parts_of(
    {
        _select: 12,
        _set_x: 4,
        _set_aligned: 12,
        _delete_aligned: 2,
        _replace_aligned: 2,
        _column: 8,
        _delete_column: 2,
        _rename_column: 2,
        _change_column: 2,
        _table: 3,
        _names: 4,
        _index: 2,
        _unique: 2,
        _uns: 8,
        _uns_inside: 3,
        _delete_uns: 2,
        _raw: 4,
        _rename_categories: 3,
        _texts: 2,
        _transposed: 2,
        _copies: 3,
        _concat: 5,
        _rewrite: 6,
        _save: 5,
    }
)
