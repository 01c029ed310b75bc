"""Structured arrays (compound datasets), such as the tables of ``uns["rank_genes_groups"]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.registry import mark, reads, refusal, writes
from lazyomics.io.encodings.strings import check_texts_of, text_options

__all__ = ["decoded", "read_fields", "read_records", "write_records"]

FIELD = (
    "Fields of objects can hold only text: give the field {!r} texts, such as '' for what is "
    "missing, or a dtype of numbers."
)


@reads("rec-array")
def read_records(dataset: Any) -> Any:
    """Read a compound dataset as a structured array, its strings as text."""
    return decoded(dataset, read_values(dataset))


def read_fields(dataset: h5py.Dataset, names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read some fields of a compound dataset, each as an array of its own."""
    if not names:
        return {}
    values = decoded(dataset, read_values(dataset, fields=names))
    return {name: np.ascontiguousarray(values[name]) for name in names}


def decoded(dataset: h5py.Dataset, values: Any) -> Any:
    """Structured values with text in place of the bytes that HDF5 strings are read as.

    Fixed-length strings become numpy text of the same length, variable-length ones ``str``.
    """
    names = values.dtype.names if hasattr(values, "dtype") else None
    if names is None:
        raise damaged(dataset, expected="a compound type", found=f"{type(values).__name__}")
    types: list[tuple[Any, ...]] = []
    for name in names:
        base, shape = _base(values.dtype[name])
        if base.kind == "S":
            base = np.dtype(f"U{base.itemsize}")
        types.append((name, base, shape))
    result = np.empty(values.shape, dtype=types)
    for name in names:
        result[name] = _decoded_field(dataset, name, values[name])
    return result[()] if result.shape == () else result


def _base(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    return dtype.subdtype if dtype.subdtype is not None else (dtype, ())


def _decoded_field(dataset: h5py.Dataset, name: str, values: Any) -> Any:
    info = h5py.check_string_dtype(_base(dataset.dtype[name])[0])
    if info is None:
        return values
    try:
        if np.asarray(values).dtype.kind == "S":
            return np.char.decode(values, "utf-8")
        decode = np.frompyfunc(lambda item: item.decode("utf-8"), 1, 1)
        return decode(values)
    except UnicodeDecodeError as error:
        raise damaged(
            dataset, expected=f"UTF-8 text in field {name!r}", found=f"other bytes ({error})"
        ) from error


@writes(np.void)
def write_records(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write a structured array; its text fields become variable-length strings."""
    value = np.asarray(value)
    if value.dtype.names is None:
        raise refusal(parent, name, value, "Name the fields of the dtype.")
    types: list[tuple[Any, ...]] = []
    for field in value.dtype.names:
        base, shape = _base(value.dtype[field])
        if base.kind in "mMV":
            raise refusal(
                parent, name, value, f"Its field {field!r} is {base}: use text or numbers."
            )
        is_text = base.kind in "UOT"
        if is_text:
            check_texts_of(parent, name, value, value[field], advice=FIELD.format(field))
        types.append((field, h5py.string_dtype() if is_text else base, shape))
    dataset = parent.create_dataset(name, data=value.astype(types), **text_options(options))
    mark(dataset, "rec-array", "0.2.0")
