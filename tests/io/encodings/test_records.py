from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import read_element, write_element

TABLE = np.array(
    [("ä", "x", 1, [1.0, 2.0]), ("b", "yz", 2, [3.0, 4.0])],
    dtype=[("obj", object), ("text", "U2"), ("n", "i4"), ("v", "f4", (2,))],
)


def test_round_trip(h5: h5py.File) -> None:
    write_element(h5, "x", TABLE)
    again = read_element(h5["x"])
    assert again.dtype.names == TABLE.dtype.names
    for name in TABLE.dtype.names:
        assert again[name].tolist() == TABLE[name].tolist()


@pytest.mark.parametrize("part", [slice(0), slice(1), 0])
def test_no_row_one_row_one_record(h5: h5py.File, part: Any) -> None:
    write_element(h5, "x", TABLE[part])
    again = read_element(h5["x"])
    for name in TABLE.dtype.names:
        assert np.array_equal(again[name], TABLE[part][name])


def test_one_field(h5: h5py.File) -> None:
    write_element(h5, "x", TABLE[["n"]].copy())
    assert read_element(h5["x"])["n"].tolist() == [1, 2]


def test_fixed_length_utf8(h5: h5py.File) -> None:
    dtype = [("t", h5py.string_dtype("utf-8", 4))]
    h5["x"] = np.array([("ä".encode(),)], dtype=dtype)
    assert read_element(h5["x"])["t"].tolist() == ["ä"]


def test_not_utf8(h5: h5py.File) -> None:
    h5["x"] = np.array([(b"\xff",)], dtype=[("t", h5py.string_dtype("utf-8", 4))])
    with pytest.raises(FileFormatError, match="UTF-8 text in field 't'"):
        read_element(h5["x"])


def test_dates_in_a_field(h5: h5py.File) -> None:
    with pytest.raises(TypeError, match="field 'd' is datetime64"):
        write_element(h5, "x", np.zeros(1, dtype=[("d", "M8[s]")]))
