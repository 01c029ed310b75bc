from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp


@pytest.fixture
def h5() -> Iterator[h5py.File]:
    with h5py.File(io.BytesIO(), "w") as file:
        yield file


@pytest.fixture
def anndata_read() -> Callable[[Any], Any]:
    """``anndata.io.read_elem`` without its warnings about old files."""
    ad_io = pytest.importorskip("anndata.io", reason="compares with anndata")

    def read(obj: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ad_io.read_elem(obj)

    return read


@pytest.fixture
def anndata_write() -> Callable[[Any, str, Any], None]:
    """``anndata.io.write_elem``; nullable text only where it is asked for."""
    ad = pytest.importorskip("anndata", reason="compares with anndata")

    def write(
        group: Any, name: str, value: Any, *, nullable_text: bool = False, **options: Any
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with ad.settings.override(allow_write_nullable_strings=nullable_text):
                ad.io.write_elem(group, name, value, **options)

    return write


@pytest.fixture
def same() -> Callable[..., None]:
    return assert_same


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Same type, dtype, shape, order and values, all the way down."""
    if isinstance(theirs, dict):
        assert type(ours) is dict, where
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(theirs, pd.DataFrame):
        if theirs.shape[1] == 0:  # names of no columns: text here, numbers in anndata
            theirs = theirs.set_axis(theirs.columns.astype(str), axis=1)
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
        assert list(ours.dtypes) == list(theirs.dtypes), where
        assert ours.index.name == theirs.index.name, where
        assert ours.index.dtype == theirs.index.dtype, where
        for column in theirs:
            if isinstance(theirs[column].dtype, pd.CategoricalDtype):
                assert_same(ours[column].array, theirs[column].array, f"{where}/{column}")
    elif isinstance(theirs, pd.Categorical):
        assert isinstance(ours, pd.Categorical), where
        assert ours.ordered == theirs.ordered, where
        pd.testing.assert_index_equal(ours.categories, theirs.categories, exact=True)
        np.testing.assert_array_equal(ours.codes, theirs.codes)
    elif isinstance(theirs, pd.api.extensions.ExtensionArray):
        assert type(ours) is type(theirs), where
        pd.testing.assert_extension_array_equal(ours, theirs)
    elif sp.issparse(theirs):
        assert type(ours) is type(theirs), where
        assert ours.shape == theirs.shape, where
        assert ours.dtype == theirs.dtype, where
        assert ours.indices.dtype == theirs.indices.dtype, where
        assert ours.indptr.dtype == theirs.indptr.dtype, where
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
    elif isinstance(theirs, np.ndarray):
        assert type(ours) is type(theirs), where
        assert ours.dtype == theirs.dtype, where
        assert ours.shape == theirs.shape, where
        np.testing.assert_array_equal(ours, theirs)
        if theirs.dtype == object:
            assert [type(x) for x in ours.flat] == [type(x) for x in theirs.flat], where
    elif theirs is None:
        assert ours is None, where
    else:
        assert type(ours) is type(theirs), where
        assert ours == theirs or (ours != ours and theirs != theirs), where
