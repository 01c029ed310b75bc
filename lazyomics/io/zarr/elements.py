"""Elements of zarr stores other than lazy matrices, read into memory as anndata reads them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container.frames import string_index
from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings.kinds import ALIASES, NEWEST, parsed_version, text
from lazyomics.io.encodings.sparse import check_as_many, checked_shape, sparse_in_memory
from lazyomics.io.zarr.stores import ZarrStore, damaged, member, members, readable

__all__ = [
    "column_kinds",
    "frame_columns",
    "frame_index",
    "frame_length",
    "is_group",
    "kind_of",
    "read_columns",
    "read_element",
    "sparse_parts",
    "sparse_shape",
    "stored_bytes",
    "values_of",
]

LARGEST_RATIO = 4096  # of decoded to stored bytes that large arrays are believed
ALWAYS_ALLOWED_BYTES = 256 << 20
CATEGORIES = "__categories"  # of tables written by anndata 0.7


def is_group(node: Any) -> bool:
    """Whether a node of a store is a group, not an array."""
    return not hasattr(node, "dtype")


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Return an attribute of a group or array."""
    return node.attrs.get(name, default)


def kind_of(store: ZarrStore, node: Any) -> str:
    """Return the encoding of an element by its attributes, else by its layout."""
    with readable(store, node.path or "/"):
        stated = text(attribute(node, "encoding-type", "")).lower()
        version = text(attribute(node, "encoding-version", ""))
    kind = ALIASES.get(stated, stated)
    if not kind:
        if is_group(node):
            return "dataframe" if "column-order" in node.attrs else "dict"
        if "categories" in node.attrs:
            return "categorical"
        return "string-array" if _holds_text(node) else "array"
    found, newest = parsed_version(version), NEWEST.get(kind)
    known = newest is not None and found is not None and found <= newest
    return kind if known else "unknown"


def _holds_text(array: Any) -> bool:
    dtype = array.dtype
    return getattr(dtype, "kind", "") in "TUO"


def values_of(store: ZarrStore, node: Any) -> Any:
    """Read all values of an array, text as objects.

    Raises
    ------
    FileFormatError
        If it is a group, damaged, or of a shape that no stored bytes can fill.
    """
    if is_group(node):
        raise damaged(store, node.path, expected="an array", found="a group")
    with readable(store, node.path):
        _check_size(store, node)
        values = np.asarray(node[...])
    return values.astype(object) if values.dtype.kind in "TU" else values


def _check_size(store: ZarrStore, node: Any) -> None:
    size = int(node.nbytes)
    if size > ALWAYS_ALLOWED_BYTES and store.folder is not None:
        stored = int(node.nbytes_stored())
        if size > LARGEST_RATIO * stored:
            raise damaged(
                store,
                node.path,
                expected=f"a shape that {stored} stored bytes can fill",
                found=f"shape {tuple(node.shape)} of {node.dtype}",
            )


def _of(store: ZarrStore, group: Any, key: str) -> Any:
    return values_of(store, member(store, group, key))


def read_element(store: ZarrStore, node: Any) -> Any:
    """Read an element, and all that is in it, into memory.

    Parameters
    ----------
    store
        Where it is, for messages.
    node
        An open group or array.

    Returns
    -------
    What :func:`lazyomics.read_elem` returns for the same element of an HDF5 file.

    Raises
    ------
    FileFormatError
        If it is damaged; names store and element.
    UnsupportedError
        If its encoding is unknown.
    """
    kind = kind_of(store, node)
    reader = READERS.get(kind)
    if reader is None:
        raise UnsupportedError(
            f"{store}: element {node.path!r} has the encoding "
            f"{text(attribute(node, 'encoding-type', '?'))!r}, which lazyomics cannot read"
        )
    return reader(store, node)


def _read_array(store: ZarrStore, node: Any) -> Any:
    values = values_of(store, node)
    return _records(values) if values.dtype.names else values


def _read_null(store: ZarrStore, node: Any) -> None:
    """``None``; what is stored does not matter."""


def _read_scalar(store: ZarrStore, node: Any) -> Any:
    values = values_of(store, node)
    if values.size != 1:
        raise damaged(store, node.path, expected="one value", found=f"shape {values.shape}")
    return values.reshape(-1)[0] if values.dtype.kind == "O" else values.item()


def _read_string(store: ZarrStore, node: Any) -> str:
    return str(_read_scalar(store, node))


def _records(values: Any) -> Any:
    """Structured values, their texts as objects."""
    fields = []
    for name in values.dtype.names:
        base = values.dtype[name]
        fields.append((name, "O" if base.kind in "US" else base))
    made = np.empty(values.shape, fields)
    for name in values.dtype.names:
        column = values[name]
        made[name] = np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column
    return made


def _read_mapping(store: ZarrStore, node: Any) -> dict[str, Any]:
    if not is_group(node):
        raise damaged(store, node.path, expected="a group", found="an array")
    return {key: read_entry(store, item) for key, item in members(store, node).items()}


def read_entry(store: ZarrStore, node: Any) -> Any:
    """Read a value of a mapping, which may be an AnnData."""
    if is_group(node) and kind_of(store, node) == "anndata":
        return importlib.import_module("lazyomics.io.zarr.opening").open_group(store, node)
    return read_element(store, node)


def sparse_shape(store: ZarrStore, node: Any) -> tuple[int, int]:
    """Return the shape of a stored sparse matrix.

    Raises
    ------
    FileFormatError
        If it is missing or impossible.
    """
    stated = attribute(node, "shape")
    stated = attribute(node, "h5sparse_shape", ()) if stated is None else stated
    return checked_shape(stated, partial(damaged, store, node.path))


def sparse_parts(store: ZarrStore, node: Any) -> dict[str, Any]:
    """Return the arrays of a stored sparse matrix: data, indices and indptr.

    Raises
    ------
    FileFormatError
        If one is missing or has not one dimension, or their lengths do not fit together.
    """
    parts = {name: member(store, node, name) for name in ("data", "indices", "indptr")}
    for name, part in parts.items():
        if is_group(part) or len(part.shape) != 1:
            found = "a group" if is_group(part) else f"shape {tuple(part.shape)}"
            raise damaged(store, f"{node.path}/{name}", expected="one dimension", found=found)
    check_as_many(parts, partial(damaged, store, node.path))
    return parts


def _read_sparse(store: ZarrStore, node: Any) -> Any:
    form: Literal["csr", "csc"] = "csr" if kind_of(store, node) == "csr_matrix" else "csc"
    shape, parts = sparse_shape(store, node), sparse_parts(store, node)
    error = partial(damaged, store, node.path)
    return sparse_in_memory(form, shape, parts, partial(values_of, store), error)


def _read_categorical(store: ZarrStore, node: Any) -> Any:
    if is_group(node):
        codes, categories = _of(store, node, "codes"), _of(store, node, "categories")
        ordered = bool(attribute(node, "ordered", False))
        return _categorical(store, node, codes, categories, ordered)
    place = text(attribute(node, "categories"))  # of anndata 0.7: a path beside the codes
    above = store.open()
    parent = node.path.rpartition("/")[0]
    source = member(store, above, f"{parent}/{place}".strip("/"))
    ordered = bool(attribute(source, "ordered", False))
    return _categorical(store, node, values_of(store, node), values_of(store, source), ordered)


def _categorical(store: ZarrStore, node: Any, codes: Any, categories: Any, ordered: bool) -> Any:
    if codes.dtype.kind not in "iu" or codes.ndim != 1:
        raise damaged(store, node.path, expected="integer codes", found=f"{codes.dtype}")
    if codes.size and (codes.min() < -1 or codes.max() >= len(categories)):
        expected = f"codes from -1 to {len(categories) - 1}"
        raise damaged(store, node.path, expected=expected, found=f"{codes.min()} to {codes.max()}")
    try:
        return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)
    except (ValueError, TypeError) as error:
        raise damaged(store, node.path, expected="distinct categories", found=str(error)) from error


def _values_and_mask(store: ZarrStore, node: Any) -> tuple[Any, Any]:
    values, mask = _of(store, node, "values"), _of(store, node, "mask")
    if values.ndim != 1 or values.shape != mask.shape or mask.dtype.kind not in "biu":
        found = f"shapes {values.shape} and {mask.shape}"
        raise damaged(store, node.path, expected="values and a mask of one length", found=found)
    return values, mask.astype(bool)


def _read_masked(store: ZarrStore, node: Any) -> Any:
    values, mask = _values_and_mask(store, node)
    is_boolean = kind_of(store, node) == "nullable-boolean"
    if values.dtype.kind not in ("b" if is_boolean else "iu"):
        expected = "booleans" if is_boolean else "integers"
        raise damaged(store, node.path, expected=expected, found=f"{values.dtype}")
    array = pd.arrays.BooleanArray if is_boolean else pd.arrays.IntegerArray
    return array(values, mask)


def _read_masked_strings(store: ZarrStore, node: Any) -> Any:
    values, mask = _values_and_mask(store, node)
    as_nan = text(attribute(node, "na-value", "NA")) == "NaN"
    dtype = pd.StringDtype(na_value=np.nan) if as_nan else pd.StringDtype()
    values = values.astype(object)
    values[mask] = dtype.na_value
    return pd.array(values, dtype=dtype)


def _read_awkward(store: ZarrStore, node: Any) -> Any:
    if importlib.util.find_spec("awkward") is None:
        raise UnsupportedError(f"{store}: {node.path!r} is an awkward array: install awkward")
    ak = importlib.import_module("awkward")
    buffers = {key: values_of(store, part) for key, part in members(store, node).items()}
    with readable(store, node.path):
        return ak.from_buffers(text(node.attrs["form"]), int(node.attrs["length"]), buffers)


def _read_frame(store: ZarrStore, node: Any) -> pd.DataFrame:
    return read_columns(store, node, frame_columns(store, node))


READERS: dict[str, Callable[[ZarrStore, Any], Any]] = {
    "array": _read_array,
    "awkward-array": _read_awkward,
    "bytes": _read_scalar,
    "categorical": _read_categorical,
    "csc_matrix": _read_sparse,
    "csr_matrix": _read_sparse,
    "dataframe": _read_frame,
    "dict": _read_mapping,
    "null": _read_null,
    "nullable-boolean": _read_masked,
    "nullable-integer": _read_masked,
    "nullable-string-array": _read_masked_strings,
    "numeric-scalar": _read_scalar,
    "raw": _read_mapping,
    "rec-array": _read_array,
    "string": _read_string,
    "string-array": _read_array,
}


def frame_columns(store: ZarrStore, node: Any) -> list[str]:
    """Return the names of the columns of a stored table, in order."""
    if not is_group(node):
        raise UnsupportedError(
            f"{store}: {node.path!r} is a table of anndata 0.6 or older: read the store with "
            "anndata and write it again"
        )
    order = attribute(node, "column-order")
    if order is None:
        index = _index_key(store, node)
        return [key for key in members(store, node) if key not in (index, CATEGORIES)]
    if not isinstance(order, list | tuple) or not all(isinstance(name, str) for name in order):
        raise damaged(store, node.path, expected="names in 'column-order'", found=f"{order!r}"[:80])
    return [str(name) for name in order]


def _index_key(store: ZarrStore, node: Any) -> str:
    key = text(attribute(node, "_index", "_index"))
    if key not in node:
        raise damaged(store, f"{node.path}/{key}", expected="names of rows", found="nothing")
    return key


def frame_length(store: ZarrStore, node: Any) -> int:
    """Return the number of rows of a stored table, without reading any."""
    columns = frame_columns(store, node)
    if "_index" not in node.attrs and "_index" not in node and not columns:
        return 0
    return _length(store, member(store, node, _index_key(store, node)))


def _length(store: ZarrStore, node: Any) -> int:
    part = node
    for name in ("codes", "mask"):
        if is_group(node) and name in node:
            part = member(store, node, name)
    if is_group(part) or len(part.shape) != 1:
        found = "a group" if is_group(part) else f"shape {tuple(part.shape)}"
        raise damaged(store, node.path, expected="a column: one value per row", found=found)
    return int(part.shape[0])


def frame_index(store: ZarrStore, node: Any) -> pd.Index[Any]:
    """Read the names of the rows of a stored table, as text."""
    key = _index_key(store, node)
    values = read_element(store, member(store, node, key))
    index: pd.Index[Any] = pd.Index(values, name=None if key == "_index" else key)
    try:
        return string_index(index)
    except ValueError as error:
        raise damaged(
            store, f"{node.path}/{key}", expected="a text for each row", found=str(error)
        ) from error


def read_columns(store: ZarrStore, node: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a stored table."""
    index, length = _plain_index(store, node), frame_length(store, node)
    values = {}
    for name in columns:
        column = member(store, node, name)
        found = _length(store, column)
        if found != length:
            expected = f"{length} values, one per row"
            raise damaged(store, column.path, expected=expected, found=str(found))
        values[name] = read_element(store, column)
    frame = pd.DataFrame(values, index=index, columns=list(columns) or None)
    if not columns:
        frame.columns = frame.columns.astype(str)
    return frame


def _plain_index(store: ZarrStore, node: Any) -> pd.Index[Any]:
    key = _index_key(store, node)
    values = read_element(store, member(store, node, key))
    return pd.Index(values, name=None if key == "_index" else key)


def column_kinds(store: ZarrStore, node: Any, columns: Sequence[str]) -> dict[str, str]:
    """Return what each column holds, in words; no values are read."""
    found = {}
    for name in columns:
        column = member(store, node, name)
        kind = kind_of(store, column)
        if kind == "categorical" and is_group(column):
            size = _length(store, member(store, column, "categories"))
            found[name] = f"{size:,} categories"
        elif is_group(column):
            found[name] = kind
        else:
            found[name] = "text" if _holds_text(column) else str(column.dtype)
    return found


def stored_bytes(store: ZarrStore, node: Any) -> int:
    """Return the bytes of all values of an element and what is in it, without reading them."""
    if not is_group(node):
        return int(node.nbytes)
    return sum(stored_bytes(store, part) for part in members(store, node).values())
