"""Matrix plots beside scanpy's."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm
from matplotlib.patches import PathPatch

import lazyomics as lo

MARKERS = {"B": ["CD79A", "MS4A1"], "T cells": ["CD3E", "CD4", "CD8A"], "NK": "NKG7"}


def texts(labels):
    return [label.get_text() for label in labels]


def assert_same_plot(ours, theirs):
    assert ours.keys() == theirs.keys()
    mine, other = ours["mainplot_ax"], theirs["mainplot_ax"]
    (squares,), (their_squares,) = mine.collections, other.collections
    for drawn in (squares, their_squares):
        drawn.update_scalarmappable()
    np.testing.assert_allclose(
        squares.get_array().ravel(), their_squares.get_array().ravel(), rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(
        squares.get_facecolors(), their_squares.get_facecolors(), atol=1.01 / 255
    )
    np.testing.assert_allclose(squares.get_edgecolors(), their_squares.get_edgecolors())
    np.testing.assert_allclose(squares.get_linewidths(), their_squares.get_linewidths())
    for name in ("get_xticklabels", "get_yticklabels"):
        assert texts(getattr(mine, name)()) == texts(getattr(other, name)())
    for name in ("get_xticks", "get_yticks", "get_xlim", "get_ylim"):
        np.testing.assert_allclose(getattr(mine, name)(), getattr(other, name)())
    assert mine.spines["left"].get_linewidth() == other.spines["left"].get_linewidth()
    colors, their_colors = ours["color_legend_ax"], theirs["color_legend_ax"]
    assert colors.get_title() == their_colors.get_title()
    np.testing.assert_allclose(colors.get_xlim(), their_colors.get_xlim(), rtol=1e-4)
    if "gene_group_ax" in ours:
        (mine,), (other,) = (
            [p for p in axes["gene_group_ax"].patches if isinstance(p, PathPatch)]
            for axes in (ours, theirs)
        )
        np.testing.assert_allclose(mine.get_path().vertices, other.get_path().vertices)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_raw": False, "var_names": ["NKG7", "CST3"], "cmap": "magma"},
        {"var_names": ["CD4", "n_genes", "CD4"], "standard_scale": "var"},
        {"standard_scale": "group", "colorbar_title": "share", "edgecolor": "none"},
        {"log": True, "swap_axes": True},
        {"vmin": 0, "vcenter": 1, "vmax": 4, "linewidth": 2},
        {"norm": LogNorm(0.01, 5), "title": "markers"},
        {"figsize": (10, 3), "groupby": "n_genes", "num_categories": 3},
        {"var_names": MARKERS, "dendrogram": True},
    ],
    ids=" ".join,
)
def test_equals_scanpy(options, pbmc, pbmc_scanpy, sc):
    options = {"var_names": ["NKG7", "CD4", "CD3E"], "groupby": "louvain", **options}
    if "dendrogram" in options:
        sc.tl.dendrogram(pbmc_scanpy, "louvain")
        pbmc.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    ours = lo.pl.matrixplot(pbmc, show=False, **options)
    theirs = sc.pl.matrixplot(pbmc_scanpy, show=False, **options)
    assert_same_plot(ours, theirs)
    mine, other = ours["mainplot_ax"].figure, theirs["mainplot_ax"].figure
    np.testing.assert_allclose(mine.get_size_inches(), other.get_size_inches())
    if not {"swap_axes", "dendrogram"} & set(options):  # scanpy's is wider than it planned then
        for mine, other in ((ours[name], theirs[name]) for name in ours):
            np.testing.assert_allclose(
                mine.get_position().bounds, other.get_position().bounds, atol=0.015
            )


MEANS = pd.DataFrame(
    [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], index=["T", "B", "Mono"], columns=["LYZ", "NKG7", "PPBP"]
)


@pytest.mark.parametrize(
    "options",
    [
        {"layer": "scaled", "groupby": ["cell_type", "batch"]},
        {"var_names": ["lysozyme", "NK7"], "gene_symbols": "symbol"},
        {"categories_order": ["Mono", "T", "B"]},
        {"var_group_labels": ["a", "b"], "var_group_positions": [(0, 0), (1, 1)]},
        {"var_names": ["LYZ", "gappy"], "groupby": "partly"},
        {"values_df": MEANS, "var_names": list(MEANS)},
        {"values_df": MEANS.iloc[:2], "var_names": list(MEANS), "standard_scale": "var"},
    ],
    ids=str,
)
def test_options_equal_scanpy(options, small, small_scanpy, sc):
    options = {"var_names": ["LYZ", "NKG7"], "groupby": "cell_type", **options}
    ours = lo.pl.matrixplot(small, show=False, **options)
    theirs = sc.pl.matrixplot(small_scanpy, show=False, **options)
    assert_same_plot(ours, theirs)


def test_parameters_are_scanpys(sc):
    for name in ("matrixplot", "rank_genes_groups_matrixplot"):
        theirs = inspect.signature(getattr(sc.pl.module, name)).parameters
        ours = inspect.signature(getattr(lo.pl, name)).parameters
        assert set(ours) == set(theirs)
        assert all(ours[key].default == theirs[key].default for key in theirs)


def test_one_pass_and_none_over_given_values(data_file, count_passes):
    path = data_file("rebuilt_pbmc3k_processed.h5ad")
    with count_passes(path, "raw/X") as passes:
        adata = lo.read_h5ad(path)
        axes = lo.pl.matrixplot(adata, MARKERS, "louvain", show=False)
    assert 0 < passes.values <= 1
    table = axes["mainplot_ax"].collections[0].get_array()
    genes = ["CD79A", "MS4A1", "CD3E", "CD4", "CD8A", "NKG7"]
    frame = pd.DataFrame(table, adata.obs["louvain"].cat.categories, genes)
    with count_passes(path, "raw/X") as passes:
        figure = lo.pl.matrixplot(
            lo.read_h5ad(path), MARKERS, "louvain", values_df=frame, return_fig=True
        )
    assert passes.values == 0
    np.testing.assert_allclose(figure.get_axes()["mainplot_ax"].collections[0].get_array(), table)


def test_wrong_arguments(small):
    with pytest.raises(KeyError, match="values_df lacks"):
        lo.pl.matrixplot(small, ["CD3E"], "cell_type", values_df=MEANS, show=False)
    with pytest.raises(ValueError, match="standard_scale"):
        lo.pl.matrixplot(small, ["CD3E"], "cell_type", standard_scale="gene", show=False)
