"""Counts as 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.container.mudata_cases import dense


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("where", ["file", "memory", "subset"])
def test_as_muon(kind: str, where: str, pair: Callable[..., Any], counts: np.ndarray) -> None:
    adata, _ = pair(counts, kind, where)
    lo.pp.binarize(adata)
    np.testing.assert_array_equal(dense(adata.X), counts != 0)
    assert adata.X.dtype == np.float32


def test_stored_zeros_layers_and_types() -> None:
    x = sp.csr_matrix((np.array([0, 5, 2], np.uint16), [0, 1, 1], [0, 2, 3]), shape=(2, 3))
    adata = lo.AnnData(x, layers={"counts": x.copy()})
    lo.pp.binarize(adata, layer="counts")
    assert adata.layers["counts"].dtype == np.uint16
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(adata.X.toarray(), x.toarray())
    lo.pp.binarize(lo.MuData({"atac": adata}))
    assert adata.X.max() == 1


def test_reads_nothing(
    pair: Callable[..., Any], counts: np.ndarray, count_passes: Callable[..., Any]
) -> None:
    adata, _ = pair(counts, "csr", "file")
    with count_passes(adata.filename) as passes:
        lo.pp.binarize(adata)
    assert passes.values == 0
