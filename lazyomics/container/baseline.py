"""What a loaded value was, and whether it is another now."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.values import is_nested, is_ragged, parts_of

__all__ = [
    "Baseline",
    "FrameContent",
    "content_of",
    "is_content",
    "same_value",
]

_EXTENSION = pd.api.extensions.ExtensionArray


def same_value(a: Any, b: Any) -> bool:
    """Compare two element values deeply; NaN equals NaN."""
    a = a.array if isinstance(a, pd.Series) else a
    b = b.array if isinstance(b, pd.Series) else b
    if is_nested(a) and is_nested(b):
        return same_value(parts_of(a), parts_of(b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return set(a) == set(b) and all(same_value(a[k], b[k]) for k in a)
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        same = list(a.columns) == list(b.columns) and same_value(a.index, b.index)
        return same and all(same_value(a[c].array, b[c].array) for c in a.columns)
    if isinstance(a, pd.Index) and isinstance(b, pd.Index):
        return a.name == b.name and a.equals(b)
    if isinstance(a, pd.Categorical) and isinstance(b, pd.Categorical):
        same = a.ordered == b.ordered and a.categories.equals(b.categories)
        return same and np.array_equal(a.codes, b.codes)
    if isinstance(a, _EXTENSION) or isinstance(b, _EXTENSION):
        return _same_extension(a, b)
    if is_ragged(a) and is_ragged(b):
        return str(a.type) == str(b.type) and bool(a.to_list() == b.to_list())
    if sp.issparse(a) and sp.issparse(b):
        return _same_sparse(a, b)
    if isinstance(a, np.ndarray | list | tuple) or isinstance(b, np.ndarray | list | tuple):
        return _same_array(np.asarray(a), np.asarray(b))
    return _same_scalar(a, b)


def _same_extension(a: Any, b: Any) -> bool:
    if isinstance(a, pd.arrays.NumpyExtensionArray):
        a = a.to_numpy()
    if isinstance(b, pd.arrays.NumpyExtensionArray):
        b = b.to_numpy()
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        # The same values are stored in another way as categories, or with a mask.
        texts = [
            isinstance(x.dtype, pd.StringDtype) for x in (a, b) if not isinstance(x, np.ndarray)
        ]
        return all(texts) and _same_array(np.asarray(a), np.asarray(b))
    return type(a) is type(b) and a.dtype == b.dtype and bool(pd.Series(a).equals(pd.Series(b)))


def _same_sparse(a: Any, b: Any) -> bool:
    if a.format != b.format or a.shape != b.shape or a.dtype != b.dtype or a.nnz != b.nnz:
        return False
    parts = ("indptr", "indices", "data")
    return all(np.array_equal(getattr(a, p), getattr(b, p)) for p in parts)


def _same_array(a: Any, b: Any) -> bool:
    a, b = _text_as_objects(a), _text_as_objects(b)
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind or a.dtype.itemsize != b.dtype.itemsize:
        return False
    if a.dtype.names is not None:
        return a.dtype.names == b.dtype.names and all(
            _same_array(a[n], b[n]) for n in a.dtype.names
        )
    if a.dtype.kind in "fc":
        return bool(np.array_equal(a, b, equal_nan=True))
    if a.dtype.kind == "O":
        return bool(pd.Series(a.ravel()).equals(pd.Series(b.ravel())))
    return bool(np.array_equal(a, b))


def _text_as_objects(values: Any) -> Any:
    """Text is stored alike, whether it was numpy text, objects or pandas strings."""
    return values.astype(object) if values.dtype.kind in "UT" else values


def _same_scalar(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, float | np.floating) and isinstance(b, float | np.floating):
        return bool(a == b or (np.isnan(a) and np.isnan(b)))
    kinds = (bool | np.bool_, int | np.integer, float | np.floating, str)
    if not any(isinstance(a, k) and isinstance(b, k) for k in kinds):
        return type(a) is type(b) and bool(a == b)
    return bool(a == b)


@dataclass(frozen=True)
class Baseline:
    """A value as it was read.

    Attributes
    ----------
    origin
        The stored element that it was read from.
    content
        Its content, see :func:`content_of`; None where nothing but the origin is known.
    """

    origin: Any
    content: Any


class Digest(NamedTuple):
    """Type, shape and two checksums of an array of numbers."""

    dtype: str
    shape: tuple[int, ...]
    crc: int
    adler: int


class Parts(NamedTuple):
    """A value of several arrays: a sparse matrix or a categorical column."""

    kind: tuple[Any, ...]
    parts: tuple[Any, ...]


class Kept(NamedTuple):
    """A value that is kept itself: small ones, and text, of which a copy is a list of pointers."""

    value: Any


@dataclass(frozen=True)
class FrameContent:
    """Content of a table: its row names, and each column."""

    index: Any
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class NestedContent:
    """Content of an AnnData: that of its parts."""

    parts: Mapping[str, Any]


def content_of(value: Any) -> Any:
    """Describe a value by its types and checksums.

    Parameters
    ----------
    value
        What a container may hold in memory.

    Returns
    -------
    A mapping of contents for a mapping, a :class:`FrameContent` for a table, a
    :class:`NestedContent` for an AnnData, otherwise a value to
    be given to :func:`is_content`. Numbers are described by 64 bits of checksums (8 GB/s), text by
    a shallow copy.
    """
    if isinstance(value, Mapping):
        return {key: content_of(entry) for key, entry in value.items()}
    if is_nested(value):
        return NestedContent(content_of(parts_of(value)))
    if isinstance(value, pd.DataFrame):
        columns = {str(name): content_of(column) for name, column in value.items()}
        return FrameContent(content_of(value.index), columns)
    if isinstance(value, pd.Index):
        return Parts(("index", value.name), (Kept(value.array),))  # nothing changes an index
    if isinstance(value, pd.Series):
        return _column_content(value.array)
    if isinstance(value, np.ndarray):
        return _array_content(value)
    if sp.issparse(value):
        if value.format in ("csr", "csc"):
            arrays = (value.indptr, value.indices, value.data)
            return Parts((value.format, value.shape), tuple(map(_array_content, arrays)))
        return Kept(value.copy())
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return _column_content(value)
    return Kept(deepcopy(value))


def is_content(value: Any, content: Any) -> bool:
    """Tell whether a value still has a content that :func:`content_of` returned."""
    if isinstance(content, Kept):
        return same_value(value, content.value)
    if isinstance(content, Parts) and content.kind[0] == "index":
        is_index = isinstance(value, pd.Index) and value.name == content.kind[1]
        return is_index and is_content(value.array, content.parts[0])
    if isinstance(content, Parts) and content.kind[0] == "categorical":
        if not isinstance(value, pd.Categorical | pd.Series) or not hasattr(value, "dtype"):
            return False
        array = value.array if isinstance(value, pd.Series) else value
        if not isinstance(array, pd.Categorical) or array.ordered != content.kind[1]:
            return False
        codes, categories = content.parts
        return is_content(np.asarray(array.codes), codes) and is_content(
            array.categories.array, categories
        )
    if isinstance(content, NestedContent):
        return is_nested(value) and is_content(parts_of(value), content.parts)
    if isinstance(content, Mapping):
        return (
            isinstance(value, Mapping)
            and set(value) == set(content)
            and all(is_content(value[key], content[key]) for key in content)
        )
    if isinstance(content, FrameContent):
        return (
            isinstance(value, pd.DataFrame)
            and list(map(str, value.columns)) == list(content.columns)
            and is_content(value.index, content.index)
            and all(
                is_content(value.iloc[:, at].array, column)
                for at, column in enumerate(content.columns.values())
            )
        )
    if isinstance(value, pd.Series):
        value = value.array
    if isinstance(value, pd.arrays.NumpyExtensionArray):
        value = value.to_numpy()
    return type(content_of(value)) is type(content) and bool(content_of(value) == content)


def _column_content(array: Any) -> Any:
    if isinstance(array, pd.Categorical):
        codes, categories = np.asarray(array.codes), array.categories.array
        parts = (_array_content(codes), _column_content(categories))
        return Parts(("categorical", array.ordered), parts)
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        return _array_content(array.to_numpy())
    return Kept(array.copy())


def _array_content(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind not in "biufcmM" or type(array) is not np.ndarray:
        return Kept(array.copy())
    import deflate

    view: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return Digest(array.dtype.str, array.shape, deflate.crc32(view), deflate.adler32(view))
