"""Histograms of doublet scores: scanpy's figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo


def scored(module, batched):
    """Scores of 90 cells, one of them without."""
    rng = np.random.default_rng(2)
    obs = pd.DataFrame({"doublet_score": rng.beta(2, 15, 90)}, index=[f"c{i}" for i in range(90)])
    obs["batch"] = pd.Categorical(np.where(np.arange(90) % 3, "x", "y"), categories=list("yzx"))
    obs.loc["c3", "doublet_score"] = np.nan
    entries = [{"doublet_scores_sim": rng.beta(3, 5, 80), "threshold": 0.2}]
    entries.append({"doublet_scores_sim": rng.beta(3, 5, 80)})
    entry = entries[0]
    if batched:
        entry = {"batches": dict(zip("xy", entries, strict=True)), "batched_by": "batch"}
    return module.AnnData(obs=obs, uns={"scrublet": entry})


@pytest.mark.parametrize("scales", [{}, {"scale_hist_obs": "linear", "scale_hist_sim": "symlog"}])
@pytest.mark.parametrize("batched", [False, True])
def test_equals_scanpy(sc, batched, scales, tmp_path):
    ad = pytest.importorskip("anndata", reason="compared with scanpy's plot of an AnnData")
    theirs = scored(ad, batched)
    theirs.obs["batch"] = theirs.obs["batch"].cat.remove_unused_categories()
    expected = sc.pl.scrublet_score_distribution(
        theirs, show=False, return_fig=True, figsize=(7, 2), **scales
    )
    scored(lo, batched).write_h5ad(tmp_path / "scored.h5ad")
    for adata in (scored(lo, batched), lo.read_h5ad(tmp_path / "scored.h5ad")):
        axes = lo.pl.scrublet_score_distribution(adata, show=False, figsize=(7, 2), **scales)
        assert axes.shape == ((2, 2) if batched else (2,))
        figure = axes.ravel()[0].figure
        np.testing.assert_allclose(figure.get_size_inches(), expected.get_size_inches())
        for ours, other in zip(figure.axes, expected.axes, strict=True):
            assert ours.get_title().split() == other.get_title().split()
            assert ours.get_xlabel() == other.get_xlabel() == "Doublet score"
            assert ours.get_ylabel() == other.get_ylabel()
            assert ours.get_yscale() == other.get_yscale()
            np.testing.assert_allclose(ours.get_ylim(), other.get_ylim())
            np.testing.assert_allclose(ours.get_position().bounds, other.get_position().bounds)
            for mine, bar in zip(ours.patches, other.patches, strict=True):
                np.testing.assert_allclose(mine.get_bbox().bounds, bar.get_bbox().bounds)
                assert mine.get_facecolor() == bar.get_facecolor()
            for mine, line in zip(ours.lines, other.lines, strict=True):
                np.testing.assert_allclose(mine.get_xydata(), line.get_xydata())
                assert mine.get_color() == line.get_color()


def test_a_single_batch_and_the_figure(figure_folder):
    adata = scored(lo, batched=True)[1:3].copy()
    figure = lo.pl.scrublet_score_distribution(adata, return_fig=True, show=False, save="_x.png")
    assert len(figure.axes) == 2
    assert (figure_folder / "scrublet_score_distribution_x.png").exists()


def test_numbers_as_batches(tmp_path):
    adata = scored(lo, batched=False)
    entry = dict(adata.uns["scrublet"])
    adata.obs["batch"] = np.arange(90) % 2
    for keys in ((0, 1), ("0", "1")):
        adata.uns["scrublet"] = {"batches": dict.fromkeys(keys, entry), "batched_by": "batch"}
        axes = lo.pl.scrublet_score_distribution(adata, show=False)
        assert axes[1, 0].get_title() == "Observed transcriptomes (1)"


def test_what_is_missing(small):
    with pytest.raises(ValueError, match=r"run lo\.pp\.scrublet"):
        lo.pl.scrublet_score_distribution(small)
    adata = scored(lo, batched=True)
    del adata.uns["scrublet"]["batches"]["x"]
    with pytest.raises(ValueError, match=r"not run on batch 'x', only on \['y'\]"):
        lo.pl.scrublet_score_distribution(adata)


def test_the_old_name():
    adata = scored(lo, batched=False)
    with pytest.warns(FutureWarning, match=r"use pl\.scrublet_score_distribution"):
        axes = lo.external.pl.scrublet_score_distribution(adata, show=False)
    assert axes.shape == (2,)
