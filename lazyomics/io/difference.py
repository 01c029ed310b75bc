"""In which elements and values two objects differ; matrices are compared in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.anndata import AnnData
from lazyomics.container.concat.frames import same_value
from lazyomics.container.mudata import MuData
from lazyomics.errors import ShapeError
from lazyomics.lazy.kinds import is_dask_array

__all__ = ["Difference", "Tolerance", "differences"]

MAPPINGS = ("layers", "obsm", "varm", "obsp", "varp")


@dataclass(frozen=True)
class Difference:
    """One element that differs.

    Attributes
    ----------
    element
        Its path in the file.
    what
        ``"only in A"``, ``"only in B"``, ``"shape"``, ``"dtype"``, ``"kind"``, ``"names"``,
        ``"order"`` or ``"values"``.
    message
        The same in words, with numbers.
    """

    element: str
    what: str
    message: str


@dataclass(frozen=True)
class Tolerance:
    """How far numbers may be from each other: ``|a - b| <= absolute + relative * |b|``."""

    relative: float = 0.0
    absolute: float = 0.0

    def same(self, a: Any, b: Any) -> Any:
        """Tell for each pair of values whether they are the same; NaN is as NaN."""
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.kind not in "fc" and b.dtype.kind not in "fc" and not self:
            return a == b
        with np.errstate(invalid="ignore", over="ignore"):
            return np.isclose(a, b, rtol=self.relative, atol=self.absolute, equal_nan=True)

    def __bool__(self) -> bool:
        return bool(self.relative or self.absolute)


def differences(
    a: AnnData | MuData,
    b: AnnData | MuData,
    *,
    tolerance: Tolerance = Tolerance(),
    ignore: Callable[[str], bool] = lambda _: False,
) -> Iterator[Difference]:
    """Compare all elements of two objects.

    Parameters
    ----------
    a, b
        Objects of the same type, opened or in memory.
    tolerance
        For floating point numbers.
    ignore
        Called with the path of an element; true leaves it out, with all that is in it.

    Yields
    ------
    What differs. How matrices are stored (sparse or dense, by rows or by columns, filters) is no
    difference, types of values are.

    Raises
    ------
    TypeError
        If one is an AnnData and the other a MuData.

    Notes
    -----
    Passes over each matrix: 1 (matrices of two storage orders: by columns, 1 for each window of
    rows). Peak memory: the tables, and a block of both matrices.

    Examples
    --------
    >>> import lazyomics as lo
    >>> a, b = (lo.AnnData(np.ones((2, 3))) for _ in range(2))
    >>> b.X[1, 2] = 5
    >>> [(found.element, found.message) for found in differences(a, b)]
    [('X', '1 of 6 values differ, by 4 at most; the first at [1, 2]: 1.0, 5.0')]
    """
    if isinstance(a, MuData) != isinstance(b, MuData):
        kinds = [type(x).__name__ for x in (a, b)]
        raise TypeError(f"expected two objects of one type, found {kinds[0]} and {kinds[1]}")
    for found in _of_objects(a, b, "", tolerance, ignore):
        if not any(ignore(place) for place in _places(found.element)):
            yield found


def _places(element: str) -> list[str]:
    parts = element.split("/")
    return ["/".join(parts[: k + 1]) for k in range(len(parts))]


def _of_objects(
    a: Any, b: Any, lead: str, tolerance: Tolerance, ignore: Callable[[str], bool]
) -> Iterator[Difference]:
    for name in ("obs", "var"):
        if not ignore(f"{lead}{name}"):
            yield from _of_tables(getattr(a, name), getattr(b, name), f"{lead}{name}", tolerance)
    if isinstance(a, MuData):
        for key in _keys(a.mod, b.mod, f"{lead}mod"):
            if isinstance(key, Difference):
                yield key
            elif not ignore(f"{lead}mod/{key}"):
                place = f"{lead}mod/{key}/"
                yield from _of_objects(a.mod[key], b.mod[key], place, tolerance, ignore)
    else:
        yield from _of_matrices_and_raw(a, b, lead, tolerance, ignore)
    for name in MAPPINGS:
        if hasattr(a, name) and not ignore(f"{lead}{name}"):
            yield from _of_mappings(
                getattr(a, name), getattr(b, name), f"{lead}{name}", tolerance, ignore
            )
    if not ignore(f"{lead}uns"):
        yield from _of_mappings(a.uns, b.uns, f"{lead}uns", tolerance, ignore)


def _of_matrices_and_raw(
    a: Any, b: Any, lead: str, tolerance: Tolerance, ignore: Callable[[str], bool]
) -> Iterator[Difference]:
    if not ignore(f"{lead}X"):
        yield from _of_optional(a.X, b.X, f"{lead}X", tolerance)
    if ignore(f"{lead}raw"):
        return
    if a.raw is None or b.raw is None:
        if a.raw is not b.raw:
            yield _only(f"{lead}raw", in_a=a.raw is not None)
        return
    yield from _of_tables(a.raw.var, b.raw.var, f"{lead}raw/var", tolerance)
    yield from _of_optional(a.raw.X, b.raw.X, f"{lead}raw/X", tolerance)
    yield from _of_mappings(a.raw.varm, b.raw.varm, f"{lead}raw/varm", tolerance, ignore)


def _only(element: str, *, in_a: bool) -> Difference:
    where = "A" if in_a else "B"
    return Difference(element, f"only in {where}", f"only in {where}")


def _keys(a: Any, b: Any, place: str) -> Iterator[Any]:
    """Give a difference for each key of one mapping only, and each key of both."""
    for key in [*a, *(k for k in b if k not in a)]:
        if key in a and key in b:
            yield key
        else:
            yield _only(f"{place}/{key}", in_a=key in a)


def _of_optional(a: Any, b: Any, place: str, tolerance: Tolerance) -> Iterator[Difference]:
    if a is None or b is None:
        if a is not b:
            yield _only(place, in_a=a is not None)
        return
    yield from _of_values(a, b, place, tolerance)


def _of_mappings(
    a: Any, b: Any, place: str, tolerance: Tolerance, ignore: Callable[[str], bool]
) -> Iterator[Difference]:
    for key in _keys(a, b, place):
        if isinstance(key, Difference):
            yield key
        elif not ignore(f"{place}/{key}"):
            one, other = a[key], b[key]
            if isinstance(one, Mapping) and isinstance(other, Mapping):
                yield from _of_mappings(one, other, f"{place}/{key}", tolerance, ignore)
            else:
                yield from _of_values(one, other, f"{place}/{key}", tolerance)


def _of_tables(
    a: pd.DataFrame, b: pd.DataFrame, place: str, tolerance: Tolerance
) -> Iterator[Difference]:
    if len(a) != len(b):
        yield Difference(place, "shape", f"{len(a)} rows, {len(b)} rows")
        missing = len(a.index.difference(b.index)), len(b.index.difference(a.index))
        yield Difference(
            f"{place}/_index", "names", f"{missing[0]} names only in A, {missing[1]} only in B"
        )
    elif not a.index.equals(b.index):
        only = len(a.index.difference(b.index))
        moved = int((np.asarray(a.index) != np.asarray(b.index)).sum())
        text = f"{only} of {len(a)} names only in A" if only else f"{moved} names in another order"
        yield Difference(f"{place}/_index", "names" if only else "order", text)
    for key in _keys(list(a.columns), list(b.columns), place):
        if isinstance(key, Difference):
            yield key
        elif len(a) == len(b):
            yield from _of_columns(a[key], b[key], f"{place}/{key}", tolerance)


def _of_columns(a: Any, b: Any, place: str, tolerance: Tolerance) -> Iterator[Difference]:
    if isinstance(a, pd.DataFrame) or isinstance(b, pd.DataFrame):  # a name that is there twice
        if not same_value(a, b):
            yield Difference(place, "values", "values differ")
        return
    kinds = [_kind_of(x.dtype) for x in (a, b)]
    if kinds[0] != kinds[1]:
        yield Difference(place, "dtype", f"{kinds[0]}, {kinds[1]}")
    gaps = a.isna().to_numpy(), b.isna().to_numpy()
    same, both = gaps[0] & gaps[1], ~gaps[0] & ~gaps[1]
    if all(pd.api.types.is_numeric_dtype(x.dtype) for x in (a, b)):
        left, right = (x[both].to_numpy(dtype=f"{x.dtype.kind}{x.dtype.itemsize}") for x in (a, b))
        same[both] = tolerance.same(left, right)
    else:
        left, right = (x[both].astype(object).to_numpy() for x in (a, b))
        same[both] = left == right
    if not same.all():
        at = int(np.flatnonzero(~same)[0])
        yield Difference(
            place,
            "values",
            f"{int((~same).sum())} of {len(a)} values differ; the first in row {at}: "
            f"{a.iloc[at]!r}, {b.iloc[at]!r}",
        )
    elif kinds == ["categories"] * 2 and a.dtype != b.dtype:
        yield Difference(place, "dtype", "categories differ")
    elif kinds == ["categories"] * 2 and list(a.cat.categories) != list(b.cat.categories):
        yield Difference(place, "dtype", "the same categories in another order")


def _kind_of(dtype: Any) -> str:
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    text = pd.api.types.is_string_dtype(dtype) or dtype.kind == "O"
    return "text" if text else str(dtype)


def _of_values(a: Any, b: Any, place: str, tolerance: Tolerance) -> Iterator[Difference]:
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        yield from _of_tables(a, b, place, tolerance)
        return
    if not all(map(_is_array, (a, b))):
        same = type(a) is type(b) or np.isscalar(a) == np.isscalar(b)
        if not same or not same_value(a, b):
            yield Difference(place, "values", f"{_shown(a)}, {_shown(b)}")
        return
    if a.shape != b.shape:
        yield Difference(place, "shape", f"{a.shape}, {b.shape}")
        return
    if a.dtype != b.dtype and {a.dtype.kind, b.dtype.kind} - set("OUST"):
        yield Difference(place, "dtype", f"{a.dtype}, {b.dtype}")
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        if not same_value(a, b):
            yield Difference(place, "values", "values differ")
        return
    count = _Count()
    for start, one, other in _blocks(a, b):
        _count(one, other, start, tolerance, count)
    if count.n:
        yield Difference(place, "values", count.text(int(np.prod(a.shape))))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or sp.issparse(value) or is_dask_array(value)


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass
class _Count:
    """Values that differ so far."""

    n: int = 0
    most: float = 0.0
    first: str = ""

    def text(self, size: int) -> str:
        by = f", by {self.most:.6g} at most" if self.most else ""
        return f"{self.n} of {size} values differ{by}; the first at {self.first}"


def _blocks(a: Any, b: Any) -> Iterator[tuple[tuple[int, int], Any, Any]]:
    """The same rows, or columns, of both, in memory."""
    if not (is_dask_array(a) or is_dask_array(b)) or a.ndim != 2:
        yield (0, 0), *(lazy.materialize(x) if is_dask_array(x) else x for x in (a, b))
        return
    recipes = [lazy.recipe_of(x) if is_dask_array(x) else None for x in (a, b)]
    by_columns = all(r is not None and r.by_columns for r in recipes)
    planned = a if is_dask_array(a) else b
    recipe = recipes[0] if is_dask_array(a) else recipes[1]
    bounds = recipe.bounds() if recipe is not None and recipe.by_columns == by_columns else None
    if bounds is None:
        ends = np.cumsum([0, *planned.chunks[int(by_columns)]])
        bounds = tuple(int(end) for end in ends)
    for start, stop in pairwise(bounds):
        cut = (slice(None), slice(start, stop)) if by_columns else (slice(start, stop), slice(None))
        parts = [x[cut] for x in (a, b)]
        found = lazy.materialize_all([x for x in parts if is_dask_array(x)])
        done = [found.pop(0) if is_dask_array(x) else x for x in parts]
        shape = done[0].shape
        if shape != done[1].shape:
            raise ShapeError(f"blocks of shapes {shape} and {done[1].shape}")
        yield ((0, start) if by_columns else (start, 0)), done[0], done[1]


def _count(a: Any, b: Any, start: tuple[int, int], tolerance: Tolerance, count: _Count) -> None:
    a, b = (x.tocsr() if sp.issparse(x) else np.asarray(x) for x in (a, b))
    if sp.issparse(a) and sp.issparse(b):
        where = (a != b).tocoo()
        at: Any = (where.row, where.col)
        left, right = (
            (np.asarray(x[at]).ravel() for x in (a, b)) if where.nnz else (a.data[:0],) * 2
        )
    else:
        left, right = (x.toarray() if sp.issparse(x) else x for x in (a, b))
        at = None
    differs = ~tolerance.same(left, right)
    n = int(np.count_nonzero(differs))
    if n == 0:
        return
    if a.dtype.kind in "biuf" and b.dtype.kind in "biuf":
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(left[differs].astype(float) - right[differs].astype(float))
        count.most = max(count.most, float(np.nanmax(gap, initial=0)))
    if count.n == 0:
        first = np.argwhere(differs)[0]
        place = (at[0][first[0]], at[1][first[0]]) if at is not None else tuple(first)
        shift = start if len(place) == 2 else (0,) * len(place)
        shown = [int(k + s) for k, s in zip(place, shift, strict=True)]
        values = left[tuple(first)].item(), right[tuple(first)].item()
        count.first = f"{shown}: {values[0]}, {values[1]}"
    count.n += n
