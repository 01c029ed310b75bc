from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import (
    categories_from_uns,
    read_compound_mapping,
    read_element,
    read_frame,
)


def test_categories_in_uns() -> None:
    frame = pd.DataFrame({"louvain": [1, 0, -1], "phase": [0, 0, 0], "n": [5, 6, 7]})
    uns = {"louvain_categories": np.array(["a", "b"]), "phase_categories": "G1", "other": 1}
    result, used = categories_from_uns(frame, uns)
    assert used == ["louvain_categories", "phase_categories"]
    assert result["louvain"].tolist()[:2] == ["b", "a"]
    assert result["louvain"].isna().tolist() == [False, False, True]
    assert result["phase"].tolist() == ["G1"] * 3
    assert frame["louvain"].tolist() == [1, 0, -1]


@pytest.mark.parametrize("values", [[0, 2], [0.5, 1.5], ["a", "b"], [-2, 0]])
def test_categories_of_the_other_axis_are_left_alone(values: list[Any]) -> None:
    frame = pd.DataFrame({"kind": values})
    result, used = categories_from_uns(frame, {"kind_categories": np.array(["a", "b"])})
    assert used == []
    pd.testing.assert_frame_equal(result, frame)


def test_arrays_in_a_table(h5: h5py.File) -> None:
    h5["obsm"] = np.array(
        [([1.0, 2.0], 3), ([4.0, 5.0], 6)], dtype=[("X_pca", "f4", (2,)), ("one", "i8")]
    )
    arrays = read_compound_mapping(h5["obsm"])
    assert arrays["X_pca"].tolist() == [[1, 2], [4, 5]]
    assert arrays["X_pca"].dtype == "float32"
    assert arrays["one"].tolist() == [[3], [6]]
    with pytest.raises(FileFormatError, match="compound"):
        read_compound_mapping(h5)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.array([b"umap"]), "umap"),
        (np.array([b"a", b"b"]), ["a", "b"]),
        (np.bytes_(b"x"), "x"),
        (np.array([1]), [1]),
        (np.float32(2), 2.0),
    ],
)
def test_unmarked_values(h5: h5py.File, stored: Any, expected: Any) -> None:
    h5["x"] = stored
    value = read_element(h5["x"])
    assert (value.tolist() if isinstance(value, np.ndarray) else value) == expected


def test_a_frame_of_one_row_with_fixed_length_text(h5: h5py.File) -> None:
    group = h5.create_group("obs")
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0"})
    group.attrs.update({"_index": "_index", "column-order": ["t"]})
    group["_index"], group["t"] = np.array([b"cell"]), np.array([b"text"])
    frame = read_frame(group)
    assert list(frame.index) == ["cell"]
    assert list(frame["t"]) == ["text"]


def test_variable_length_ascii_is_text(h5: h5py.File) -> None:
    h5.create_dataset("x", data=[b"a", b"b"], dtype=h5py.string_dtype("ascii"))
    assert read_element(h5["x"]).tolist() == ["a", "b"]
