"""Any frame that can be written is read back the same, here and by anndata."""

from __future__ import annotations

import io
import warnings
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyomics.io.encodings import read_element, read_frame, write_frame

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=6
).filter(lambda name: name not in {".", "_index"})
INT64 = st.integers(-(2**63), 2**63 - 1)


def column(n: int) -> st.SearchStrategy[Any]:
    def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(values, min_size=n, max_size=n)

    def array(values: st.SearchStrategy[Any], dtype: Any) -> st.SearchStrategy[Any]:
        return some(values).map(lambda items: np.array(items, dtype=dtype))

    def nullable(values: st.SearchStrategy[Any], dtype: str) -> st.SearchStrategy[Any]:
        return some(st.none() | values).map(lambda items: pd.array(items, dtype=dtype))

    def categories(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        drawn = st.tuples(some(st.none() | values), st.booleans())
        return drawn.map(lambda pair: pd.Categorical(pair[0], ordered=pair[1]))

    return st.one_of(
        array(INT64, "int64"),
        array(st.integers(0, 255), "uint8"),
        array(st.floats(width=32), "float32"),
        array(st.floats(), "float64"),
        array(st.booleans(), bool),
        array(TEXT, object),
        nullable(INT64, "Int64"),
        nullable(st.integers(-100, 100), "Int8"),
        nullable(st.booleans(), "boolean"),
        nullable(TEXT, "string"),
        categories(TEXT),
        categories(st.integers(-5, 5)),
    )


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(0, 6))
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    index = draw(st.lists(TEXT, min_size=n, max_size=n))
    label = draw(st.none() | NAMES.filter(lambda name: name not in names))
    frame = pd.DataFrame(
        {name: draw(column(n)) for name in names},
        index=pd.Index(np.array(index, dtype=object), name=label),
    )
    return frame if names else frame.set_axis(frame.columns.astype(str), axis=1)


@settings(max_examples=150, deadline=None)
@given(frames())
def test_written_then_read(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    with h5py.File(io.BytesIO(), "w") as file:
        write_frame(file, "frame", frame)
        pd.testing.assert_frame_equal(read_element(file["frame"]), frame)
        chosen = list(frame.columns)[::-1]
        pd.testing.assert_frame_equal(read_frame(file["frame"], chosen), frame[chosen])
    pd.testing.assert_frame_equal(frame, before)


@settings(max_examples=75, deadline=None)
@given(frames())
def test_anndata_reads_the_same(frame: pd.DataFrame) -> None:
    ad_io = pytest.importorskip("anndata.io", reason="compares with anndata")
    with h5py.File(io.BytesIO(), "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_frame(file, "frame", frame)
        theirs = ad_io.read_elem(file["frame"])
        if frame.shape[1] == 0:  # names of no columns: numbers in anndata
            theirs = theirs.set_axis(frame.columns, axis=1)
        pd.testing.assert_frame_equal(theirs, frame)
