"""Deep comparison of two anndata objects: values, dtypes, categories, names, order of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

PARTS = ("layers", "obsm", "varm", "obsp", "varp", "uns")


def assert_same_value(a: Any, b: Any, where: str) -> None:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        assert set(a) == set(b), where
        for key in a:
            assert_same_value(a[key], b[key], f"{where}/{key}")
    elif hasattr(b, "obs_names"):  # an AnnData in uns
        assert_same_anndata(a, b)
    elif isinstance(b, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, obj=where, check_column_type=len(b.columns) > 0)
    elif sp.issparse(b):
        assert sp.issparse(a), where
        assert a.format == b.format, where
        assert a.dtype == b.dtype, where
        assert a.shape == b.shape, where
        np.testing.assert_array_equal(a.toarray(), b.toarray(), err_msg=where)
        assert a.nnz == b.nnz, where
    elif isinstance(b, np.ndarray):
        assert type(a) is type(b), where
        if b.dtype.names:
            assert a.dtype.names == b.dtype.names, where
            for field in b.dtype.names:
                assert_same_value(np.asarray(a[field]), np.asarray(b[field]), f"{where}/{field}")
            return
        text = {a.dtype.kind, b.dtype.kind} <= {"U", "O"}  # old files give fixed-length text
        assert text or a.dtype == b.dtype, where
        np.testing.assert_array_equal(a, b, err_msg=where)
    elif isinstance(b, pd.api.extensions.ExtensionArray):
        pd.testing.assert_extension_array_equal(a, b, obj=where)
    elif isinstance(b, int | float | np.generic):  # 1 and numpy.int64(1) are read alike
        assert np.asarray(a).dtype == np.asarray(b).dtype, where
        np.testing.assert_array_equal(a, b, err_msg=where)
    elif hasattr(b, "layout"):
        assert a.tolist() == b.tolist(), where
    else:
        assert type(a) is type(b), where
        assert a == b, where


def assert_same_anndata(a: Any, b: Any) -> None:
    """Compare two objects of the package anndata part by part."""
    assert a.shape == b.shape
    pd.testing.assert_frame_equal(a.obs, b.obs)
    pd.testing.assert_frame_equal(a.var, b.var)
    assert_same_value(a.X, b.X, "X")
    for part in PARTS:
        assert_same_value(_members(a, part), _members(b, part), part)
    assert (a.raw is None) == (b.raw is None)
    if b.raw is not None:
        assert_same_value(a.raw.X, b.raw.X, "raw.X")
        pd.testing.assert_frame_equal(a.raw.var, b.raw.var)
        assert_same_value(dict(a.raw.varm), dict(b.raw.varm), "raw.varm")


def _members(adata: Any, part: str) -> dict[str, Any]:
    """Entries of a part; anndata 0.13 lists X among the layers, under None."""
    return {k: v for k, v in getattr(adata, part).items() if k is not None}


def lines_of_repr(adata: Any) -> list[str]:
    """What is printed of an object: first line, then its parts in any order.

    anndata 0.13 lists X among the layers, and layers last.
    """
    text = repr(adata).replace("None (.X), ", "").replace(", None (.X)", "")
    first, *others = text.splitlines()
    return [first, *sorted(others)]
