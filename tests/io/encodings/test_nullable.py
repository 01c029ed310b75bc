from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import read_element, write_element


def stored(h5: h5py.File, kind: str, values: Any, mask: Any) -> h5py.Group:
    group = h5.create_group("n")
    group["values"], group["mask"] = values, mask
    group.attrs.update({"encoding-type": kind, "encoding-version": "0.1.0"})
    return group


@pytest.mark.parametrize("dtype", [bool, "i1", "u1", "i4"])
def test_masks_of_any_integer_type(h5: h5py.File, dtype: Any) -> None:
    group = stored(h5, "nullable-integer", [1, 2], np.array([0, 1], dtype=dtype))
    pd.testing.assert_extension_array_equal(read_element(group), pd.array([1, None], dtype="Int64"))


def test_logical_vectors_of_r(h5: h5py.File) -> None:
    values = np.array([1, 0, -128], dtype="i1")
    group = stored(h5, "nullable-boolean", values, np.array([0, 0, 1], "i1"))
    expected = pd.array([True, False, None], dtype="boolean")
    pd.testing.assert_extension_array_equal(read_element(group), expected)


@pytest.mark.parametrize("mark", [None, "NA", "NaN"])
def test_missing_text_is_na_or_nan(h5: h5py.File, mark: str | None) -> None:
    group = stored(h5, "nullable-string-array", ["a", ""], [False, True])
    if mark:
        group.attrs["na-value"] = mark
    value = read_element(group)
    assert value[0] == "a"
    assert (value[1] is pd.NA) == (mark != "NaN")
    assert value.isna().tolist() == [False, True]


@pytest.mark.parametrize("na", [pd.NA, np.nan])
@pytest.mark.parametrize("items", [["a", None], ["a", "b"]])
def test_text_keeps_its_dtype(h5: h5py.File, na: Any, items: list[Any]) -> None:
    column = pd.Series(items, dtype=pd.StringDtype(na_value=na))
    write_element(h5, "frame", column.to_frame("s"))
    pd.testing.assert_series_equal(read_element(h5["frame"])["s"], column, check_names=False)


@pytest.mark.parametrize("dtype", ["Int8", "Int64", "UInt32", "boolean"])
def test_what_is_missing_is_stored_as_zero(h5: h5py.File, dtype: str) -> None:
    write_element(h5, "x", pd.array([1, None], dtype=dtype))
    assert h5["x/values"][()].tolist() == [1, 0]
    assert h5["x/mask"][()].tolist() == [False, True]


@pytest.mark.parametrize(
    ("kind", "values", "mask", "found"),
    [
        ("nullable-integer", [1, 2], [False], r"shapes \(2,\) and \(1,\)"),
        ("nullable-integer", [1.5], [False], "float64"),
        ("nullable-boolean", [2], [False], "int64"),
        ("nullable-integer", [[1]], [[False]], "shapes"),
        ("nullable-string-array", [1], [False], "int64"),
        ("nullable-integer", [1], [0.5], "mask"),
    ],
)
def test_damaged(h5: h5py.File, kind: str, values: Any, mask: Any, found: str) -> None:
    with pytest.raises(FileFormatError, match=found):
        read_element(stored(h5, kind, values, mask))


def test_not_a_group(h5: h5py.File) -> None:
    h5["x"] = [1]
    h5["x"].attrs["encoding-type"] = "nullable-integer"
    with pytest.raises(FileFormatError, match="expected a group"):
        read_element(h5["x"])
