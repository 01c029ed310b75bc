from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo


def assert_same_axes(ours, theirs):
    for mine, other in zip(ours.figure.axes, theirs.figure.axes, strict=True):
        for dots, their_dots in zip(mine.collections, other.collections, strict=True):
            np.testing.assert_allclose(dots.get_offsets(), their_dots.get_offsets())
            np.testing.assert_allclose(dots.get_facecolors(), their_dots.get_facecolors())
        assert mine.get_xlabel() == other.get_xlabel()
        assert mine.get_ylabel() == other.get_ylabel()
        assert mine.get_xscale() == other.get_xscale()
    np.testing.assert_allclose(ours.figure.get_size_inches(), theirs.figure.get_size_inches())


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("flavor", ["seurat", "seurat_v3"])
def test_equals_scanpy(log, flavor, pbmc_scanpy, sc):
    other = pbmc_scanpy.raw.to_adata()
    if flavor == "seurat":
        sc.pp.highly_variable_genes(other)
        other.var["variances_norm"] = 0.0  # of another run
    else:
        random = np.random.default_rng(0)
        for column in ("means", "variances", "variances_norm"):
            other.var[column] = random.random(other.n_vars)
        other.var["highly_variable"] = random.random(other.n_vars) > 0.8
        other.uns["hvg"] = {"flavor": "seurat_v3"}
    adata = lo.AnnData(var=other.var.copy(), obs=other.obs.copy())
    adata.uns["hvg"] = {"flavor": flavor}
    ours = lo.pl.highly_variable_genes(adata, log=log, show=False)
    theirs = sc.pl.highly_variable_genes(other, log=log, show=False)
    assert_same_axes(ours, theirs)
    texts = [text.get_text() for text in ours.figure.axes[0].get_legend().get_texts()]
    assert texts == ["highly variable genes", "other genes"]


def test_a_frame_and_its_own_selection():
    frame = pd.DataFrame(
        {
            "means": [0.0, 1.0, 2.0],
            "dispersions": [0.0, 2.0, 3.0],
            "dispersions_norm": [-1.0, 0.0, 1.0],
            "gene_subset": [False, False, True],
        }
    )
    ax = lo.pl.highly_variable_genes(frame, log=True, highly_variable_genes=False, show=False)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[2.0, 3.0]])
    assert ax.get_xlim()[0] > 0


def test_missing_columns(small):
    with pytest.raises(KeyError, match=r"pp\.highly_variable_genes"):
        lo.pl.highly_variable_genes(small)
