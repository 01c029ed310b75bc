"""TF-IDF of peak counts: muon's formulas, one pass, the rest lazy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.container.mudata_cases import dense

OPTIONS = [
    {"log_tf": a, "log_idf": b, "log_tfidf": c, "scale_factor": s}
    for a, b, c in [(1, 1, 0), (1, 0, 0), (0, 1, 0), (0, 0, 0), (0, 0, 1)]
    for s in (1e4, None)
]


def reference(
    counts: np.ndarray,
    *,
    log_tf: bool = True,
    log_idf: bool = True,
    log_tfidf: bool = False,
    scale_factor: float | None = 1e4,
) -> np.ndarray:
    """The formulas of ``muon.atac.pp.tfidf`` (muon 0.1.9), for a dense matrix."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tf = counts / counts.sum(axis=1).reshape(-1, 1)
        if scale_factor is not None and scale_factor != 0 and scale_factor != 1:
            tf = tf * scale_factor
        if log_tf:
            tf = np.log1p(tf)
        idf = counts.shape[0] / counts.sum(axis=0)
        if log_idf:
            idf = np.log1p(idf)
        weighed = tf * idf
        if log_tfidf:
            weighed = np.log1p(weighed)
    return np.nan_to_num(weighed, nan=0.0)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_as_muon(
    options: dict[str, Any], kind: str, pair: Callable[..., Any], counts: np.ndarray
) -> None:
    adata, _ = pair(counts, kind, "file")
    lo.pp.tfidf(adata, **options)
    expected = reference(counts.astype(np.float64), **options)
    np.testing.assert_allclose(dense(adata.X), expected, rtol=2e-6, atol=1e-9)
    assert adata.X.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "result"), [("int32", "float64"), ("uint16", "float64"), ("float64", "float64")]
)
def test_types(dtype: str, result: str, counts: np.ndarray) -> None:
    x = counts.astype(dtype)
    for matrix in (sp.csr_matrix(x), x):
        adata = lo.AnnData(matrix)
        lo.pp.tfidf(adata)
        assert adata.X.dtype == result
        assert sp.issparse(adata.X) == sp.issparse(matrix)
        np.testing.assert_allclose(dense(adata.X), reference(counts.astype(float)), rtol=1e-12)


def test_one_pass_and_then_lazy(
    pair: Callable[..., Any], counts: np.ndarray, count_passes: Callable[..., Any]
) -> None:
    adata, _ = pair(counts, "csr", "file")
    with count_passes(adata.filename) as passes:
        lo.pp.tfidf(adata)
    assert passes.values == pytest.approx(1, abs=0.01)
    whole = dense(adata.X)
    np.testing.assert_array_equal(dense(adata[5:20, [3, 1]].X), whole[5:20][:, [3, 1]])


def test_layers_and_copies(pair: Callable[..., Any], counts: np.ndarray) -> None:
    adata, _ = pair(counts, "csr", "memory")
    adata.layers["counts"] = adata.X.copy()
    expected = reference(counts.astype(float))
    lo.pp.tfidf(adata, from_layer="counts", to_layer="tfidf")
    assert sp.issparse(adata.layers["tfidf"])
    np.testing.assert_array_equal(adata.X.toarray(), counts)
    np.testing.assert_allclose(dense(adata.layers["tfidf"]), expected, rtol=2e-6)
    with pytest.warns(UserWarning, match="overwritten"):
        lo.pp.tfidf(adata, to_layer="tfidf")
    made = lo.pp.tfidf(adata, copy=True)
    np.testing.assert_allclose(dense(made.X), expected, rtol=2e-6)
    np.testing.assert_allclose(dense(lo.pp.tfidf(adata, inplace=False)), expected, rtol=2e-6)
    np.testing.assert_array_equal(adata.X.toarray(), counts)


def test_the_modality_of_a_mudata(counts: np.ndarray) -> None:
    mdata = lo.MuData({"atac": lo.AnnData(sp.csr_matrix(counts))})
    lo.pp.tfidf(mdata)
    np.testing.assert_allclose(dense(mdata["atac"].X), reference(counts), rtol=1e-5)
    with pytest.raises(TypeError, match="'atac'"):
        lo.pp.tfidf(lo.MuData({"rna": mdata["atac"]}))
    with pytest.raises(TypeError, match="found ndarray"):
        lo.pp.tfidf(counts)


def test_options_that_exclude_each_other(counts: np.ndarray) -> None:
    adata = lo.AnnData(counts)
    for options in ({"log_tfidf": True}, {"inplace": False, "copy": True}):
        with pytest.raises(ValueError, match=r"log_tf=False|inplace=False"):
            lo.pp.tfidf(adata, **options)


def test_blocks_do_not_matter(tmp_path: Path, counts: np.ndarray) -> None:
    path = tmp_path / "x.h5ad"
    lo.AnnData(sp.csr_matrix(counts)).write_h5ad(path)
    results = []
    for chunks in (1, 7, 240):
        adata = lo.read_h5ad(path, chunks=chunks)
        lo.pp.tfidf(adata)
        results.append(dense(adata.X))
    for other, dense_too in product(results[1:], [results[0]]):
        np.testing.assert_allclose(other, dense_too, rtol=1e-6)
