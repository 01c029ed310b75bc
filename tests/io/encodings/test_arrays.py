from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lazyomics.io.encodings import read_element, write_element


def enumeration(members: dict[str, int], values: list[Any], h5: h5py.File) -> h5py.Dataset:
    dtype = h5py.enum_dtype(members, basetype="i1")
    return h5.create_dataset("x", data=np.array(values, dtype="i1"), dtype=dtype)


@pytest.mark.parametrize("members", [{"FALSE": 0, "TRUE": 1}, {"False": 0, "True": 2}])
def test_logical_enumerations_are_bool(h5: h5py.File, members: dict[str, int]) -> None:
    true = max(members.values())
    value = read_element(enumeration(members, [0, true, 0], h5))
    assert value.dtype == bool
    assert value.tolist() == [False, True, False]


def test_logical_enumerations_with_na(h5: h5py.File) -> None:
    dataset = enumeration({"FALSE": 0, "TRUE": 1, "NA": -1}, [0, 1, -1], h5)
    expected = pd.array([False, True, None], dtype="boolean")
    pd.testing.assert_extension_array_equal(read_element(dataset), expected)
    dataset[...] = [0, 1, 1]
    assert read_element(dataset).dtype == bool


def test_other_enumerations_stay_numbers(h5: h5py.File) -> None:
    assert read_element(enumeration({"LOW": 0, "HIGH": 1}, [1, 0], h5)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (sp.csr_matrix([[1, 2]]).todense(), [[1, 2]]),
        ((1, 2), [1, 2]),
        (("a", "b"), ["a", "b"]),
        (np.ma.masked_array([1, 2], [False, False]), [1, 2]),
        (np.arange(3)[::-1], [2, 1, 0]),
        (np.array(["a", b"b"], dtype=object), ["a", "b"]),
    ],
)
def test_converted(h5: h5py.File, value: Any, expected: Any) -> None:
    write_element(h5, "x", value)
    assert read_element(h5["x"]).tolist() == expected


def test_fixed_length_text_declared_as_text(h5: h5py.File) -> None:
    for dtype in ("S4", h5py.string_dtype("utf-8", 4), h5py.string_dtype("ascii")):
        dataset = h5.create_dataset("x", data=np.array([b"ab", b"c"], dtype=dtype))
        dataset.attrs["encoding-type"] = np.bytes_(b"string-array")
        assert read_element(dataset).tolist() == ["ab", "c"]
        del h5["x"]
