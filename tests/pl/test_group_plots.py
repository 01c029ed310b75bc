"""Dot plots, matrix plots and stacked violins as objects, beside scanpy's."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

GENES = {"one": ["LYZ", "NKG7"], "two": ["CD3E"]}


def texts(labels):
    return [label.get_text() for label in labels]


def assert_same_main(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        for which in ("get_xlim", "get_ylim"):
            np.testing.assert_allclose(
                getattr(ours[name], which)(), getattr(theirs[name], which)(), rtol=1e-4
            )
    for which in ("get_xticklabels", "get_yticklabels"):
        mine, other = (getattr(axes["mainplot_ax"], which)() for axes in (ours, theirs))
        assert texts(mine) == texts(other)


def rows(axes):
    """Axes of the rows of violins: those that hold nothing but polygons within 1 of 0."""
    main = axes["mainplot_ax"]
    return [ax for ax in main.figure.axes if ax not in axes.values() and ax.collections]


def assert_same_violins(ours, theirs):
    assert_same_main(ours, theirs)
    mine, other = rows(ours), rows(theirs)
    assert len(mine) == len(other) > 0
    for row, their_row in zip(mine, other, strict=True):
        np.testing.assert_allclose(row.get_xlim(), their_row.get_xlim())
        np.testing.assert_allclose(row.get_ylim(), their_row.get_ylim(), atol=1e-4)
        for body, their_body in zip(row.collections, their_row.collections, strict=True):
            np.testing.assert_allclose(
                body.get_facecolor(), their_body.get_facecolor(), atol=1.01 / 255
            )
            np.testing.assert_allclose(body.get_linewidth(), their_body.get_linewidth())
            box, their_box = (b.get_paths()[0].get_extents() for b in (body, their_body))
            # With pandas 3, seaborn 0.13.2 moves violins aside for hues that there are not.
            sides = slice(1, None, 2) if pd.__version__ >= "3" else slice(None)
            np.testing.assert_allclose(box.extents[sides], their_box.extents[sides], atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"swap_axes": True, "var_names": ["LYZ", "n_genes", "LYZ"], "standard_scale": "var"},
        {"layer": "scaled", "row_palette": "Set2", "groupby": ["cell_type", "batch"]},
        {"vmin": 0, "vmax": 1.5, "cmap": "magma", "linewidth": 1, "yticklabels": True},
    ],
    ids=str,
)
def test_stacked_violins_equal_scanpy(options, small, small_scanpy, sc):
    options = {"var_names": GENES, "groupby": "cell_type", **options}
    ours = lo.pl.stacked_violin(small, show=False, **options)
    assert_same_violins(ours, sc.pl.stacked_violin(small_scanpy, show=False, **options))


def test_dendrogram_of_violins_from_file(pbmc, pbmc_scanpy, sc, count_passes):
    sc.tl.dendrogram(pbmc_scanpy, "louvain")
    some, chosen = pbmc_scanpy[::4].copy(), pbmc[::4]
    some.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    chosen.uns["dendrogram_louvain"] = pbmc_scanpy.uns["dendrogram_louvain"]
    options = {"groupby": "louvain", "dendrogram": True, "show": False}
    ours = lo.pl.stacked_violin(chosen, ["CD3E", "NKG7"], **options)
    assert_same_violins(ours, sc.pl.stacked_violin(some, ["CD3E", "NKG7"], **options))


@pytest.mark.parametrize("kind", ["DotPlot", "MatrixPlot", "StackedViolin"])
@pytest.mark.parametrize("swapped", [False, True])
def test_totals_equal_scanpy(kind, swapped, small, small_scanpy, sc):
    drawn = []
    for pl, adata in ((lo.pl, small), (sc.pl, small_scanpy)):
        plot = getattr(pl, kind)(adata, GENES, "cell_type")
        plot = plot.swap_axes(swap_axes=swapped).add_totals(sort="descending", size=1.1)
        plot.style(cmap="viridis")
        axes = plot.get_axes()
        bars = axes["group_extra_ax"]
        assert bars.figure is plot.fig
        boxes = [patch.get_bbox().extents for patch in bars.patches]
        drawn.append((axes, boxes, texts(bars.texts)))
    (ours, boxes, labels), (theirs, their_boxes, their_labels) = drawn
    assert_same_main(ours, theirs)
    np.testing.assert_allclose(boxes, their_boxes, atol=0.03)
    assert [float(label) for label in labels] == [float(label) for label in their_labels]


def test_dots_on_squares_equal_scanpy(small, small_scanpy, sc):
    drawn = []
    for pl, adata in ((lo.pl, small), (sc.pl, small_scanpy)):
        plot = pl.dotplot(adata, GENES, "cell_type", return_fig=True)
        plot.style(color_on="square", dot_edge_color=None, dot_edge_lw=None, largest_dot=90)
        plot.style(size_exponent=1, grid=True).legend(show_size_legend=False, width=2)
        axes = plot.get_axes()
        assert "size_legend_ax" not in axes
        squares, dots = axes["mainplot_ax"].collections
        drawn.append((axes, squares.get_array(), dots.get_sizes(), dots.get_edgecolors()))
    assert_same_main(drawn[0][0], drawn[1][0])
    for mine, other in zip(drawn[0][1:], drawn[1][1:], strict=True):
        np.testing.assert_allclose(np.ravel(mine), np.ravel(other), rtol=1e-4)


def test_objects_are_changed_and_saved(small, tmp_path):
    plot = lo.pl.matrixplot(small, GENES, "cell_type", return_fig=True)
    assert isinstance(plot, lo.pl.MatrixPlot)
    assert plot.style(edge_color="none").legend(show=False) is plot
    assert "color_legend_ax" not in plot.show(return_axes=True)
    plot.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert "group_extra_ax" not in plot.add_totals().add_totals(show=False).show(return_axes=True)


@pytest.mark.parametrize("kind", ["DotPlot", "MatrixPlot", "StackedViolin"])
def test_parameters_are_scanpys(kind, sc):
    theirs, ours = getattr(sc.pl.module, kind), getattr(lo.pl, kind)
    newer = {"group_colors"}
    for name in ("__init__", "style", "legend", "add_totals", "add_dendrogram", "swap_axes"):
        mine, other = (inspect.signature(getattr(cls, name)).parameters for cls in (ours, theirs))
        assert set(other) - set(mine) <= newer
        assert set(mine) <= set(other)


def test_wrong_arguments(small):
    with pytest.raises(TypeError, match=r"pl\.dotplot takes an AnnData"):
        lo.pl.DotPlot({}, ["LYZ"], "cell_type")
    plot = lo.pl.StackedViolin(small, ["LYZ"], "cell_type")
    with pytest.raises(ValueError, match="row_palette"):
        plot.style(row_palette="no such")
    with pytest.raises(ValueError, match="sort"):
        plot.add_totals(sort="up")
    with pytest.raises(ValueError, match="color_on"):
        lo.pl.DotPlot(small, ["LYZ"], "cell_type").style(color_on="dots")
    with pytest.warns(FutureWarning, match="categories_order"):
        lo.pl.stacked_violin(small, ["LYZ"], "cell_type", order=["T"], return_fig=True)
