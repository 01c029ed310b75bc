"""Categorical arrays and arrays with missing values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings.arrays import read_strings
from lazyomics.io.encodings.checks import open_member
from lazyomics.io.encodings.damage import HDF5_ERRORS, damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.kinds import text
from lazyomics.io.encodings.registry import (
    mark,
    read_element,
    reads,
    refuses,
    write_element,
    writes,
)

__all__ = [
    "categorical_from_codes",
    "read_categorical",
    "read_masked",
    "read_masked_strings",
    "write_categorical",
    "write_masked",
    "write_masked_strings",
]


@reads("categorical")
def read_categorical(obj: Any) -> pd.Categorical:
    """Read a categorical of any generation; code −1 is a missing value."""
    if isinstance(obj, h5py.Dataset):
        return _read_referenced(obj)
    codes = read_element(open_member(obj, "codes"))
    categories = read_element(open_member(obj, "categories"))
    return categorical_from_codes(obj, codes, categories, ordered=_flag(obj, "ordered"))


def _read_referenced(dataset: h5py.Dataset) -> pd.Categorical:
    """Codes whose attribute ``categories`` refers to another dataset (anndata 0.7)."""
    target = dataset.attrs["categories"]
    try:
        if isinstance(target, h5py.Reference):
            source = dataset.file[target]
        else:
            source = open_member(dataset.parent, text(target))
    except HDF5_ERRORS as error:
        raise damaged(
            dataset, expected="a reference to its categories", found=f"a broken one ({error})"
        ) from error
    is_text = isinstance(source, h5py.Dataset) and h5py.check_string_dtype(source.dtype) is not None
    values = read_values(source, as_text=is_text)
    ordered = _flag(source, "ordered")
    return categorical_from_codes(dataset, read_values(dataset), values, ordered=ordered)


def _flag(obj: Any, name: str) -> bool:
    """A boolean attribute; absent, or NA as R may write it, means False."""
    if name not in obj.attrs:
        return False
    value = obj.attrs[name]
    if isinstance(value, str | bytes):
        return text(value).upper() == "TRUE"
    return bool(np.asarray(value).reshape(-1)[:1] == 1)


def categorical_from_codes(
    obj: Any, codes: Any, categories: Any, *, ordered: bool
) -> pd.Categorical:
    """Build a categorical from what a file holds, checked.

    Parameters
    ----------
    obj
        The element, for messages.
    codes
        Positions in ``categories``, shape (n,), integer; −1, or the largest number of an unsigned
        type, where the value is missing.
    categories
        Distinct values, shape (k,).
    ordered
        Whether the order of the categories means something.
    """
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or codes.ndim != 1:
        raise damaged(
            obj, expected="integer codes", found=f"codes of {codes.dtype}, shape {codes.shape}"
        )
    categories = np.atleast_1d(categories) if np.ndim(categories) == 0 else categories
    if codes.dtype.kind == "u":
        # Writers without signed codes store −1 as the largest number.
        missing = codes == np.iinfo(codes.dtype).max
        signed = codes.astype(np.int64)
        codes = np.where(missing & (signed >= len(categories)), -1, signed)
    if codes.size and (codes.min() < -1 or codes.max() >= len(categories)):
        raise damaged(
            obj,
            expected=f"codes from -1 to {len(categories) - 1}",
            found=f"codes from {codes.min()} to {codes.max()}",
        )
    try:
        return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)
    except (ValueError, TypeError) as error:
        raise damaged(obj, expected="distinct categories", found=f"an error: {error}") from error


@writes(pd.Categorical)
def write_categorical(
    parent: h5py.Group, name: str, value: pd.Categorical, options: Mapping[str, Any]
) -> None:
    """Write a categorical as a group of codes and categories."""
    group = parent.create_group(name)
    mark(group, "categorical", "0.2.0")
    group.attrs["ordered"] = bool(value.ordered)
    write_element(group, "codes", value.codes, dataset_kwargs=options)
    write_element(group, "categories", value.categories.to_numpy(), dataset_kwargs=options)


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
    values_at, mask_at = open_member(group, "values"), open_member(group, "mask")
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
