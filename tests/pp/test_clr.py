"""Centred log ratio of protein counts: muon's formulas on both axes, in each flavour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import gmean

import lazyomics as lo
from tests.container.mudata_cases import dense


def reference(x: np.ndarray, axis: int, flavor: str = "seurat") -> np.ndarray:
    """The formulas of ``muon.prot.pp.clr`` (muon 0.1.9), for a dense matrix."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if flavor == "seurat":
            return np.log1p(x / np.exp(np.log1p(x).mean(axis=axis, keepdims=True)))
        if flavor == "stoeckius":
            x = x + 1
        return np.log(x / gmean(x, axis=axis, keepdims=True))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("flavor", ["seurat", "stoeckius"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("where", ["file", "memory", "subset"])
def test_as_muon(
    axis: int,
    flavor: str,
    kind: str,
    where: str,
    pair: Callable[..., Any],
    counts: np.ndarray,
) -> None:
    adata, _ = pair(counts, kind, where)
    lo.pp.clr(adata, axis=axis, flavor=flavor)
    expected = reference(counts.astype(np.float64), axis, flavor)
    np.testing.assert_allclose(dense(adata.X), expected, rtol=1e-5, atol=1e-6)
    assert adata.X.dtype == np.float32


@pytest.mark.parametrize("axis", [0, 1])
def test_standard_flavor(axis: int) -> None:
    x = np.random.default_rng(0).integers(0, 5, (30, 4)).astype(np.float64)
    x[:, 0] += 1
    for matrix in (x, sp.csr_matrix(x)):
        adata = lo.AnnData(matrix.copy())
        lo.pp.clr(adata, axis=axis, flavor="standard")
        expected = reference(x, axis, "standard")
        np.testing.assert_allclose(dense(adata.X), expected, rtol=1e-10, atol=1e-12)


def test_passes(
    pair: Callable[..., Any], counts: np.ndarray, count_passes: Callable[..., Any]
) -> None:
    for axis, expected in ((0, 1), (1, 0)):
        adata, _ = pair(counts, "csr", "file")
        with count_passes(adata.filename) as passes:
            lo.pp.clr(adata, axis=axis)
        assert passes.values == pytest.approx(expected, abs=0.01)


def test_integers_copies_and_arguments(counts: np.ndarray) -> None:
    adata = lo.AnnData(sp.csr_matrix(counts.astype(np.int32)))
    made = lo.pp.clr(adata, inplace=False)
    assert made.X.dtype == np.float64
    np.testing.assert_allclose(dense(made.X), reference(counts.astype(float), 0), rtol=1e-12)
    np.testing.assert_array_equal(adata.X.toarray(), counts)
    mdata = lo.MuData({"prot": adata})
    lo.pp.clr(mdata)
    assert mdata["prot"].X.dtype == np.float64
    with pytest.raises(ValueError, match="axis"):
        lo.pp.clr(adata, axis=2)
    with pytest.raises(ValueError, match="flavor"):
        lo.pp.clr(adata, flavor="other")
