"""Dense arrays of numbers and booleans; lists and tuples are written as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.records import write_records
from lazyomics.io.encodings.registry import (
    element_path,
    mark,
    reads,
    refusal,
    write_element,
    writes,
)
from lazyomics.io.encodings.strings import write_strings

__all__ = ["read_array", "write_array"]

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
