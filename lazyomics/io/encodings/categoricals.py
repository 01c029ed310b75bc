"""Categorical arrays: a group of codes and categories, or the codes-with-reference of 0.7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings.attributes import text
from lazyomics.io.encodings.damage import HDF5_ERRORS, damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.members import child
from lazyomics.io.encodings.registry import mark, read_element, reads, write_element, writes

__all__ = ["categorical_from_codes", "read_categorical", "write_categorical"]


@reads("categorical")
def read_categorical(obj: Any) -> pd.Categorical:
    """Read a categorical of any generation; code −1 is a missing value."""
    if isinstance(obj, h5py.Dataset):
        return _read_referenced(obj)
    codes = read_element(child(obj, "codes"))
    categories = read_element(child(obj, "categories"))
    return categorical_from_codes(obj, codes, categories, ordered=_flag(obj, "ordered"))


def _read_referenced(dataset: h5py.Dataset) -> pd.Categorical:
    """Codes whose attribute ``categories`` refers to another dataset (anndata 0.7)."""
    target = dataset.attrs["categories"]
    try:
        if isinstance(target, h5py.Reference):
            source = dataset.file[target]
        else:
            source = child(dataset.parent, text(target))
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
