"""Scatter plots beside scanpy's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection

import lazyomics as lo


def panels(axes):
    return axes if isinstance(axes, list) else [axes]


def dots(ax):
    return [c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets())]


def texts(items):
    return [item.get_text() for item in items]


def assert_same_panel(mine, other):
    np.testing.assert_allclose(mine.get_position().bounds, other.get_position().bounds)
    for name in ("get_title", "get_xlabel", "get_ylabel"):
        assert getattr(mine, name)() == getattr(other, name)()
    for name in ("get_xlim", "get_ylim", "get_xticks", "get_yticks"):
        ours, theirs = getattr(mine, name)(), getattr(other, name)()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert texts(mine.get_xticklabels()) == texts(other.get_xticklabels())
    if mine.name == "rectilinear":
        assert mine.get_frame_on() == other.get_frame_on()
    assert len(dots(mine)) == len(dots(other))
    for ours, theirs in zip(dots(mine), dots(other), strict=True):
        ours.update_scalarmappable()
        theirs.update_scalarmappable()
        np.testing.assert_allclose(ours.get_offsets(), theirs.get_offsets(), rtol=1e-5)
        np.testing.assert_allclose(ours.get_sizes(), theirs.get_sizes())
        np.testing.assert_allclose(ours.get_facecolors(), theirs.get_facecolors(), atol=1.01 / 255)
        assert ours.get_zorder() == theirs.get_zorder()
        assert ours.get_label() == theirs.get_label() or ours.get_label().startswith("_child")
    assert [(t.get_text(), t.get_position(), t.get_weight()) for t in mine.texts] == [
        (t.get_text(), t.get_position(), t.get_weight()) for t in other.texts
    ]
    legend, their_legend = mine.get_legend(), other.get_legend()
    assert (legend is None) == (their_legend is None)
    if legend is not None:
        assert texts(legend.get_texts()) == texts(their_legend.get_texts())
        assert [h.get_sizes() for h in legend.legend_handles] == [300.0] * len(legend.get_texts())
        ours, theirs = legend.get_bbox_to_anchor(), their_legend.get_bbox_to_anchor()
        np.testing.assert_allclose(ours.bounds, theirs.bounds)


def assert_same(ours, theirs):
    ours, theirs = panels(ours), panels(theirs)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_panel(mine, other)
    mine, other = ours[0].figure, theirs[0].figure
    np.testing.assert_allclose(mine.get_size_inches(), other.get_size_inches())
    assert len(mine.axes) == len(other.axes)
    for ax, their_ax in zip(mine.axes, other.axes, strict=True):  # colour bars are among them
        np.testing.assert_allclose(ax.get_position().bounds, their_ax.get_position().bounds)
        assert texts(ax.get_yticklabels()) == texts(their_ax.get_yticklabels())


XY = {"x": "n_genes", "y": "score"}


@pytest.mark.parametrize(
    "options",
    [
        XY,
        {**XY, "color": "partly"},
        {**XY, "color": ["gappy", "LYZ", "#fe57a1"], "marker": ["o", ".", "x"], "size": 20},
        {"x": "LYZ", "y": "NKG7", "color": "PPBP", "color_map": "magma"},
        {"x": "LYZ", "y": "score", "layers": "scaled", "color": ["CD3E", "batch"]},
        {"x": "LYZ", "y": "LYZ", "color": "LYZ", "layers": ("scaled", None, None)},
        {"x": "cell_type", "y": "n_genes", "color": "gappy"},
        {"x": "passed", "y": "n_genes", "color": "passed"},
        {**XY, "color": "text", "legend_loc": "upper left", "palette": "Set1", "alpha": 0.4},
        {**XY, "color": ["cell_type", "text"], "palette": [["red", "#00ff00", "b"], "Set2"]},
        {**XY, "color": "cell_type", "legend_loc": "on data", "legend_fontoutline": 2},
        {**XY, "color": "cell_type", "groups": ["B", "T"], "legend_loc": "on data"},
        {**XY, "color": "cell_type", "groups": "Mono", "legend_loc": "none", "title": "a"},
        {**XY, "color": ["score", "cell_type"], "right_margin": 0.8, "title": ["a", "b"]},
        {"basis": "umap", "color": ["cell_type", "NKG7"]},
        {"basis": "umap", "frameon": False},
        {"basis": "pca", "components": "3,1", "color": "n_genes"},
        {"basis": "diffmap", "components": ["1", "2"]},
        {"basis": "pca", "projection": "3d", "color": ["CD3E", "cell_type"]},
        {"x": "mean", "y": "cell3", "color": "kind"},
        {"x": "mean", "y": "mean", "color": ["cell1"], "layers": "scaled"},
    ],
    ids=str,
)
def test_equals_scanpy(options, small, small_scanpy, sc):
    for adata in (small, small_scanpy):
        adata.obsm["X_diffmap"] = np.asarray(adata.obsm["X_pca"]) * 2
        adata.var["mean"] = [0.5, 0.1, 0.9, 0.4, 0.2]
        adata.var["kind"] = ["a", "b", "a", "b", "b"]
    ours = lo.pl.scatter(small, show=False, **options)
    theirs = sc.pl.scatter(small_scanpy, show=False, **options)
    assert_same(ours, theirs)
    for key in small_scanpy.uns:
        assert list(small.uns[key]) == list(small_scanpy.uns[key])


@pytest.mark.parametrize("groups", [None, ["B", "T"]])
def test_positions_of_labels_are_exported_as_by_scanpy(
    groups, small, small_scanpy, sc, tmp_path, monkeypatch
):
    options = {**XY, "color": "cell_type", "legend_loc": "on data export", "groups": groups}
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "ours")
    ours = lo.pl.scatter(small, show=False, **options)
    monkeypatch.chdir(tmp_path / "theirs")
    theirs = sc.pl.scatter(small_scanpy, show=False, **options)
    assert_same(ours, theirs)
    positions = [
        np.loadtxt(tmp_path / f"{who}/write/pos.csv", delimiter=",") for who in ("ours", "theirs")
    ]
    assert positions[0].shape == (len(small.obs["cell_type"].cat.categories), 2)
    np.testing.assert_allclose(*positions)
    assert np.isnan(positions[0]).any() == (groups is not None)


def test_values_from_a_file_equal_scanpys(pbmc, pbmc_scanpy, sc, data_file, count_passes):
    options = {"x": "CST3", "y": "NKG7", "color": ["louvain", "LYZ", "n_genes"], "show": False}
    with count_passes(data_file("rebuilt_pbmc3k_processed.h5ad"), "raw/X") as passes:
        ours = lo.pl.scatter(pbmc, **options)
    assert 0 < passes.values <= 1
    assert_same(ours, sc.pl.scatter(pbmc_scanpy, **options))
    mask = np.arange(pbmc.n_obs) % 3 == 0
    options |= {"use_raw": False, "color": "PPBP"}
    ours = lo.pl.scatter(pbmc[mask], **options)
    assert_same(ours, sc.pl.scatter(pbmc_scanpy[mask], **options))


def test_parameters_are_scanpys(sc):
    theirs = inspect.signature(sc.pl.module.scatter).parameters
    ours = inspect.signature(lo.pl.scatter).parameters
    assert set(ours) == set(theirs)
    for name, parameter in theirs.items():
        assert ours[name].kind is parameter.kind
        assert ours[name].default == parameter.default


def test_points_in_their_own_order_and_in_given_axes(small):
    _, given = plt.subplots(1, 2)
    options = {**XY, "color": ["LYZ", "cell_type"], "sort_order": False, "show": False}
    axes = lo.pl.scatter(small, ax=list(given), **options)
    assert axes == list(given)
    np.testing.assert_array_equal(dots(axes[0])[0].get_offsets()[:, 0], small.obs["n_genes"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"x": "n_genes"}, ValueError, "both x and y"),
        ({"x": "n_genes", "y": "symbol"}, ValueError, "same axis"),
        ({**XY, "color": "what"}, ValueError, "what"),
        ({**XY, "color": []}, ValueError, "empty"),
        ({**XY, "color": ["LYZ", "NKG7"], "ax": "one"}, ValueError, "2 panels"),
        ({**XY, "layers": "spliced"}, KeyError, "spliced"),
        ({**XY, "layers": ["scaled"]}, ValueError, "three"),
        ({**XY, "layers": "scaled", "use_raw": True}, ValueError, "not both"),
        ({**XY, "use_raw": True}, ValueError, "no raw"),
        ({**XY, "legend_loc": "left"}, ValueError, "legend_loc"),
        ({**XY, "color": "batch", "groups": ["z"]}, ValueError, "groups"),
        ({**XY, "left_margin": 1}, NotImplementedError, "left_margin"),
        ({**XY, "right_margin": [1, 2]}, ValueError, "right_margin"),
        ({**XY, "projection": "4d"}, ValueError, "projection"),
        ({"basis": "what"}, KeyError, "what"),
        ({"basis": "umap", "components": "1,3"}, ValueError, "dimensions"),
        ({"basis": "umap", "components": "1,a"}, ValueError, "numbers"),
    ],
    ids=str,
)
def test_wrong_arguments(options, error, message, small):
    if options.get("ax") == "one":
        options = {**options, "ax": plt.figure().add_subplot()}
    with pytest.raises(error, match=message):
        lo.pl.scatter(small, show=False, **options)
