"""Matrices in memory that store values twice: they count as their sum."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo


def log1p(adata):
    lo.pp.log1p(adata)
    return adata.X.toarray()


def binarize(adata):
    lo.pp.binarize(adata)
    return adata.X.toarray()


def tfidf(adata):
    lo.pp.tfidf(adata)
    return adata.X.toarray()


def scale(adata):
    lo.pp.scale(adata, zero_center=False, max_value=1.0)
    return adata.X.toarray()


def clr(adata):
    lo.pp.clr(adata)
    return adata.X.toarray()


def qc(adata):
    lo.pp.calculate_qc_metrics(adata, inplace=True, percent_top=None)
    return np.concatenate([adata.obs["n_genes_by_counts"], adata.var["n_cells_by_counts"]])


def filtered(adata):
    lo.pp.filter_genes(adata, min_cells=18)
    return adata.X.toarray()


def variable(adata):
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=5)
    return adata.var[["means", "dispersions"]].to_numpy()


def components(adata):
    lo.pp.pca(adata, n_comps=3)
    return adata.obsm["X_pca"]


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.csr_array])
@pytest.mark.parametrize(
    "verb", [log1p, binarize, tfidf, scale, clr, qc, filtered, variable, components]
)
def test_they_count_as_their_sum(verb, kind) -> None:
    rng = np.random.default_rng(0)
    n, m, each = 60, 20, 8
    lines, inside = (n, m) if kind is not sp.csc_matrix else (m, n)
    indices = np.sort(rng.integers(0, inside, (lines, each)), axis=1).ravel()
    data = rng.integers(1, 5, lines * each).astype(np.float32)
    twice = kind((data, indices, np.arange(0, lines * each + 1, each)), shape=(n, m))
    before = twice.data.copy()
    found = verb(lo.AnnData(twice.copy()))
    expected = verb(lo.AnnData(kind(twice.toarray())))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert twice.nnz == lines * each > kind(twice.toarray()).nnz
    np.testing.assert_array_equal(twice.data, before)
