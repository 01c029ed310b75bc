"""Single numbers and booleans, bytes, and None."""

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
from lazyomics.io.encodings.registry import mark, reads, refusal, refuses, writes

__all__ = ["read_null", "read_scalar", "scalar_options", "write_scalar"]

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
