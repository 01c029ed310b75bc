from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo


@pytest.mark.parametrize("orientation", ["top", "bottom", "left", "right"])
def test_equals_scanpy(orientation, pbmc, pbmc_scanpy, sc):
    sc.tl.dendrogram(pbmc_scanpy, "louvain")
    pbmc.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    ours = lo.pl.dendrogram(pbmc, "louvain", orientation=orientation, show=False)
    theirs = sc.pl.dendrogram(pbmc_scanpy, "louvain", orientation=orientation, show=False)
    for line, other in zip(ours.lines, theirs.lines, strict=True):
        np.testing.assert_allclose(line.get_xydata(), other.get_xydata())
    np.testing.assert_allclose(ours.get_xlim(), theirs.get_xlim())
    np.testing.assert_allclose(ours.get_ylim(), theirs.get_ylim())
    axis = "xaxis" if orientation in ("top", "bottom") else "yaxis"
    labels, other_labels = (
        [label.get_text() for label in getattr(ax, axis).get_ticklabels()] for ax in (ours, theirs)
    )
    assert labels == other_labels


@pytest.mark.parametrize(
    ("orientation", "side"),
    [("top", "bottom"), ("bottom", "top"), ("left", "right"), ("right", "left")],
)
def test_names_are_opposite_to_the_root(orientation, side, pbmc, pbmc_scanpy, sc):
    sc.tl.dendrogram(pbmc_scanpy, "louvain")
    pbmc.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    ax = lo.pl.dendrogram(pbmc, "louvain", orientation=orientation, show=False)
    axis = ax.xaxis if orientation in ("top", "bottom") else ax.yaxis
    assert axis.get_tick_params()[f"label{side}"]
    ax = lo.pl.dendrogram(pbmc, "louvain", orientation=orientation, remove_labels=True, show=False)
    axis = ax.xaxis if orientation in ("top", "bottom") else ax.yaxis
    assert not any(value for key, value in axis.get_tick_params().items() if "label" in key)
