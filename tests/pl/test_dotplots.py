from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import PathPatch

import lazyomics as lo

MARKERS = {"B": ["CD79A", "MS4A1"], "T cells": ["CD3E", "CD4", "CD8A"], "NK": "NKG7"}


def dots(ax):
    ax.figure.canvas.draw()
    (found,) = (c for c in ax.collections if isinstance(c, PathCollection))
    return found


def texts(labels):
    return [label.get_text() for label in labels]


def assert_same_plot(ours, theirs):
    assert ours.keys() == theirs.keys()
    mine, other = ours["mainplot_ax"], theirs["mainplot_ax"]
    np.testing.assert_allclose(dots(mine).get_offsets(), dots(other).get_offsets())
    np.testing.assert_allclose(
        dots(mine).get_sizes(), dots(other).get_sizes(), rtol=1e-4, atol=1e-9
    )
    np.testing.assert_allclose(
        dots(mine).get_facecolors(), dots(other).get_facecolors(), atol=1.01 / 255
    )
    assert texts(mine.get_xticklabels()) == texts(other.get_xticklabels())
    assert texts(mine.get_yticklabels()) == texts(other.get_yticklabels())
    np.testing.assert_allclose(mine.get_xlim(), other.get_xlim())
    np.testing.assert_allclose(mine.get_ylim(), other.get_ylim())
    for name in ("size_legend_ax", "color_legend_ax"):
        assert ours[name].get_title() == theirs[name].get_title()
        np.testing.assert_allclose(ours[name].get_xlim(), theirs[name].get_xlim(), rtol=1e-4)
    sizes, their_sizes = ours["size_legend_ax"], theirs["size_legend_ax"]
    assert texts(sizes.get_xticklabels()) == texts(their_sizes.get_xticklabels())
    np.testing.assert_allclose(dots(sizes).get_sizes(), dots(their_sizes).get_sizes())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_raw": False, "var_names": ["NKG7", "CST3"]},
        {"var_names": "CD4"},
        {"var_names": ["CD4", "NKG7", "CD4"]},
        {"standard_scale": "var"},
        {"standard_scale": "group"},
        {"expression_cutoff": 1.0},
        {"mean_only_expressed": True},
        {"log": True},
        {"dot_max": 0.5, "dot_min": 0.1, "smallest_dot": 20},
        {"cmap": "viridis", "vmin": 0.5, "vmax": 2},
        {"vmin": 0, "vcenter": 1, "vmax": 4},
        {"norm": LogNorm(0.01, 5)},
        {"swap_axes": True},
        {"figsize": (10, 3), "colorbar_title": "mean", "size_title": "share"},
        {"groupby": "n_genes", "num_categories": 3},
        {"title": "markers", "linewidth": 2},
        {"var_names": ["CD4", "n_genes", "NKG7"], "standard_scale": "var"},
        {"var_names": ["n_genes", "percent_mito"], "expression_cutoff": 800},
        {"var_names": {"a": ["percent_mito", "CD4"], "b": "percent_mito"}, "log": True},
    ],
    ids=" ".join,
)
def test_equals_scanpy(options, pbmc, pbmc_scanpy, sc):
    options = {"var_names": ["NKG7", "CD4", "CD3E"], "groupby": "louvain", **options}
    ours = lo.pl.dotplot(pbmc, show=False, **options)
    theirs = sc.pl.dotplot(pbmc_scanpy, show=False, **options)
    assert_same_plot(ours, theirs)
    mine, other = ours["mainplot_ax"].figure, theirs["mainplot_ax"].figure
    # scanpy's legends are 1.5 or, from 1.12 on, 2 inches wide.
    np.testing.assert_allclose(mine.get_size_inches(), other.get_size_inches(), atol=0.51)


@pytest.mark.parametrize(
    "options",
    [
        {"layer": "scaled", "cmap": "RdBu"},
        {"groupby": ["cell_type", "batch"]},
        {"groupby": "text"},
        {"var_names": ["lysozyme", "NK7"], "gene_symbols": "symbol"},
        {"categories_order": ["Mono", "T", "B"]},
        {"var_group_labels": ["a", "b"], "var_group_positions": [(0, 0), (1, 1)]},
        {"var_names": ["gappy", "LYZ", "n_genes"], "standard_scale": "group"},
        {"var_names": ["LYZ", "gappy"], "groupby": "partly", "mean_only_expressed": True},
        {"var_names": ["score", "passed"], "groupby": ["batch", "cell_type"]},
    ],
    ids=" ".join,
)
def test_options_equal_scanpy(options, small, small_scanpy, sc):
    options = {"var_names": ["LYZ", "NKG7"], "groupby": "cell_type", **options}
    ours = lo.pl.dotplot(small, show=False, **options)
    assert_same_plot(ours, sc.pl.dotplot(small_scanpy, show=False, **options))


@pytest.mark.parametrize("swap_axes", [False, True])
def test_dendrogram_equals_scanpy(swap_axes, pbmc, pbmc_scanpy, sc):
    sc.tl.dendrogram(pbmc_scanpy, "louvain")
    pbmc.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    options = {"groupby": "louvain", "dendrogram": True, "swap_axes": swap_axes, "show": False}
    ours = lo.pl.dotplot(pbmc, MARKERS, **options)
    theirs = sc.pl.dotplot(pbmc_scanpy, MARKERS, **options)
    assert_same_plot(ours, theirs)
    mine, other = (axes["group_extra_ax"].lines for axes in (ours, theirs))
    assert len(mine) == len(other) == 7
    for line, their_line in zip(mine, other, strict=True):
        np.testing.assert_allclose(line.get_xydata(), their_line.get_xydata())


def test_missing_dendrogram_is_computed_with_a_message(pbmc, pbmc_scanpy, sc, caplog):
    options = {"groupby": "louvain", "dendrogram": True, "swap_axes": True, "figsize": (10, 3)}
    ours = lo.pl.dotplot(pbmc, ["CD2"], show=False, **options)
    assert "dendrogram_louvain" in caplog.text
    assert_same_plot(ours, sc.pl.dotplot(pbmc_scanpy, ["CD2"], show=False, **options))
    assert "dendrogram_info" in pbmc.uns["dendrogram_louvain"]


def test_brackets_named_like_groups_follow_the_dendrogram(pbmc, pbmc_scanpy, sc):
    sc.tl.dendrogram(pbmc_scanpy, "louvain")
    pbmc.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    groups = list(pbmc.obs["louvain"].cat.categories)
    markers = {group: [gene] for group, gene in zip(groups, pbmc.var_names[:8], strict=True)}
    markers[groups[0]] = ["CD4", "CD3E"]
    options = {"groupby": "louvain", "dendrogram": True, "show": False}
    ours = lo.pl.dotplot(pbmc, markers, **options)
    theirs = sc.pl.dotplot(pbmc_scanpy, markers, **options)
    assert_same_plot(ours, theirs)
    assert texts(ours["gene_group_ax"].texts) == texts(theirs["gene_group_ax"].texts)
    assert texts(ours["mainplot_ax"].get_yticklabels()) == list(
        pbmc_scanpy.uns["dendrogram_louvain"]["categories_ordered"]
    )


def test_another_dendrogram_key(pbmc, pbmc_scanpy, sc):
    sc.tl.dendrogram(pbmc_scanpy, "louvain", key_added="tree")
    pbmc.uns["tree"] = pbmc_scanpy.uns["tree"]
    axes = lo.pl.dotplot(pbmc, ["CD2"], "louvain", dendrogram="tree", show=False)
    assert "group_extra_ax" in axes
    assert "dendrogram_louvain" not in pbmc.uns


def test_two_groups_have_no_dendrogram(small, caplog):
    axes = lo.pl.dotplot(small, ["LYZ"], "batch", dendrogram=True, show=False)
    assert "group_extra_ax" not in axes
    assert "fewer than 3" in caplog.text


@pytest.mark.parametrize(
    "tree", [{"groupby": ["louvain"]}, {"dendrogram_info": {}, "groupby": "x"}]
)
def test_foreign_dendrograms_are_refused(tree, pbmc):
    pbmc.uns["tree"] = tree
    with pytest.raises(ValueError, match="tree"):
        lo.pl.dotplot(pbmc, ["CD2"], "louvain", dendrogram="tree", show=False)


def test_a_dendrogram_of_other_groups_is_refused(pbmc, pbmc_scanpy, sc):
    sc.tl.dendrogram(pbmc_scanpy, "louvain")
    pbmc.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    fewer = pbmc[pbmc.obs["louvain"] != "B cells"]
    with pytest.raises(ValueError, match=r"tl\.dendrogram again"):
        lo.pl.dotplot(fewer, ["CD2"], "louvain", dendrogram=True, show=False)


@pytest.mark.parametrize("swap_axes", [False, True])
def test_brackets_equal_scanpy(swap_axes, pbmc, pbmc_scanpy, sc):
    options = {"groupby": "louvain", "swap_axes": swap_axes, "show": False}
    ours = lo.pl.dotplot(pbmc, MARKERS, **options)["gene_group_ax"]
    theirs = sc.pl.dotplot(pbmc_scanpy, MARKERS, **options)["gene_group_ax"]
    (mine,), (other,) = (
        [p for p in ax.patches if isinstance(p, PathPatch)] for ax in (ours, theirs)
    )
    np.testing.assert_allclose(mine.get_path().vertices, other.get_path().vertices)
    # scanpy cuts labels on the right to the length of their bracket.
    assert texts(ours.texts) == list(MARKERS)


@pytest.mark.parametrize("fontsize", [10, 18])
@pytest.mark.parametrize("swap_axes", [False, True])
def test_labels_do_not_overlap(swap_axes, fontsize, pbmc):
    plt.rcParams["font.size"] = fontsize
    markers = {"a very long name of a group": ["CD79A"], "another long name": ["CD3E", "CD4"]}
    axes = lo.pl.dotplot(pbmc, markers, "louvain", swap_axes=swap_axes, show=False)
    figure = axes["mainplot_ax"].figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    names = [text.get_window_extent(renderer) for text in axes["gene_group_ax"].texts]
    legends = [axes[f"{name}_legend_ax"].get_tightbbox(renderer) for name in ("size", "color")]
    assert not names[0].overlaps(names[1])
    assert not any(name.overlaps(legend) for name in names for legend in legends)
    assert not legends[0].overlaps(legends[1])
    numbers = [
        label.get_window_extent(renderer) for label in axes["size_legend_ax"].get_xticklabels()
    ]
    assert not any(a.overlaps(b) for a, b in pairwise(numbers))


@pytest.mark.parametrize("fontsize", [10, 18])
def test_legends_fit_into_a_given_size(fontsize, pbmc):
    plt.rcParams["font.size"] = fontsize
    axes = lo.pl.dotplot(pbmc, ["CD2"], "louvain", figsize=(10, 3), swap_axes=True, show=False)
    renderer = axes["mainplot_ax"].figure.canvas.get_renderer()
    size, color = (axes[f"{name}_legend_ax"].get_tightbbox(renderer) for name in ("size", "color"))
    assert not size.overlaps(color)


def test_brackets_within_a_given_size(pbmc):
    axes = lo.pl.dotplot(pbmc, MARKERS, "louvain", figsize=(6, 3), show=False)
    assert axes["gene_group_ax"].get_position().y0 >= axes["mainplot_ax"].get_position().y1 - 1e-9


@pytest.mark.parametrize("place", ["subplot", "free"])
def test_in_given_axes(place, pbmc):
    figure = plt.figure(figsize=(12, 4))
    ax = (
        figure.add_subplot(1, 2, 2) if place == "subplot" else figure.add_axes((0.5, 0.1, 0.4, 0.8))
    )
    box = ax.get_position()
    axes = lo.pl.dotplot(pbmc, ["CD4", "CD3E"], "louvain", ax=ax, show=False)
    assert all(part.figure is figure for part in axes.values())
    for part in axes.values():
        inside = part.get_position()
        assert inside.x0 >= box.x0 - 1e-9
        assert inside.x1 <= box.x1 + 1e-9


def test_own_values_for_colors(small):
    means = pd.DataFrame(
        [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], index=["B", "Mono", "T"], columns=["NKG7", "LYZ"]
    )
    axes = lo.pl.dotplot(
        small, ["LYZ", "NKG7"], "cell_type", dot_color_df=means, vmin=1, vmax=6, show=False
    )
    colors = dots(axes["mainplot_ax"]).get_facecolors()
    expected = plt.get_cmap("Reds")((means.loc[["T", "B", "Mono"], ["LYZ", "NKG7"]] - 1) / 5)
    np.testing.assert_allclose(colors, expected.reshape(-1, 4))
    with pytest.raises(KeyError, match="dot_color_df"):
        lo.pl.dotplot(small, ["LYZ"], "batch", dot_color_df=means, show=False)


def test_genes_that_nobody_expresses(small):
    axes = lo.pl.dotplot(small, ["LYZ"], "cell_type", expression_cutoff=100, show=False)
    assert (dots(axes["mainplot_ax"]).get_sizes() == 0).all()


def test_groups_without_cells_are_left_out(pbmc):
    pbmc.obs["louvain"] = pbmc.obs["louvain"].cat.add_categories(["nobody"])
    axes = lo.pl.dotplot(pbmc, ["CD4"], "louvain", show=False)
    assert "nobody" not in texts(axes["mainplot_ax"].get_yticklabels())


@pytest.mark.parametrize("log", [False, True])
def test_a_plot_passes_over_the_matrix_once(log, data_file, count_passes):
    path = data_file("rebuilt_pbmc3k_processed.h5ad")
    with count_passes(path, "raw/X") as passes:
        lo.pl.dotplot(lo.read_h5ad(path), MARKERS, "louvain", log=log, show=False)
    assert 0 < passes.values <= 1
    assert 0 < passes.indices <= 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"var_names": ["LYX"]}, KeyError, "LYZ"),
        ({"var_names": ["text"]}, TypeError, "numbers"),
        ({"groupby": "celltype"}, ValueError, "cell_type"),
        ({"layer": "spliced"}, KeyError, "spliced"),
        ({"var_names": []}, ValueError, "empty"),
        ({"var_names": {"a": []}}, ValueError, "empty"),
        ({"var_names": {"a": "LYZ"}, "var_group_labels": ["b"]}, TypeError, "dict"),
        ({"var_group_labels": ["b"]}, ValueError, "both"),
        ({"var_group_labels": ["b"], "var_group_positions": []}, ValueError, "entries"),
        ({"dot_max": 2}, ValueError, "between 0 and 1"),
        ({"dot_min": -1}, ValueError, "between 0 and 1"),
        ({"standard_scale": "gene"}, ValueError, "var"),
        ({"categories_order": ["T"]}, ValueError, "categories_order"),
        ({"vmin": 0, "norm": LogNorm(1, 2)}, ValueError, "not both"),
    ],
)
def test_wrong_arguments(options, error, message, small):
    options = {"var_names": ["LYZ"], "groupby": "cell_type", **options}
    with pytest.raises(error, match=message):
        lo.pl.dotplot(small, show=False, **options)
