"""Box plots of the highest genes beside scanpy's."""

from __future__ import annotations

import inspect

import anndata as ad
import numpy as np
import pytest
from matplotlib import pyplot as plt

import lazyomics as lo


@pytest.fixture(scope="module")
def counts():
    """Counts of 40 genes, one cell without any."""
    rng = np.random.default_rng(1)
    x = rng.poisson(rng.gamma(1, 2, 40), (60, 40)).astype("f4")
    x[7] = 0
    adata = lo.AnnData(x, layers={"twice": (x * 2 + x.T[0][:, None]).astype(int)})
    adata.var["symbol"] = [f"S{k % 35}" for k in range(40)]
    return adata, ad.AnnData(x, layers=dict(adata.layers), var=adata.var)


def assert_same(mine, other):
    for patch, their_patch in zip(mine.patches, other.patches, strict=True):
        ours, theirs = patch.get_path().vertices, their_patch.get_path().vertices
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        np.testing.assert_allclose(patch.get_facecolor(), their_patch.get_facecolor(), atol=2e-4)
        np.testing.assert_allclose(patch.get_edgecolor(), their_patch.get_edgecolor(), atol=2e-4)
        assert patch.get_linewidth() == their_patch.get_linewidth()
    for line, their_line in zip(mine.lines, other.lines, strict=True):
        np.testing.assert_allclose(line.get_xydata(), their_line.get_xydata(), rtol=1e-5)
        assert line.get_linewidth() == their_line.get_linewidth()
        assert line.get_marker() == their_line.get_marker()
        assert line.get_markersize() == their_line.get_markersize()
    np.testing.assert_allclose(mine.get_xlim(), other.get_xlim(), rtol=1e-5)
    np.testing.assert_allclose(mine.get_ylim(), other.get_ylim())
    assert [t.get_text() for t in mine.get_yticklabels()] == [
        t.get_text() for t in other.get_yticklabels()
    ]
    assert (mine.get_xlabel(), mine.get_ylabel()) == (other.get_xlabel(), other.get_ylabel())
    assert (mine.get_xscale(), mine.get_title()) == (other.get_xscale(), other.get_title())
    ours, theirs = mine.figure.get_size_inches(), other.figure.get_size_inches()
    np.testing.assert_allclose(ours, theirs)
    np.testing.assert_allclose(mine.get_position().bounds, other.get_position().bounds)


@pytest.mark.parametrize(
    "options",
    [
        {"n_top": 4},
        {"n_top": 12, "layer": "twice", "log": True},
        {"n_top": 3, "gene_symbols": "symbol", "width": 0.5, "linewidth": 2, "whis": 3},
        {"n_top": 3, "fill": False, "linecolor": "red"},
        {"n_top": 5, "color": "red", "saturation": 1, "showfliers": False},
    ],
    ids=str,
)
def test_equals_scanpy(counts, sc, options):
    ours = lo.pl.highest_expr_genes(counts[0], show=False, **options)
    theirs = sc.pl.highest_expr_genes(counts[1], show=False, **options)
    assert_same(ours, theirs)


def test_values_from_a_file_and_of_a_selection(data_file, sc, count_passes):
    path = data_file("rebuilt_pbmc3k_processed.h5ad")
    mine, other = lo.read_h5ad(path).raw.to_adata(), ad.read_h5ad(path).raw.to_adata()
    with count_passes(path, "raw/X") as passes:
        ours = lo.pl.highest_expr_genes(mine, show=False)
    assert 0 < passes.values <= 2
    assert_same(ours, sc.pl.highest_expr_genes(other, show=False))
    ours = lo.pl.highest_expr_genes(mine[::5, ::3], 7, show=False)
    assert_same(ours, sc.pl.highest_expr_genes(other[::5, ::3], 7, show=False))


def test_parameters_are_scanpys(sc):
    theirs = inspect.signature(sc.pl.module.highest_expr_genes).parameters
    ours = inspect.signature(lo.pl.highest_expr_genes).parameters
    assert set(ours) == set(theirs)
    assert all(ours[name].default == theirs[name].default for name in theirs)


def test_given_axes_and_wrong_arguments(counts):
    ax = plt.figure().add_subplot()
    assert lo.pl.highest_expr_genes(counts[0], 3, ax=ax, palette=["r", "g"], show=False) is ax
    with pytest.raises(ValueError, match="n_top"):
        lo.pl.highest_expr_genes(counts[0], 0)
    with pytest.raises(KeyError, match="gene_symbols"):
        lo.pl.highest_expr_genes(counts[0], gene_symbols="what")
    with pytest.raises(KeyError, match="what"):
        lo.pl.highest_expr_genes(counts[0], layer="what")
