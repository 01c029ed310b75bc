from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.encodings import (
    frame_columns,
    frame_index,
    frame_length,
    read_element,
    read_frame,
    write_element,
    write_frame,
)

FRAME = pd.DataFrame(
    {"n": [1, 2, 3], "kind": pd.Categorical(["a", "b", "a"]), "name": ["x", "y", "z"]},
    index=pd.Index(["c1", "c2", "c3"], name="cell"),
)


@pytest.fixture
def obs(h5: h5py.File) -> h5py.Group:
    write_frame(h5, "obs", FRAME)
    return h5["obs"]


def test_facts_without_reading(obs: h5py.Group) -> None:
    assert frame_columns(obs) == ["n", "kind", "name"]
    assert frame_length(obs) == 3
    pd.testing.assert_index_equal(frame_index(obs), FRAME.index)


def test_some_columns_in_the_order_asked_for(obs: h5py.Group) -> None:
    pd.testing.assert_frame_equal(read_frame(obs, ["name", "n"]), FRAME[["name", "n"]])
    none = read_frame(obs, [])
    assert none.shape == (3, 0)
    pd.testing.assert_index_equal(none.index, FRAME.index)


def test_only_the_columns_asked_for_are_read(obs: h5py.Group) -> None:
    del obs["n"]
    assert list(read_frame(obs, ["kind"])) == ["kind"]
    with pytest.raises(FileFormatError, match="'/obs/n'"):
        read_frame(obs)


def test_unknown_column_names_file_and_available_ones(obs: h5py.Group) -> None:
    with pytest.raises(KeyError, match=r"BytesIO.*no column \['age'\].*'n', 'kind', 'name'"):
        read_frame(obs, ["n", "age"])
    with pytest.raises(TypeError, match="sequence of names"):
        read_frame(obs, "name")


def test_without_column_order_and_index_attributes(h5: h5py.File) -> None:
    group = h5.create_group("obs")
    group.attrs["encoding-type"] = "dataframe"
    group["b"], group["a"] = [1, 2], [3, 4]
    frame = read_frame(group)
    assert list(frame.index) == ["0", "1"]
    assert list(frame.columns) == ["a", "b"]
    group["_index"] = ["x", "y"]
    assert list(read_frame(group).index) == ["x", "y"]
    assert frame_columns(group) == ["a", "b"]


def test_no_columns_and_no_index(h5: h5py.File) -> None:
    h5.create_group("obs").attrs["encoding-type"] = "dataframe"
    assert read_frame(h5["obs"]).shape == (0, 0)


@pytest.mark.parametrize(
    "order", [np.array([b"n", b"name"]), np.array(["n", "name"], dtype=object), np.zeros(0), "n"]
)
def test_column_order_as_other_languages_write_it(obs: h5py.Group, order: Any) -> None:
    obs.attrs["column-order"] = order
    obs.attrs["_index"] = np.array([b"cell"])
    wanted = ["n"] if isinstance(order, str) else ["n", "name"][: len(order)]
    assert frame_columns(obs) == wanted
    assert frame_index(obs).name == "cell"


def test_numbers_as_column_order_are_an_error(obs: h5py.Group) -> None:
    obs.attrs["column-order"] = [1, 2]
    with pytest.raises(FileFormatError, match="column names"):
        frame_columns(obs)


def test_a_column_named_twice_is_read_twice(obs: h5py.Group, anndata_read: Any, same: Any) -> None:
    obs.attrs["column-order"] = ["n", "n"]
    twice = read_frame(obs)
    assert list(twice.columns) == ["n", "n"]
    pd.testing.assert_frame_equal(twice, anndata_read(obs))
    with pytest.raises(ValueError, match=r"must differ, found \['n'\]"):
        write_frame(h5py.File(io.BytesIO(), "w"), "x", twice)


@pytest.mark.parametrize("n", [0, 2, 4])
def test_columns_of_another_length(obs: h5py.Group, n: int) -> None:
    del obs["n"]
    write_element(obs, "n", np.arange(n))
    with pytest.raises(FileFormatError, match=f"expected 3 values, one per row, found {n}"):
        read_frame(obs)


def test_columns_of_two_dimensions(obs: h5py.Group) -> None:
    del obs["n"]
    write_element(obs, "n", np.zeros((3, 2)))
    with pytest.raises(FileFormatError, match=r"one value per row, found shape \(3, 2\)"):
        read_frame(obs)


def test_an_index_that_is_not_there(obs: h5py.Group) -> None:
    obs.attrs["_index"] = "barcode"
    for reader in (read_frame, frame_index, frame_length):
        with pytest.raises(FileFormatError, match="barcode"):
            reader(obs)


def test_a_column_of_unknown_encoding(obs: h5py.Group) -> None:
    obs["n"].attrs["encoding-type"] = "interval"
    with pytest.raises(UnsupportedError, match=r"column 'n' of '/obs'.*'interval"):
        read_frame(obs)
    assert list(read_frame(obs, ["name"])["name"]) == ["x", "y", "z"]


def test_table_of_anndata_0_6(h5: h5py.File) -> None:
    kind = [("index", "S5"), ("n", "<i8"), ("text", h5py.string_dtype()), ("f", ">f4")]
    h5["obs"] = np.array([("c1", 1, "ä", 0.5), ("c2", 2, "b", 1.5)], dtype=kind)
    frame = read_frame(h5["obs"])
    assert list(frame.columns) == frame_columns(h5["obs"]) == ["n", "text", "f"]
    assert frame.index.name == "index"
    assert list(frame.index) == ["c1", "c2"]
    assert list(frame["text"]) == ["ä", "b"]
    assert list(read_frame(h5["obs"], ["f"])["f"]) == [0.5, 1.5]
    assert frame_length(h5["obs"]) == 2


def test_a_dataset_that_is_no_table(h5: h5py.File) -> None:
    h5["obs"] = np.zeros(3)
    with pytest.raises(FileFormatError, match="expected a table"):
        read_frame(h5["obs"])


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pd.DataFrame({1: [1]}), TypeError, "names of columns are text, found 1"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "must differ"),
        (pd.DataFrame({"_index": [1]}), ValueError, "reserved"),
        (pd.DataFrame({"a/b": [1]}), ValueError, "'/'"),
        (pd.DataFrame({"a": [1]}).rename_axis(3), TypeError, "name of the index is text"),
        (pd.DataFrame({"a": [1]}, index=["x"]).rename_axis("a"), ValueError, "differ"),
        (pd.DataFrame({"a": [1]}, index=["x"]).rename_axis("i/j"), ValueError, "'i/j'"),
        (
            pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("x", 1)])),
            TypeError,
            "several levels",
        ),
        (pd.DataFrame({"a": [1, "x"]}), TypeError, r"'/obs', column 'a'.*holds 1 .*astype\(str\)"),
        (pd.DataFrame({"a": ["x", {}]}), TypeError, "column 'a'"),
        (
            pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}),
            TypeError,
            r"column 'a'.*no dates.*astype\(str\)",
        ),
        (
            pd.DataFrame({"a": pd.cut([1, 2], 2)}),
            TypeError,
            "column 'a'.*categories.*Interval",
        ),
        (
            pd.DataFrame({"a": pd.array([1.5, None], dtype="Float64")}),
            TypeError,
            r"column 'a'.*astype\(\"float64\"\)",
        ),
        (pd.DataFrame({"a": [1]}, index=pd.to_datetime(["2020-01-01"])), TypeError, "the index"),
        (pd.DataFrame({"a": ["x\0"]}), ValueError, "column 'a'.*NUL"),
    ],
)
def test_what_cannot_be_written(
    frame: pd.DataFrame, error: type[Exception], message: str, h5: h5py.File
) -> None:
    with pytest.raises(error, match=message):
        write_frame(h5, "obs", frame)
    assert list(h5) == []


def test_missing_text_in_objects(h5: h5py.File) -> None:
    frame = pd.DataFrame({"a": pd.Series(["x", None], dtype=object)})
    with pytest.raises(TypeError, match=r'column \'a\'.*holds None.*astype\("string"\)'):
        write_frame(h5, "obs", frame)
    write_frame(h5, "obs", frame.astype("string"))
    assert read_element(h5["obs"])["a"].isna().tolist() == [False, True]


def test_write_frame_takes_frames_only(h5: h5py.File) -> None:
    with pytest.raises(TypeError, match="expected a DataFrame"):
        write_frame(h5, "obs", {"a": [1]})  # type: ignore[arg-type]


def test_options_reach_the_columns(h5: h5py.File) -> None:
    write_frame(h5, "obs", FRAME, dataset_kwargs={"compression": "gzip"})
    assert h5["obs/n"].compression == "gzip"
    assert h5["obs/kind/codes"].compression == "gzip"
