from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import element_kind, read_element, read_frame, write_element


def stored(h5: h5py.File, codes: Any, categories: Any, **attrs: Any) -> h5py.Group:
    group = h5.create_group("c")
    group["codes"], group["categories"] = codes, categories
    group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", **attrs})
    return group


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", ">i4"])
def test_codes_of_any_type(h5: h5py.File, dtype: str) -> None:
    value = read_element(stored(h5, np.array([1, 0, 1], dtype), ["a", "b"], ordered=True))
    assert list(value) == ["b", "a", "b"]
    assert value.ordered


@pytest.mark.parametrize("dtype", ["u1", "u4", "u8"])
def test_largest_unsigned_code_is_missing(h5: h5py.File, dtype: str) -> None:
    codes = np.array([0, np.iinfo(dtype).max], dtype)
    assert read_element(stored(h5, codes, ["a", "b"])).codes.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("ordered", "expected"),
    [(True, True), (1, True), (np.array([1]), True), ("TRUE", True), (0, False), (None, False)],
)
def test_ordered_as_languages_write_it(h5: h5py.File, ordered: Any, expected: bool) -> None:
    attrs = {} if ordered is None else {"ordered": ordered}
    assert read_element(stored(h5, [0], ["a"], **attrs)).ordered is expected


@pytest.mark.parametrize("categories", [[3, 1], [0.5, 1.5], [True, False]])
def test_categories_that_are_not_text(
    h5: h5py.File, categories: Any, anndata_read: Any, same: Any
) -> None:
    write_element(h5, "x", pd.Categorical(categories, categories=categories))
    same(read_element(h5["x"]), anndata_read(h5["x"]))
    assert list(read_element(h5["x"]).categories) == categories


def test_categories_of_nullable_text(h5: h5py.File) -> None:
    group = h5.create_group("c")
    group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0"})
    group["codes"] = [1, 0]
    write_element(group, "categories", pd.array(["a", "b"], dtype="string"))
    assert list(read_element(group)) == ["b", "a"]


@pytest.mark.parametrize(
    ("codes", "categories", "found"),
    [
        ([0, 2], ["a", "b"], "codes from 0 to 2"),
        ([-2], ["a"], "codes from -2"),
        ([0.5], ["a"], "codes of float64"),
        ([[0]], ["a"], "shape"),
        ([0], ["a", "a"], "unique"),
    ],
)
def test_damaged(h5: h5py.File, codes: Any, categories: Any, found: str) -> None:
    with pytest.raises(FileFormatError, match=found):
        read_element(stored(h5, codes, categories))


def test_a_part_is_missing(h5: h5py.File) -> None:
    group = stored(h5, [0], ["a"])
    del group["categories"]
    with pytest.raises(FileFormatError, match=r"/c/categories.*only the members \['codes'\]"):
        read_element(group)


@pytest.fixture
def frame_0_7(h5: h5py.File) -> h5py.Group:
    group = h5.create_group("obs")
    group.attrs.update(
        {
            "encoding-type": "dataframe",
            "encoding-version": "0.1.0",
            "_index": "_index",
            "column-order": ["c"],
        }
    )
    group["_index"] = ["x", "y"]
    group["__categories/c"] = ["low", "high"]
    group["__categories/c"].attrs["ordered"] = True
    group["c"] = np.array([1, -1], dtype="i1")
    group["c"].attrs["categories"] = group["__categories/c"].ref
    return group


def test_references_of_0_7(frame_0_7: h5py.Group, anndata_read: Any, same: Any) -> None:
    frame = read_frame(frame_0_7)
    same(frame, anndata_read(frame_0_7))
    assert frame["c"].cat.ordered
    assert frame["c"].tolist()[0] == "high"
    assert element_kind(frame_0_7["c"]) == "categorical"


def test_categories_are_no_column(frame_0_7: h5py.Group) -> None:
    del frame_0_7.attrs["column-order"]
    assert list(read_frame(frame_0_7)) == ["c"]


def test_reference_by_path(frame_0_7: h5py.Group) -> None:
    frame_0_7["c"].attrs["categories"] = "__categories/c"
    assert read_frame(frame_0_7)["c"].tolist()[0] == "high"


def test_one_category_of_fixed_length(frame_0_7: h5py.Group) -> None:
    frame_0_7["__categories/one"] = np.array([b"only"])
    frame_0_7["c"][...] = [0, 0]
    frame_0_7["c"].attrs["categories"] = frame_0_7["__categories/one"].ref
    assert read_frame(frame_0_7)["c"].tolist() == ["only", "only"]


def test_broken_reference(frame_0_7: h5py.Group) -> None:
    del frame_0_7["__categories"]
    with pytest.raises(FileFormatError, match="reference"):
        read_frame(frame_0_7)
