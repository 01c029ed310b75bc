"""Pandas arrays with missing values: a group of values and a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings.attributes import text
from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.members import child
from lazyomics.io.encodings.registry import mark, reads, refuses, write_element, writes
from lazyomics.io.encodings.strings import read_strings

__all__ = ["read_masked", "read_masked_strings", "write_masked", "write_masked_strings"]

refuses(
    pd.arrays.FloatingArray,
    instead='Convert it with .astype("float64"); missing values become NaN.',
)
refuses(
    pd.arrays.DatetimeArray,
    pd.arrays.TimedeltaArray,
    pd.arrays.PeriodArray,
    pd.Timestamp,
    pd.Timedelta,
    pd.Period,
    instead="The format has no dates: convert it to text, e.g. .astype(str).",
)
refuses(pd.arrays.IntervalArray, pd.Interval, instead="Convert it to text, e.g. .astype(str).")
refuses(pd.arrays.SparseArray, instead="Convert it with .sparse.to_dense().")
refuses(
    pd.arrays.ArrowExtensionArray,
    instead="Convert it to a numpy or nullable dtype, e.g. with .convert_dtypes().",
)
refuses(pd.Series, instead="Store series.to_frame(), or series.to_numpy() without its index.")
refuses(pd.Index, instead="Store index.to_numpy().")


def _values_and_mask(group: Any, *, as_text: bool) -> tuple[Any, np.ndarray[Any, Any]]:
    if not isinstance(group, h5py.Group):
        raise damaged(group, expected="a group of values and mask", found="a dataset")
    values_at, mask_at = child(group, "values"), child(group, "mask")
    values = read_strings(values_at) if as_text else read_values(values_at)
    mask = read_values(mask_at)  # int8 in files from R
    if np.ndim(values) != 1 or np.shape(values) != np.shape(mask) or mask.dtype.kind not in "biu":
        raise damaged(
            group,
            expected="values and a boolean mask of one length",
            found=f"shapes {np.shape(values)} and {np.shape(mask)}",
        )
    return values, mask.astype(bool)


@reads("nullable-integer", "nullable-boolean")
def read_masked(group: Any) -> Any:
    """Read integers or booleans with missing values."""
    values, mask = _values_and_mask(group, as_text=False)
    boolean = text(group.attrs["encoding-type"]).lower() == "nullable-boolean"
    if boolean and values.dtype.kind in "iu" and np.isin(values[~mask], (0, 1)).all():
        values = (values == 1) & ~mask  # logical vectors of R
    if values.dtype.kind not in ("b" if boolean else "iu"):
        raise damaged(
            group,
            expected="booleans" if boolean else "integers",
            found=f"values of {values.dtype}",
        )
    array = pd.arrays.BooleanArray if boolean else pd.arrays.IntegerArray
    return array(values, mask)


@reads("nullable-string-array")
def read_masked_strings(group: Any) -> Any:
    """Read text with missing values, which are NA or NaN as the attribute ``na-value`` says."""
    values, mask = _values_and_mask(group, as_text=True)
    as_nan = "na-value" in group.attrs and text(group.attrs["na-value"]) == "NaN"
    dtype = pd.StringDtype(na_value=np.nan) if as_nan else pd.StringDtype()
    values = values.astype(object)
    values[mask] = dtype.na_value
    return pd.array(values, dtype=dtype)


@writes(pd.arrays.IntegerArray, pd.arrays.BooleanArray)
def write_masked(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write integers or booleans with missing values; what is missing is stored as 0."""
    boolean = isinstance(value, pd.arrays.BooleanArray)
    group = parent.create_group(name)
    mark(group, "nullable-boolean" if boolean else "nullable-integer", "0.1.0")
    values = value.to_numpy(na_value=0, dtype=value.dtype.numpy_dtype)
    write_element(group, "values", values, dataset_kwargs=options)
    write_element(group, "mask", value.isna(), dataset_kwargs=options)


def _text_is_inferred() -> bool:
    """Whether pandas gives text a dtype of its own: from version 3 on, by an option before."""
    return isinstance(pd.Series(["text"]).dtype, pd.StringDtype)


@writes(pd.arrays.StringArray, pd.arrays.ArrowStringArray)
def write_masked_strings(
    parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]
) -> None:
    """Write a pandas string array.

    The ordinary text of pandas 3 (dtype ``str``) without missing values is stored as a plain
    string array: every reader knows it, and pandas gives it the same dtype again.
    """
    as_nan = value.dtype.na_value is not pd.NA
    missing = np.asarray(value.isna())
    if as_nan and not missing.any() and _text_is_inferred():
        write_element(parent, name, np.asarray(value, dtype=object), dataset_kwargs=options)
        return
    group = parent.create_group(name)
    mark(group, "nullable-string-array", "0.1.0")
    group.attrs["na-value"] = "NaN" if as_nan else "NA"
    write_element(
        group, "values", value.to_numpy(dtype=object, na_value=""), dataset_kwargs=options
    )
    write_element(group, "mask", missing, dataset_kwargs=options)
