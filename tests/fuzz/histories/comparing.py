"""The first difference between what the two worlds hold, with the differences that do no harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["difference"]

PARTS = ("layers", "obsm", "varm", "obsp", "varp", "uns")


class Difference(Exception):
    """Where two values differ, and how."""


def difference(ours: Any, theirs: Any) -> str | None:
    """Return where and how an object of lazyomics differs from one of anndata or mudata."""
    try:
        if hasattr(theirs, "mod"):
            _same_mudata(ours, theirs)
        else:
            _same_anndata(ours, theirs, "")
    except Difference as found:
        return str(found)
    return None


def _expect(where: str, what: str, mine: Any, other: Any) -> None:
    if mine != other:
        raise Difference(f"{where} {what}: lazyomics has {mine!r}, the oracle {other!r}")


def _same_anndata(ours: Any, theirs: Any, at: str, *, loose: bool = False) -> None:
    ours = _loaded(ours)
    _expect(at, "shape", tuple(ours.shape), tuple(theirs.shape))
    _same(ours.X, theirs.X, f"{at}X")
    _same_frame(ours.obs, theirs.obs, f"{at}obs", loose=loose)
    _same_frame(ours.var, theirs.var, f"{at}var", loose=loose)
    for part in PARTS:
        _same(*(_without_x(getattr(x, part)) for x in (ours, theirs)), f"{at}{part}")
    _expect(at, "raw", ours.raw is None, theirs.raw is None)
    if theirs.raw is not None:
        _same(ours.raw.X, theirs.raw.X, f"{at}raw.X")
        _same(ours.raw.var, theirs.raw.var, f"{at}raw.var")
        _same_varm_of_raw(ours.raw.varm, theirs.raw, f"{at}raw.varm")


def _same_varm_of_raw(ours: Any, raw: Any, at: str) -> None:
    """Compare, unless anndata refuses to show it: new names of genes reach tables of its raw."""
    try:
        theirs = raw.varm
    except ValueError as error:
        if "value.index does not match" in str(error):
            return
        raise
    _same(ours, theirs, at)


def _loaded(one: Any) -> Any:
    """Return an object without anything lazy; what is stored stays so in the object itself."""
    if not type(one).__module__.startswith("lazyomics"):
        return one
    return one.to_memory(copy=True) if one.isbacked or one.__dask_graph__() is not None else one


def _without_x(values: Any) -> dict[Any, Any]:
    """anndata 0.13 lists X among the layers, under None."""
    return {key: values[key] for key in values if key is not None}


def _same_mudata(ours: Any, theirs: Any) -> None:
    ours = _loaded(ours)
    _expect("", "mod", list(ours.mod), list(theirs.mod))
    _expect("", "axis", ours.axis, theirs.axis)
    _expect("", "shape", tuple(ours.shape), tuple(theirs.shape))
    for name in ("obs", "var"):
        _same_frame(getattr(ours, name), getattr(theirs, name), name, loose=True)
        mine, other = getattr(ours, f"{name}map"), getattr(theirs, f"{name}map")
        _expect(f"{name}map", "keys", sorted(mine), sorted(other))
        for mod in other:
            left, right = (np.ravel(np.asarray(m[mod])).tolist() for m in (mine, other))
            _expect(f"{name}map[{mod!r}]", "values", left, right)
    for part in PARTS[1:]:
        mine, other = dict(getattr(ours, part)), dict(getattr(theirs, part))
        if part in ("obsm", "varm"):
            for mod in set(ours.mod) & set(other):  # vectors in mudata 0.3, columns in 0.4
                other[mod] = np.ravel(np.asarray(other[mod])).reshape(-1, 1).astype(bool)
        if part != "uns":
            _expect(part, "keys", sorted(mine), sorted(other))
            for key in other:
                where = f"{part}[{key!r}]"
                given = mine[key], other[key]
                if not isinstance(other[key], pd.DataFrame):
                    given = _with_new_entries(*given, where, pairs=part.endswith("p"))
                _same(*given, where, loose=True)
        else:
            _same(mine, other, part, loose=True)
    for mod in theirs.mod:
        _same_anndata(ours.mod[mod], theirs.mod[mod], f"mod[{mod!r}].", loose=True)


def _with_new_entries(a: Any, b: Any, where: str, *, pairs: bool) -> tuple[Any, Any]:
    """Bring arrays of the whole to one way of saying that an entry came with an update.

    Of such entries lazyomics stores NaN in dense matrices, whose integers and booleans become
    float64 for that, and nothing in sparse ones. mudata stores NaN in rows of obsm, also of sparse
    matrices, and −1 in rows and columns of obsp (0.4: in those of integers), which is True in
    booleans. mudata 0.4 masks rows of integers and booleans. No value of a history is −1.
    """
    if isinstance(b, np.ma.MaskedArray):
        b = b.astype(_with_gaps(b.dtype, sparse=False)).filled(np.nan)
    if sp.issparse(a) != sp.issparse(b) or a.shape != b.shape or a.ndim != 2:
        return a, b
    mine, other = (x.toarray() if sp.issparse(x) else np.asarray(x) for x in (a, b))
    if other.dtype.kind == "b":  # True says nothing
        gaps = np.isnan(mine) if mine.dtype.kind == "f" else np.zeros(mine.shape, bool)
    else:
        gaps = np.isnan(other) if other.dtype.kind == "f" else np.zeros(other.shape, bool)
        if pairs:
            gaps |= other == -1
    new = gaps.all(axis=1)
    if pairs:
        new &= gaps.all(axis=0)
    if not new.any():
        return a, b
    entries = new[:, None] | new[None, :] if pairs else np.broadcast_to(new[:, None], gaps.shape)
    _expect(where, "dtype", mine.dtype, _with_gaps(other.dtype, sparse=sp.issparse(a)))
    if sp.issparse(a):
        _expect(where, "format", a.format, b.format)
    mine, other = (x.astype(np.result_type(mine.dtype, np.nan)) for x in (mine, other))
    if sp.issparse(a):
        mine[entries & (mine == 0)] = np.nan
    other[entries] = np.nan
    return mine, other


def _with_gaps(dtype: np.dtype[Any], *, sparse: bool) -> np.dtype[Any]:
    """Return the type that lazyomics gives to an array of some type that gets new entries."""
    return dtype if sparse else np.result_type(dtype, np.nan)


def _same(a: Any, b: Any, where: str, *, loose: bool = False) -> None:
    if isinstance(b, Mapping):
        _expect(where, "is a mapping", isinstance(a, Mapping), True)
        _expect(where, "keys", sorted(map(str, a)), sorted(map(str, b)))
        for key in b:
            _same(a[key], b[key], f"{where}[{key!r}]", loose=loose)
    elif isinstance(b, pd.DataFrame):
        _expect(where, "type", isinstance(a, pd.DataFrame), True)
        _same_frame(a, b, where, loose=loose)
    elif sp.issparse(b):
        _expect(where, "is sparse", sp.issparse(a), True)
        for what in ("format", "shape"):
            _expect(where, what, getattr(a, what), getattr(b, what))
        _same_array(a.toarray(), b.toarray(), where)
        # Zeros may be stored or not: anndata stores those of dense matrices that it joins.
    elif isinstance(b, pd.api.extensions.ExtensionArray):
        _same_extension(a, b, where)
    elif isinstance(b, np.ndarray):
        _expect(where, "type", isinstance(a, np.ndarray), True)
        _same_array(a, b, where)
    elif isinstance(b, list | tuple):
        _expect(where, "type", type(a), type(b))
        _expect(where, "values", list(a), list(b))
    else:
        _same_scalar(a, b, where)


def _same_frame(a: pd.DataFrame, b: pd.DataFrame, where: str, *, loose: bool = False) -> None:
    """Compare tables; loosely those of a MuData.

    mudata converts columns with each update, copy, pull and push to the types that pandas thinks
    best (``convert_dtypes``): floats that are whole become integers. lazyomics keeps types.
    """
    names, others = list(a.index), list(b.index)
    reordered = names != others and sorted(names) == sorted(others)
    _expect(where, f"row names{', in another order' if reordered else ''}", names, others)
    _expect(where, "name of the index", a.index.name, b.index.name)
    _expect(where, "kind of row names", _kind(a.index.dtype), _kind(b.index.dtype))
    _expect(where, "columns", list(a.columns), list(b.columns))
    for (name, mine), (_, other) in zip(a.items(), b.items(), strict=True):
        if loose:
            values, expected = _plain(mine), _plain(other)
            if values != expected:
                raise _values_differ(f"{where}[{name!r}]", values, expected)
        else:
            _same_column(mine, other, f"{where}[{name!r}]")


def _values_differ(where: str, mine: Any, other: Any) -> Difference:
    """Return what to raise; it says if only values differ that the oracle lacks."""
    a, b = (np.asarray(values, dtype=object) for values in (mine, other))
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=False)
    lacking = a.shape == b.shape and all(y is None or y != y or x == y for x, y in pairs)
    text = ", some missing in the oracle" if lacking else ""
    return Difference(f"{where} values{text}: lazyomics has {mine}, the oracle {other}")


def _plain(column: Any) -> list[Any]:
    """Return values without their types, None where they are missing."""
    values: list[Any] = column.to_numpy(dtype=object, na_value=None).tolist()
    return values


def _kind(dtype: Any) -> str:
    """pandas 3 has a type for text, before it is objects; files do not tell them apart."""
    return "text" if str(dtype) in ("object", "str", "string") else str(dtype)


def _same_column(a: Any, b: Any, where: str) -> None:
    if isinstance(b.dtype, pd.api.extensions.ExtensionDtype):
        _same_extension(a.array, b.array, where)
    else:
        alike = ", of equal values" if _plain(a) == _plain(b) else ""
        _expect(where, f"dtype{alike}", str(a.dtype), str(b.dtype))
        _same_array(a.to_numpy(), b.to_numpy(), where)


def _same_extension(a: Any, b: Any, where: str) -> None:
    empty = ", of no values" if not len(a) and not len(b) else ""
    _expect(where, f"type{empty}", type(a).__name__, type(b).__name__)
    if isinstance(b, pd.Categorical):
        _expect(where, "ordered", a.ordered, b.ordered)
        _expect(where, "categories", list(a.categories), list(b.categories))
        types = [_kind(x.categories.dtype) for x in (a, b)]
        _expect(where, "type of categories", *types)
        _expect(where, "codes", a.codes.tolist(), b.codes.tolist())
        return
    _expect(where, "dtype", a.dtype, b.dtype)
    _same_array(np.asarray(a, dtype=object), np.asarray(b, dtype=object), where)


def _same_array(a: Any, b: Any, where: str) -> None:
    _expect(where, "shape", a.shape, b.shape)
    if b.dtype.names is not None:
        _expect(where, "fields", a.dtype.names, b.dtype.names)
        for field in b.dtype.names:
            _same_array(np.asarray(a[field]), np.asarray(b[field]), f"{where}[{field!r}]")
        return
    text = {a.dtype.kind, b.dtype.kind} <= {"U", "O", "T"}
    if not text:
        if a.dtype != b.dtype:
            alike = ", of equal values" if _equal_numbers(a, b) else ""
            _expect(where, f"dtype{alike}", a.dtype, b.dtype)
        same = np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    else:
        a, b = a.astype(object), b.astype(object)
        gaps, other_gaps = np.asarray(pd.isna(a)), np.asarray(pd.isna(b))
        same = np.array_equal(gaps, other_gaps) and a[~gaps].tolist() == b[~gaps].tolist()
    if not same:
        raise _values_differ(where, a.tolist(), b.tolist())


def _equal_numbers(a: Any, b: Any) -> bool:
    """Tell whether arrays hold the same numbers, whatever their types."""
    try:
        return np.array_equal(a.astype(np.float64), b.astype(np.float64), equal_nan=True)
    except (TypeError, ValueError):
        return False


def _same_scalar(a: Any, b: Any, where: str) -> None:
    if b is None or isinstance(b, str):
        _expect(where, "value", a, b)
        return
    if type(a).__module__.partition(".")[0] not in ("builtins", "numpy"):
        raise Difference(f"{where} type: lazyomics has {type(a)}, the oracle {type(b)}")
    # 1 and numpy.int64(1) are read alike
    _expect(where, "dtype", np.asarray(a).dtype, np.asarray(b).dtype)
    if not (a == b or (a != a and b != b)):
        raise Difference(f"{where} value: lazyomics has {a!r}, the oracle {b!r}")
