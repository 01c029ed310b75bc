from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyomics.container.categories import natural_key
from lazyomics.io.encodings import strings_to_categoricals

FRAME = pd.DataFrame(
    {
        "repeated": ["x10", "x2", "x2", "x1"],
        "distinct": ["a", "b", "c", "d"],
        "missing": ["b", None, "a", "b"],
        "distinct and missing": ["b", None, "a", "c"],
        "all missing": [None] * 4,
        "numbers": [1, 1, 2, 2],
        "mixed": pd.Series(["a", 1, "a", 1], dtype=object),
        "category": pd.Categorical(["b", "a", "b", "b"], categories=["b", "a"]),
        "string": pd.array(["u", "u", None, "v"], dtype="string"),
        "bool": [True, False, True, True],
    },
    index=list("wxyz"),
)


def test_same_as_anndata() -> None:
    ad = pytest.importorskip("anndata", reason="compares with anndata")
    theirs = ad.AnnData(np.zeros((4, 1)), obs=FRAME.copy())
    theirs.strings_to_categoricals()
    ours = strings_to_categoricals(FRAME)
    pd.testing.assert_frame_equal(ours, theirs.obs)
    assert list(ours["repeated"].cat.categories) == ["x1", "x2", "x10"]


def test_frame_is_not_changed() -> None:
    before = FRAME.copy(deep=True)
    strings_to_categoricals(FRAME)
    pd.testing.assert_frame_equal(FRAME, before)


def test_no_rows_and_no_columns() -> None:
    assert strings_to_categoricals(FRAME.iloc[:0]).shape == (0, 10)
    assert strings_to_categoricals(FRAME[[]]).shape == (4, 0)


def test_repeated_names() -> None:
    frame = pd.DataFrame([["a", "a"], ["a", "b"]], columns=["n", "n"])
    with pytest.raises(ValueError, match="must differ"):
        strings_to_categoricals(frame)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from("aB10 9._-é２"), max_size=6), max_size=8))
def test_order_is_that_of_natsort(texts: list[str]) -> None:
    natsort = pytest.importorskip("natsort", reason="the order anndata uses")
    assert sorted(texts, key=natural_key) == natsort.natsorted(texts)
