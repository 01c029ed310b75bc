"""Heat maps and tracks of all cells beside scanpy's."""

from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo

GENES = {"T": ["LYZ", "NKG7"], "B": ["CD3E"], "Mono": ["PPBP"]}


def texts(labels):
    return [label.get_text() for label in labels]


def assert_same_axes(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        pair = (ours[name], theirs[name])
        for ax, their_ax in zip(*map(as_list, pair), strict=True):
            assert_same_ax(ax, their_ax)


def as_list(axes):
    return axes if isinstance(axes, list) else [axes]


def assert_same_ax(ours, theirs):
    for which in ("get_xlim", "get_ylim"):
        np.testing.assert_allclose(getattr(ours, which)(), getattr(theirs, which)())
    for which in ("get_xticklabels", "get_yticklabels") if ours.axison else ():
        assert texts(getattr(ours, which)()) == texts(getattr(theirs, which)())
    assert (ours.get_xlabel(), ours.get_ylabel()) == (theirs.get_xlabel(), theirs.get_ylabel())
    for image, their_image in zip(ours.images, theirs.images, strict=True):
        mine, other = image.get_array(), their_image.get_array()
        np.testing.assert_allclose(mine, other, rtol=1e-6)
        np.testing.assert_allclose(image.to_rgba(mine), their_image.to_rgba(other), atol=1.01 / 255)
    for drawn, their_drawn in zip(ours.collections, theirs.collections, strict=True):
        for path, their_path in zip(drawn.get_paths(), their_drawn.get_paths(), strict=True):
            np.testing.assert_allclose(path.vertices, their_path.vertices)
        np.testing.assert_allclose(drawn.get_edgecolor(), their_drawn.get_edgecolor())
    for line, their_line in zip(ours.lines, theirs.lines, strict=True):
        np.testing.assert_allclose(line.get_xydata(), their_line.get_xydata())


def with_tree(small, small_scanpy, sc):
    sc.tl.dendrogram(small_scanpy, "cell_type", use_rep="X_pca")
    small.uns["dendrogram_cell_type"] = small_scanpy.uns["dendrogram_cell_type"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"swap_axes": True, "dendrogram": True},
        {"dendrogram": True, "vmax": 2, "cmap": "magma", "figsize": (5, 3)},
        {"var_names": ["LYZ", "n_genes", "LYZ"], "standard_scale": "var", "groupby": "batch"},
        {"layer": "scaled", "standard_scale": "obs", "groupby": "score", "num_categories": 3},
        {"log": True, "swap_axes": True, "show_gene_labels": False, "groupby": ["text", "batch"]},
    ],
    ids=str,
)
def test_heatmap_equals_scanpy(options, small, small_scanpy, sc):
    with_tree(small, small_scanpy, sc)
    if isinstance(options.get("groupby"), list):
        small_scanpy.obs["text"] = small_scanpy.obs["text"].astype("category")
    options = {"var_names": GENES, "groupby": "cell_type", "show": False, **options}
    ours = lo.pl.heatmap(small, **options)
    theirs = sc.pl.heatmap(small_scanpy, **options)
    assert_same_axes(ours, theirs)
    mine, other = ours["heatmap_ax"].figure, theirs["heatmap_ax"].figure
    np.testing.assert_allclose(mine.get_size_inches(), other.get_size_inches())


@pytest.mark.parametrize("dendrogram", [False, True])
def test_tracks_equal_scanpy(dendrogram, small, small_scanpy, sc):
    with_tree(small, small_scanpy, sc)
    options = {"dendrogram": dendrogram, "show": False}
    ours = lo.pl.tracksplot(small, GENES, "cell_type", **options)
    assert_same_axes(ours, sc.pl.tracksplot(small_scanpy, GENES, "cell_type", **options))


def test_selections_of_files_are_read_once(data_file, count_passes, pbmc_scanpy, sc):
    path = data_file("rebuilt_pbmc3k_processed.h5ad")
    with count_passes(path, "raw/X") as passes:
        ours = lo.pl.heatmap(lo.read_h5ad(path)[::9], ["CD3E", "NKG7"], "louvain", show=False)
    assert 0 < passes.values <= 1
    theirs = sc.pl.heatmap(pbmc_scanpy[::9].copy(), ["CD3E", "NKG7"], "louvain", show=False)
    assert_same_axes(ours, theirs)


def test_cells_without_a_group_are_left_out(small):
    image = lo.pl.heatmap(small, ["LYZ"], "partly", show=False)["heatmap_ax"].images[0]
    assert len(image.get_array()) == small.obs["partly"].notna().sum()


def test_wrong_arguments(small):
    with pytest.raises(ValueError, match="no categorical column"):
        lo.pl.tracksplot(small, ["LYZ"], "score", show=False)
    with pytest.raises(ValueError, match="'obs'"):
        lo.pl.heatmap(small, ["LYZ"], "cell_type", standard_scale="group", show=False)
    with pytest.raises(TypeError, match=r"pl\.heatmap takes an AnnData"):
        lo.pl.heatmap({}, ["LYZ"], "cell_type")
