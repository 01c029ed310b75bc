"""Dense arrays, scalars, text and records."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.registry import (
    element_path,
    has_surrogates,
    mark,
    reads,
    refusal,
    refuses,
    write_element,
    writes,
)

__all__ = [
    "check_texts_of",
    "decoded",
    "read_array",
    "read_fields",
    "read_null",
    "read_records",
    "read_scalar",
    "read_string",
    "read_strings",
    "scalar_options",
    "text_options",
    "write_array",
    "write_records",
    "write_scalar",
    "write_string",
    "write_strings",
]


# HDF5 allows none of these for a dataset without dimensions.
ARRAY_OPTIONS = frozenset(
    {
        "chunks",
        "compression",
        "compression_opts",
        "dtype",
        "fillvalue",
        "fletcher32",
        "indptr_dtype",
        "maxshape",
        "scaleoffset",
        "shuffle",
    }
)

refuses(set, frozenset, instead="A set has no order: store sorted(value).")
refuses(pathlib.PurePath, instead="Store str(path).")
refuses(
    np.datetime64,
    np.timedelta64,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    instead="Store it as text, e.g. str(value).",
)
refuses(type(pd.NA), instead="Store None.")


def scalar_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Creation options without those that need dimensions."""
    return {key: value for key, value in options.items() if key not in ARRAY_OPTIONS}


@reads("numeric-scalar", "bytes")
def read_scalar(dataset: Any) -> Any:
    """Read one value as a Python number, bool, or bytes; one-element arrays count as that."""
    value = read_values(dataset)
    if value is None or (isinstance(value, bytes) and not isinstance(value, np.generic)):
        return value
    if np.size(value) != 1:
        raise damaged(dataset, expected="one value", found=f"shape {np.shape(value)}")
    return value.item()


@reads("null")
def read_null(dataset: Any) -> None:
    """``None``; what is stored does not matter."""


@writes(bool, int, float, complex, np.bool_, np.number)
def write_scalar(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write one number or bool as a dataset without dimensions."""
    data = np.array(value)
    if data.dtype.kind == "O":  # an int beyond 64 bits
        raise refusal(parent, name, value, "It does not fit 64 bits: store it as text or float.")
    dataset = parent.create_dataset(name, data=data, **scalar_options(options))
    mark(dataset, "numeric-scalar", "0.2.0")


@writes(bytes)
def write_bytes(parent: h5py.Group, name: str, value: bytes, options: Mapping[str, Any]) -> None:
    """Write bytes as one fixed-length string."""
    if value.endswith(b"\0"):  # HDF5 pads with NUL, so these could not be told from padding
        raise refusal(parent, name, value, "It ends with NUL: store np.frombuffer(value, 'u1').")
    dataset = parent.create_dataset(name, data=np.array(value), **scalar_options(options))
    mark(dataset, "bytes", "0.2.0")


@writes(type(None))
def write_null(parent: h5py.Group, name: str, value: None, options: Mapping[str, Any]) -> None:
    """Write ``None`` as a dataset without dataspace."""
    dataset = parent.create_dataset(name, data=h5py.Empty("f"), **scalar_options(options))
    mark(dataset, "null", "0.1.0")


NOT_TEXT = (
    "A column or array of objects can hold only text: convert it with .astype(str), with "
    '.astype("category"), or with .astype("string") if some values are missing.'
)


@reads("string-array")
def read_strings(dataset: Any) -> Any:
    """Read text as an object array of ``str``, from variable- or fixed-length strings."""
    if isinstance(dataset, h5py.Dataset) and h5py.check_string_dtype(dataset.dtype) is None:
        raise damaged(dataset, expected="strings", found=f"dtype {dataset.dtype}")
    return read_values(dataset, as_text=True)


@reads("string")
def read_string(dataset: Any) -> str | None:
    """Read one text; an array of one text counts as that."""
    value = read_strings(dataset)
    if isinstance(value, np.ndarray):
        if value.size != 1:
            raise damaged(dataset, expected="one text", found=f"shape {value.shape}")
        value = value.reshape(-1)[0]
    return value if value is None else str(value)


@writes(str)
def write_string(parent: h5py.Group, name: str, value: str, options: Mapping[str, Any]) -> None:
    """Write one text as a variable-length UTF-8 string."""
    _check_characters(parent, name, [value])
    data = np.array(value, dtype=h5py.string_dtype(encoding="utf-8"))
    mark(parent.create_dataset(name, data=data, **scalar_options(options)), "string", "0.2.0")


def write_strings(
    parent: h5py.Group, name: str, value: np.ndarray[Any, Any], options: Mapping[str, Any]
) -> None:
    """Write an array of text (numpy ``U``, ``StringDType`` or objects) as UTF-8 strings."""
    texts = value.astype(object)
    check_texts_of(parent, name, value, texts)
    utf8 = h5py.string_dtype(encoding="utf-8")
    try:
        made = texts.astype(utf8)
        dataset = parent.create_dataset(name, data=made, dtype=utf8, **text_options(options))
    except ValueError:  # UnicodeEncodeError too: HDF5's own message does not say which text it is
        _check_characters(parent, name, texts.flat)
        raise
    mark(dataset, "string-array", "0.2.0")


def check_texts_of(
    parent: h5py.Group, name: str, value: Any, texts: Any, advice: str = NOT_TEXT
) -> None:
    """Refuse a value if some of its texts are none."""
    for item in np.asarray(texts, dtype=object).flat:
        if not isinstance(item, str | bytes):
            raise refusal(
                parent, name, value, f"It holds {item!r} ({type(item).__name__}). {advice}"
            )


def text_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out filters that HDF5 has as plugins.

    The chunks of text hold references, not text: there is little to gain, and Blosc's plugin
    divides by zero on them.
    """
    if isinstance(options.get("compression"), int):
        return {k: v for k, v in options.items() if not k.startswith("compression")}
    return dict(options)


def _check_characters(parent: h5py.Group, name: str, texts: Any) -> None:
    for item in texts:
        shown = item if isinstance(item, str) else item.decode("utf-8", errors="surrogateescape")
        if "\0" in shown or has_surrogates(shown):
            raise ValueError(
                f"{element_path(parent, name)}: {shown!r} cannot be stored, because text in HDF5 "
                "holds neither NUL characters nor lone surrogates. Replace them."
            )


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


TIME = "Convert it to text, e.g. .astype(str), or to a number of days or seconds."


@reads("array")
def read_array(dataset: Any) -> Any:
    """Read a dense array as it is stored; logical enumerations of other languages become bool."""
    values = read_values(dataset)
    if isinstance(values, np.ndarray) and (names := _logical_names(dataset.dtype)):
        return _as_bool(values, names)
    return values


def _logical_names(dtype: np.dtype[Any]) -> dict[str, int]:
    """Members of an enumeration of FALSE, TRUE and perhaps NA; nothing for other types.

    h5py itself recognises only the enumeration that it writes.
    """
    members = h5py.check_enum_dtype(dtype) or {}
    names = {name.upper(): value for name, value in members.items()}
    return names if {"FALSE", "TRUE"} <= set(names) <= {"FALSE", "TRUE", "NA"} else {}


def _as_bool(values: np.ndarray[Any, Any], names: dict[str, int]) -> Any:
    true = values == names["TRUE"]
    missing = values == names["NA"] if "NA" in names else np.zeros(values.shape, dtype=bool)
    if values.ndim == 1 and missing.any():
        return pd.arrays.BooleanArray(true, missing)
    # More dimensions have no nullable type: leave the stored integers.
    return values if missing.any() else true


@writes(list, tuple)
def write_sequence(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write a list or tuple as the array that numpy makes of it."""
    try:
        array = np.array(value)
    except ValueError as error:
        raise ValueError(
            f"{element_path(parent, name)}: cannot store a {type(value).__name__} of parts with "
            f"different lengths ({error}). Store a dict of arrays, or pad the parts."
        ) from error
    if array.dtype.kind == "O" and not all(isinstance(item, str) for item in array.flat):
        raise refusal(
            parent,
            name,
            value,
            "Its items do not form an array of numbers or of text: store them in a dict under "
            "text keys, or convert them to text.",
        )
    write_element(parent, name, array, dataset_kwargs=options)


@writes(np.ndarray)
def write_array(
    parent: h5py.Group, name: str, value: np.ndarray[Any, Any], options: Mapping[str, Any]
) -> None:
    """Write an array under the encoding that its dtype asks for."""
    if isinstance(value, np.ma.MaskedArray):
        value = _unmasked(parent, name, value)
    value = np.asarray(value)
    if value.dtype.names is not None:
        write_records(parent, name, value, options)
    elif value.shape == ():
        write_element(parent, name, value[()], dataset_kwargs=options)
    elif value.dtype.kind in "UOT":
        write_strings(parent, name, value, options)
    elif value.dtype.kind in "biufcS":
        dataset = parent.create_dataset(name, data=value, **{"dtype": value.dtype, **options})
        mark(dataset, "array", "0.2.0")
    else:
        advice = TIME if value.dtype.kind in "mM" else "Name the fields of the dtype."
        raise refusal(parent, name, value, f"Its dtype is {value.dtype}. {advice}")


def _unmasked(
    parent: h5py.Group, name: str, value: np.ma.MaskedArray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Values of a masked array without masked entries: a file would lose the mask."""
    if np.ma.is_masked(value):
        raise refusal(
            parent, name, value, "Some entries are masked: fill them first, e.g. .filled(np.nan)."
        )
    return np.asarray(value.data)
