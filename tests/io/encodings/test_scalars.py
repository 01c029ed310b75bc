from __future__ import annotations

import datetime
import pathlib
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import element_kind, read_element, write_element

OPTIONS = {
    "compression": "gzip",
    "compression_opts": 4,
    "chunks": True,
    "shuffle": True,
    "fletcher32": True,
}


@pytest.mark.parametrize(
    "value", [True, 3, 2.5, 1 + 2j, "text", "", b"by\0te", None, np.float32(1.5), np.int8(3)]
)
def test_round_trip_with_options_that_scalars_do_not_take(h5: h5py.File, value: Any) -> None:
    write_element(h5, "x", value, dataset_kwargs=OPTIONS)
    assert read_element(h5["x"]) == value
    assert h5["x"].shape in {(), None}


def test_one_element_arrays_count_as_scalars(h5: h5py.File) -> None:
    for name, value, kind in (("n", [3], "numeric-scalar"), ("s", ["a"], "string")):
        h5[name] = value
        h5[name].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})
    assert read_element(h5["n"]) == 3
    assert read_element(h5["s"]) == "a"


def test_more_elements_do_not(h5: h5py.File) -> None:
    h5["n"] = [3, 4]
    h5["n"].attrs["encoding-type"] = "numeric-scalar"
    with pytest.raises(FileFormatError, match=r"one value, found shape \(2,\)"):
        read_element(h5["n"])
    h5["s"] = ["a", "b"]
    h5["s"].attrs["encoding-type"] = "string"
    with pytest.raises(FileFormatError, match="one text"):
        read_element(h5["s"])


def test_any_dataset_without_dataspace_is_none(h5: h5py.File) -> None:
    h5["x"] = h5py.Empty("f8")
    assert element_kind(h5["x"]) == "null"
    assert read_element(h5["x"]) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "sorted"),
        (frozenset(), "sorted"),
        (pathlib.Path("x"), r"str\(path\)"),
        (pathlib.PureWindowsPath("x"), r"str\(path\)"),
        (np.datetime64("2020"), "text"),
        (np.timedelta64(1, "s"), "text"),
        (datetime.date(2020, 1, 1), "text"),
        (datetime.datetime(2020, 1, 1), "text"),
        (pd.Timestamp("2020"), "text"),
        (pd.Timedelta(1), "text"),
        (pd.NA, "None"),
        (pd.Series([1]), "to_frame"),
        (pd.Index([1]), "to_numpy"),
        (np.array(["2020"], dtype="M8[D]"), "astype"),
        (np.void(b"ab"), "fields"),
        (2**70, "64 bits"),
        (b"ends with \0", "frombuffer"),
        (object(), "dicts of these"),
        (print, "dicts of these"),
        ([1, {}], "text keys"),
        ([None], "text keys"),
        (np.array([1, None], dtype=object), "holds 1"),
        (np.ma.masked_array([1, 2], [True, False]), "filled"),
        (pd.arrays.SparseArray([0, 1]), "to_dense"),
        (pd.period_range("2020", periods=2).array, "no dates"),
        (sp.coo_array(np.ones(3)), "dimensions"),
    ],
)
def test_refused_with_advice(h5: h5py.File, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"/x: cannot store a value of type .*{message}"):
        write_element(h5, "x", value)
    assert list(h5) == []


def test_lazy_arrays_are_not_computed(h5: h5py.File) -> None:
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="lazy"):
        write_element(h5, "x", da.ones(3))


def test_text_that_hdf5_cannot_hold(h5: h5py.File) -> None:
    for value in ("a\0b", "\ud800", ["ok", "\udfff"], np.array(["a\0b"], dtype=object)):
        with pytest.raises(ValueError, match=r"^/x: .*cannot be stored"):
            write_element(h5, "x", value)
    assert list(h5) == []


def test_parts_of_different_lengths(h5: h5py.File) -> None:
    with pytest.raises(ValueError, match="different lengths"):
        write_element(h5, "x", [[1, 2], [3]])


@pytest.mark.parametrize("name", ["a/b", "", ".", "/a", "a\0"])
def test_names(h5: h5py.File, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        write_element(h5, name, 1)


def test_names_that_exist(h5: h5py.File) -> None:
    write_element(h5, "x", 1)
    with pytest.raises(ValueError, match="/x exists already"):
        write_element(h5, "x", 2)
    assert read_element(h5["x"]) == 1
